"""Electricity in the cost of a run: equal to a sum by the minute, and a cap holds through a price shock."""

# Plain numbers stand for dollars and grams here.
# mypy: disable-error-code="arg-type,union-attr,operator"

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.decision import Candidate
from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.domain.prices import PriceKind, PriceSeries
from greenops.domain.workload import Job
from greenops.plan.candidates import RegionOption, batch_candidates
from greenops.plan.choice import choose
from greenops.plan.energy_price import SitePrice, with_electricity
from greenops.policy import compile_policies

START = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = """
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: training, owners: [ml@example.com]}
spec: {kind: batch, urgency: deferrable, homeRegion: own-rack, allowedRegions: [own-rack], duration: 2h, durationP95: 2h,
       energyKwh: 20.0, deadline: {within: 24h}, maxCost: {usd: 3.0}, maxCarbon: {reduction: 0%}}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner-within-the-cap, owners: [ml@example.com]}
spec:
  match: [{name: training, expression: job.name == "training"}]
  objectives: [{name: cleaner, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
"""
BOUNDS = {"limit/maxCost", "limit/maxCarbon"}
POLICIES = compile_policies([("rules.yaml", RULES)])


def prices(values, step=HOUR) -> SitePrice:
    series = PriceSeries(
        "DE", PriceKind.DAY_AHEAD, "test", False, "EUR", START, step, tuple(values)
    )
    return SitePrice(series, usd_per_unit=1.1, pue=1.2)


def run(start, hours=2.0, energy=20.0, cost=1.0) -> Candidate:
    return Candidate(
        "c", "own-rack", start=start, end=start + hours * HOUR, energy_kwh=energy, cost_usd=cost
    )


@given(
    st.lists(st.floats(-500, 4000), min_size=12, max_size=12),
    st.integers(0, 30),
    st.integers(1, 240),
)
def test_the_electricity_of_a_run_equals_a_sum_by_the_minute(values, begins, minutes):
    start = START + timedelta(minutes=begins)

    (found,) = with_electricity([run(start, minutes / 60)], {"own-rack": prices(values)})

    by_minute = [values[(begins + each) // 60] for each in range(minutes)]
    expected = 1.0 + 0.02 * 1.2 * 1.1 * sum(by_minute) / minutes
    assert found.cost_usd == pytest.approx(expected, abs=1e-6)


def test_what_is_not_published_or_not_measured_makes_the_cost_unknown():
    price = {"own-rack": prices([50.0, None, 50.0])}

    known, gap, late, weightless, placeless = with_electricity(
        [
            run(START, 1),
            run(START, 2),
            run(START + 2 * HOUR, 2),
            replace(run(START, 1), energy_kwh=None),
            replace(run(START, 1), end=None),
        ],
        price,
    )

    assert known.cost_usd == pytest.approx(1 + 20 * 1.2 * 0.05 * 1.1)
    assert {each.cost_usd for each in (gap, late, weightless, placeless)} == {None}


def test_where_a_machine_is_rented_its_rent_has_the_electricity_in_it():
    rented = replace(run(START), region="eu-central-1")

    assert with_electricity([rented], {"own-rack": prices([50.0] * 3)}) == (rented,)


def decided(values, grid):
    """The choice under a cap of 3 USD, where rent is 0.5 USD/h and the grid is as given."""
    kind = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
    foretold = Forecast("DE", kind, START, HOUR, tuple(grid), issued_at=START, id="f", error=0.1)
    rack = Region("own-rack", "own", "EU", "DE", 1.2, "test", {"ondemand": 0.5}, 0.0, "test")
    work = POLICIES.workloads["training"]
    job = Job("training/1", work, START, START + 24 * HOUR)
    baseline, ways = batch_candidates(job, [RegionOption(rack, foretold)], START)
    baseline, *ways = with_electricity([baseline, *ways], {"own-rack": prices(values)})
    judgement = POLICIES.judge(job, baseline, ways, START)
    return choose(job, baseline, ways, judgement, START)


@pytest.mark.feature("B9")
def test_in_a_price_shock_a_run_stays_under_its_cap_and_not_at_its_cleanest_hour():
    grid = [400.0] * 12 + [100.0] * 4 + [200.0] * 8
    calm = [60.0] * 24
    shock = [60.0] * 12 + [900.0] * 4 + [60.0] * 8

    before, after = decided(calm, grid), decided(shock, grid)

    assert before.chosen.start == START + 12 * HOUR
    assert after.chosen.start == START + 16 * HOUR
    assert after.chosen.cost_usd == pytest.approx(1 + 24 * 1.1 * 0.06)
    assert "limit/maxCost" in after.rejected[before.chosen.id]


@pytest.mark.feature("B9")
@given(
    st.lists(st.one_of(st.none(), st.floats(-100, 900)), min_size=24, max_size=24),
    st.lists(st.integers(50, 500), min_size=24, max_size=24),
)
def test_whatever_prices_are_a_run_costs_no_more_than_its_cap_or_it_is_told_that_none_does(
    values, grid
):
    decision = decided(values, grid)

    chosen, baseline = decision.chosen, decision.baseline
    within = chosen.cost_usd is not None and chosen.cost_usd <= 3.0
    if not within:
        assert chosen.id == baseline.id
        assert decision.noncompliant_baseline
        # No way is open: each other start breaks the cap, or would emit more than running now.
        assert len(decision.rejected) >= 44
        assert all(BOUNDS & set(each) for each in decision.rejected.values())
