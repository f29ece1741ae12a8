"""Spans read in columns are the rows that are read one by one, whatever a sender sends."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.parquet_lake import SPANS
from greenops.pipeline.span_columns import SpanColumns
from greenops.service.otlp_columns import columns_of
from greenops.service.rows import has_ids, span_rows
from greenops.service.span_reader import unnamed
from greenops.service.wire import Odd
from tests.unit.service.otlp_messages import damaged, in_other_words, message


def by_rows(raw: bytes, simulated=lambda wall: wall):
    return list(span_rows(ExportTraceServiceRequest.FromString(raw), simulated))


def by_columns(raw: bytes, simulated=None):
    spans = columns_of(raw, simulated).spans
    return [] if spans is None else spans.rows()


@pytest.mark.parametrize("seed", range(40))
def test_columns_are_rows(seed):
    raw = message(seed, oddity=0.0).SerializeToString()

    assert by_columns(raw) == by_rows(raw)


@pytest.mark.untraced
def test_columns_of_odd_messages_are_rows():
    odd, seeds = 0, range(1000, 1200)

    for seed in seeds:
        raw = message(seed, spans=12, oddity=0.04).SerializeToString()
        try:
            assert by_columns(raw) == by_rows(raw), seed
        except Odd:
            odd += 1

    # What is left to the rows is what no sender sends: regions that are numbers, names that come twice.
    assert odd < len(seeds) / 2


@pytest.mark.untraced
def test_columns_of_damaged_messages_that_a_parser_takes_are_rows():
    taken = odd = 0

    for seed in range(1500):
        raw = damaged(message(seed % 50, spans=6, oddity=0.02).SerializeToString(), seed)
        try:
            rows = by_rows(raw)
        except DecodeError:
            continue
        taken += 1
        try:
            assert by_columns(raw) == rows, seed
        except Odd:
            odd += 1

    assert taken > 200
    assert odd < taken / 2


def test_a_message_in_two_parts_is_read_as_one():
    raw = message(7, oddity=0.0).SerializeToString()
    again = in_other_words(random.Random(1), raw)

    assert by_columns(again) == by_rows(again)
    assert {row.span_id for row in by_columns(again)} == {row.span_id for row in by_rows(raw)}


def test_a_replay_tells_the_time_of_spans_that_do_not():
    raw = message(11, oddity=0.0).SerializeToString()

    def simulated(wall: datetime) -> datetime:
        return datetime(2021, 1, 1, tzinfo=UTC) + (wall - datetime(2026, 1, 1, tzinfo=UTC)) * 3.7

    assert by_columns(raw, simulated) == by_rows(raw, simulated)


def test_spans_without_ids_are_counted_and_left_out():
    request = message(3, spans=30, oddity=1.0)
    scopes = [scope for part in request.resource_spans for scope in part.scope_spans]
    spans = [span for scope in scopes for span in scope.spans]
    wanting = [span for span in spans if not has_ids(span)]
    for part in request.resource_spans:
        for name in ("cloud.region", "greenops.grid.zone", "greenops.energy.method"):
            kept = [each for each in part.resource.attributes if each.key != name]
            del part.resource.attributes[:]
            part.resource.attributes.extend(kept)
        for scope in part.scope_spans:
            for span in scope.spans:
                del span.attributes[:]
                span.parent_span_id = b""

    found = columns_of(request.SerializeToString(), None)

    assert len(wanting) > 3
    assert unnamed(request) == len(wanting)
    assert len(found.spans) == len(spans) - len(wanting)
    assert found.spans.rows() == by_rows(request.SerializeToString())


def test_the_lake_gets_its_own_columns():
    found = columns_of(message(5, oddity=0.0).SerializeToString(), None).spans

    assert found is not None
    assert found.lake_table().schema.equals(SPANS)


def test_one_span_of_many_attributes_costs_no_more_than_they_do():
    request = message(5, spans=3, oddity=0.0)
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = b"1" * 16, b"2" * 8
    for number in range(20_000):
        span.attributes.add(key=f"k{number}").value.int_value = number
    raw = request.SerializeToString()

    assert by_columns(raw)[-1].attributes == by_rows(raw)[-1].attributes


def test_microseconds_are_those_of_the_rows():
    request = message(5, spans=3, oddity=0.0)
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = b"1" * 16, b"2" * 8
    span.start_time_unix_nano, span.end_time_unix_nano = 1_764_000_000_123_456_999, 1
    (*_, row) = by_columns(request.SerializeToString())

    assert row.start == datetime(2025, 11, 24, 16, tzinfo=UTC) + timedelta(microseconds=123_456)
    assert row.end == datetime(1970, 1, 1, tzinfo=UTC)


def test_keys_of_columns_are_those_of_rows():
    for seed in range(10):
        spans = columns_of(message(seed, oddity=0.0).SerializeToString(), None).spans
        if spans is not None:
            rows = SpanColumns.of_rows(spans.rows())

            assert spans.keys.tolist() == rows.keys.tolist()
            assert spans.above.tolist() == rows.above.tolist()
            assert len(set(rows.keys.tolist())) == len(
                {(r.trace_id, r.span_id) for r in spans.rows()}
            )
