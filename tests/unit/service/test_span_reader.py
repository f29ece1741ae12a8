"""Whoever reads the spans, columns or rows, they get the same energy and carbon, and get them once."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from greenops.adapters.factor_file import FactorFile
from greenops.observe import attributes as names
from greenops.pipeline.enriching import Enriching
from greenops.service.rows import MAPPED
from greenops.service.span_reader import SpanReader
from greenops.testing.clock import FakeClock
from tests.unit.service.otlp_messages import message

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
FACTORS = FactorFile(None).table()


def reader(enriching: Enriching | None = None) -> SpanReader:
    return SpanReader(FakeClock(NOW), enriching or Enriching(lambda: FACTORS))


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
    (row,) = reader().read(request([(3, CALL)])).spans.rows()

    assert row.energy_j > 0
    assert row.method == "estimated"
    assert row.unknown is None
    assert row.carbon_g is None or row.carbon_g > 0


def test_a_metered_span_without_carbon_gets_that_of_its_region_and_time():
    (row,) = reader().read(request([(2, {names.ENERGY_SELF: 3.6e6})])).spans.rows()

    region = FACTORS.regions["eu-north-1"]
    assert row.energy_j == 3.6e6
    assert row.carbon_g == pytest.approx(region.annual * region.pue, rel=1e-9)


def test_where_carbon_cannot_be_known_the_span_says_why():
    raw = request([(2, {names.ENERGY_SELF: 1.0, "a": "b"})], **{"cloud.region": "the moon"})

    (row,) = reader().read(raw).spans.rows()

    assert row.carbon_g is None
    assert row.attributes == {"a": '"b"', names.CARBON_UNKNOWN: '"no_region"'}


def test_what_a_span_says_itself_stands():
    said = {**CALL, names.ENERGY_SELF: 5.0, names.CARBON_SELF: 0.25}

    (row,) = reader().read(request([(3, said)])).spans.rows()

    assert (row.energy_j, row.carbon_g, row.method) == (5.0, 0.25, None)


def test_columns_and_rows_get_the_same():
    own = reader()
    differ = 0

    for seed in range(60):
        sent = message(seed, spans=15, oddity=0.02)
        raw = sent.SerializeToString()
        by_columns, by_rows = own.read(raw), own._by_rows(sent)
        if by_rows.spans is None:
            continue
        assert own._enriching is not None
        rows = own._enriching.add(by_rows.spans, by_rows.looked).rows()
        assert by_columns.spans is not None
        assert by_columns.spans.rows() == rows, seed
        differ += rows != by_rows.spans.rows()

    assert differ > 20


def test_spans_sent_twice_get_the_same_numbers():
    raw = request([(3, CALL), (2, {names.ENERGY_SELF: 2.0})])

    assert reader().read(raw).spans.rows() == reader().read(raw + raw).spans.rows()[:2]


def test_a_new_table_holds_for_what_is_read_from_then_on():
    tables = [FACTORS]
    own = reader(Enriching(lambda: tables[-1]))
    raw = request([(2, {names.ENERGY_SELF: 3.6e6})])
    (before,) = own.read(raw).spans.rows()
    region = FACTORS.regions["eu-north-1"]
    tables.append(
        type(FACTORS)("new", {**FACTORS.regions, "eu-north-1": _with(region, annual=2000.0)})
    )

    (after,) = own.read(raw).spans.rows()

    assert before.carbon_g != after.carbon_g
    assert after.carbon_g == pytest.approx(2000.0 * region.pue)


def _with(region, **changes):
    from dataclasses import replace

    return replace(region, **changes)


def test_no_span_of_ours_carries_a_number_that_cannot_be():
    raw = request(
        [(3, {**CALL, "gen_ai.usage.output_tokens": 10**9}), (2, {names.ENERGY_SELF: math.inf})]
    )

    for row in reader().read(raw).spans.rows():
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
    found = own.read(request([(2, {names.ENERGY_SELF: 1.0})])).spans

    assert found.rows()[0].time == shifted + timedelta(seconds=1)
