"""Calendars of many runs: when each may start, as the planner reads them for one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from greenops.domain.record import canonical, restore
from greenops.domain.workload import Calendar
from greenops.plan.calendar import last_open, may_start, next_open
from greenops.plan.fleet_intensity import EPOCH, Ints, Mask
from greenops.plan.intensity import TICK

CALENDAR: Final = "calendar"
"""Column of the runs: a calendar's canonical text; absent: a run may start at any time."""
NONE: Final = -1


def calendar_text(calendar: Calendar | None) -> str | None:
    """What the column holds of a calendar."""
    return None if calendar is None else canonical(calendar).decode()


@dataclass(frozen=True, slots=True, eq=False)
class Calendars:
    """The calendars of some runs; instants in microseconds since 1970.

    Attributes:
        every: Each calendar once.
        of: Which of them each run has; `NONE` where it may start at any time.
    """

    every: tuple[Calendar, ...]
    of: Ints

    @classmethod
    def read(cls, jobs: pa.Table) -> Calendars:
        """Those of a table of runs."""
        if CALENDAR not in jobs.column_names:
            return cls((), np.full(jobs.num_rows, NONE))
        texts = jobs.column(CALENDAR).to_pylist()
        places = {text: at for at, text in enumerate(dict.fromkeys(e for e in texts if e))}
        every = tuple(restore(Calendar, json.loads(text)) for text in places)
        return cls(every, np.array([places.get(text, NONE) for text in texts], np.int64))

    def latest(self, submitted: Ints, latest: Ints) -> Ints:
        """Latest safe starts by the calendars, of those without: the last open instant, or the first.

        Args:
            submitted: When each run was.
            latest: Deadline less the longest run time.
        """
        found = latest.copy()
        for at in np.flatnonzero(self.of != NONE).tolist():
            calendar, last = self.every[self.of[at]], EPOCH + int(latest[at]) * TICK
            opens = next_open(calendar, EPOCH + int(submitted[at]) * TICK)
            safe = last_open(calendar, last) if opens <= last else max(last, opens)
            found[at] = (safe - EPOCH) // TICK
        return found

    def next_open(self, instants: Ints) -> Ints:
        """The first instant from each on at which its run may start."""
        found = instants.copy()
        for at in np.flatnonzero(self.of != NONE).tolist():
            opens = next_open(self.every[self.of[at]], EPOCH + int(instants[at]) * TICK)
            found[at] = (opens - EPOCH) // TICK
        return found

    def may_start(self, jobs: Ints, starts: Ints) -> Mask:
        """Whether no blackout holds at each start, shape (job, start) as `starts`."""
        found = np.ones(starts.shape, np.bool_)
        of = self.of[jobs]
        for at, calendar in enumerate(self.every):
            rows = np.flatnonzero(of == at)
            if not len(rows):
                continue
            instants, places = np.unique(starts[rows], return_inverse=True)
            opens = [may_start(calendar, EPOCH + each * TICK) for each in instants.tolist()]
            found[rows] = np.array(opens, np.bool_)[places.reshape(starts[rows].shape)]
        return found
