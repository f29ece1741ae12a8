"""The loop put together from its real parts, with data that are missing or out of this world."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.clock import SystemClock
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.config import Settings
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import JobRequest
from greenops.domain.replay import Replay
from greenops.pipeline.assemble import assemble
from greenops.pipeline.footprint import Footprint
from greenops.service.intake import Intake
from greenops.service.metrics import Telemetry

NIGHT = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)


class Loop:
    """Everything of `greenops serve` but its doors and its waiting."""

    def __init__(self, state, policies):
        self.clock = SystemClock(Replay(NIGHT, datetime.now(UTC), 1440.0))
        settings = Settings(state=state, policies=policies)
        footprint = Footprint()
        telemetry = Telemetry(footprint.energy, footprint.residual, lambda: None)
        self.lake = ParquetLake(state / "lake")
        self.intake = Intake(self.lake, Wal(state / "lake" / "wal"), footprint, self.clock)
        of_traces = self.intake.of_traces
        self.control = assemble(settings, self.clock, footprint, telemetry, self.lake, of_traces)
        self.telemetry = telemetry

    def outcomes(self):
        return [
            entry.body["run_key"]
            for entry in self.control.ledger.read()
            if entry.kind.value == "outcome"
        ]

    def close(self):
        self.control.close()
        self.telemetry.close()


@pytest.fixture
def loop(tmp_path):
    made = Loop(tmp_path / "state", Path(__file__).parents[3] / "policies" / "demo")
    yield made
    made.close()


def message(end, number, **attributes):
    """An OTLP message of one span that ended at a wall instant [ns]."""
    made = ExportTraceServiceRequest()
    span = (
        made.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            name="run",
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            start_time_unix_nano=max(0, end - 10**9),
            end_time_unix_nano=end,
        )
    )
    for name, value in attributes.items():
        found = span.attributes.add(key=name.replace("__", ".")).value
        if isinstance(value, str):
            found.string_value = value
        else:
            found.double_value = value
    return made


def ran(loop, key, end, number):
    """A decided run that started in time and sent its span."""
    decision = loop.control.engine.submit(JobRequest("nightly-enrichment", key, loop.clock.now()))
    started = Receipt(
        action_id=f"start:{key}",
        decision_id=decision.id,
        target="local-process",
        kind="start_job",
        outcome=Outcome.APPLIED,
        detail="started",
        at=loop.clock.now(),
        on_time=True,
    )
    loop.control.engine.accept(started)
    attributes = {
        "greenops__decision__id": decision.id,
        "cicd__pipeline__run__id": key,
        "greenops__energy__self": 8.7,
        "greenops__energy__method": "estimated",
        "cloud__region": "us-west-1",
    }
    loop.intake.traces(message(end, number, **attributes))


@pytest.mark.slow
def test_a_run_whose_hours_have_no_data_yet_does_not_keep_others_from_their_outcome(loop, caplog):
    now = time.time_ns()
    ran(loop, "night/1", now, 1)
    far = int(timedelta(days=30).total_seconds() * 1e9)  # 118 simulated years
    ran(loop, "night/2", now + far, 2)

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            loop.control.loop.tick()

    assert loop.outcomes() == ["night/1"]
    told = [each.getMessage() for each in caplog.records if "night/2" in each.getMessage()]
    assert len(told) == 1, told
    assert told[0].startswith("outcome of night/2: GO03")


@pytest.mark.parametrize("end", [0, 2**63, 2**64 - 1])
def test_a_span_from_outside_of_all_calendars_does_not_lose_those_beside_it(loop, end):
    odd = message(end, 1)
    odd.MergeFrom(message(time.time_ns(), 2))

    loop.intake.traces(odd)
    loop.intake.flush()

    assert [row.span_id for row in loop.lake.spans()].count(f"{2:016x}") == 1
