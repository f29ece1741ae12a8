"""What is left of a limit, slot by slot, and the soonest that a job fits into it.

Whoever comes first takes the soonest room: this is what happens without a plan, and what remains to a job that a
plan has no room for before its deadline.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from greenops.plan.slot_table import Floats

ROUNDING: Final = 1e-9
"""Share of the largest limit that may be a rounding of sums."""


@dataclass(slots=True, eq=False)
class Room:
    """What is left in each slot, in the unit of the limit (kW, or jobs), shape (slot,)."""

    left: Floats
    slack: float

    @classmethod
    def of(cls, limit: ArrayLike, slots: int) -> Room:
        """Room of slots that nobody uses."""
        left = np.array(np.broadcast_to(np.asarray(limit, dtype=float), slots))
        return cls(left, ROUNDING * float(left.max(initial=0.0)))

    def take(self, slots: Sequence[int] | NDArray[np.intp], size: float) -> None:
        """Use so much of each of some slots."""
        self.left[slots] -= size

    def fits(self, first: int, after: int, size: float) -> NDArray[np.bool_]:
        """Is there room for a job of a size in each slot of `[first, after)`?"""
        return np.asarray(self.left[first:after] >= size - self.slack)

    def soonest(self, first: int, count: int, size: float, *, pieces: bool) -> list[int]:
        """The slots from `first` on in which a job is done soonest; empty: there are not enough."""
        first = min(first, len(self.left))
        able = self.fits(first, len(self.left), size)
        if pieces:
            some = np.flatnonzero(able)[:count]
            return (first + some).tolist() if len(some) == count else []
        if len(able) < count:
            return []
        shut = np.concatenate([[0], np.cumsum(~able)])
        begins = np.flatnonzero(shut[count:] == shut[:-count])
        return [first + int(begins[0]) + k for k in range(count)] if len(begins) else []


def first_come(
    room: Room,
    order: Iterable[int],
    first: Sequence[int],
    count: Sequence[int],
    size: Sequence[float],
    pieces: Sequence[bool],
) -> dict[int, list[int]]:
    """The slots of each job of `order`, each in the soonest room that those before it left.

    Args:
        room: What there is; what the jobs take is taken from it.
        order: Jobs, who comes first.
        first: First slot that each may run in.
        count: Slots that each needs.
        size: What each takes of a slot, in the unit of the room.
        pieces: May it run in slots that do not touch?

    Returns:
        Job → its slots; empty where the room ends before it is done.
    """
    found = {}
    for job in order:
        slots = room.soonest(first[job], count[job], size[job], pieces=pieces[job])
        room.take(slots, size[job])
        found[job] = slots
    return found
