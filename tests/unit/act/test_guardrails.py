"""What the loop may send by itself."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.act.guardrails import Guardrails, check_weights, refusal, step_towards
from greenops.act.keys import action_id, moved, scope_of
from greenops.domain.action import Action, SetWeights, StartJob
from greenops.testing.clock import START

HALF = SetWeights("search", {"de": 50, "se": 50})
ACTION = Action("a-1", "route-table", SetWeights("search", {"de": 40, "se": 60}), "d-1", START)
JOB = StartJob("night/1", START, START)


def test_a_small_step_after_the_dwell_is_sent():
    changes = [START - timedelta(minutes=30)]

    assert refusal(ACTION, HALF, changes, START, Guardrails()) is None


def test_recommend_sends_only_what_a_person_ordered():
    rails = Guardrails(mode="recommend")

    assert "not sent" in str(refusal(ACTION, HALF, [], START, rails))
    assert refusal(replace(ACTION, by_person=True), HALF, [], START, rails) is None


def test_a_great_step_is_refused_to_the_loop_and_not_to_a_person():
    far = replace(ACTION, change=SetWeights("search", {"de": 0, "se": 100}))

    assert "50 percentage points" in str(refusal(far, HALF, [], START, Guardrails()))
    assert refusal(replace(far, by_person=True), HALF, [], START, Guardrails()) is None


def test_a_loop_by_an_e_mail_address_as_name_is_no_person():
    named = replace(ACTION, actor="ops@example.com")
    far = replace(named, change=SetWeights("search", {"de": 0, "se": 100}))

    assert refusal(named, HALF, [], START, Guardrails(mode="recommend")) is not None
    assert refusal(far, HALF, [], START, Guardrails()) is not None


def test_a_second_change_waits_for_the_dwell():
    why = refusal(ACTION, HALF, [START - timedelta(minutes=29)], START, Guardrails())

    assert why == "changed 29 min ago, dwell is 30 min"


def test_the_seventh_change_of_a_day_is_refused():
    changes = [START - timedelta(hours=h) for h in range(1, 7)]

    assert "6 times" in str(refusal(ACTION, HALF, changes, START, Guardrails()))
    assert refusal(ACTION, HALF, changes[1:], START, Guardrails()) is None


def test_a_start_of_a_job_knows_no_dwell():
    assert refusal(replace(ACTION, change=JOB), None, [START], START, Guardrails()) is None


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ({}, "no backend"),
        ({"": 100}, "a backend without a name"),
        ({"de": 110, "se": -10}, "a share below zero"),
        ({"de": 50}, "weights sum to 50, not 100"),
        ({"de": 100}, None),
    ],
)
def test_weights_are_shares_that_sum_to_a_hundred(weights, why):
    assert check_weights(weights) == why


def test_wrong_weights_are_refused_to_a_person_too():
    wrong = replace(ACTION, change=SetWeights("search", {"de": 1}), by_person=True)

    assert refusal(wrong, HALF, [], START, Guardrails()) == "weights sum to 1, not 100"


SHARES = st.lists(st.integers(0, 100), min_size=2, max_size=2).map(sorted)
WEIGHTS = SHARES.map(lambda c: {"a": c[0], "b": c[1] - c[0], "c": 100 - c[1]})


@given(WEIGHTS, WEIGHTS, st.integers(1, 100))
def test_steps_are_small_sum_to_a_hundred_and_arrive(before, goal, most):
    at = dict(before)
    for _ in range(101):
        step = step_towards(at, goal, most)
        assert sum(step.values()) == 100
        assert min(step.values()) >= 0
        assert moved(at, step) <= most
        at = step

    assert moved(at, goal) == 0


def test_the_same_change_of_a_decision_has_one_key_and_others_have_their_own():
    key = action_id("d-1", "envoy", HALF)

    assert key == action_id("d-1", "envoy", SetWeights("search", {"se": 50, "de": 50}))
    others = {
        action_id("d-2", "envoy", HALF),
        action_id("d-1", "envoy", JOB),
        action_id("d-1", "route-table", HALF),
    }
    assert len(others - {key}) == 3


def test_the_scope_of_a_change_is_its_run_or_its_route():
    assert (scope_of(JOB), scope_of(HALF)) == ("night/1", "search")
