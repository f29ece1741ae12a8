"""Interruptible jobs for which stopping has a price: exact, by a table over slots and slots done.

Each time a job goes on after a pause it draws energy to restore its state, and once it runs it runs for a
least number of slots. Jobs are counted in whole slots here: a run time is rounded up, a window is cut to the
slots wholly inside it.

Law: `on[t, j]` is the least cost of having done j slots by the end of slot t, running in it for at least
the minimum chunk; `off[t, j]` of having done j slots before slot t, running in it or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.plan.slot_table import BatchJobs, Ints, SlotTable

NEVER: Final = np.int64(2**60)
"""Cost of what cannot be; two of them still fit 64 bits."""
CELLS: Final = 2_000_000
"""Entries of the tables of jobs that are planned together."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """When each job runs.

    Attributes:
        found: Can the job be placed, shape (job,)?
        cost: Integral over its slots and what it draws to go on [unit / QUANTA x s], shape (job,).
        first_slot: Slot of the table that a row of `used` begins at, shape (job,).
        used: Slots it runs in, shape (job, slot of its window).
    """

    found: NDArray[np.bool_]
    cost: Ints
    first_slot: Ints
    used: NDArray[np.bool_]

    def pieces(self, job: int, step_s: int) -> list[tuple[int, int]]:
        """When one job runs: `[start, end)` [s], in order."""
        edges = np.flatnonzero(np.diff(np.concatenate([[0], self.used[job], [0]])))
        at = (edges + self.first_slot[job]) * step_s
        return [(int(start), int(end)) for start, end in at.reshape(-1, 2)]


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Jobs planned together: slots of their windows padded with slots that cannot be used.

    Attributes:
        value: Cost of a slot, shape (job, slot); `resume` of going on in it; `whole` of a chunk that
            begins in it.
        count: Slots to do, shape (job,).
        chunk: Least slots of a chunk, shape (job,) all equal.
    """

    value: Ints
    resume: Ints
    whole: Ints
    count: Ints
    chunk: int


