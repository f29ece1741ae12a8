"""A damaged segment of the write-ahead log is told and kept; what is whole in it counts."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.clock import SystemClock
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.pipeline.footprint import Footprint
from greenops.service.intake import Intake

SPANS = 30


def message(number: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        name="operation",
        end_time_unix_nano=1_760_000_000_000_000_000,
    )
    return request


def receiver(folder) -> tuple[Footprint, Intake]:
    footprint = Footprint()
    intake = Intake(ParquetLake(folder), Wal(folder / "wal"), footprint, SystemClock())
    intake.recover()
    return footprint, intake


def killed(folder):
    """The segment of a receiver that took its spans and died before it could flush."""
    _, intake = receiver(folder)
    for number in range(1, SPANS + 1):
        intake.traces(message(number))
    (segment,) = (folder / "wal").glob("*.wal")
    return segment


def test_a_damaged_segment_is_kept_and_named_and_what_is_whole_counts(tmp_path, caplog):
    segment = killed(tmp_path)
    data = segment.read_bytes()
    middle = len(data) // 2
    damaged = data[:middle] + b"\xff" * 40 + data[middle + 40 :]
    segment.write_bytes(damaged)

    footprint, _ = receiver(tmp_path)

    aside = segment.with_name(f"{segment.name}.damaged")
    assert aside.read_bytes() == damaged
    assert SPANS // 2 - 1 <= footprint.spans < SPANS
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"GO0415 {aside}: damaged at byte ")
    assert f"name it `{segment.name}`" in told
    assert "\n" not in told


def test_a_segment_restored_counts_whole_and_once(tmp_path):
    segment = killed(tmp_path)
    data = segment.read_bytes()
    segment.write_bytes(data[:700] + b"\xff" * 40 + data[740:])
    receiver(tmp_path)
    aside = segment.with_name(f"{segment.name}.damaged")

    aside.write_bytes(data)
    aside.rename(segment)

    assert receiver(tmp_path)[0].spans == SPANS
    assert len(list(ParquetLake(tmp_path).spans())) == SPANS


def test_a_write_that_was_cut_off_is_a_note_and_nothing_is_kept(tmp_path, caplog):
    segment = killed(tmp_path)
    segment.write_bytes(segment.read_bytes()[:-5])

    footprint, _ = receiver(tmp_path)

    assert footprint.spans == SPANS - 1
    assert list((tmp_path / "wal").iterdir()) == []
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == f"{segment} ended in a write that was cut off, never acknowledged"
