"""A person releases a held run in a real browser; the order is given and the ledger knows who and why."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from greenops.adapters.holding import Holding
from greenops.adapters.local_process import RunFolder
from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.config import Settings
from greenops.demo.processes import free_ports
from greenops.domain.console import JobRequest
from greenops.domain.evidence import EntryKind
from greenops.domain.replay import Replay
from greenops.pipeline.assemble import assemble
from greenops.pipeline.footprint import Footprint
from greenops.service.doors import Doors
from greenops.service.intake import Intake
from greenops.service.metrics import Telemetry
from greenops.testing.clock import FakeClock

pytestmark = [pytest.mark.peer, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(150)]
NOW = datetime(2021, 9, 17, 8, tzinfo=UTC)
KEY = "nightly-enrichment/2021-09-17"
DRIVER = Path(__file__).with_name("drive_run_now.py")

if not Path("/usr/bin/chromium").exists():
    pytest.skip("no Chromium; `make peers` installs Debian's", allow_module_level=True)


@pytest.fixture
def house(tmp_path):
    ports = {"api_port": 0, "otlp_grpc_port": 0, "otlp_http_port": 0}
    settings = Settings(state=tmp_path, policies=packaged("policies"), **ports)
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
    words = ("console", "--port", str(port), "--api", house[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "greenops.cli.main", *words],
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


@pytest.mark.feature("C4")
def test_a_held_run_is_ordered_to_start_in_a_browser_and_the_ledger_tells_who_and_why(
    house, console, tmp_path
):
    control, _ = house
    decision = control.engine.submit(JobRequest("nightly-enrichment", KEY, NOW, triggered=True))
    with Holding(RunFolder(tmp_path, KEY).path) as mark:
        assert mark.begin(lambda _pause: None)

        done = subprocess.run(
            [
                *(sys.executable, str(DRIVER), console),
                *("Jo Doe", "the customer waits", str(tmp_path / "ordered.png")),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert done.returncode == 0, done.stderr[-1500:]
    shown = json.loads(done.stdout.splitlines()[-1])
    assert (shown["faults"], shown["was_off"]) == ([], True)
    assert "give your name: it is recorded" in shown["off"]
    assert KEY in shown["said"]
    assert RunFolder(tmp_path, KEY).order().change.start_at == NOW
    (row,) = (e.body for e in control.ledger.read() if e.kind is EntryKind.OVERRIDE)
    assert (row["who"], row["why"]) == ("Jo Doe", "the customer waits")
    assert row["overrode"]["decision_id"] == decision.id
