"""A month of real day-ahead prices, with shocks where the grid is cleanest: a run stays under its cap, or is told that no way does."""

# Plain numbers stand for dollars, grams and kWh here.
# mypy: disable-error-code="arg-type,union-attr,operator"

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from greenops.adapters.shipped_grid import ShippedGrid
from greenops.adapters.shipped_prices import ShippedPrices
from greenops.config import Settings
from greenops.domain.console import DecisionRecord
from greenops.domain.grid import Region
from greenops.domain.prices import PerMwh, PriceSeries
from greenops.domain.record import canonical, parse
from greenops.domain.workload import Job
from greenops.grid.regions import RegionTable
from greenops.pipeline.decide import Decider, decide_again
from greenops.pipeline.grid_context import GridContext
from greenops.plan.candidates import batch_candidates
from greenops.plan.energy_price import SitePrice, with_electricity
from greenops.policy import compile_policies
from greenops.testing.clock import FakeClock
from greenops.testing.grid import FakeGrid

START, DAYS = datetime(2020, 9, 1, 18, tzinfo=UTC), 30
"""20:00 in Germany: the next day's prices are there, those of the day after are not."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENERGY_KWH, PUE, USD_PER_EUR, RENT = 100.0, 1.2, 1.1, 0.5
CAP = 12.0
"""Rent of two hours and electricity at 83 EUR/MWh."""
RULES = f"""
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {{name: training, owners: [ml@example.com]}}
spec: {{kind: batch, urgency: deferrable, homeRegion: own-rack, allowedRegions: [own-rack], duration: 2h, durationP95: 2h,
       energyKwh: {ENERGY_KWH}, deadline: {{within: 48h}}, maxCost: {{usd: {CAP}}}, maxCarbon: {{reduction: 0%}}}}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {{name: cleaner-within-the-cap, owners: [ml@example.com]}}
spec:
  match: [{{name: training, expression: job.name == "training"}}]
  objectives: [{{name: cleaner, minimize: candidate.carbon_g}}]
  enforcement: {{mode: enforce}}
"""
POLICIES = compile_policies([("rules.yaml", RULES)])
RACK = Region("own-rack", "own", "EU", "DE", PUE, "test", {"ondemand": RENT}, 0.0, "test")


@cache
def grid() -> GridContext:
    first = START.replace(hour=0)
    recorded = ShippedGrid().actual("DE", first, START + (DAYS + 3) * DAY)
    told = FakeGrid({"DE": recorded.values}, start=first)
    return GridContext(told, RegionTable.of([RACK]), {})


def shocked(series: PriceSeries, at: datetime) -> PriceSeries:
    """3,000 EUR/MWh in the two hours that run when the work would emit least, as an auction may give."""
    values = list(series.values)
    first = (at - series.start) // series.step
    for place in range(first, min(first + 2, len(values))):
        values[place] = PerMwh(3000.0)
    return replace(series, values=tuple(values))


def decide(now: datetime, prices: PriceSeries) -> DecisionRecord:
    decider = Decider(Settings(), FakeClock(now), POLICIES, grid())
    work = POLICIES.workloads["training"]
    job, options = Job(f"training/{now:%F}", work, now, now + 48 * HOUR), decider.options(now)
    baseline, ways = batch_candidates(job, options, now)
    site = {"own-rack": SitePrice(prices, USD_PER_EUR, PUE)}
    priced = with_electricity((baseline, *ways), site)
    return decider.judge(job, priced[0], priced[1:], now, options)


def month() -> Iterator[tuple[PriceSeries, DecisionRecord, PriceSeries, DecisionRecord]]:
    """Each day's prices and decision, as they were and with the shock at the hours first chosen."""
    for day in range(DAYS):
        now = START + day * DAY
        known = ShippedPrices().prices("DE-LU", now, now + 50 * HOUR, now)
        calm = decide(now, known)
        shock = shocked(known, calm.decision.chosen.start)
        yield known, calm, shock, decide(now, shock)


def cost(prices: PriceSeries, start: datetime, end: datetime) -> float | None:
    """Rent and electricity of a run, added up by half hours."""
    total, at, step = 0.0, start, timedelta(minutes=30)
    while at < end:
        place = (at - prices.start) // prices.step
        value = prices.values[place] if place < len(prices.values) else None
        if value is None:
            return None
        total += value / 4
        at += step
    return 2 * RENT + ENERGY_KWH / 1000 * PUE * USD_PER_EUR * total


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.feature("B9", "A3")
def test_in_every_shock_of_a_month_a_run_stays_under_its_cap_or_no_way_does_and_it_is_told():
    gave_way = infeasible = 0

    for known, calm, shock, after in month():
        for prices, record in ((known, calm), (shock, after)):
            made = record.decision
            chosen = made.chosen
            paid = cost(prices, chosen.start, chosen.end)
            assert chosen.cost_usd == (None if paid is None else pytest.approx(paid))
            assert chosen.end <= made.deadline
            if paid is None or paid > CAP:
                infeasible += 1
                assert chosen.id == made.baseline.id
                assert made.noncompliant_baseline
                assert all(made.rejected[each.id] for each in record.candidates)
            # A price that nobody has published caps nothing: no run is moved there.
            for each in record.candidates:
                there = cost(prices, each.start, each.end)
                over = there is None or there > CAP
                assert over == ("limit/maxCost" in made.rejected.get(each.id, ()))
            stored = parse(DecisionRecord, canonical(record))
            assert canonical(decide_again(stored, POLICIES)) == canonical(made)
        gave_way += calm.decision.chosen.start != after.decision.chosen.start

    assert gave_way >= 28
    assert infeasible <= 2


@pytest.mark.feature("B9")
def test_where_every_known_hour_is_above_the_cap_the_run_goes_as_without_greenops_and_is_told():
    known = ShippedPrices().prices("DE-LU", START, START + 50 * HOUR, START)
    dear = replace(known, values=tuple(PerMwh(500.0) for _ in known.values))

    made = decide(START, dear).decision

    assert made.chosen.id == made.baseline.id
    assert made.noncompliant_baseline
    assert made.chosen.cost_usd == pytest.approx(2 * RENT + 0.1 * PUE * USD_PER_EUR * 500)
    assert all("limit/maxCost" in each for each in made.rejected.values())
