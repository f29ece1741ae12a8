"""Run while the grid is below a line, else wait: without a forecast, and never past the guard."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.domain.action import StartJob
from greenops.domain.record import canonical
from greenops.pipeline.decide import decide_again
from greenops.plan.threshold import QUEUED
from greenops.testing.grid import FakeGrid
from tests.integration.pipeline.test_replanning import FILE, KEY, NIGHT, USUAL, House, at

RULE = FILE.replace(
    "  objectives: [{name: cleanest, minimize: candidate.carbon_g}]",
    "  constraints: [{name: clean, level: hard, expression: candidate.intensity < 200.0}]",
)
LIMIT = FILE.replace("{reduction: 5%}", "{intensity: 200}")
TEMPLATE = FILE.replace(
    "{name: cleanest, minimize: candidate.carbon_g}",
    "{name: first, when: candidate.intensity < 200.0 && !(baseline.intensity < 200.0),"
    " minimize: (candidate.start - job.submitted).getSeconds()}",
)


class Hourly(FakeGrid):
    """A grid that tells how it is, and foretells nothing unless the test says so."""

    said = None

    def __init__(self, values):
        super().__init__({"DE": values})
        self.ahead = None

    def forecast(self, zone, when):
        if self.ahead is None:
            return FakeGrid({}).forecast(zone, when)
        return self.ahead


def house(state, file, values, **more):
    made = House(state, file, **more)
    made.use(Hourly([*values, *USUAL]))
    return made


def run_until_it_starts(house, step=timedelta(minutes=5)):
    """Tick on; when the loop's order says start."""
    house.submit()
    while house.clock.now() < (order := house.folder.order()).change.start_at:
        house.clock.advance(min(step, order.change.start_at - house.clock.now()))
        house.tick()
    return house.clock.now()


@pytest.mark.feature("B11", "C3")
@pytest.mark.parametrize("file", [RULE, LIMIT, TEMPLATE], ids=["rule", "limit", "template"])
def test_below_the_line_it_runs_now_else_it_waits_until_the_grid_is_below_it(tmp_path, file):
    clean = house(tmp_path / "clean", file, [150.0] * 24)
    dirty = house(tmp_path / "dirty", file, [310.0, 300.0, 290.0, 199.0, 150.0])

    assert clean.submit().chosen.start == NIGHT
    first = dirty.submit()
    assert (first.chosen.id, first.chosen.start) == (QUEUED, first.latest_safe_start)
    assert "310 g/kWh is too much" in first.reason
    assert "starts at 2021-10-08 11:00 UTC at the latest" in first.reason

    dirty.clock.advance(timedelta(hours=2, minutes=59))
    dirty.tick()
    assert dirty.in_force() == first
    dirty.clock.advance(timedelta(minutes=1))
    dirty.tick()

    second = dirty.in_force()
    assert second.supersedes == first.id
    assert second.chosen.start == dirty.ordered() == at(3)
    assert second.chosen.intensity == 199.0
    record = dirty.db.decision_of(KEY)
    assert canonical(decide_again(record, dirty.policies)) == canonical(record.decision)
    clean.close()
    dirty.close()


@pytest.mark.feature("B11", "C6")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(st.floats(1, 900), min_size=14, max_size=14))
def test_it_starts_in_the_first_hour_below_the_line_or_at_the_latest_safe_start(
    tmp_path_factory, values
):
    made = house(tmp_path_factory.mktemp("state"), RULE, values)

    started = run_until_it_starts(made, timedelta(minutes=30))

    below = [hour for hour in range(12) if values[hour] < 200]
    assert started == at(min(below[0], 11) if below else 11)
    assert isinstance(made.folder.order().change, StartJob)
    made.close()


def test_a_rule_that_compares_with_the_baseline_does_not_wait_blindly(tmp_path):
    made = house(tmp_path, FILE, [310.0] * 14)

    decision = made.submit()

    assert decision.chosen == decision.baseline
    assert decision.chosen.start == NIGHT
    made.close()


def test_what_no_grid_would_make_right_does_not_wait(tmp_path):
    made = house(
        tmp_path,
        RULE.replace("candidate.intensity < 200.0", "candidate.energy_kwh > 100.0"),
        [310.0] * 14,
    )

    assert made.submit().chosen.start == NIGHT
    made.close()


def test_a_wait_goes_on_where_the_grid_falls_silent_and_ends_at_the_latest_safe_start(tmp_path):
    made = house(tmp_path, RULE, [310.0, 300.0, *[None] * 12])

    assert run_until_it_starts(made) == at(11)
    assert made.in_force().chosen.id == QUEUED
    made.close()


@pytest.mark.parametrize("file", [LIMIT, TEMPLATE, RULE], ids=["limit", "template", "rule"])
def test_a_forecast_that_comes_ends_the_wait_for_a_plan(tmp_path, file):
    made = house(tmp_path, file, [310.0] * 6 + [150.0] * 8)
    made.submit()
    made.clock.advance(timedelta(hours=1))
    made.tick()
    values = [310.0] * 6 + [150.0] * 6 + [310.0] * 12
    made.grid.ahead = FakeGrid({"DE": values}, start=NIGHT).forecast("DE", at(1))

    made.tick()

    assert made.in_force().chosen.id == QUEUED if file is RULE else made.ordered() == at(6)
    assert run_until_it_starts(made) == at(6)
    made.close()
