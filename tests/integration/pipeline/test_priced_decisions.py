"""Decisions on electricity by the hour: recorded prices of 2020, and a provider that is away."""

# Plain numbers stand for dollars, grams and kWh here.
# mypy: disable-error-code="arg-type,union-attr,operator,no-untyped-def"

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from greenops.adapters.clock import SystemClock
from greenops.adapters.packaged import packaged
from greenops.adapters.shipped_grid import ShippedGrid
from greenops.adapters.shipped_prices import ShippedPrices
from greenops.config import Settings
from greenops.domain.console import JobRequest, WhatIfQuestion
from greenops.domain.grid import Region
from greenops.domain.prices import PerMwh, PriceKind
from greenops.domain.record import canonical, parse
from greenops.errors import AdapterUnavailable, UsageError
from greenops.grid.regions import RegionTable
from greenops.pipeline.assemble import assemble
from greenops.pipeline.beside import at_once, in_background
from greenops.pipeline.decide import Decider, decide_again
from greenops.pipeline.decide_here import LocalDecider
from greenops.pipeline.fleet_workloads import ALONE, plan_requests
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.grid_context import GridContext
from greenops.pipeline.grid_limits import TokenBucket
from greenops.pipeline.grid_worker import Worker
from greenops.pipeline.site_prices import SitePrices
from greenops.pipeline.site_settings import Site
from greenops.pipeline.what_if import answer
from greenops.plan.threshold import QUEUED
from greenops.policy import compile_policies
from greenops.testing.clock import FakeClock
from greenops.testing.grid import FakeGrid
from greenops.testing.prices import FaultyPrices

START, DAYS = datetime(2020, 9, 1, 18, tzinfo=UTC), 10
"""20:00 in Germany: the next day's prices are there, those of the day after are not."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CAP, RENT = 12.0, 0.5
"""The cap is the rent of two hours and electricity at 83 EUR/MWh."""
RULES = f"""
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {{name: training, owners: [ml@example.com]}}
spec: {{kind: batch, urgency: deferrable, homeRegion: own-rack, allowedRegions: [own-rack], duration: 2h, durationP95: 2h,
       energyKwh: 100, deadline: {{within: 48h}}, maxCost: {{usd: {CAP}}}, maxCarbon: {{reduction: 0%}}}}
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
RACK = Region("own-rack", "own", "EU", "DE", 1.2, "test", {"ondemand": RENT}, 0.0, "test")


@cache
def grid() -> GridContext:
    first = START.replace(hour=0)
    recorded = ShippedGrid().actual("DE", first, START + (DAYS + 3) * DAY)
    return GridContext(FakeGrid({"DE": recorded.values}, start=first), RegionTable.of([RACK]), {})


