"""The console in a real browser: a person asks, sends, and sees the receipt that the ledger holds."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.config import Settings
from greenops.demo.processes import free_ports
from greenops.domain.evidence import EntryKind
from greenops.domain.replay import Replay
from greenops.pipeline.assemble import assemble
from greenops.pipeline.footprint import Footprint
from greenops.service.doors import Doors
from greenops.service.intake import Intake
from greenops.service.metrics import Telemetry
from greenops.testing.clock import FakeClock

pytestmark = [pytest.mark.peer, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(150)]
NOW = datetime(2021, 9, 17, 7, tzinfo=UTC)
DRIVER = Path(__file__).with_name("drive_console.py")

if not Path("/usr/bin/chromium").exists():
    pytest.skip("no Chromium; `make peers` installs Debian's", allow_module_level=True)


@pytest.fixture
def house(tmp_path):
    settings = Settings(
        state=tmp_path,
        policies=packaged("policies"),
        api_port=0,
        otlp_grpc_port=0,
        otlp_http_port=0,
    )
    clock, footprint = FakeClock(NOW, Replay(NOW, NOW, 1.0)), Footprint()
    telemetry = Telemetry(footprint.energy_by_workload, footprint.residual, lambda: None)
    lake = ParquetLake(tmp_path / "lake")
    intake = Intake(lake, Wal(tmp_path / "lake" / "wal"), footprint, clock)
    control = assemble(settings, clock, footprint, telemetry, lake, intake.of_traces)
    doors = Doors(settings, intake, control.engine, telemetry)
    doors.open()
    yield control, f"http://127.0.0.1:{doors.ports.api}"
    doors.close()
    control.close()


@pytest.fixture
def console(house):
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "greenops.cli.main",
            "console",
            "--port",
            str(port),
            "--api",
            house[1],
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(f"{url}/_stcore/health", timeout=1).ok:
                break
        except requests.RequestException:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(20)


@pytest.mark.feature("K8")
def test_what_a_person_sends_in_a_browser_is_carried_out_and_in_the_ledger(
    house, console, tmp_path
):
    control, _ = house

    done = subprocess.run(
        [sys.executable, str(DRIVER), console, "sre@example.com", str(tmp_path / "sent.png")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-1500:]
    shown = json.loads(done.stdout.splitlines()[-1])
    assert shown["faults"] == []
    assert "local-process start_job: applied" in shown["receipt"]
    entries = list(control.ledger.read())
    assert [entry.kind for entry in entries] == [
        EntryKind.OVERRIDE,
        EntryKind.DECISION,
        EntryKind.ACTION,
        EntryKind.RECEIPT,
    ]
    assert entries[0].body["order"]["actor"] == "sre@example.com"
