"""A decision on a forecast that only stood in says so, and is made all the same."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import timedelta

import pytest

from greenops.cli.decisions import explain
from greenops.config import Settings
from greenops.domain.console import JobRequest
from greenops.domain.decision import Decision
from greenops.domain.grid import Region
from greenops.domain.record import canonical, parse
from greenops.grid.regions import RegionTable
from greenops.pipeline.decide import Decider, decide_again
from greenops.pipeline.grid import fresh_factors
from greenops.pipeline.grid_context import GridContext
from greenops.policy import compile_policies
from greenops.testing.clock import FakeClock
from tests.unit.pipeline.grid_chains import AWAY, DAY, HOUR, NOW, chain, day, grid

POLICIES = compile_policies(
    [
        (
            "night.yaml",
            """
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: night, owners: [a@example.com]}
spec:
  kind: batch
  urgency: deferrable
  deadline: {within: 20h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 1%}
  durationP95: 1h
  energyKwh: 10
  homeRegion: r
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: [a@example.com]}
spec:
  match: [{name: all, expression: "true"}]
  constraints: [{name: known, level: hard, expression: has(candidate.carbon_g)}]
  objectives: [{name: clean, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
""",
        )
    ]
)
REGIONS = RegionTable.of(
    [
        Region("r", "aws", "EU", "DE", 1.2, "test", {"ondemand": 0.1}, 0.02, "test"),
        Region("s", "aws", "EU", "FR", 1.2, "test", {"ondemand": 0.1}, 0.02, "test"),
    ]
)


@pytest.fixture
def house(tmp_path):
    provider, clock = grid(), FakeClock(NOW)
    made = chain(tmp_path, provider, clock=clock)
    context = GridContext(made, REGIONS, {"r": (200.0, "test")})
    return provider, clock, context, Decider(Settings(), clock, POLICIES, context)


def decided(clock, decider, key="night/1"):
    return decider.decide(JobRequest("night", key, clock.now()))


@pytest.mark.feature("B12")
def test_in_an_outage_a_decision_is_still_made_and_says_what_it_rests_on(house):
    provider, clock, _, decider = house
    decided(clock, decider)
    provider.fault = AWAY
    clock.advance(3 * DAY)

    record = decided(clock, decider, "night/2")

    made = record.decision
    assert made.chosen.start == NOW + 3 * DAY + 12 * HOUR
    assert "usual course" in made.degraded["DE"]
    assert "degraded       DE: usual course" in explain(record)
    assert made.chosen.carbon_low_g <= made.chosen.carbon_g <= made.chosen.carbon_high_g
    assert decide_again(record, POLICIES) == made
    assert parse(Decision, canonical(made)) == made


def test_a_decision_on_what_was_asked_for_says_nothing_of_it(house):
    _, clock, _, decider = house

    record = decided(clock, decider)

    assert record.decision.degraded is None
    assert b"degraded" not in canonical(record.decision)
    assert "degraded" not in explain(record)


def test_without_any_past_an_outage_leaves_the_run_as_it_was(house):
    provider, clock, _, decider = house
    provider.fault = AWAY

    record = decided(clock, decider)

    assert record.decision.chosen == record.decision.baseline
    assert record.decision.forecast_ids == {}


def test_only_zones_that_a_run_may_go_to_are_asked_for(house):
    provider, clock, _, decider = house

    decided(clock, decider)

    assert {zone for what, zone in provider.asked if what == "forecast"} == {"DE"}


def test_services_account_on_in_an_outage(house):
    provider, clock, context, _ = house
    provider.fault = AWAY

    table = fresh_factors(context, clock)

    assert table.regions["r"].series is None
    assert table.regions["r"].annual == 200.0
    provider.fault = None
    clock.advance(timedelta(minutes=20))
    assert fresh_factors(context, clock).regions["r"].series.values[0] == day()[18]
