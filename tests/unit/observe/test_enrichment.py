"""The batch path against the rules of one span, and what it must leave alone."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from opentelemetry.trace import SpanKind

from greenops.adapters import language_model_file
from greenops.adapters.factor_file import FactorFile
from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.domain.language_model import CallEnergy, CallUnknown
from greenops.observe import gen_ai
from greenops.observe.emissions import intensity_at
from greenops.observe.enrichment import WANTED, Enriched, Enricher
from greenops.observe.enrichment_batch import SeenSpan, batch_of
from greenops.observe.enrichment_tables import (
    EnrichmentTables,
    coefficients,
    region_rows,
    region_rows_at,
)
from greenops.observe.language_model import LanguageModels
from greenops.testing.collected_spans import CLIENT, INTERNAL, SERVER, CollectedSpan, SpanMaker
from greenops.units import emissions

NOW = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
MODELS = language_model_file.shipped()
FACTORS = FactorFile(None).table()
TABLES = EnrichmentTables(coefficients(MODELS), region_rows(FACTORS), {"nightly": 120.0})
OTLP_KIND = {0: SpanKind.INTERNAL, 1: SpanKind.INTERNAL, 2: SpanKind.SERVER, 3: SpanKind.CLIENT}


def enrich(*spans: CollectedSpan, tables: EnrichmentTables = TABLES) -> Enriched:
    seen = [
        SeenSpan(each.kind, not each.parent, each.start_ns, each.end_ns, row, each.attributes)
        for row, each in enumerate(spans)
    ]
    return Enricher(tables).enrich(batch_of(seen, [each.resource for each in spans], WANTED))


def span(
    kind: int = CLIENT, *, resource: Any = None, seconds: float = 1.0, **said: Any
) -> CollectedSpan:
    attributes = {key.replace("__", "."): value for key, value in said.items()}
    start = NOW_NS - int(seconds * 1e9)
    return CollectedSpan("s", kind, True, start, NOW_NS, attributes, resource or {})


def call(**said: Any) -> CollectedSpan:
    counts = {"gen_ai__usage__input_tokens": 1000, "gen_ai__usage__output_tokens": 100}
    said = {"gen_ai__request__model": "gpt-4o", **counts, **said}
    return span(**said)


def test_a_call_draws_what_the_estimate_of_one_span_says_without_its_pue() -> None:
    models = LanguageModels(MODELS)
    maker = SpanMaker(
        7,
        models=[each.name for each in TABLES.models],
        regions=list(FACTORS.regions),
        workloads=["nightly"],
        now_ns=NOW_NS,
    )
    spans = [each for each in maker.spans(4000) if each.name == "chat"]

    found = enrich(*spans)

    seen = 0
    for row, each in enumerate(spans):
        kind = OTLP_KIND[each.kind]
        told = gen_ai.call(each.attributes)
        if not gen_ai.is_call(kind, each.attributes):
            assert found.unknown_of(row) == "not_observed"
        elif not isinstance(told.model, CallUnknown) and isinstance(told.tokens, tuple):
            expected = models.estimate(told.model, told.tokens, pue=1.0)
            seen += isinstance(expected, CallEnergy)
            if isinstance(expected, CallEnergy):
                assert found.energy_j[row] == pytest.approx(expected.energy, rel=1e-12)
                assert found.method_of(row) == "estimated"
                assert found.unknown_of(row) is None
            else:
                assert math.isnan(found.energy_j[row])
                assert found.unknown_of(row) == "unknown_model"
        else:
            assert math.isnan(found.energy_j[row])
            assert found.unknown_of(row) in {"no_model", "no_tokens", "bad_tokens", "unknown_model"}
    assert seen > 400


@pytest.mark.feature("J2")
def test_a_pue_is_applied_once_from_energy_to_grams() -> None:
    found = enrich(call(cloud__region="eu-central-1"))

    factors = FACTORS.regions["eu-central-1"]
    assert factors.annual is not None
    expected = emissions(found.energy_j[0], factors.annual, factors.pue)
    assert found.carbon_g[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.feature("J4")
def test_carbon_of_a_call_is_of_the_region_that_the_span_names_and_not_of_the_callers() -> None:
    found = enrich(call(resource={"cloud.region": "eu-central-1"}))

    assert found.energy_j[0] > 0
    assert math.isnan(found.carbon_g[0])
    assert found.carbon_unknown_of(0) == "no_region"


def test_a_run_of_a_job_draws_the_watts_of_its_workload() -> None:
    home = {"cloud.region": "eu-central-1", "greenops.workload": "nightly"}

    found = enrich(
        span(INTERNAL, seconds=60, cicd__pipeline__name="n", resource=home),
        span(INTERNAL, seconds=60, cicd__pipeline__name="n", cicd__pipeline__task__name="t", resource=home),
        span(INTERNAL, seconds=60, k8s__job__name="n", greenops__workload="other"),
        span(INTERNAL, seconds=-1, k8s__job__name="n", resource=home),
    )  # fmt: skip

    assert found.energy_j[0] == pytest.approx(120.0 * 60)
    assert found.carbon_g[0] > 0
    assert [found.unknown_of(row) for row in range(4)] == [None, "not_observed", "no_meter", "no_time"]  # fmt: skip
    assert np.isnan(found.energy_j[1:]).all()


def test_a_request_has_no_energy_here_and_says_so() -> None:
    found = enrich(span(SERVER, http__request__method="GET"))

    assert math.isnan(found.energy_j[0])
    assert found.unknown_of(0) == "not_observed"


def test_what_a_span_carries_stands_and_only_its_missing_carbon_is_added() -> None:
    home = {"cloud.region": "eu-central-1"}
    carried = {"greenops__energy__self": 3.6e6}

    found = enrich(
        span(SERVER, resource=home, **carried),
        span(SERVER, resource=home, greenops__carbon__self=1.0, **carried),
        span(SERVER, resource=home, greenops__carbon__unknown="no_zone", **carried),
        span(SERVER, resource=home, greenops__energy__unknown="no_meter"),
        span(SERVER, resource=home, greenops__energy__self="a lot"),
        call(greenops__energy__remote=4.0),
    )

    factors = FACTORS.regions["eu-central-1"]
    assert factors.annual is not None
    assert found.carbon_g[0] == pytest.approx(factors.annual * factors.pue)
    assert np.isnan(found.energy_j).all()
    assert np.isnan(found.carbon_g[1:]).all()
    assert not found.unknown.any()
    assert not found.carbon_unknown.any()


def test_on_an_outgoing_span_the_home_region_is_the_resources() -> None:
    away = {"cloud__region": "eastus", "greenops__energy__self": 1.0}
    home = {"cloud.region": "eu-central-1"}

    found = enrich(span(CLIENT, resource=home, **away), span(SERVER, resource=home, **away))

    in_germany, in_virginia = found.carbon_g
    assert in_germany != in_virginia


def _series(*values: float | None) -> FactorTable:
    series = IntensitySeries(
        zone="DE",
        kind=SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=False),
        start=NOW.replace(minute=0) - timedelta(hours=3),
        step=timedelta(hours=1),
        values=values,  # type: ignore[arg-type]
    )
    here = RegionFactors("here", "DE", 1.2, series=series, annual=300.0)  # type: ignore[arg-type]
    bare = RegionFactors("bare", "DE", 1.2)
    return FactorTable("v", {"here": here, "bare": bare})


@pytest.mark.parametrize("hours", [-9, -3, -2.5, -1.5, -0.5, 0, 0.5, 2, 3.4, 4, 9])
def test_at_each_instant_the_intensity_is_that_of_a_single_span(hours: float) -> None:
    factors = _series(100.0, None, 250.0, None)
    tables = EnrichmentTables((), region_rows(factors))
    at_ns = NOW_NS + int(hours * 3600) * 1_000_000_000
    made = CollectedSpan("s", SERVER, True, at_ns, at_ns, {"greenops.energy.self": 3.6e6}, {})

    found = enrich(
        CollectedSpan(*_with(made, "here")), CollectedSpan(*_with(made, "bare")), tables=tables
    )

    at = NOW + timedelta(hours=hours)
    expected = intensity_at(factors.regions["here"], at)
    assert found.carbon_g[0] == pytest.approx((expected or 0) * 1.2)
    assert found.carbon_unknown_of(1) == "no_intensity"


def _with(made: CollectedSpan, region: str) -> tuple[Any, ...]:
    said = made.attributes
    return (made.name, made.kind, made.parent, made.start_ns, made.end_ns, said, {"cloud.region": region})  # fmt: skip


def test_a_table_of_now_is_stale_for_spans_that_end_after_it() -> None:
    factors = _series(100.0, 150.0, 250.0, 200.0)
    tables = EnrichmentTables((), region_rows_at(factors, NOW))
    later = NOW_NS + 5 * 3600 * 1_000_000_000
    said = {"greenops.energy.self": 3.6e6}
    home = {"cloud.region": "here"}

    found = enrich(
        CollectedSpan("s", SERVER, True, NOW_NS, NOW_NS, said, home),
        CollectedSpan("s", SERVER, True, later, later, said, home),
        tables=tables,
    )

    assert found.carbon_g[0] == pytest.approx(200.0 * 1.2)
    assert math.isnan(found.carbon_g[1])
    assert found.carbon_unknown_of(1) == "stale_table"


def test_a_batch_of_none_gives_none() -> None:
    assert not len(enrich().energy_j)
