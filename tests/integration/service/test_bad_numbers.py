"""One bad number costs that number, at the door, in the log and in the lake, and never the overview."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.pipeline.conservation import by_process
from greenops.pipeline.footprint import Footprint
from greenops.service.intake import METRICS, TRACES, Intake
from greenops.service.metrics import Telemetry
from greenops.service.otlp import http_app
from greenops.testing.clock import FakeClock

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
BAD = [float("nan"), float("inf"), -float("inf"), -5.0, 1.7e308, None]
PROTOBUF = {"content-type": "application/x-protobuf"}


def nanos(at: datetime) -> int:
    return int(at.timestamp()) * 10**9


def reading(
    joules, at=NOW, start=NOW - timedelta(hours=1), *, temporality=2, category="attributed"
):
    message = ExportMetricsServiceRequest()
    metrics = message.resource_metrics.add()
    metrics.resource.attributes.add(key="service.name").value.string_value = "s"
    energy = metrics.scope_metrics.add().metrics.add(name="greenops.energy")
    energy.sum.aggregation_temporality = temporality
    point = energy.sum.data_points.add(time_unix_nano=nanos(at), start_time_unix_nano=nanos(start))
    if joules is not None:
        point.as_double = joules
    point.attributes.add(key="greenops.energy.category").value.string_value = category
    return message


def span(number: int, joules: float) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    made = (
        message.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            end_time_unix_nano=nanos(NOW),
        )
    )
    made.attributes.add(key="greenops.energy.self").value.double_value = joules
    return message


class House:
    """A receiver and what it knows."""

    def __init__(self, folder) -> None:
        self.wal, self.lake, self.footprint = Wal(folder / "wal"), ParquetLake(folder), Footprint()
        self.intake = Intake(self.lake, self.wal, self.footprint, FakeClock(NOW))
        self.telemetry = Telemetry(
            self.footprint.energy_by_workload, self.footprint.residual, lambda: None
        )
        self.intake.listeners.append(self.telemetry)
        self.client = TestClient(http_app(self.intake))
        self.intake.recover()

    def post(self, message: ExportMetricsServiceRequest):
        answer = self.client.post(
            "/v1/metrics", content=message.SerializeToString(), headers=PROTOBUF
        )
        assert answer.status_code == 200
        return ExportMetricsServiceResponse.FromString(answer.content)

    def numbers(self):
        """What the overview and the page rest on, as they put it."""
        found = self.footprint.energy(), self.footprint.residual()
        json.dumps([*found, *map(str, self.footprint.services())], allow_nan=False)
        self.telemetry.answer("")
        return {category: joules for category, joules in found[0].items() if joules}

    def close(self) -> None:
        self.telemetry.close()


@pytest.fixture
def house(tmp_path):
    made = []

    def start():
        made.append(House(tmp_path))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.mark.parametrize("value", BAD)
def test_a_bad_reading_changes_nothing_and_the_sender_is_told(house, value):
    first = house()
    first.post(reading(7.0, NOW - timedelta(minutes=1)))

    told = first.post(reading(value)).partial_success

    assert told.rejected_data_points == 1
    assert told.error_message.startswith("GO0506 ")
    assert first.numbers() == {"attributed": 7.0}
    assert b"greenops_otlp_refused_total{" in first.telemetry.answer("")[0]
    assert house().numbers() == {"attributed": 7.0}


@pytest.mark.parametrize("value", BAD[:-1])
def test_a_start_with_bad_numbers_in_the_log_succeeds(house, value):
    first = house()
    first.wal.append(METRICS + reading(value).SerializeToString())
    first.wal.append(METRICS + reading(3.0).SerializeToString())
    first.wal.append(TRACES + span(1, value).SerializeToString())
    first.wal.append(TRACES + span(2, 3.0).SerializeToString())

    again = house()

    assert again.numbers() == {"attributed": 3.0}
    assert again.footprint.services()[0].energy_j == 3.0
    assert again.footprint.spans_unknown == 1


@pytest.mark.parametrize("value", BAD[:-1])
def test_a_lake_with_bad_numbers_of_an_earlier_version_is_read(house, tmp_path, value):
    first = house()
    first.post(reading(3.0))
    first.intake.traces(span(1, 3.0))
    first.intake.flush()
    for table, column in (("accounts", "joules"), ("spans", "energy_j")):
        (path,) = tmp_path.glob(f"v1/{table}/day=*/*.parquet")
        found = pq.ParquetFile(path).read()
        at = found.column_names.index(column)
        spoiled = found.set_column(at, column, pa.array([value]))
        spoiled = spoiled.drop_columns(["start"]) if table == "accounts" else spoiled
        pq.write_table(spoiled, path)

    again = house()

    assert again.numbers() == {}
    assert (again.footprint.spans, again.footprint.spans_unknown) == (1, 1)


def test_a_reading_from_the_future_freezes_no_account(house, tmp_path):
    first = house()
    told = first.post(reading(9.0, NOW + timedelta(days=3650)))
    first.post(reading(2.0))

    # As an earlier version would have kept it.
    row = next(iter(first.intake._accounts(reading(2.0)).rows))
    first.intake.flush()
    first.lake.write_accounts([replace(row, at=NOW + timedelta(days=3650), joules=9.0)])

    assert told.partial_success.rejected_data_points == 1
    assert first.numbers() == house().numbers() == {"attributed": 2.0}


def test_deltas_are_refused_with_what_to_send_instead(house):
    made = house()

    told = [made.post(reading(10.0, temporality=1)).partial_success for _ in range(10)]

    assert {each.rejected_data_points for each in told} == {1}
    assert "TEMPORALITY_PREFERENCE=cumulative" in told[0].error_message
    assert made.numbers() == {}


def test_a_process_that_begins_anew_adds_up_in_the_proof_of_conservation(house):
    made = house()
    first, second = reading(4.0, category="idle"), reading(1.0, NOW, NOW, category="idle")

    rows = [row for message in (first, second) for row in made.intake._accounts(message).rows]

    assert by_process([], rows) == {"s": 5.0}


def test_a_process_that_begins_anew_under_the_same_name_adds_up(house):
    made = house()
    made.post(reading(500.0, NOW - timedelta(minutes=2)))
    made.post(reading(2.0, NOW, start=NOW - timedelta(minutes=1)))

    made.intake.flush()

    assert made.numbers() == house().numbers() == {"attributed": 502.0}
