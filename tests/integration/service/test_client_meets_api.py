"""The client that console and `greenops run` use, against the real API and the real loop behind it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.control_client import ControlClient
from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.shipped_grid import ShippedGrid, shipped_regions
from greenops.adapters.wal import Wal
from greenops.config import Settings
from greenops.domain.action import Outcome
from greenops.domain.console import JobRequest, SendOrder, WhatIfQuestion
from greenops.domain.replay import Replay
from greenops.errors import DataMissing, UsageError
from greenops.pipeline.assemble import assemble
from greenops.pipeline.evidence import verify
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.policies import read_policies
from greenops.plan.cadence import Refresh, cadences
from greenops.service.doors import Doors
from greenops.service.intake import Intake
from greenops.service.metrics import Telemetry
from greenops.testing.clock import FakeClock

pytestmark = [pytest.mark.network, pytest.mark.slow]

EVENING = datetime(2021, 9, 17, 7, tzinfo=UTC)
ASKED = WhatIfQuestion("nightly-enrichment", 12.0, 0.10, move_regions=True)


@pytest.fixture
def client(tmp_path):
    settings = Settings(
        state=tmp_path,
        policies=packaged("policies"),
        api_port=0,
        otlp_grpc_port=0,
        otlp_http_port=0,
    )
    clock = FakeClock(EVENING, Replay(EVENING, EVENING, 1.0))
    footprint = Footprint()
    telemetry = Telemetry(footprint.energy_by_workload, footprint.residual, lambda: None)
    lake = ParquetLake(tmp_path / "lake")
    intake = Intake(lake, Wal(tmp_path / "lake" / "wal"), footprint, clock)
    control = assemble(settings, clock, footprint, telemetry, lake, intake.of_traces)
    doors = Doors(settings, intake, control.engine, telemetry)
    doors.open()
    with ControlClient(f"http://127.0.0.1:{doors.ports.api}", timeout_s=20) as made:
        yield made
    doors.close()
    control.close()
    assert verify(tmp_path).verified


@pytest.mark.feature("K8")
def test_a_what_if_is_sent_through_the_api_and_comes_back_as_a_receipt(client):
    answer = client.what_if(ASKED)

    receipt = client.send(SendOrder(answer.id, "sre@example.com"))

    assert answer.sendable
    assert receipt.outcome is Outcome.APPLIED
    record = client.decision(answer.decision.id)
    assert record.receipts == (receipt,)
    assert [each.id for each in client.decisions()] == [answer.decision.id]
    assert client.overview().receipts == 1


@pytest.mark.feature("B13")
def test_a_what_if_tells_a_day_at_each_cadence_by_the_forecast_in_force(client):
    found = client.what_if(ASKED).cadences

    forecast = ShippedGrid().forecast("CISO", EVENING)
    workload = read_policies(packaged("policies")).workloads["nightly-enrichment"]
    region = next(each for each in shipped_regions() if each.id == "us-west-1")
    refresh = Refresh(timedelta(seconds=workload.duration_s), workload.energy_kwh)
    assert found == cadences(refresh, region, forecast, EVENING + timedelta(hours=1))
    daily = found[-1]
    assert (daily.every_s, daily.refreshes) == (86_400, 1)
    assert daily.best.carbon_low_g < daily.best.carbon_g < daily.best.carbon_high_g
    assert daily.best.carbon_g < daily.fixed.carbon_g < found[-2].fixed.carbon_g


def test_a_job_is_submitted_once_however_often_it_is_asked(client):
    due = EVENING + timedelta(hours=1)
    request = JobRequest("nightly-enrichment", "nightly-enrichment/k", due)

    first, again = client.submit(request), client.submit(request)

    assert first == again
    assert first.chosen.start > due


def test_refusals_keep_their_kind_and_their_line(client):
    with pytest.raises(UsageError, match="GO0643"):
        client.what_if(replace(ASKED, workload="nightly"))
    with pytest.raises(DataMissing, match="GO0631"):
        client.send(SendOrder("ask-none", "sre@example.com"))
