"""Stable keys: the same change of a target by a decision is the same action, whoever asks again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from greenops.domain.action import SetWeights, StartJob
from greenops.domain.record import canonical


def action_id(decision_id: str, target: str, change: StartJob | SetWeights) -> str:
    """Idempotency key: `act-` and 128 bits of SHA-256 over decision, target and change.

    One decision may change several targets alike; each of these is an action of its own.
    """
    words = f"{decision_id}\0{target}\0{type(change).__name__}\0"
    return f"act-{hashlib.sha256(words.encode() + canonical(change)).hexdigest()[:32]}"


def scope_of(change: StartJob | SetWeights) -> str:
    """What a change is about: the run key or the route."""
    match change:
        case StartJob():
            return change.run_key
        case SetWeights():
            return change.route


def moved(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Largest change of one backend's share [percentage points]."""
    backends = {*before, *after}
    return max((abs(after.get(b, 0) - before.get(b, 0)) for b in backends), default=0)
