"""Whoever reads the spans, columns or rows, they get the same energy and carbon, and get them once."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.factor_file import FactorFile
from greenops.observe import attributes as names
from greenops.pipeline.enriching import Enriching
from greenops.service import span_reader
from greenops.service.rows import MAPPED
from greenops.service.span_reader import SpanReader
from greenops.testing.clock import FakeClock
from tests.unit.service.otlp_messages import message

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
FACTORS = FactorFile(None).table()


def reader(enriching: Enriching | None = None) -> SpanReader:
    return SpanReader(FakeClock(NOW), enriching or Enriching(lambda: FACTORS))


def rows_of(own: SpanReader, *messages: bytes):
    return [row for spans in own.read(messages) for row in spans.rows()]


def request(spans, **resource) -> bytes:
    found = ExportTraceServiceRequest()
    part = found.resource_spans.add()
    for key, value in {"cloud.region": "eu-north-1", **resource}.items():
        part.resource.attributes.add(key=key).value.string_value = value
    scope = part.scope_spans.add()
    for number, (kind, said) in enumerate(spans, 1):
        span = scope.spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), kind=kind)
        span.start_time_unix_nano = int(NOW.timestamp()) * 10**9
        span.end_time_unix_nano = span.start_time_unix_nano + 10**9
        for key, value in said.items():
            kinds = {str: "string_value", int: "int_value", float: "double_value"}
            setattr(span.attributes.add(key=key).value, kinds[type(value)], value)
    return bytes(found.SerializeToString())


CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
    "cloud.region": "us-east-1",
}


def test_a_call_without_energy_gets_an_estimate_and_its_carbon():
    (row,) = rows_of(reader(), request([(3, CALL)]))

    assert row.energy_j > 0
    assert row.method == "estimated"
    assert row.unknown is None
    assert row.carbon_g is None or row.carbon_g > 0


def test_a_metered_span_without_carbon_gets_that_of_its_region_and_time():
    (row,) = rows_of(reader(), request([(2, {names.ENERGY_SELF: 3.6e6})]))

    region = FACTORS.regions["eu-north-1"]
    assert row.energy_j == 3.6e6
    assert row.carbon_g == pytest.approx(region.annual * region.pue, rel=1e-9)


def test_where_carbon_cannot_be_known_the_span_says_why():
    raw = request([(2, {names.ENERGY_SELF: 1.0, "a": "b"})], **{"cloud.region": "the moon"})

    (row,) = rows_of(reader(), raw)

    assert row.carbon_g is None
    assert row.attributes == {"a": '"b"', names.CARBON_UNKNOWN: '"no_region"'}


def test_what_a_span_says_itself_stands():
    said = {**CALL, names.ENERGY_SELF: 5.0, names.CARBON_SELF: 0.25}

    (row,) = rows_of(reader(), request([(3, said)]))

    assert (row.energy_j, row.carbon_g, row.method) == (5.0, 0.25, None)


def test_columns_and_rows_get_the_same():
    own, plain, differ = reader(), SpanReader(FakeClock(NOW)), 0

    for seed in range(60):
        sent = message(seed, spans=15, oddity=0.02)
        by_rows = own._by_rows(sent)
        if by_rows is None:
            continue
        rows = by_rows.rows()
        assert rows_of(own, sent.SerializeToString()) == rows, seed
        differ += rows != rows_of(plain, sent.SerializeToString())

    assert differ > 20


def odd_of(plain: ExportTraceServiceRequest) -> bytes:
    """The same with parents that columns do not take, for they have not eight bytes."""
    odd = ExportTraceServiceRequest()
    odd.CopyFrom(plain)
    for part in odd.resource_spans:
        for scope in part.scope_spans:
            for span in scope.spans:
                span.parent_span_id = b"four"
    return bytes(odd.SerializeToString())


@pytest.fixture
def looks(monkeypatch):
    """What columns were tried on and what rows took [bytes]."""
    seen: dict[str, list[int]] = {"columns": [], "rows": []}
    columns, rows = SpanReader._by_columns, SpanReader._by_rows

    def by_columns(self, raw):
        seen["columns"].append(len(raw))
        return columns(self, raw)

    def by_rows(self, sent):
        seen["rows"].append(sent.ByteSize())
        return rows(self, sent)

    monkeypatch.setattr(SpanReader, "_by_columns", by_columns)
    monkeypatch.setattr(SpanReader, "_by_rows", by_rows)
    return seen


@pytest.mark.parametrize("odd", [(17,), (0, 39), range(40)], ids=["one", "two", "all"])
def test_rows_take_little_beside_what_is_no_task_for_columns(odd, looks, monkeypatch):
    plain = [message(seed, spans=9, oddity=0.0) for seed in range(40)]
    sent = [odd_of(e) if n in odd else e.SerializeToString() for n, e in enumerate(plain)]
    alone = [row for raw in sent for row in rows_of(reader(), raw)]
    most, whole = 3 * max(map(len, sent)), sum(map(len, sent))
    monkeypatch.setattr(span_reader, "BY_ROWS", most)
    for each in looks.values():
        each.clear()

    found = rows_of(reader(), *sent)

    assert found == alone != []
    assert sum(looks["rows"]) <= most * len(odd)
    assert max(looks["rows"]) <= most
    # Halves of halves until rows take them: no message costs a look of its own.
    assert len(looks["columns"]) <= min(len(odd) * 2 * 6, 4 * whole / most + 1)


def test_more_than_is_read_at_once_comes_in_order(monkeypatch):
    sent = [message(seed, spans=9, oddity=0.0).SerializeToString() for seed in range(40)]
    whole = rows_of(reader(), *sent)
    monkeypatch.setattr(span_reader, "AT_ONCE", 3 * len(sent[0]))

    parts = reader().read(sent)

    assert len(parts) > 10
    assert [row for spans in parts for row in spans.rows()] == whole


def test_spans_sent_twice_get_the_same_numbers():
    raw = request([(3, CALL), (2, {names.ENERGY_SELF: 2.0})])

    assert rows_of(reader(), raw) == rows_of(reader(), raw, raw)[:2]


def test_a_new_table_holds_for_what_is_read_from_then_on():
    tables = [FACTORS]
    own = reader(Enriching(lambda: tables[-1]))
    raw = request([(2, {names.ENERGY_SELF: 3.6e6})])
    (before,) = rows_of(own, raw)
    region = FACTORS.regions["eu-north-1"]
    tables.append(
        type(FACTORS)("new", {**FACTORS.regions, "eu-north-1": _with(region, annual=2000.0)})
    )

    (after,) = rows_of(own, raw)

    assert before.carbon_g != after.carbon_g
    assert after.carbon_g == pytest.approx(2000.0 * region.pue)


def _with(region, **changes):
    from dataclasses import replace

    return replace(region, **changes)


def test_no_span_of_ours_carries_a_number_that_cannot_be():
    raw = request(
        [(3, {**CALL, "gen_ai.usage.output_tokens": 10**9}), (2, {names.ENERGY_SELF: math.inf})]
    )

    for row in rows_of(reader(), raw):
        assert row.energy_j is None or 0 <= row.energy_j <= 1e12
        assert not MAPPED & row.attributes.keys()


def test_a_replay_looks_at_the_simulated_instant():
    shifted = NOW - timedelta(days=900)

    class Replayed(FakeClock):
        @property
        def replay(self):
            from greenops.domain.replay import Replay

            return Replay(shifted, NOW, 1.0)

    own = SpanReader(Replayed(NOW), Enriching(lambda: FACTORS))
    (row,) = rows_of(own, request([(2, {names.ENERGY_SELF: 1.0})]))

    assert row.time == shifted + timedelta(seconds=1)