def plan_chunks(table: SlotTable, jobs: BatchJobs, *, resume_s: int, least_slots: int) -> Chunks:
    """The cheapest slots of each job, what it costs to go on with them.

    Args:
        table: Intensity [gCO2e/kWh], or a price.
        jobs: What is to run, counted in whole slots.
        resume_s: Energy drawn each time a job goes on after a pause, in seconds of its running, at the
            intensity of the slot it goes on in. The first start is free: it is paid in any case.
        least_slots: Slots it runs for at least once it runs; a shorter job runs in one piece.

    Raises:
        ValueError: `resume_s` is below zero, or `least_slots` below one.
    """
    if resume_s < 0 or least_slots < 1:
        raise ValueError("going on costs zero or more, and a chunk has at least a slot")
    step = table.step_s
    first = np.clip(-(-jobs.earliest_s // step), 0, table.slots)
    after = np.clip(jobs.deadline_s // step, first, table.slots)
    count = -(-jobs.duration_s // step)
    width = after - first
    cost = np.zeros(len(jobs), np.int64)
    used = np.zeros((len(jobs), int(width.max(initial=0))), bool)
    found = width >= count
    for some, chunk in _alike(found, width, count, least_slots):
        block = _block(
            table, jobs.zone[some], first[some], width[some], count[some], chunk, resume_s
        )
        on, off = _forward(block)
        cost[some] = off[-1, np.arange(len(some)), block.count]
        used[some, : block.value.shape[1]] = _backward(block, on, off)
    found &= cost < NEVER
    used[~found] = False
    return Chunks(found, np.where(found, cost, 0), first, used)


def _alike(
    able: NDArray[np.bool_], width: Ints, count: Ints, least_slots: int
) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Blocks of jobs of one least chunk, of like windows, with that chunk."""
    chunk = np.minimum(count, least_slots)
    order = np.flatnonzero(able)
    order = order[np.lexsort((width[order], count[order], chunk[order]))]
    at = 0
    while at < len(order):
        one = int(chunk[order[at]])
        last, slots, done = at, 0, 0
        while last < len(order) and chunk[order[last]] == one:
            slots, done = max(slots, int(width[order[last]])), int(count[order[last]])
            if last > at and (last + 1 - at) * slots * (done + 1) > CELLS:
                break
            last += 1
        yield order[at:last], one
        at = last


def _block(
    table: SlotTable, zone: Ints, first: Ints, width: Ints, count: Ints, chunk: int, resume_s: int
) -> _Block:
    slots = int(width.max())
    base = zone * (table.slots + 1) + first
    values = table.value_rows(base, slots)
    shut = (np.arange(slots) >= width[:, None]) | table.gap_rows(base, slots)
    value = np.where(shut, NEVER, values * table.step_s)
    whole = np.full_like(value, NEVER)
    # A chunk of slots, one of which cannot be used, cannot be run.
    sums = np.cumsum(np.pad(np.where(shut, 0, value), ((0, 0), (1, 0))), axis=1)
    closed = np.cumsum(np.pad(shut, ((0, 0), (1, 0))).astype(np.int64), axis=1)
    if slots >= chunk:
        part = sums[:, chunk:] - sums[:, :-chunk]
        whole[:, : slots - chunk + 1] = np.where(
            closed[:, chunk:] > closed[:, :-chunk], NEVER, part
        )
    return _Block(value, np.where(shut, 0, values * resume_s), whole, count, chunk)


def _forward(block: _Block) -> tuple[Ints, Ints]:
    jobs, slots = block.value.shape
    most = int(block.count.max())
    on = np.full((slots, jobs, most + 1), NEVER)
    off = np.full((slots + 1, jobs, most + 1), NEVER)
    off[0, :, 0] = 0
    for slot in range(slots):
        if slot > 0:
            on[slot, :, 1:] = on[slot - 1, :, :-1] + block.value[:, slot, None]
        began = slot - block.chunk + 1
        if began >= 0:
            fresh = _begun(block, off, began)
            np.minimum(on[slot, :, block.chunk :], fresh, out=on[slot, :, block.chunk :])
        np.minimum(on[slot], NEVER, out=on[slot])
        np.minimum(off[slot], on[slot], out=off[slot + 1])
    return on, off


def _begun(block: _Block, off: Ints, slot: int) -> Ints:
    """Cost after a chunk that begins in a slot, by slots done at its end from `chunk` on."""
    before = off[slot][:, : off.shape[2] - block.chunk]
    fresh: Ints = before + block.whole[:, slot, None]
    fresh[:, 1:] += block.resume[:, slot, None]
    return fresh


def _backward(block: _Block, on: Ints, off: Ints) -> NDArray[np.bool_]:
    """Slots of one cheapest way, the earliest of those that tie where the ways part last."""
    jobs, slots = block.value.shape
    row = np.arange(jobs)
    done = block.count.copy()
    forced = np.zeros(jobs, np.int64)  # slots of a begun chunk still to be counted back
    running = np.zeros(jobs, bool)
    used = np.zeros((jobs, slots), bool)
    for slot in reversed(range(slots)):
        rests = ~running & (off[slot, row, done] <= on[slot, row, done])
        runs = (forced > 0) | running | (~rests & (done > 0))
        # Where it runs and no chunk is being counted back, the chunk began just now or ran before.
        free = runs & (forced == 0)
        began = slot - block.chunk + 1
        fresh = np.zeros(jobs, bool)
        if began >= 0:
            cost = np.full(jobs, NEVER)
            long = done >= block.chunk
            cost[long] = _begun(block, off, began)[row[long], done[long] - block.chunk]
            fresh = free & (cost <= on[slot, row, done])
        forced = np.where(fresh, block.chunk, forced)
        running = np.where(free, ~fresh, running)
        used[:, slot] = runs
        done = done - runs
        forced = np.maximum(forced - 1, 0)
    return used
