"""Jobs' windows as rows of slots side by side, for what weighs them slot by slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenops.plan.slot_table import BatchJobs, Floats, Ints, SlotTable


@dataclass(frozen=True, slots=True, eq=False)
class WindowSlots:
    """The slots that each job's window touches, arrays of shape (job,).

    Attributes:
        begin_s, end_s: The window inside the table [s].
        first: Slot that it begins in.
        base: Entry of the table's flat arrays for that slot.
        width: Slots that it touches, one at least.
    """

    begin_s: Ints
    end_s: Ints
    first: Ints
    base: Ints
    width: Ints

    @classmethod
    def of(cls, table: SlotTable, jobs: BatchJobs) -> WindowSlots:
        """The windows of jobs, cut to the table."""
        begin = np.clip(jobs.earliest_s, 0, table.end_s)
        end = np.clip(jobs.deadline_s, begin, table.end_s)
        first = np.minimum(begin // table.step_s, table.slots - 1)
        width = np.maximum(-(-end // table.step_s) - first, 1)
        return cls(begin, end, first, jobs.zone * (table.slots + 1) + first, width)

    @property
    def widest(self) -> int:
        """Most slots of a window."""
        return int(self.width.max(initial=1))

    def alike(self, cells: int) -> Iterator[tuple[NDArray[np.intp], int]]:
        """Blocks of jobs with like windows, of about `cells` slots, and the most slots of one of them."""
        order = np.argsort(self.width, kind="stable")
        at = 0
        while at < len(order):
            size = max(1, cells // int(self.width[order[at]]))
            some = order[at : at + size]
            yield some, int(self.width[some[-1]])
            at += size

    def room(self, some: NDArray[np.intp], slots: int, *tables: SlotTable) -> Floats:
        """Seconds of each slot that may be used, shape (job, slot): inside the window, in no table's gap."""
        step = tables[0].step_s
        opens = (self.first[some][:, None] + np.arange(slots)) * step
        begin, end = self.begin_s[some][:, None], self.end_s[some][:, None]
        within = np.minimum(opens + step, end) - np.maximum(opens, begin)
        room: Floats = np.maximum(within, 0).astype(float)
        for table in tables:
            room[table.gap_rows(self.base[some], slots)] = 0
        return room
