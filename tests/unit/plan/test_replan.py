"""When a start that is planned gives way, as a rule of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.decision import Candidate, Decision, Mode, Verdict
from greenops.domain.grid import Forecast
from greenops.domain.workload import Limits
from greenops.plan.replan import Steadiness, may_change, news, worth_it
from greenops.testing.grid import KIND
from greenops.units import Grams

HOUR = timedelta(hours=1)
NOW = datetime(2021, 10, 8, tzinfo=UTC)
STEADY = Steadiness()


def way(hour, carbon=100.0, name=None):
    start = NOW + hour * HOUR
    return Candidate(
        name or f"at-{hour}", region="r", pool="p", zone="DE", start=start, carbon_g=Grams(carbon)
    )


def decision(chosen, **more):
    made = Decision(
        id="d",
        job_id="w/1",
        workload="w",
        decided_at=NOW,
        chosen=chosen,
        baseline=way(-1, name="baseline"),
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
        latest_safe_start=NOW + 12 * HOUR,
        forecast_ids={"DE": "old"},
        replay=False,
    )
    return replace(made, **more)


def fine(name, score, *, allowed=True):
    return Verdict(name, allowed=allowed, score=(score, 0.0))


def forecast(name, zone="DE", degraded=None):
    return Forecast(zone, KIND, NOW, HOUR, (), issued_at=NOW, id=name, degraded=degraded)


def change(planned, chosen, *verdicts, ways=(), steadiness=STEADY, **more):
    held, fresh = decision(planned), decision(chosen, **more)
    return worth_it(held, fresh, [*ways, planned, chosen], verdicts, steadiness)


@pytest.mark.feature("C5")
@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1))
def test_a_change_gains_more_than_the_margin_of_what_was_planned(before, after, margin):
    steadiness = Steadiness(margin=margin)
    verdicts = fine("at-5", before), fine("at-8", after)

    moved = change(way(5), way(8), *verdicts, steadiness=steadiness)

    assert moved == (before - after > margin * before)


def test_a_start_that_the_rules_refuse_by_now_gives_way_whatever_it_gains():
    assert change(way(5), way(8), fine("at-5", 1, allowed=False), fine("at-8", 9))


def test_where_nothing_is_open_a_run_waits_unless_its_place_is_cleaner_at_once():
    shut = [fine(each, 1, allowed=False) for each in ("at-5", "at-0")]
    past = way(-1, name="baseline")

    assert not change(way(5), past, *shut, ways=[way(0, 100)])
    assert change(way(5, 120), past, *shut, ways=[way(0, 100)])
    assert not change(way(5), past, *shut)


def test_a_start_after_the_latest_safe_one_that_was_promised_never_takes_its_place():
    assert not change(way(5), way(13), fine("at-5", 9), fine("at-13", 1))


def test_a_start_that_cannot_be_compared_or_is_the_same_stays():
    held, fresh = decision(way(5)), decision(way(8))

    assert not worth_it(held, fresh, [way(8)], [fine("at-8", 1)], STEADY)
    assert not change(way(5), way(5), fine("at-5", 1))
    assert not change(way(5), way(8), fine("at-5", float("nan")), fine("at-8", 1))


def test_what_does_not_act_by_now_takes_no_place():
    verdicts = fine("at-5", 9), fine("at-8", 1)

    assert not change(way(5), way(8), *verdicts, mode=Mode.SHADOW)
    assert not change(way(5), way(8), *verdicts, held_out=True)


@pytest.mark.feature("C5")
@pytest.mark.parametrize(
    ("more", "after", "may"),
    [
        ({}, HOUR, True),
        ({}, 5 * HOUR, False),
        ({"mode": Mode.AUDIT}, HOUR, False),
        ({"held_out": True}, HOUR, False),
        ({"supersedes": "d-0"}, HOUR / 2, False),
        ({"supersedes": "d-0"}, HOUR, True),
    ],
    ids=["first", "started", "audit", "held out", "within its dwell", "after its dwell"],
)
def test_a_decision_may_be_replaced_while_it_waits_and_after_its_dwell(more, after, may):
    assert may_change(decision(way(5), **more), NOW + after, STEADY) is may


def test_only_a_later_forecast_of_the_chosen_place_is_news():
    held = decision(way(5))

    assert news(held, {"DE": forecast("new")}) == {"new"}
    assert news(held, {"DE": forecast("old")}) == frozenset()
    assert news(held, {}) == frozenset()
    assert news(held, {"FR": forecast("new", "FR")}) == frozenset()
    assert news(held, {"DE": forecast("new", degraded="of the season")}) == frozenset()
