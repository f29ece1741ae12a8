"""A Kubernetes API server over HTTPS: how we get in, and what its refusals mean."""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import yaml

from greenops.errors import AdapterUnavailable, AdapterUnsupported, Location

TIMEOUT_S: Final = (2.0, 5.0)
"""Longest wait for a connection and for a piece of an answer [s]."""
LINE: Final = 300
"""Most characters of a server's own words that are shown."""
POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its account. Source: Kubernetes, Accessing the API from a Pod."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MISSING: Final = 404
REFUSED: Final = frozenset({400, 409, 422})
"""What a change gets that does not fit what is there, or never will be taken."""
NOT_READ: Final = (
    "exec",
    "auth-provider",
    "username",
    "insecure-skip-tls-verify",
    "proxy-url",
    "tls-server-name",
)
"""Keys of a kubeconfig that change how one gets in and that are not followed here."""

Patch = Sequence[Mapping[str, object]]
"""Operations of a JSON Patch (RFC 6902)."""


class PrivateFolder:
    """A folder that only we can read, gone with this object or with the process."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="greenops-kubernetes-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def keep(self, name: str, content: bytes) -> Path:
        """A file with this content."""
        path = self.path / name
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as private:
            private.write(content)
        return path


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach an API server.

    Attributes:
        server: `https://host:port`; plain HTTP only on loopback.
        authority: Certificates that it must be signed by; none: the system's.
        token: As it is; none: there is a file, a certificate, or nothing.
        token_file: Read at every call, since the cluster renews it; none: `token` counts.
        certificate: Of ours, and its key; none: none.
        files: Keeps what a kubeconfig held in itself, private and as long as this record lives.
    """

    server: str
    authority: Path | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    certificate: tuple[Path, Path] | None = None
    files: PrivateFolder | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that the server did not make, and why in its own words."""

    status: int
    why: str


def find_access(
    config: Path | None, environ: Mapping[str, str] = os.environ, pod: Path = POD
) -> Access:
    """The access that a kubeconfig gives, else that of the pod we run in.

    Raises:
        AdapterUnavailable: Neither can be used; one line says why.
    """
    if config is not None:
        return _from_config(config)
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host:
        raise _no_access("this is no pod, and no kubeconfig is named", "set `kubernetes_config`")
    token = pod / "token"
    if not token.is_file():
        raise _no_access(
            "this pod has no service account's token", "let it mount one", Location(str(token))
        )
    named = f"[{host}]" if ":" in host else host
    return Access(f"https://{named}:{port or 443}", authority=pod / "ca.crt", token_file=token)


def _from_config(path: Path) -> Access:
    at = Location(str(path))
    try:
        document = yaml.safe_load(path.read_bytes())
        context = _named(document, "contexts", document["current-context"])["context"]
        cluster = _named(document, "clusters", context["cluster"])["cluster"]
        user = _named(document, "users", context["user"])["user"] or {}
        strange = [each for each in NOT_READ if cluster.get(each) or user.get(each)]
        if strange:
            wrong = f"`{strange[0]}` is not supported"
            raise _no_access(wrong, "use a token or a client certificate", at)
        return _access(path.parent, cluster, user)
    except OSError as error:
        raise _no_access(
            f"kubeconfig cannot be read: {error.strerror or error}", None, at
        ) from error
    except yaml.YAMLError as error:
        raise _no_access("kubeconfig is not YAML", None, at) from error
    except ValueError as error:
        raise _no_access(f"kubeconfig cannot be used: {error}", None, at) from error
    except (LookupError, TypeError, AttributeError) as error:
        wrong = "kubeconfig lacks its current context, or the cluster or user of that"
        raise _no_access(wrong, None, at) from error


def _named(document: Mapping[str, Any], kind: str, name: object) -> Mapping[str, Any]:
    for each in document[kind]:
        if each["name"] == name:
            found: Mapping[str, Any] = each
            return found
    raise ValueError(f"no `{name}` in `{kind}`")


def _access(folder: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Access:
    kept: PrivateFolder | None = None

    def file(of: Mapping[str, Any], key: str) -> Path | None:
        """The file that a key names, or one with what its `-data` twin holds; only we can read it."""
        nonlocal kept
        data = of.get(f"{key}-data")
        if not data:
            return folder / str(of[key]) if of.get(key) else None
        kept = kept or PrivateFolder()
        return kept.keep(key, base64.b64decode(data, validate=True))

    server = str(cluster["server"]).rstrip("/")
    parts = urlsplit(server)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"`{server}` is not https")
    try:
        authority = file(cluster, "certificate-authority")
        ours, key = file(user, "client-certificate"), file(user, "client-key")
    except binascii.Error as error:
        raise ValueError("a `-data` is not base64") from error
    token_file = folder / str(user["tokenFile"]) if user.get("tokenFile") else None
    return Access(
        server,
        authority,
        str(user["token"]) if user.get("token") else None,
        token_file,
        (ours, key) if ours and key else None,
        kept,
    )


def _no_access(why: str, fix: str | None, at: Location | None = None) -> AdapterUnavailable:
    return AdapterUnavailable("GO0670", f"no access to Kubernetes: {why}", at=at, fix=fix)


class KubernetesApi:
    """One API server. Stability: beta.

    Raises:
        AdapterUnavailable: No answer in time, none that makes sense, or our credentials are over.
        AdapterUnsupported: Our account may not do this.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session = requests.Session()
        # Neither a proxy nor a `.netrc` of the surroundings has to do with the cluster's own server.
        self._session.trust_env = False
        self._session.verify = str(access.authority) if access.authority else True
        if access.certificate:
            ours, key = access.certificate
            self._session.cert = str(ours), str(key)

    def get(self, path: str, **params: str) -> Any | None:
        """An object or a list; none where there is none."""
        found = self._call("GET", path, params)
        return None if isinstance(found, Refusal) else found

    def patch(self, path: str, changes: Patch, *, dry_run: bool = False) -> Any | Refusal:
        """Change an object as a whole or not at all; `dry_run` asks only whether it would be.

        Returns:
            The object as it is now, or why it was not changed; status 404 where it is gone.
        """
        params = {"fieldManager": "greenops", **({"dryRun": "All"} if dry_run else {})}
        return self._call("PATCH", path, params, changes)

    def _call(
        self, method: str, path: str, params: Mapping[str, str], changes: Patch | None = None
    ) -> Any | Refusal:
        answer = self._asked(method, path, params, changes)
        try:
            said: Any = answer.json()
        except ValueError as error:
            raise self._silent(f"HTTP {answer.status_code} without JSON") from error
        made = requests.codes.ok <= answer.status_code < requests.codes.multiple_choices
        return said if made else self._refused(method, path, answer, said)

    def _asked(
        self, method: str, path: str, params: Mapping[str, str], changes: Patch | None
    ) -> requests.Response:
        headers = {"Accept": "application/json", **self._authorization()}
        if changes is not None:
            headers["Content-Type"] = "application/json-patch+json"
        try:
            return self._session.request(
                method,
                self._access.server + path,
                params=dict(params),
                json=changes,
                headers=headers,
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            raise self._silent("TLS fails; look at its authority and our certificate") from error
        except requests.RequestException as error:
            raise self._silent(type(error).__name__) from error
        except OSError as error:
            raise _no_access(f"a certificate cannot be used: {error}"[:LINE], None) from error

    def _authorization(self) -> dict[str, str]:
        token, file = self._access.token, self._access.token_file
        if file is not None:
            try:
                token = file.read_text(encoding="ascii").strip()
            except (OSError, ValueError) as error:
                at = Location(str(file))
                raise _no_access("the token cannot be read", None, at) from error
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _refused(self, method: str, path: str, answer: requests.Response, said: Any) -> Refusal:
        status = answer.status_code
        words = str(said.get("message", "")) if isinstance(said, dict) else ""
        why = words[:LINE] or "no reason given"
        if status == MISSING or (status in REFUSED and method == "PATCH"):
            return Refusal(status, why)
        if status == requests.codes.unauthorized:
            raise AdapterUnavailable(
                "GO0672",
                f"`{self._access.server}` does not accept our credentials (HTTP 401)",
                fix="renew the token or certificate; one that a file holds is read at every call",
            )
        if status == requests.codes.forbidden:
            raise AdapterUnsupported(
                "GO0673",
                f"`{self._access.server}` forbids {method} {path}: {why}",
                fix="grant `get`, `list` and `patch` on `jobs` of `batch`",
            )
        wait = answer.headers.get("Retry-After", "")
        raise AdapterUnavailable(
            "GO0671",
            f"`{self._access.server}` answers HTTP {status}: {why}",
            retry_after_s=float(wait) if wait.isdigit() else None,
        )

    def _silent(self, why: str) -> AdapterUnavailable:
        return AdapterUnavailable("GO0671", f"`{self._access.server}` gives no answer ({why})")
