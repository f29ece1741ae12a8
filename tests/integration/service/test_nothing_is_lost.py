"""What was acknowledged is in the lake once, whatever happened in between."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from starlette.testclient import TestClient

from greenops.adapters.clock import SystemClock
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.domain.spans import EnergyAccount
from greenops.pipeline.footprint import Footprint
from greenops.service.intake import MOST_WAITING, Intake, every
from greenops.service.otlp import http_app

KILLS = 10
MANY = 300
RECEIVER = Path(__file__).with_name("receiver.py")
AT_NS = 1_760_000_000_000_000_000


def message(number: int, **changes) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name="operation",
            kind=2,
            start_time_unix_nano=AT_NS,
            end_time_unix_nano=AT_NS + 1_000_000,
        )
    )
    span.attributes.add(key="greenops.energy.self").value.double_value = 1.0
    for name, value in changes.items():
        setattr(span, name, value)
    return request


def many(number: int) -> ExportTraceServiceRequest:
    request = message(number)
    spans = request.resource_spans[0].scope_spans[0].spans
    for at in range(number + 1, number + MANY):
        spans.add().CopyFrom(spans[0])
        spans[-1].span_id = at.to_bytes(8, "big")
        spans[-1].attributes.add(key="text").value.string_value = "x" * 200
    return request


def receiver(folder: Path) -> tuple[Footprint, Intake, ParquetLake]:
    footprint, lake = Footprint(), ParquetLake(folder)
    intake = Intake(lake, Wal(folder / "wal"), footprint, SystemClock())
    intake.recover()
    return footprint, intake, lake


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_no_acknowledged_span_is_lost_by_ten_kills(tmp_path):
    dice, sent, acknowledged = random.Random(8), 0, set()

    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, RECEIVER, tmp_path], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        threading.Timer(dice.uniform(0.05, 0.4), process.kill).start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            export = TraceServiceStub(channel).Export
            while process.poll() is None:
                sent += 1
                try:
                    export(message(sent) if sent % 3 else many(sent), timeout=5)
                except grpc.RpcError:
                    break
                last = 1 if sent % 3 else MANY
                acknowledged |= {(f"{sent:032x}", f"{n:016x}") for n in range(sent, sent + last)}
        process.wait()
        process.stdout.close()

    _, _, lake = receiver(tmp_path)
    ids = [(row.trace_id, row.span_id) for row in lake.spans()]
    stored = [
        tuple(key.values())
        for path in sorted(tmp_path.glob("v1/spans/day=*/*.parquet"))
        for key in pq.ParquetFile(path).read(["trace_id", "span_id"]).to_pylist()
    ]
    assert len(acknowledged) > KILLS
    assert acknowledged <= set(ids)
    assert len(ids) == len(set(ids))
    assert len(stored) == len(set(stored))


def test_a_second_run_on_the_same_day_keeps_the_rows_of_the_first(tmp_path):
    for number in range(1, 4):
        _, intake, _ = receiver(tmp_path)
        intake.traces(message(number))
        intake.flush()

    footprint, _, lake = receiver(tmp_path)

    assert {row.trace_id for row in lake.spans()} == {f"{n:032x}" for n in range(1, 4)}
    assert footprint.spans == 3


def test_a_span_of_a_kind_not_known_yet_is_kept_and_the_next_start_succeeds(tmp_path):
    _, intake, _ = receiver(tmp_path)
    intake.traces(message(1, kind=99))

    footprint, _, lake = receiver(tmp_path)

    assert [row.kind for row in lake.spans()] == ["UNSPECIFIED"]
    assert footprint.spans == 1


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+05:00", "yesterday"])
def test_a_time_that_is_no_instant_falls_back_to_the_spans_own(tmp_path, value):
    _, intake, lake = receiver(tmp_path)
    request = message(1)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="greenops.time").value.string_value = value

    intake.traces(request)
    intake.flush()

    assert [row.time == row.end for row in lake.spans()] == [True]


def test_energy_that_is_not_a_number_is_absent_and_counted(tmp_path):
    footprint, intake, _ = receiver(tmp_path)
    request = message(1)
    value = request.resource_spans[0].scope_spans[0].spans[0].attributes[0].value
    value.double_value = float("nan")

    intake.traces(request)
    intake.traces(message(2))

    assert (footprint.spans_unknown, footprint.services()[0].energy_j) == (1, 1.0)


def test_a_service_without_requests_has_no_energy_per_request(tmp_path):
    footprint, intake, _ = receiver(tmp_path)

    intake.traces(message(1, kind=1, parent_span_id=b"12345678"))

    service = footprint.services()[0]
    assert (service.energy_j, service.energy_j_per_request) == (1.0, None)


def test_a_damaged_file_is_named_and_the_rest_counts(tmp_path, caplog):
    _, intake, _ = receiver(tmp_path)
    for number in (1, 2):
        intake.traces(message(number))
        intake.flush()
    first = min(tmp_path.glob("v1/spans/day=*/*.parquet"))
    first.write_bytes(b"junk")

    footprint, _, _ = receiver(tmp_path)

    assert footprint.spans == 1
    assert first.name in caplog.text


def test_ids_in_json_are_hex(tmp_path):
    _, intake, lake = receiver(tmp_path)
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})

    TestClient(http_app(intake)).post(
        "/v1/traces", content=body, headers={"content-type": "application/json"}
    )
    intake.flush()

    assert [(row.trace_id, row.span_id) for row in lake.spans()] == [tuple(span.values())]


def test_gzip_that_ends_too_early_is_refused(tmp_path):
    footprint, intake, _ = receiver(tmp_path)
    body = gzip.compress(message(1).SerializeToString())[:-9]

    answer = TestClient(http_app(intake)).post(
        "/v1/traces",
        content=body,
        headers={"content-type": "application/x-protobuf", "content-encoding": "gzip"},
    )

    assert (answer.status_code, footprint.spans) == (400, 0)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP"])
def test_every_member_of_a_gzip_body_is_taken(tmp_path, encoding):
    footprint, intake, _ = receiver(tmp_path)
    body = b"".join(gzip.compress(message(number).SerializeToString()) for number in (1, 2))

    answer = TestClient(http_app(intake)).post(
        "/v1/traces",
        content=body,
        headers={"content-type": "Application/X-Protobuf", "content-encoding": encoding},
    )

    assert (answer.status_code, footprint.spans) == (200, 2)


class FaultyLake(ParquetLake):
    """Raises what nobody expects for one span."""

    def write_span_table(self, table, segment=None) -> None:
        if f"{1:032x}" in table["trace_id"].to_pylist():
            raise ZeroDivisionError
        super().write_span_table(table, segment)


def test_a_segment_that_meets_a_fault_of_ours_holds_up_no_other_and_is_kept(tmp_path, caplog):
    intake = Intake(FaultyLake(tmp_path), Wal(tmp_path / "wal"), Footprint(), SystemClock())
    for number in (1, 2):
        intake.traces(message(number))
        intake.flush()

    assert "GO0508" in caplog.text
    assert [row.trace_id for row in ParquetLake(tmp_path).spans()] == [f"{2:032x}"]
    assert receiver(tmp_path)[0].spans == 2


def test_a_flush_that_fails_is_not_the_last(caplog):
    stop, calls = threading.Event(), []

    def step() -> None:
        calls.append(1)
        if len(calls) > 1:
            stop.set()
        raise ZeroDivisionError

    every(0.001, step, stop).join(5)

    assert len(calls) == 2
    assert "GO0508" in caplog.text


def test_what_the_lake_had_no_room_for_counts_after_a_start(tmp_path):
    _, intake, _ = receiver(tmp_path)
    intake.traces(message(1))
    (tmp_path / "v1").write_text("no folder")

    footprint, _, _ = receiver(tmp_path)

    assert footprint.spans == 1


def test_energy_counters_go_on_where_they_were_though_rows_are_gone(tmp_path):
    footprint, intake, lake = receiver(tmp_path)
    lake.write_counters({("w", "attributed"): 100.0, (None, "idle"): 20.0})

    again, intake, _ = receiver(tmp_path)
    begun = again.energy_by_workload()
    at = datetime.fromtimestamp(AT_NS / 1e9, UTC)
    again.add([], [EnergyAccount("s", "i", "w", "cpu", "attributed", at, 5.0, None, None)])
    intake.flush()

    assert footprint.energy_by_workload() == {}
    assert begun == {("w", "attributed"): 100.0, (None, "idle"): 20.0}
    assert again.energy_by_workload()["w", "attributed"] == 105.0
    assert receiver(tmp_path)[0].energy_by_workload() == again.energy_by_workload()


def test_counters_beside_metered_energy_go_on_though_their_day_is_gone(tmp_path):
    footprint, intake, _ = receiver(tmp_path)
    for number in (1, 2):
        request = message(number)
        (span,) = request.resource_spans[0].scope_spans[0].spans
        span.attributes.add(key="greenops.carbon.embodied").value.double_value = 0.25
        intake.traces(request)
    intake.flush()
    for path in (tmp_path / "v1" / "spans").rglob("*.parquet"):
        path.unlink()

    again, intake, _ = receiver(tmp_path)
    request = message(3)
    (span,) = request.resource_spans[0].scope_spans[0].spans
    span.attributes.add(key="greenops.carbon.embodied").value.double_value = 0.5
    intake.traces(request)

    assert footprint.more_counters() == {(None, "greenops.carbon.embodied"): 0.5}
    assert again.more_counters() == {(None, "greenops.carbon.embodied"): 1.0}
    assert again.services()[0].embodied_g == 0.5


def test_counters_of_an_earlier_version_are_read(tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "counters.json").write_text('{"energy_j": [["w", "attributed", 7.0]]}')

    assert receiver(tmp_path)[0].energy_by_workload() == {("w", "attributed"): 7.0}


@pytest.mark.parametrize("text", ["", "[]", '{"energy_j": [1]}', '{"energy_j": [["w", "i", NaN]]}'])
def test_counters_that_cannot_be_read_begin_at_what_the_lake_holds(tmp_path, text):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "counters.json").write_text(text)

    footprint, _, _ = receiver(tmp_path)

    assert footprint.energy_by_workload() == {}


def test_columns_that_found_no_room_in_memory_are_read_from_the_log(tmp_path):
    footprint, intake, lake = receiver(tmp_path)
    intake._unflushed._most = 100_000

    for number in range(1, 4):
        intake.traces(many(1000 * number))
    intake.traces(message(7))
    intake.flush()

    assert intake._unflushed._size == 0
    assert footprint.spans == len(list(lake.spans())) == 3 * MANY + 1


def test_no_more_waits_to_be_summed_than_is_read_at_once(tmp_path):
    footprint, intake, _ = receiver(tmp_path)
    waits = []

    for number in range(1, 61):
        intake.traces(many(1000 * number))
        waits.append(intake._waiting_bytes)

    assert max(waits) <= MOST_WAITING
    assert waits.count(0) >= 1, "nothing was summed before anybody looked"
    assert footprint.spans == 60 * MANY


def test_a_fault_while_messages_are_summed_loses_none(tmp_path, caplog, monkeypatch):
    footprint, intake, lake = receiver(tmp_path)
    monkeypatch.setattr(intake, "_count", lambda _spans: 1 // 0)
    intake.traces(message(1))
    assert footprint.spans == 0
    assert "GO0508" in caplog.text
    monkeypatch.undo()

    intake.traces(message(2))
    intake.flush()

    assert footprint.spans == 1
    assert {row.trace_id for row in lake.spans()} == {f"{n:032x}" for n in (1, 2)}
    assert receiver(tmp_path)[0].spans == 2


@pytest.mark.parametrize("sync", [False, True])
def test_a_log_that_waits_for_the_disk_keeps_the_same(tmp_path, sync):
    wal = Wal(tmp_path, sync=sync)

    names = {wal.append(b"T", b"one"), wal.append(b"Ttwo")}
    wal.rotate()

    (segment,) = wal.closed()
    assert names == {segment.stem}
    assert wal.read(segment).payloads == (b"Tone", b"Ttwo")


def test_whoever_looks_at_a_sum_while_another_settles_waits_for_it(tmp_path):
    footprint, intake, _ = receiver(tmp_path)
    begun, go = threading.Event(), threading.Event()
    counted = intake._count

    def slow(spans) -> None:
        begun.set()
        assert go.wait(30)
        counted(spans)

    intake._count = slow
    intake.traces(message(1))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(lambda: footprint.spans)
        assert begun.wait(30)
        second = pool.submit(lambda: footprint.spans)
        flushed = pool.submit(intake.flush)
        go.set()

        assert (first.result(30), second.result(30)) == (1, 1)
        flushed.result(30)
    assert not list(tmp_path.glob("wal/*.wal"))
