"""Interruptible jobs without a cost of stopping: each runs in the cheapest seconds of its window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenops.plan.slot_ranks import SlotRanks
from greenops.plan.slot_table import QUANTA, BatchJobs, Floats, Ints, SlotTable


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """When each job runs, arrays of shape (job,).

    A job runs `head_s` in the slot that its window begins in, `tail_s` in the one it ends in, and in
    every whole slot between whose rank is at most `last_rank`; of the slot with that rank, `last_s`.

    Attributes:
        found: Has the window enough known seconds? The other fields mean nothing where not.
        area: Integral over the seconds it runs [unit / QUANTA x s].
        last_rank: Rank of the dearest whole slot; -1 where none is used.
    """

    found: NDArray[np.bool_]
    area: Ints
    head_s: Ints
    tail_s: Ints
    last_rank: Ints
    last_s: Ints
    duration_s: Ints

    @property
    def mean(self) -> Floats:
        """Mean over the seconds it runs [unit]; NaN where the job cannot be placed."""
        return np.where(self.found, self.area / (self.duration_s * float(QUANTA)), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """The whole slots `[first, after)` of each window, and the seconds before and after them.

    `head` and `tail` are the slots those seconds lie in (any slot where there are none), `room` the
    known whole slots.
    """

    first: Ints
    after: Ints
    head: Ints
    head_s: Ints
    tail: Ints
    tail_s: Ints
    room: Ints


class InterruptiblePlanner:
    """Plans interruptible jobs on one table; a zone is ranked when a job first asks for it."""

    def __init__(self, table: SlotTable) -> None:
        self.table = table
        self._ranks: dict[int, SlotRanks] = {}

    def ranks(self, zone: int) -> SlotRanks:
        """The ranked slots of one zone."""
        if zone not in self._ranks:
            self._ranks[zone] = SlotRanks.of(self.table, zone)
        return self._ranks[zone]

    def plan(self, jobs: BatchJobs) -> Pieces:
        """The cheapest seconds of every job's window; the earlier where two slots cost the same.

        A gap is never used. Seconds outside the table are no candidates.
        """
        zones = np.unique(jobs.zone)
        if len(zones) == 1:
            return self._plan_zone(int(zones[0]), jobs)
        whole = Pieces(
            np.zeros(len(jobs), bool), *(np.zeros(len(jobs), np.int64) for _ in range(6))
        )
        order = np.argsort(jobs.zone, kind="stable")
        edges = np.searchsorted(jobs.zone[order], [*zones, zones[-1] + 1])
        for index, zone in enumerate(zones):
            own = order[edges[index] : edges[index + 1]]
            part = self._plan_zone(int(zone), jobs.take(own))
            for name in Pieces.__slots__:
                getattr(whole, name)[own] = getattr(part, name)
        return whole

    def pieces(self, jobs: BatchJobs, planned: Pieces, job: int) -> list[tuple[int, int]]:
        """When one job runs: `[start, end)` [s] in order, touching pieces joined; empty: not at all."""
        if not planned.found[job]:
            return []
        step = self.table.step_s
        only = jobs.take(np.array([job]))
        window = _window(self.table, only)
        ranks = self.ranks(int(only.zone[0]))
        first, after = int(window.first[0]), int(window.after[0])
        head_s, tail_s = int(planned.head_s[job]), int(planned.tail_s[job])
        begin = max(int(only.earliest_s[0]), 0)
        # Of a slot that is used in part, the first seconds are.
        inside = first + np.flatnonzero(ranks.rank[first:after] <= planned.last_rank[job])
        found = [(begin, begin + head_s)] if head_s else []
        for slot in inside.tolist():
            length = step
            if ranks.rank[slot] == planned.last_rank[job]:
                length = int(planned.last_s[job])
            found.append((slot * step, slot * step + length))
        if tail_s:
            found.append((after * step, after * step + tail_s))
        return _joined(found)

    def _plan_zone(self, zone: int, jobs: BatchJobs) -> Pieces:
        table, ranks, step = self.table, self.ranks(zone), self.table.step_s
        window = _window(table, jobs)
        length = jobs.duration_s
        head_s, tail_s = np.zeros_like(length), np.zeros_like(length)
        found = window.room * step + window.head_s + window.tail_s >= length
        if window.head_s.any() or window.tail_s.any():
            head_s, tail_s = _ends(ranks, window, length, step)
        rest = length - head_s - tail_s
        count = -(-rest // step)
        inside = found & (count > 0)
        # Jobs without a whole slot ask for one slot of the table; the answer is not used.
        ask_first, ask_after = np.where(inside, window.first, 0), np.where(inside, window.after, 1)
        total, last = ranks.cheapest(ask_first, ask_after, np.where(inside, count, 1))
        last_s = rest - (count - 1) * step
        area = total * step - ranks.values[last] * (step - last_s)
        area = np.where(inside, area, 0)
        area += ranks.values[ranks.rank[window.head]] * head_s
        area += ranks.values[ranks.rank[window.tail]] * tail_s
        return Pieces(
            found=found,
            area=np.where(found, area, 0),
            head_s=head_s,
            tail_s=tail_s,
            last_rank=np.where(inside, last, -1),
            last_s=np.where(inside, last_s, 0),
            duration_s=length,
        )


def _ends(ranks: SlotRanks, window: _Window, length: Ints, step: int) -> tuple[Ints, Ints]:
    """Seconds used of the first and of the last slot: what is left when all cheaper ones are used."""
    head_rank, tail_rank = ranks.rank[window.head], ranks.rank[window.tail]
    cheaper = [
        ranks.cheaper(window.first, window.after, rank) * step for rank in (head_rank, tail_rank)
    ]
    before_head = cheaper[0] + np.where(tail_rank < head_rank, window.tail_s, 0)
    before_tail = cheaper[1] + np.where(head_rank < tail_rank, window.head_s, 0)
    return (
        np.clip(length - before_head, 0, window.head_s),
        np.clip(length - before_tail, 0, window.tail_s),
    )


def _window(table: SlotTable, jobs: BatchJobs) -> _Window:
    step = table.step_s
    begin = np.clip(jobs.earliest_s, 0, table.end_s)
    end = np.clip(jobs.deadline_s, begin, table.end_s)
    first, after = -(-begin // step), end // step
    within = first > after  # the window begins and ends inside one slot
    head_s = np.where(within, end, first * step) - begin
    tail_s = np.where(within, 0, end - after * step)
    after = np.where(within, first, after)
    head, tail = np.maximum(first - 1, 0), np.minimum(after, table.slots - 1)
    room = after - first
    if table.gaps is not None:
        base = jobs.zone * (table.slots + 1)
        gaps = table.gaps
        room = room - (gaps[base + after] - gaps[base + first])
        head_s = np.where(gaps[base + head + 1] > gaps[base + head], 0, head_s)
        tail_s = np.where(gaps[base + tail + 1] > gaps[base + tail], 0, tail_s)
    return _Window(first, after, head, head_s, tail, tail_s, room)


def _joined(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in pieces:
        if joined and joined[-1][1] == start:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined
