"""When a held run starts."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.act.hold import Hold, at_once, hold_for, margin_of, obey, on_time, remaining
from greenops.domain.action import StartJob
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.workload import Limits
from greenops.testing.clock import START

HOUR = timedelta(hours=1)
DECISION = Decision(
    id="d-1",
    job_id="night/1",
    workload="night",
    decided_at=START,
    chosen=Candidate("later", start=START + 3 * HOUR),
    baseline=Candidate("now", start=START + HOUR),
    runner_up=None,
    rejected={},
    warned={},
    reason="cleaner then",
    mode=Mode.ENFORCE,
    policies=(),
    policy_hash="0",
    objective=None,
    limits=Limits(),
    deadline=None,
    latest_safe_start=START + 5 * HOUR,
    forecast_ids={},
    replay=False,
)


def test_a_decision_in_force_holds_until_its_start():
    hold = hold_for(DECISION, START)

    assert (hold.start_at, hold.latest_safe_start) == (START + 3 * HOUR, START + 5 * HOUR)
    assert (hold.why, hold.decision_id) == ("cleaner then", "d-1")


@pytest.mark.parametrize(
    ("decision", "mode", "why"),
    [
        (replace(DECISION, held_out=True), "act", "in the hold-out"),
        (replace(DECISION, mode=Mode.SHADOW), "act", "policy mode shadow"),
        (replace(DECISION, mode=Mode.AUDIT), "act", "policy mode audit"),
        (DECISION, "recommend", "mode recommend"),
    ],
)
def test_a_decision_that_must_not_act_leaves_the_run_where_it_was(decision, mode, why):
    hold = hold_for(decision, START, mode)

    assert hold.start_at == START + HOUR
    assert why in hold.why


def test_a_choice_without_a_start_starts_now():
    now = replace(DECISION, chosen=Candidate("any"))

    assert hold_for(now, START).start_at == START


def test_an_order_moves_the_start_but_never_the_latest_safe_start_later():
    order = StartJob("night/1", START, START + 9 * HOUR)

    hold = obey(hold_for(DECISION, START), order, "a-2", "d-2")

    assert (hold.start_at, hold.latest_safe_start) == (START, START + 5 * HOUR)
    assert (hold.action_id, hold.decision_id) == ("a-2", "d-2")


def test_without_a_decision_it_starts_at_once_and_knows_no_deadline():
    hold = at_once(START, "no data")

    assert remaining(hold, START) == timedelta()
    assert on_time(hold, START) is None


@pytest.mark.feature("C6", "B1")
@given(st.integers(-1000, 1000), st.none() | st.integers(-1000, 1000), st.integers(0, 60))
def test_a_hold_never_passes_the_latest_safe_start(start, latest, margin):
    bound = None if latest is None else START + timedelta(minutes=latest)
    hold = Hold(START + timedelta(minutes=start), bound, "why")

    started = max(START, START + remaining(hold, START, timedelta(minutes=margin)))

    assert bound is None or started == START or started + timedelta(minutes=margin) <= bound
    assert started == START or started <= hold.start_at
    assert isinstance(started, datetime)


@pytest.mark.feature("C6")
@pytest.mark.parametrize(
    ("left", "rate", "wall_s"),
    [
        pytest.param(12 * HOUR, 1, 10, id="a night: as long as a machine may stand still"),
        pytest.param(0.1 * HOUR, 1, 3.6, id="minutes: a hundredth"),
        pytest.param(timedelta(seconds=5), 1, 0.25, id="seconds: what starting takes"),
        pytest.param(-HOUR, 1, 0.25, id="late already"),
        pytest.param(12 * HOUR, 1440, 0.3, id="a night in half a minute: its hundredth"),
    ],
)
def test_a_hundredth_of_the_wait_is_kept_clear_on_the_wall_clock(left, rate, wall_s):
    hold = Hold(START, START + left, "why")

    assert margin_of(hold, START, rate) / rate == timedelta(seconds=wall_s)


def test_a_hold_without_a_deadline_keeps_the_least_clear():
    assert margin_of(at_once(START, "no data"), START) == timedelta(seconds=0.25)


def test_a_start_after_the_latest_safe_start_is_late():
    hold = hold_for(DECISION, START)

    assert on_time(hold, START + 5 * HOUR)
    assert not on_time(hold, START + 5 * HOUR + timedelta(seconds=1))
