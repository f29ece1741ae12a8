"""What the outbox does with a row, at every instant and in every state."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.act.outbox import (
    FINAL,
    FIRST_WAIT,
    MAX_ATTEMPTS,
    Step,
    expired,
    given_up,
    next_step,
    sent,
    settled,
    unanswered,
    written,
)
from greenops.domain.action import Action, Outcome, SetWeights
from greenops.domain.outbox import OutboxState, receipt
from greenops.testing.clock import START

HOUR = timedelta(hours=1)
ACTION = Action("a-1", "fake", SetWeights("search", {"de": 100}), "d-1", START + HOUR)
ROW = written(ACTION, START)


@given(
    st.sampled_from(OutboxState),
    st.integers(0, 10),
    st.integers(-120, 120),
    st.none() | st.integers(-120, 120),
)
def test_nothing_is_sent_that_is_final_expired_or_tried_too_often(state, tries, minutes, wait):
    now = START + timedelta(minutes=minutes)
    not_before = None if wait is None else START + timedelta(minutes=wait)

    step = next_step(replace(ROW, state=state, attempts=tries, not_before=not_before), now)

    assert (step is Step.NOTHING) == (state in FINAL)
    if step is Step.SEND:
        assert now <= ACTION.expires
        assert tries < MAX_ATTEMPTS
        assert not_before is None or now >= not_before


def test_waits_double_with_each_unanswered_call():
    row, waits = ROW, []
    for _ in range(3):
        row = unanswered(sent(row, START), "down", START)
        assert row.not_before
        waits.append(row.not_before - START)

    assert waits == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]


def test_a_row_without_an_answer_says_still_whether_it_was_sent():
    asked, called = unanswered(ROW, "down", START), unanswered(sent(ROW, START), "down", START)

    assert (asked.state, called.state) == (OutboxState.PENDING, OutboxState.SENT)


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_ends_an_action(outcome):
    row = settled(sent(ROW, START), receipt(ACTION, outcome, "so"), START)

    assert row.state in FINAL
    assert row.receipt is not None


def test_a_receipt_says_whether_a_late_action_may_have_been_called():
    never, once = expired(ROW, START), expired(sent(ROW, START), START)

    assert never.receipt
    assert once.receipt
    assert "not carried out" in never.receipt.detail
    assert "no answer to the call before" in once.receipt.detail


def test_giving_up_says_how_often_and_why():
    row = given_up(unanswered(sent(ROW, START), "down", START), START)

    assert row.receipt
    assert row.receipt.detail == "no answer in 1 call: down"
