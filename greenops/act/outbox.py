"""The outbox's logic: written before the call, at most one effect, bounded retries, no late ones.

    pending ──call──► sent ──receipt──► done | failed | expired
      └ ◄ ┘           └ ◄ ┘
      no answer: it stays, and waits longer each time, `MAX_ATTEMPTS` times

A row found `sent` after a crash, or that got no answer, may or may not have reached its target. It is
sent again: targets answer a known `Action.id` with the first receipt and change nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from greenops.domain.action import Action, Outcome, Receipt
from greenops.domain.outbox import OutboxRow, OutboxState, receipt

MAX_ATTEMPTS: Final = 5
"""Calls of a target that does not answer, before the action counts as failed."""
FIRST_WAIT: Final = timedelta(minutes=1)
"""Wait after the first call without an answer (simulated time); it doubles each time."""

FINAL: Final = frozenset({OutboxState.DONE, OutboxState.FAILED, OutboxState.EXPIRED})

ENDS: Final = {
    Outcome.APPLIED: OutboxState.DONE,
    Outcome.UNCHANGED: OutboxState.DONE,
    Outcome.EXPIRED: OutboxState.EXPIRED,
    Outcome.REFUSED: OutboxState.FAILED,
    Outcome.CONFLICT: OutboxState.FAILED,
    Outcome.FAILED: OutboxState.FAILED,
}
"""What a receipt makes of its action."""


class Step(StrEnum):
    """What to do with a row now."""

    SEND = "send"
    WAIT = "wait"
    EXPIRE = "expire"
    GIVE_UP = "give up"
    NOTHING = "nothing"


def written(action: Action, now: datetime) -> OutboxRow:
    """The row of a new action."""
    return OutboxRow(action=action, state=OutboxState.PENDING, updated=now)


def next_step(row: OutboxRow, now: datetime) -> Step:
    """What to do with a row at an instant; an expired action is never sent, not even again."""
    if row.state in FINAL:
        return Step.NOTHING
    if now > row.action.expires:
        return Step.EXPIRE
    if row.attempts >= MAX_ATTEMPTS:
        return Step.GIVE_UP
    if row.not_before is not None and now < row.not_before:
        return Step.WAIT
    return Step.SEND


def sent(row: OutboxRow, now: datetime) -> OutboxRow:
    """The row to keep durably before its target is called."""
    return replace(row, state=OutboxState.SENT, attempts=row.attempts + 1, updated=now)


def unanswered(row: OutboxRow, why: str, now: datetime) -> OutboxRow:
    """The row after a question or call without an answer: it waits, longer each time.

    One that was sent stays `sent`: it may have taken effect. One that was not is judged anew.
    """
    wait = FIRST_WAIT * 2 ** max(0, row.attempts - 1)
    return replace(row, error=why, not_before=now + wait, updated=now)


def settled(row: OutboxRow, got: Receipt, now: datetime) -> OutboxRow:
    """The row once its target gave a receipt."""
    return replace(
        row, state=ENDS[got.outcome], receipt=got, error=None, not_before=None, updated=now
    )


def expired(row: OutboxRow, now: datetime) -> OutboxRow:
    """The row of an action whose time is over."""
    detail = f"expired at {row.action.expires.isoformat()}, not carried out"
    if row.state is OutboxState.SENT:
        detail = f"expired at {row.action.expires.isoformat()}, no answer to the call before"
    return settled(row, receipt(row.action, Outcome.EXPIRED, detail), now)


def given_up(row: OutboxRow, now: datetime) -> OutboxRow:
    """The row of an action whose target never answered."""
    calls = "call" if row.attempts == 1 else "calls"
    detail = f"no answer in {row.attempts} {calls}: {row.error or 'stopped in the call'}"
    return settled(row, receipt(row.action, Outcome.FAILED, detail), now)
