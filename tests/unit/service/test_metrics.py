"""The metrics page in both formats: exemplars, counters apart, labels on every data point."""

# Hand-made records: plain numbers stand for grams and joules.
# mypy: disable-error-code="arg-type"
from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from greenops.domain.budget import Budget, BudgetMode, Every, WorkScope
from greenops.domain.evidence import AvoidedEmissions, Grade
from greenops.domain.spans import SpanRow
from greenops.grid.forecast_quality import ForecastQuality
from greenops.observe import attributes as names
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.span_columns import SpanColumns
from greenops.service import exemplars
from greenops.service.metrics import Telemetry
from greenops.service.series import MORE

DAY = datetime(2021, 10, 8, tzinfo=UTC)
OPEN = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


def span(number: int, joules: float | None = 5.0, said: dict[str, Any] | None = None) -> SpanRow:
    attributes = {name: json.dumps(value) for name, value in (said or {}).items()}
    return SpanRow(
        f"{number:032x}", f"{number:016x}", None, "search", None, "search", "GET /search", "SERVER",
        DAY, DAY, DAY, joules, joules, joules, None if joules is None else joules / 1e4, 0.00001,
        "modeled", None, "eu-north-1", "SE", None, attributes,
    )  # fmt: skip


def telemetry(**more) -> Telemetry:
    return Telemetry(lambda: {("search", "attributed"): 3.0}, lambda: 0.0, lambda: 1.0, **more)


def samples(page: bytes, parse=plain_text) -> dict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for family in parse(page.decode()):
        for sample in family.samples:
            found[sample.name].append(sample)
    return found


@pytest.mark.feature("J1")
def test_a_bucket_links_to_the_newest_span_in_it_and_the_sum_is_the_total():
    shown = telemetry()
    rows = [span(1, 5.0), span(2, 0.2), span(3, 6.0), span(4, None)]
    shown.spans(SpanColumns.of_rows(rows))

    page, content_type = shown.answer(OPEN)

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    found = samples(page, open_metrics)
    links = {
        each.labels["le"]: (each.exemplar.labels["trace_id"], each.exemplar.value)
        for each in found["greenops_operation_energy_joules_bucket"]
        if each.exemplar
    }
    assert links == {"10.0": (rows[2].trace_id, 6.0), "0.3": (rows[1].trace_id, 0.2)}
    grams = [e for e in found["greenops_operation_carbon_grams_bucket"] if e.exemplar]
    assert {each.exemplar.labels["span_id"] for each in grams} == {r.span_id for r in rows[1:3]}
    (total,) = found["greenops_operation_energy_joules_sum"]
    assert total.value == pytest.approx(sum(row.energy_j or 0 for row in rows))


def test_a_value_on_a_bound_is_in_the_bucket_that_the_histogram_counts_it_in():
    shown = telemetry()
    shown.spans(SpanColumns.of_rows([span(1, 3.0), span(2, 5000.0)]))

    found = samples(shown.answer(OPEN)[0], open_metrics)["greenops_operation_energy_joules_bucket"]

    bounds = {each.labels["le"]: each for each in found}
    assert (bounds["3.0"].value, bounds["3.0"].exemplar.value) == (1.0, 3.0)
    assert (bounds["+Inf"].value, bounds["+Inf"].exemplar.value) == (2.0, 5000.0)


@pytest.mark.feature("J1")
def test_spans_of_models_are_told_apart_by_model_and_keep_their_links():
    shown = telemetry()
    shown.spans(
        SpanColumns.of_rows(
            [span(1), span(2, 7.0, {"gen_ai.response.model": "llama-3", "x": 1}), span(3, 5.0)]
        )
    )

    found = samples(shown.answer(OPEN)[0], open_metrics)

    sums = found["greenops_operation_energy_joules_sum"]
    assert {e.labels.get("greenops_model", ""): e.value for e in sums} == {"": 10.0, "llama-3": 7.0}
    links = [e for e in found["greenops_operation_energy_joules_bucket"] if e.exemplar]
    assert sorted(each.exemplar.value for each in links) == [5.0, 7.0]


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "text/html,application/xml;q=0.9"])
def test_who_does_not_ask_for_openmetrics_gets_the_old_format(accept):
    shown = telemetry()
    shown.spans(SpanColumns.of_rows([span(1)]))

    page, content_type = shown.answer(accept)

    assert content_type.startswith("text/plain; version=0.0.4")
    assert b"# {" not in page
    assert samples(page)["greenops_operation_energy_joules_count"][0].value == 1


def test_exemplars_are_bounded(monkeypatch):
    monkeypatch.setattr(exemplars, "MOST", 10)
    kept = exemplars.Exemplars(None)

    for number in range(100):
        kept.see("m", (1.0,), {"a": str(number)}, 0.5, ("t", "s", DAY.timestamp()))

    assert len(kept._newest) == 10