class Shocked(ShippedPrices):
    """Recorded prices, with 3,000 EUR/MWh in two hours, as an auction may give."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self.hours = {at.replace(minute=0) + place * HOUR for place in range(3)}

    def prices(self, zone, start, end, at):
        known = super().prices(zone, start, end, at)
        values = [
            PerMwh(3000.0) if known.start + place * known.step in self.hours else value
            for place, value in enumerate(known.values)
        ]
        return replace(known, values=tuple(values))


def priced(provider, clock, *, run=at_once, wait_s=3.0, region="own-rack") -> SitePrices:
    worker = Worker("fake", clock, TokenBucket(60), lambda longest: 0.0, run)
    site = {region: Site("DE-LU", 1.2)}
    return SitePrices(provider, site, {"EUR": 1.1}, clock, worker, wait_s)


def decider(clock, prices=None, context=None) -> Decider:
    return Decider(Settings(), clock, POLICIES, context or grid(), priced=prices)


def asked(now, key="training/1", **more) -> JobRequest:
    return JobRequest("training", key, now, **more)


def decided(now, provider):
    clock = FakeClock(now)
    return decider(clock, priced(provider, clock)).decide(asked(now))


def paid(provider, now, way) -> float | None:
    """Rent and electricity, added up by half hours."""
    known, total, at = provider.prices("DE-LU", now, now + 3 * DAY, now), 0.0, way.start
    while at < way.end:
        place = (at - known.start) // known.step
        if place >= len(known.values):
            return None
        total += known.values[place] / 4
        at += HOUR / 2
    return 2 * RENT + 0.1 * 1.2 * 1.1 * total


@pytest.mark.slow
@pytest.mark.feature("B9", "A3")
def test_the_cap_holds_through_price_shocks_or_no_way_is_under_it_and_that_is_told():
    gave_way = infeasible = 0
    for now in (START + day * DAY for day in range(DAYS)):
        calm = decided(now, ShippedPrices())
        shock = Shocked(calm.decision.chosen.start)

        after = decided(now, shock)

        for provider, record in ((ShippedPrices(), calm), (shock, after)):
            made = record.decision
            for way in record.candidates:
                cost = paid(provider, now, way)
                assert way.cost_usd == (None if cost is None else pytest.approx(cost))
                over = cost is None or cost > CAP
                assert over == ("limit/maxCost" in made.rejected.get(way.id, ()))
            if made.noncompliant_baseline:
                infeasible += 1
                assert made.chosen.id == made.baseline.id
            else:
                assert made.chosen.cost_usd <= CAP
            stored = parse(type(record), canonical(record))
            assert canonical(decide_again(stored, POLICIES)) == canonical(made)
        gave_way += calm.decision.chosen.start != after.decision.chosen.start

    assert gave_way >= DAYS - 2
    assert infeasible <= 2


@pytest.mark.feature("B9")
@pytest.mark.parametrize(
    "fault", [AdapterUnavailable("GO0320", "the market is away"), RuntimeError("odd")]
)
def test_without_prices_the_run_stays_as_it_is(fault):
    market = FaultyPrices({"DE-LU": [40.0] * 240}, start=START - 2 * DAY)
    market.fault = fault

    made = decided(START, market).decision

    assert made.chosen == made.baseline
    assert made.baseline.cost_usd is None
    assert "cost is not known" in made.reason


@pytest.mark.feature("B9")
def test_a_provider_that_hangs_holds_no_decision_up_beyond_the_bound():
    clock, release = SystemClock(), threading.Event()
    now = clock.now()
    first = now.replace(minute=0, second=0, microsecond=0) - DAY
    context = GridContext(FakeGrid({"DE": [100.0] * 144}, start=first), RegionTable.of([RACK]), {})
    market = FaultyPrices({"DE-LU": [40.0] * 240}, start=first, kind=PriceKind.TARIFF)
    market.fault = lambda: release.wait(30) and None
    decides = decider(clock, priced(market, clock, run=in_background, wait_s=0.2), context)

    began = time.monotonic()
    made = [decides.decide(asked(now, f"training/{each}")).decision for each in range(5)]
    took_s = time.monotonic() - began
    release.set()

    assert all(each.chosen == each.baseline for each in made)
    assert took_s < 5.0


def test_where_no_region_of_a_run_is_priced_its_decision_is_the_same_to_the_byte():
    clock = FakeClock(START)
    elsewhere = priced(ShippedPrices(), clock, region="another-rack")

    plain, beside = (decider(clock, each).decide(asked(START)) for each in (None, elsewhere))

    assert canonical(plain) == canonical(beside)
    assert plain.decision.baseline.cost_usd == 2 * RENT


def test_a_run_that_is_decided_anew_is_priced_once_and_a_baseline_that_passed_keeps_its_cost():
    clock = FakeClock(START)
    decides = decider(clock, priced(ShippedPrices(), clock))
    held = decides.decide(asked(START))
    clock.advance(2 * HOUR)

    anew = decides.decide_anew(held, decides.options(clock.now()))

    assert anew.candidates[0] == held.candidates[0]
    there = {each.start: each.cost_usd for each in held.candidates}
    both = [each for each in anew.candidates if there.get(each.start) is not None]
    assert len(both) > 20
    for each in both:
        assert each.cost_usd == pytest.approx(there[each.start])


def test_a_run_that_would_wait_without_a_forecast_has_no_cost_for_that():
    rules = RULES.replace("reduction: 0%", "intensity: 200.0")
    policies = compile_policies([("rules.yaml", rules)])
    clock = FakeClock(START)
    now_alone = FakeGrid({"DE": [500.0] * 72}, start=START - 2 * DAY, length=timedelta(0))
    context = GridContext(now_alone, RegionTable.of([RACK]), {})
    decides = replace(decider(clock, priced(ShippedPrices(), clock), context), policies=policies)

    record = decides.decide(asked(START))

    (waits,) = [each for each in record.candidates if each.id == QUEUED]
    assert waits.cost_usd is None
    assert record.candidates[0].cost_usd is not None


def test_a_plan_of_all_and_a_question_tell_the_same_cost_as_the_decision():
    clock = FakeClock(START)
    decides = decider(clock, priced(ShippedPrices(), clock))
    question = WhatIfQuestion("training", 48.0, 10.0, move_regions=False)

    record = decides.decide(asked(START))
    (row,) = plan_requests(decides, [asked(START)]).to_pylist()
    told = answer(decides, question)

    assert row["reason"] == ALONE
    assert row["chosen.start"] == record.decision.chosen.start
    assert row["chosen.cost_usd"] == record.decision.chosen.cost_usd
    assert told.decision.baseline.cost_usd == record.decision.baseline.cost_usd


def test_the_process_that_holds_a_run_prices_it_as_its_settings_say(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES.replace("own-rack", "europe-west3"))
    given = {"price_provider": "shipped", "priced_regions": "europe-west3=DE-LU"}
    settings = Settings(state=tmp_path / "state", policies=tmp_path / "rules.yaml", **given)
    clock = FakeClock(START)
    workload = replace(
        POLICIES.workloads["training"], home_region="europe-west3", allowed_regions=()
    )

    with pytest.raises(UsageError, match="GO0337"):
        LocalDecider(settings, clock)(asked(START), workload)
    record = LocalDecider(replace(settings, usd_per="EUR=1.1"), clock)(asked(START), workload)

    assert record.decision.baseline.cost_usd > 4.0


@pytest.mark.parametrize(
    ("given", "code"),
    [({"priced_regions": "europe-west33=DE-LU"}, "GO0804"), ({"usd_per": "GBP=1.27"}, "GO0337")],
)
def test_the_control_loop_does_not_start_on_settings_that_cannot_be(tmp_path, given, code):
    right = {"price_provider": "shipped", "priced_regions": "europe-west3=DE-LU"}
    settings = Settings(
        state=tmp_path / "state", policies=packaged("policies"), **{**right, **given}
    )

    with pytest.raises(UsageError, match=code):
        assemble(settings, FakeClock(START), Footprint(), None, None, lambda _: [])

    assert not (tmp_path / "state").exists()
