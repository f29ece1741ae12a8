"""What a run is credited with: where it ran, when it was moved, with ranges that add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.grid import Region
from greenops.domain.record import plain
from greenops.domain.spans import SpanRow
from greenops.domain.workload import Limits
from greenops.errors import DataMissing
from greenops.grid.regions import RegionTable
from greenops.pipeline.grid import GridContext
from greenops.pipeline.outcomes import energy_of, outcome_of
from greenops.pipeline.published import factors_version
from greenops.prove.evidence import recompute
from greenops.testing.grid import FakeGrid

T0 = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def region(name, zone):
    return Region(
        id=name,
        provider="p",
        location=name,
        zone=zone,
        pue=1.2,
        pue_source="made up",
        usd_per_hour={},
        usd_per_gb=0.0,
        price_source="made up",
    )


GRID = GridContext(
    FakeGrid({"HOME": [400 - 10 * n for n in range(24)], "NORTH": [20.0] * 24}),
    RegionTable.of([region("home", "HOME"), region("north", "NORTH")]),
    {},
)
BASELINE = Candidate(id="baseline", region="home", start=T0 + HOUR)
LATER = Candidate(id="home/later", region="home", start=T0 + 9 * HOUR)
NORTH = Candidate(id="north/now", region="north", start=T0 + HOUR)


def decided(chosen, **given):
    made = Decision(
        id="dec-1",
        job_id="w/1",
        workload="w",
        decided_at=T0,
        chosen=chosen,
        baseline=BASELINE,
        runner_up=None,
        rejected={},
        warned={},
        reason="",
        mode=Mode.ENFORCE,
        policies=(),
        policy_hash="",
        objective=None,
        limits=Limits(),
        deadline=None,
        latest_safe_start=None,
        forecast_ids={},
        replay=False,
    )
    return replace(made, **given)


def span(start=T0 + 9 * HOUR, **given):
    made = SpanRow(
        trace_id="t",
        span_id="root",
        parent_id=None,
        service="w",
        instance="w-1",
        workload="w",
        name="run w",
        kind="SERVER",
        start=start,
        end=start + HOUR,
        time=start + HOUR,
        energy_j=3.6e6,
        energy_low_j=3.0e6,
        energy_high_j=4.0e6,
        carbon_g=None,
        cost_usd=None,
        method="modeled",
        unknown=None,
        region="home",
        grid_zone="HOME",
        decision_id="dec-1",
        attributes={"cicd.pipeline.run.id": '"w/1"'},
    )
    return replace(made, **given)


def outcome(decision, *spans, grid=GRID):
    return outcome_of(decision, "start:w/1", spans, lambda _: list(spans), grid, None)


def test_a_run_that_waited_is_credited_with_the_hours_between():
    found = outcome(decided(LATER), span())

    assert found.baseline.start == BASELINE.start
    assert found.avoided.estimate == pytest.approx(1.2 * (390 - 310))
    assert recompute(plain(found)) == []


def test_a_run_is_credited_with_the_region_it_ran_in_and_not_with_the_one_decided_for():
    found = outcome(decided(NORTH), span(start=T0 + HOUR, region="home"))

    assert found.chosen.region == "home"
    assert found.avoided.estimate == 0


def test_a_run_that_says_no_region_or_two_has_no_outcome():
    other = span(span_id="second", region="north")

    assert outcome(decided(LATER), span(region=None)) is None
    assert outcome(decided(LATER), span(), other) is None


def test_a_run_in_a_region_nobody_knows_says_which():
    with pytest.raises(DataMissing, match="GO0306 region `mars`"):
        outcome(decided(LATER), span(region="mars"))


@pytest.mark.parametrize(
    "decision",
    [
        decided(BASELINE),
        decided(LATER, mode=Mode.SHADOW),
        decided(LATER, held_out=True),
    ],
    ids=["not moved", "shadow", "hold-out"],
)
def test_a_run_that_was_not_moved_avoids_nothing_however_late_it_was_triggered(decision):
    found = outcome(decision, span(start=T0 + 3.4 * HOUR))

    assert found.baseline.start == found.chosen.start == T0 + 3.4 * HOUR
    assert found.avoided.estimate == found.avoided.low == found.avoided.high == 0
    assert found.held_out is decision.held_out


def test_ranges_of_spans_add_up():
    found = outcome(decided(LATER), span(), span(span_id="child", attributes={}))

    assert found.energy.low == pytest.approx(2 * 3.0e6 / 3.6e6)
    assert found.energy.high == pytest.approx(2 * 4.0e6 / 3.6e6)
    assert recompute(plain(found)) == []


@pytest.mark.parametrize("lacking", ["energy_low_j", "energy_high_j"])
def test_a_run_with_a_span_of_which_nobody_says_a_range_has_none(lacking):
    bare = span(span_id="child", attributes={}, **{lacking: None})

    found = outcome(decided(LATER), span(), bare)

    assert found.energy.estimate == pytest.approx(2.0)
    assert (found.energy.low, found.energy.high) == (None, None)
    assert found.avoided.estimate == pytest.approx(2 * 1.2 * (390 - 310))
    assert (found.avoided.low, found.avoided.high) == (None, None)
    assert recompute(plain(found)) == []


def test_a_run_that_was_not_moved_avoids_exactly_nothing_whatever_its_energy():
    bare = span(start=T0 + HOUR, energy_low_j=None, energy_high_j=None)

    found = outcome(decided(BASELINE), bare)

    assert found.avoided.estimate == found.avoided.low == found.avoided.high == 0


def test_what_knows_no_energy_has_none_and_adds_none():
    unknown = span(energy_j=None, energy_low_j=1.0, energy_high_j=9e9)

    assert energy_of([unknown]) is None
    assert energy_of([span(), unknown]).high == pytest.approx(4.0e6 / 3.6e6)


def test_an_outcome_names_the_factors_it_rests_on():
    assert outcome(decided(LATER), span()).factors_version == factors_version(GRID)
    assert len(factors_version(GRID)) == 64