@pytest.mark.feature("A2", "H3", "I1")
def test_each_kind_has_a_counter_of_its_own_with_its_workload():
    said = {
        names.ENERGY_REMOTE: 100.0,
        names.ENERGY_REMOTE_LOW: 50.0,
        names.ENERGY_REMOTE_HIGH: 200.0,
        names.CARBON_REMOTE: 3.0,
        names.CARBON_EMBODIED: 0.5,
        names.NETWORK_LOW: 1.0,
        names.NETWORK_HIGH: 60.0,
    }
    sums = Footprint()
    shown = telemetry(more=sums.more_counters)
    sums.add([span(1, 5.0, said), span(2, 5.0)], [])

    found = samples(shown.answer("")[0])

    values = {
        name: sum(each.value for each in found[name])
        for name in found
        if name.endswith("_total") and "greenops_" in name
    }
    assert values == {
        "greenops_energy_joules_total": 3.0,
        "greenops_carbon_location_grams_total": pytest.approx(0.001),
        "greenops_cost_total": pytest.approx(2e-5),
        "greenops_energy_remote_joules_total": 100.0,
        "greenops_energy_remote_low_joules_total": 50.0,
        "greenops_energy_remote_high_joules_total": 200.0,
        "greenops_carbon_remote_grams_total": 3.0,
        "greenops_carbon_embodied_grams_total": 0.5,
        "greenops_energy_network_low_joules_total": 1.0,
        "greenops_energy_network_high_joules_total": 60.0,
    }
    points = [each for name in values for each in found[name]]
    assert {each.labels["greenops_workload"] for each in points} == {"search"}
    (remote,) = found["greenops_energy_remote_joules_total"]
    assert remote.labels["greenops_energy_remote_method"] == "estimated"


def test_no_two_kinds_share_a_name_so_that_no_sum_over_a_label_mixes_them():
    assert len({name.replace(".", "_") for name in MORE}) == len(MORE)
    assert not set(MORE) & {"greenops.energy", "greenops.carbon.location"}


@pytest.mark.feature("J6")
def test_energy_per_item_and_per_token_are_sent():
    shown = telemetry()
    rows = [
        span(1, 5.0, {names.ITEMS: 10}),
        span(2, 6.0, {"gen_ai.usage.output_tokens": 3}),
        span(3, 1.0, {"gen_ai.usage.output_tokens": 20, names.ENERGY_REMOTE: 100.0}),
    ]
    shown.spans(SpanColumns.of_rows(rows))

    found = samples(shown.answer("")[0])

    assert found["greenops_energy_per_item_joules_sum"][0].value == 0.5
    assert found["greenops_energy_per_output_token_joules_sum"][0].value == 2.0
    assert found["greenops_energy_remote_per_output_token_joules_sum"][0].value == 5.0


def test_a_saving_without_a_range_sends_its_estimate_alone():
    shown = telemetry()
    shown.savings(AvoidedEmissions(10.0, 8.0, 12.0, Grade.B))
    shown.savings(AvoidedEmissions(11.0, None, None, Grade.B))

    (found,) = samples(shown.answer("")[0])["greenops_savings_grams"]

    assert (found.labels["bound"], found.value) == ("estimate", 11.0)


@pytest.mark.feature("O2")
def test_own_emissions_are_sent_as_a_share_of_the_saving_and_only_where_there_is_one():
    shown = telemetry(more=lambda: {(None, names.METRIC_CARBON_OVERHEAD): 0.02})
    before = samples(shown.answer("")[0])
    shown.savings(AvoidedEmissions(10.0, 8.0, 12.0, Grade.B))
    after = samples(shown.answer("")[0])

    assert "greenops_savings_own_ratio" not in before
    assert after["greenops_savings_own_ratio"][0].value == pytest.approx(0.002)


def test_a_budget_sends_its_limit_and_its_period_and_one_in_dollars_no_limit():
    shown = telemetry()
    of_team = Budget(
        name="data",
        owners=("finops@example.com",),
        scope=WorkScope(teams=("data",)),
        every=Every.DAY,
        time_zone="UTC",
        mode=BudgetMode.AUDIT,
        stages=(),
        carbon_g=500.0,
    )
    of_one = replace(of_team, name="etl", scope=WorkScope(workloads=("etl",)), carbon_g=None)
    shown.budget(of_team, 86_400.0)
    shown.budget(of_one, 86_400.0)

    found = samples(shown.answer("")[0])

    assert [(each.labels, each.value) for each in found["greenops_budget_limit_grams"]] == [
        ({"greenops_budget": "data", "greenops_workload": "none"}, 500.0)
    ]
    assert {
        each.labels["greenops_workload"]: each.value
        for each in found["greenops_budget_period_seconds"]
    } == {"none": 86_400.0, "etl": 86_400.0}


def test_what_came_of_forecasts_is_sent_by_zone_and_source_and_what_is_not_known_is_absent():
    made = telemetry()
    told = ForecastQuality("PL", "local-1", DAY, DAY, 28, 9, 0.91, 5.0, None, (0.8, None), 1.1)

    made.forecast_quality(told)
    page = samples(made.answer("")[0])
    made.forecast_quality(replace(told, coverage=None, captured=(None, 0.6)))
    later = samples(made.answer("")[0])

    of = {"greenops_zone": "PL", "greenops_source": "local-1"}
    (coverage,) = page["greenops_forecast_coverage_ratio"]
    (captured,) = page["greenops_forecast_captured_ratio"]
    assert (coverage.labels, coverage.value) == (of, 0.91)
    assert (captured.labels, captured.value) == ({**of, "greenops_within": "24h"}, 0.8)
    assert "greenops_forecast_coverage_ratio" not in later
    (captured,) = later["greenops_forecast_captured_ratio"]
    assert captured.labels["greenops_within"] == "48h"
