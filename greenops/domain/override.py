"""A person's word to run now: who said so, why, until when it counts, and what it put aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from greenops.domain.action import Action, Receipt


class OverrideState(StrEnum):
    """How far an override came; all but the first two are its end."""

    WAITING = "waiting"
    """No run of it is held yet; the next one is."""
    ORDERED = "ordered"
    """Its run is ordered to start at once."""
    STARTED = "started"
    """Its run started after the order."""
    MISSED = "missed"
    """Its run started before the order came."""
    REFUSED = "refused"
    """Its run's target did not carry the order out."""
    LIFTED = "lifted"
    """A person took it back before its run started."""
    LAPSED = "lapsed"
    """Its time was over before its run started."""


OPEN: Final = frozenset({OverrideState.WAITING, OverrideState.ORDERED})


@dataclass(frozen=True, slots=True)
class OverrideOrder:
    """A person wants a run to start now.

    Attributes:
        run_key: Which run; none: the one that is held, else the next one of the workload.
        for_s: How long it counts (simulated time) [s].
        id: Name that its sender gave it, so that the same sent twice is one; empty: a new one.
    """

    workload: str
    who: str
    why: str
    for_s: float = 7200.0
    run_key: str | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Overrode:
    """What an override put aside: the start that the run's decision meant.

    Attributes:
        start_at: Start that was planned (simulated time).
        latest_safe_start: Still holds; none: no deadline.
        reason: The decision's own sentence.
    """

    decision_id: str
    start_at: datetime
    latest_safe_start: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Override:
    """An override as it stands; all instants in simulated time.

    Attributes:
        run_key: Its run; none while it waits for any.
        overrode: What it put aside; none before its run is known.
        action: The order; none before its run is known.
        receipt: What the target made of it; none before it answered.
        ended_at: When it was over; none while it is open.
        ended_by: Who lifted it; none where nobody did.
    """

    id: str
    workload: str
    who: str
    why: str
    at: datetime
    until: datetime
    state: OverrideState = OverrideState.WAITING
    run_key: str | None = None
    overrode: Overrode | None = None
    action: Action | None = None
    receipt: Receipt | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A run that a `greenops run` holds right now.

    Attributes:
        start_at: Start it waits for (simulated time).
        latest_safe_start: None: no deadline.
    """

    run_key: str
    workload: str
    decision_id: str
    start_at: datetime
    latest_safe_start: datetime | None = None
