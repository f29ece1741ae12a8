"""Stable keys: the same change of the same decision is the same action, whoever asks again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from greenops.domain.action import SetWeights, StartJob
from greenops.domain.record import canonical


def action_id(decision_id: str, change: StartJob | SetWeights) -> str:
    """Idempotency key of a change: `act-` and 128 bits of SHA-256 over decision and change."""
    seed = decision_id.encode() + b"\0" + type(change).__name__.encode() + b"\0"
    return f"act-{hashlib.sha256(seed + canonical(change)).hexdigest()[:32]}"


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
