"""A real kube-apiserver on a real etcd, on loopback. No Job controller, scheduler or kubelet: no pod runs."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from greenops.adapters.packaged import packaged
from greenops.demo.processes import free_ports

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
BIN = CACHE / "greenops/peers/bin"
ISSUER = "https://greenops.test"
ADMIN = "admin-of-the-test"
READY_WITHIN_S = 60.0
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "ValidatingAdmissionPolicy": (
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    ),
    "ValidatingAdmissionPolicyBinding": (
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    ),
}
LAW = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: not-on-sundays}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [batch], apiVersions: [v1], operations: [UPDATE], resources: [jobs]}
  validations:
  - expression: "object.spec.suspend || !('sundays' in object.metadata.labels)"
    message: nothing is let go on a Sunday
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: not-on-sundays}
spec: {policyName: not-on-sundays, validationActions: [Deny]}
"""
"""A rule of the cluster's own against releases of some Jobs."""


class Cluster:
    """One API server and what it stands on."""

    def __init__(self, folder):
        if not all(os.access(BIN / name, os.X_OK) for name in ("etcd", "kube-apiserver")):
            pytest.skip(f"no kube-apiserver in {BIN}; `make peers-kubernetes` builds one")
        self.folder = folder
        self.port, self._client, self._peer = free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}"
        self.authority = folder / "certs" / "apiserver.crt"
        self._key = rsa.generate_private_key(65537, 2048)
        (folder / "sa.key").write_bytes(_pem(self._key))
        self.client = _certificate("greenops", "system:masters")
        (folder / "clients.crt").write_bytes(self.client[0])
        (folder / "tokens.csv").write_text(f"{ADMIN},admin,admin,system:masters\n")
        here, peer = f"http://127.0.0.1:{self._client}", f"http://127.0.0.1:{self._peer}"
        self._etcd = self._begin(
            *("etcd", "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
            *("--listen-client-urls", here, "--advertise-client-urls", here),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}", "--log-level", "error"),
        )
        self.start()
        self._fill()

    def _begin(self, name, *words):
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen([BIN / name, *words], stdout=log, stderr=log)

    def start(self):
        self._server = self._begin(
            *("kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{self._client}"),
            *("--bind-address", "127.0.0.1", "--secure-port", str(self.port)),
            *("--cert-dir", str(self.folder / "certs"), "--authorization-mode", "RBAC"),
            *("--token-auth-file", str(self.folder / "tokens.csv")),
            *("--client-ca-file", str(self.folder / "clients.crt")),
            *("--service-account-issuer", ISSUER),
            *("--service-account-key-file", str(self.folder / "sa.key")),
            *("--service-account-signing-key-file", str(self.folder / "sa.key")),
            *("--service-cluster-ip-range", "10.0.0.0/24", "--v", "0"),
        )
        end = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < end and self._server.poll() is None:
            try:
                if self.ask("GET", "/readyz", raw=True).ok:
                    return
            except (requests.RequestException, OSError):
                pass
            time.sleep(0.05)
        raise AssertionError((self.folder / "kube-apiserver.log").read_text()[-2000:])

    def start_again(self):
        """Where a test that failed left it dead."""
        if self._server.poll() is not None:
            self.start()

    def kill(self):
        """As a machine that loses its power; what etcd has stays."""
        self._server.kill()
        self._server.wait()

    def close(self):
        self.kill()
        self._etcd.kill()
        self._etcd.wait()

    # -- as its administrator

    def ask(self, method, path, body=None, token=ADMIN, raw=False, kind="application/json"):
        answer = requests.request(
            method,
            self.url + path,
            data=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
            verify=str(self.authority),
            timeout=10,
        )
        return answer if raw else answer.json()

    def create(self, document, namespace="batch"):
        path = PATHS[document["kind"]].format(namespace)
        made = self.ask("POST", f"{path}?fieldValidation=Strict", document, raw=True)
        assert made.status_code == 201, made.text
        return made.json()

    def _fill(self):
        """What an administrator would apply: a namespace, the shipped manifest, a rule of the house."""
        self.create({"kind": "Namespace", "metadata": {"name": "batch"}})
        manifest = (packaged("collectors") / "kubernetes" / "hold-jobs.yaml").read_text()
        for document in [*yaml.safe_load_all(manifest), *yaml.safe_load_all(LAW)]:
            self.create(document)

    # -- Jobs

    def job(self, name, workload="nightly", suspend=True, **labels):
        pods = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "report"}]}
        labels = {"greenops.dev/workload": workload, **labels}
        made = self.create(
            {
                "kind": "Job",
                "metadata": {"name": name, "labels": labels},
                "spec": {"suspend": suspend, "template": {"spec": pods}},
            }
        )
        return f"{workload}/batch/{name}/{made['metadata']['uid'][:8]}"

    def see(self, name):
        return self.ask("GET", f"/apis/batch/v1/namespaces/batch/jobs/{name}")

    def suspended(self, name):
        return self.see(name)["spec"]["suspend"]

    def change(self, name, changes, query=""):
        path = f"/apis/batch/v1/namespaces/batch/jobs/{name}{query}"
        return self.ask("PATCH", path, changes, raw=True, kind="application/json-patch+json")

    def clear(self):
        self.ask("DELETE", "/apis/batch/v1/namespaces/batch/jobs?propagationPolicy=Background")

    # -- who we are

    def token(self):
        """One that the server gave the shipped service account."""
        path = "/api/v1/namespaces/batch/serviceaccounts/greenops/token"
        asked = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
        return self.ask("POST", path, asked)["status"]["token"]

    def expired_token(self):
        """The server's own token of the account, signed with its own key, with its time over."""
        head, body, _ = self.token().split(".")
        claims = json.loads(base64.urlsafe_b64decode(f"{body}=="))
        now = int(datetime.now(UTC).timestamp())
        claims |= {"iat": now - 7200, "nbf": now - 7200, "exp": now - 3600}
        signed = f"{head}.{_b64(json.dumps(claims).encode())}"
        mark = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_b64(mark)}"


def _certificate(name, group):
    """A client's certificate that vouches for itself, and its key."""
    key, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
        ]
    )
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM), _pem(key)


def _pem(key):
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, traditional, serialization.NoEncryption())


def _b64(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
