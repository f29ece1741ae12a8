"""A real object storage that speaks S3: SeaweedFS in one process, ended by its process id."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pyarrow.fs as pafs
import pytest
import requests

from greenops.demo.processes import free_ports

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
WEED = CACHE / "greenops/peers/seaweedfs/bin/weed"
READY_WITHIN_S = 60.0
ACCESS, SECRET = "greenops", "greenops-secret"
BUCKET = "lake"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def weed_or_skip():
    """The program, or a reason to skip."""
    found = shutil.which("weed") or (str(WEED) if os.access(WEED, os.X_OK) else None)
    if found is None:
        pytest.skip(f"no SeaweedFS in {WEED}; `make peers-seaweedfs` brings one")
    return found


class SeaweedFs:
    """One server; what it keeps outlives its process."""

    def __init__(self, folder):
        self.program = weed_or_skip()
        self.folder = folder
        (folder / "data").mkdir()
        access = {"accessKey": ACCESS, "secretKey": SECRET}
        allowed = ["Admin", "Read", "Write", "List", "Tagging"]
        about = {"identities": [{"name": "g", "credentials": [access], "actions": allowed}]}
        (folder / "s3.json").write_text(json.dumps(about))
        # Each of its doors has a second one for gRPC, whose port it takes 10,000 above.
        self.master, self.volume, self.filer, self.s3 = free_ports(4)
        self.grpc = free_ports(4)
        self._process = None

    @property
    def url(self):
        return (
            f"s3://{BUCKET}/it?scheme=http&endpoint_override=127.0.0.1:{self.s3}&region=us-east-1"
        )

    def start(self):
        master, volume, filer, s3 = self.grpc
        command = [
            self.program, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-dir={self.folder / 'data'}", "-master.volumeSizeLimitMB=64", "-volume.max=20",
            f"-master.port={self.master}", f"-master.port.grpc={master}",
            f"-volume.port={self.volume}", f"-volume.port.grpc={volume}",
            "-filer", f"-filer.port={self.filer}", f"-filer.port.grpc={filer}",
            "-s3", f"-s3.port={self.s3}", f"-s3.port.grpc={s3}",
            f"-s3.config={self.folder / 's3.json'}",
        ]  # fmt: skip
        with (self.folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            if time.monotonic() > until or self._process.poll() is not None:
                raise TimeoutError((self.folder / "weed.log").read_text()[-2000:])
            time.sleep(0.1)  # a process of others: there is no clock to wait on

    def bucket(self):
        """Make the bucket; volumes may need a moment."""
        there = pafs.S3FileSystem(
            access_key=ACCESS,
            secret_key=SECRET,
            endpoint_override=f"127.0.0.1:{self.s3}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        until = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                there.create_dir(BUCKET)
                with there.open_output_stream(f"{BUCKET}/first") as stream:
                    stream.write(b"1")
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                return

    def kill(self):
        """As a machine that loses power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def _answers(self):
        try:
            return requests.get(f"http://127.0.0.1:{self.s3}/", timeout=2).status_code in (200, 403)
        except requests.RequestException:
            return False
