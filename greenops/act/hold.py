"""When a held run starts: at its planned time, never past its latest safe start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from greenops.domain.action import StartJob
from greenops.domain.decision import Decision, Mode

SHORTEST_MARGIN: Final = timedelta(seconds=0.25)
"""Wall time kept clear before a latest safe start, however little there is: claiming and starting
take a few milliseconds on an idle machine."""
LONGEST_MARGIN: Final = timedelta(seconds=10)
"""Wall time that is enough to claim and start on a machine that stands still for seconds."""
MARGIN_SHARE: Final = 0.01
"""Part of the time until the latest safe start that is kept clear, between those two."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What a holder waits for (simulated time).

    Attributes:
        start_at: Planned start; in the past means at once.
        latest_safe_start: Start after which the P95 run misses its deadline; none: no deadline.
        why: One sentence for a person.
        decision_id: Decision behind it; none where none was made.
        action_id: Order that is obeyed; none where none came.
    """

    start_at: datetime
    latest_safe_start: datetime | None
    why: str
    decision_id: str | None = None
    action_id: str | None = None


def at_once(now: datetime, why: str) -> Hold:
    """Start now, because nothing better is known."""
    return Hold(start_at=now, latest_safe_start=None, why=why)


def hold_for(decision: Decision, now: datetime, mode: str = "act") -> Hold:
    """What a decision means for its run.

    A decision that must not act (audit, shadow, hold-out, mode `recommend`) leaves the run where it
    would have been without GreenOps.
    """
    acts = decision.mode is Mode.ENFORCE and not decision.held_out and mode == "act"
    placed = decision.chosen if acts else decision.baseline
    return Hold(
        start_at=placed.start or now,
        latest_safe_start=decision.latest_safe_start,
        why=decision.reason if acts else f"as without GreenOps ({_idle_reason(decision, mode)})",
        decision_id=decision.id,
    )


def _idle_reason(decision: Decision, mode: str) -> str:
    if decision.held_out:
        return "in the hold-out"
    return f"policy mode {decision.mode}" if decision.mode is not Mode.ENFORCE else f"mode {mode}"


def obey(hold: Hold, order: StartJob, action_id: str, decision_id: str) -> Hold:
    """The hold after an order: its start counts, but a known latest safe start never moves later."""
    known = [at for at in (hold.latest_safe_start, order.latest_safe_start) if at is not None]
    return replace(
        hold,
        start_at=order.start_at,
        latest_safe_start=min(known),
        decision_id=decision_id,
        action_id=action_id,
    )


def margin_of(hold: Hold, now: datetime, rate: float = 1.0) -> timedelta:
    """Time to keep clear before the latest safe start: a hundredth of what is left, within bounds.

    Args:
        hold: What is waited for.
        now: Simulated instant at which the wait begins.
        rate: Simulated seconds per wall second; what starting takes, it takes on the wall clock.

    Returns:
        Simulated time; the least where there is no deadline (an order may bring one).
    """
    share = timedelta()
    if hold.latest_safe_start is not None:
        share = (hold.latest_safe_start - now) / rate * MARGIN_SHARE
    return min(max(share, SHORTEST_MARGIN), LONGEST_MARGIN) * rate


def remaining(hold: Hold, now: datetime, margin: timedelta = timedelta()) -> timedelta:
    """How long to wait still; zero or less means start.

    Args:
        hold: What is waited for.
        now: Simulated instant.
        margin: Simulated time that claiming and starting may take, kept clear of the latest start.
    """
    until = hold.start_at
    if hold.latest_safe_start is not None:
        until = min(until, hold.latest_safe_start - margin)
    return until - now


def on_time(hold: Hold, started: datetime) -> bool | None:
    """Whether a start kept its latest safe start; none where there is no deadline."""
    return None if hold.latest_safe_start is None else started <= hold.latest_safe_start
