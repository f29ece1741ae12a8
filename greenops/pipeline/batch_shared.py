"""Jobs that share a limit: the best placement where that is found exactly, else a good one with its gap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.pipeline.batch_draft import Draft, Why
from greenops.pipeline.batch_limits import Limits, Shared
from greenops.plan.capacity import SharedSlots, least_possible, share_slots, slot_prices
from greenops.plan.capacity_prices import PowerPlan, place_under_caps
from greenops.plan.first_come import Room, first_come
from greenops.plan.slot_table import QUANTA, BatchJobs, Floats, Ints, SlotTable
from greenops.plan.windows import NONE, best_windows

BEYOND: Final = timedelta(days=7)
"""How far past the forecasts room is looked for, for jobs that are late."""


@dataclass(frozen=True, slots=True)
class SharedPlace:
    """How a limit was shared.

    Attributes:
        place: Region or grid zone.
        jobs: Jobs that ask for it.
        at_once: Jobs that it bears at once, where they draw the same power.
        cap_kw: Most power of all together [kW].
        exact: Is it the best placement of the planned jobs?
        gap: Most that the best placement of the planned jobs could be below this one, as a share, both in whole
            slots; none where no bound is known.
        without_room: Jobs that there is no room for.
    """

    place: str
    jobs: int
    at_once: int | None
    cap_kw: float | None
    exact: bool
    gap: float | None
    without_room: int


def plan_shared(draft: Draft, shared: Shared, limits: Limits) -> SharedPlace:
    """Plan the jobs of one place under its limit, in whole slots; those without room are told."""
    pool = _Pool.of(draft, shared, limits)
    pool.baseline()
    able = pool.able()
    gap = (_exact if shared.exact else _approximate)(pool, able)
    _late(pool)
    lacking = [job for job in shared.jobs if draft.why.get(job) in {Why.ROOM, Why.LIMIT}]
    at_once = None if shared.power_kw is None else limits.at_once(shared.power_kw)
    return SharedPlace(
        shared.place, len(shared.jobs), at_once, limits.cap_kw, shared.exact, gap, len(lacking)
    )


@dataclass(slots=True, eq=False)
class _Pool:
    """One place, in slots.

    Attributes:
        size: What each job takes of a slot, in the unit of `limit`; by place in the file.
        limit: Jobs, or kW, that a slot bears.
        first, after, count: First slot of each job's window, the one after its last, and slots it needs.
        room: What the plan leaves of it.
    """

    draft: Draft
    shared: Shared
    size: Floats
    limit: float
    first: Ints
    after: Ints
    count: Ints
    room: Room

    @classmethod
    def of(cls, draft: Draft, shared: Shared, limits: Limits) -> _Pool:
        """The place before anything runs there."""
        step, asked = draft.step_s, draft.asked
        if shared.power_kw is None:
            size, limit = np.array([job.power_kw for job in draft.jobs]), float(limits.cap_kw or 0)
        else:
            size, limit = np.ones(len(draft.jobs)), float(limits.at_once(shared.power_kw))
        first = np.maximum(-(-asked.earliest_s // step), 0)
        after = np.minimum(asked.deadline_s // step, draft.foretold.table.slots)
        slots = draft.foretold.table.slots + int(BEYOND.total_seconds()) // step
        return cls(draft, shared, size, limit, first, after, draft.slots, Room.of(limit, slots))

    @property
    def table(self) -> SlotTable:
        """The table of all zones."""
        return self.draft.foretold.table

    def baseline(self) -> None:
        """At once means as soon as there is room, for whoever came first."""
        order = sorted(self.shared.jobs, key=lambda job: int(self.draft.asked.earliest_s[job]))
        room = Room.of(self.limit, len(self.room.left))
        for job, slots in self.soonest(room, order).items():
            if slots:
                self.draft.baseline[job] = self.draft.pieces_of_slots(job, slots)

    def soonest(self, room: Room, order: Iterable[int]) -> dict[int, list[int]]:
        """Slots of jobs in the room that is left, one after the other."""
        pieces = [job.interruptible for job in self.draft.jobs]
        return first_come(
            room, order, self.first.tolist(), self.count.tolist(), self.size.tolist(), pieces
        )

    def able(self) -> NDArray[np.intp]:
        """The jobs that could run in their windows if they were alone; the others are told why not."""
        jobs = np.array(self.shared.jobs)
        step = self.draft.step_s
        asked = self.draft.asked
        slots = BatchJobs(
            asked.zone[jobs],
            self.first[jobs] * step,
            self.after[jobs] * step,
            self.count[jobs] * step,
        )
        runs = best_windows(self.table, slots).found
        free = np.array([self.draft.jobs[job].interruptible for job in self.shared.jobs])
        runs |= free & (self.may(jobs).sum(axis=1) >= self.count[jobs])
        self.draft.not_planned(jobs[~runs].tolist(), in_slots=True)
        large = runs & (self.size[jobs] > self.limit * (1 + 1e-9))
        self.draft.why |= dict.fromkeys(jobs[large].tolist(), Why.LIMIT)
        return np.asarray(jobs[runs & ~large])

    def may(self, jobs: NDArray[np.intp]) -> NDArray[np.bool_]:
        """May each job run in each slot, shape (job, slot)?"""
        slot = np.arange(self.table.slots)
        inside = (slot >= self.first[jobs][:, None]) & (slot < self.after[jobs][:, None])
        row = int(self.draft.asked.zone[self.shared.jobs[0]])
        shut = self.table.gap_rows(np.array([row * (self.table.slots + 1)]), self.table.slots)[0]
        return np.asarray(inside & ~shut)

    def place(self, job: int, slots: Sequence[int]) -> None:
        """Let a job run in some slots."""
        self.room.take(slots, float(self.size[job]))
        self.draft.pieces[job] = self.draft.pieces_of_slots(job, slots)
        self.draft.held_until[job] = (slots[-1] + 1) * self.draft.step_s

    @property
    def costs(self) -> Ints:
        """Value of each slot; any in a gap, where nothing runs."""
        row = int(self.draft.asked.zone[self.shared.jobs[0]])
        base = row * (self.table.slots + 1)
        return self.table.values[base : base + self.table.slots]


def _exact(pool: _Pool, able: NDArray[np.intp]) -> float | None:
    """Jobs of equal power in slots of their own choice: the least total there is."""
    kept, shared = _served(pool, able)
    if not len(kept):
        return None
    for job, used in zip(kept.tolist(), shared.used, strict=True):
        pool.place(job, np.flatnonzero(used).tolist())
    may, need, limit = pool.may(kept), pool.count[kept], int(pool.limit)
    prices = slot_prices(may, shared, pool.costs)
    bound, cost = least_possible(may, need, pool.costs, limit, prices), shared.cost(pool.costs)
    return (cost - bound) / cost if cost > 0 else None


def _served(pool: _Pool, able: NDArray[np.intp]) -> tuple[NDArray[np.intp], SharedSlots]:
    """Jobs that have all their slots, with the best of placements of them; the others have no room.

    Where not all have room, as many slots as can be are given, and who still lacks one gives all back: the room
    goes to those that then fit. Which jobs to leave out is a choice that is not proved to be the best.
    """
    limit = int(pool.limit)
    shared = share_slots(pool.may(able), pool.count[able], pool.costs, limit)
    lacks = shared.missing > 0
    if not lacks.any():
        return able, shared
    left = limit - shared.used[~lacks].sum(axis=0)
    for at in np.flatnonzero(lacks)[np.argsort(pool.count[able][lacks], kind="stable")].tolist():
        open_to = np.flatnonzero(pool.may(able[at : at + 1])[0] & (left > 0))
        need = int(pool.count[able[at]])
        if len(open_to) >= need:
            left[open_to[np.argsort(pool.costs[open_to], kind="stable")[:need]]] -= 1
            lacks[at] = False
    pool.draft.why |= dict.fromkeys(able[lacks].tolist(), Why.ROOM)
    kept = able[~lacks]
    return kept, share_slots(pool.may(kept), pool.count[kept], pool.costs, limit)


def _approximate(pool: _Pool, able: NDArray[np.intp]) -> float | None:
    """Jobs in one piece: prices of slots, then one by one; the gap to the bound of those prices."""
    if not len(able):
        return None
    found = _under_caps(pool, able)
    lacks = found.start_s == NONE
    if lacks.any() and not lacks.all():
        # The bound is of all jobs that are asked for; once more without those that have no room.
        again = _under_caps(pool, able[~lacks])
        if (again.start_s != NONE).all():
            pool.draft.why |= dict.fromkeys(able[lacks].tolist(), Why.ROOM)
            able, found = able[~lacks], again
    step = pool.draft.step_s
    for job, start in zip(able.tolist(), found.start_s.tolist(), strict=True):
        if start == NONE:
            pool.draft.why[job] = Why.ROOM
        else:
            pool.place(job, range(start // step, start // step + int(pool.count[job])))
    return found.gap


def _under_caps(pool: _Pool, some: NDArray[np.intp]) -> PowerPlan:
    asked = pool.draft.asked.take(some)
    own = SlotTable.of(_row(pool.table, int(asked.zone[0])), pool.table.step_s)
    jobs = replace(asked, zone=np.zeros_like(asked.zone))
    caps = np.full((1, pool.table.slots), pool.limit)
    return place_under_caps(own, jobs, pool.size[some], caps)


def _row(table: SlotTable, row: int) -> Floats:
    """The values of one zone, NaN in a gap."""
    base = np.array([row * (table.slots + 1)])
    values = table.value_rows(base, table.slots)[0] / QUANTA
    return np.where(table.gap_rows(base, table.slots)[0], np.nan, values)


def _late(pool: _Pool) -> None:
    """When each job that is not planned would end soonest in what the plan leaves, one after the other."""
    draft = pool.draft
    order = sorted(
        (job for job in pool.shared.jobs if job in draft.why),
        key=lambda job: int(draft.asked.deadline_s[job]),
    )
    for job, slots in pool.soonest(pool.room, order).items():
        draft.late.pop(job, None)
        if slots:
            draft.late[job] = draft.pieces_of_slots(job, slots)
