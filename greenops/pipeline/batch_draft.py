"""A plan of many jobs while it is made: seconds since the first slot, jobs by their place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np

from greenops.domain.batch_job import BatchJob, Site
from greenops.pipeline.batch_forecasts import Foretold
from greenops.plan.slot_table import QUANTA, BatchJobs, Ints
from greenops.plan.transfer import MOST, moving

S_PER_H: Final = 3600.0
Pieces = Sequence[tuple[int, int]]
"""When a job runs: `[start, end)` [s since the first slot], in order."""


class Why(StrEnum):
    """Why a job is not planned."""

    WINDOW = "window"
    """Its window is shorter than its run time."""
    SLOTS = "slots"
    """Its window holds fewer whole slots than it needs; only where jobs are counted in slots."""
    FORECAST = "forecast"
    """No run in its window is foretold from end to end."""
    CHAIN = "chain"
    """What it waits for, or what waits for it, does not fit."""
    ROOM = "room"
    """Others have the room."""
    LIMIT = "limit"
    """It draws more than the limit by itself."""


@dataclass(slots=True, eq=False)
class Draft:
    """What is known of each job so far.

    Attributes:
        jobs: As the file has them.
        foretold: Intensity of their zones.
        asked: The same jobs in seconds since the first slot; `zone` is the row of the table.
        links: Pairs `(earlier, later)` of jobs.
        pieces: When a planned job runs.
        baseline: When each job would run at once; absent: not within what is looked at.
        why: Why a job is not planned.
        late: When a job that is not planned would end soonest; absent as above.
        held_until: End of the slots that are held for a job under a limit [s].
        moved: Where a planned job runs away from home.
    """

    jobs: Sequence[BatchJob]
    foretold: Foretold
    asked: BatchJobs
    links: Sequence[tuple[int, int]]
    pieces: dict[int, Pieces] = field(default_factory=dict)
    baseline: dict[int, Pieces] = field(default_factory=dict)
    why: dict[int, Why] = field(default_factory=dict)
    late: dict[int, Pieces] = field(default_factory=dict)
    held_until: dict[int, int] = field(default_factory=dict)
    moved: dict[int, Site] = field(default_factory=dict)

    @classmethod
    def of(cls, jobs: Sequence[BatchJob], foretold: Foretold) -> Draft:
        """Nothing is planned yet."""
        index = {job.id: at for at, job in enumerate(jobs)}
        links = [(index[before], at) for at, job in enumerate(jobs) for before in job.after]
        second = foretold.second
        asked = BatchJobs.of(
            np.array([foretold.rows[job.zone] for job in jobs], np.int64),
            np.array([_up(foretold, job.earliest) for job in jobs], np.int64),
            np.array([second(job.deadline) for job in jobs], np.int64),
            np.array([job.duration_s for job in jobs], np.int64),
        )
        return cls(jobs, foretold, asked, links)

    @property
    def step_s(self) -> int:
        """Length of a slot [s]."""
        return self.foretold.table.step_s

    @property
    def slots(self) -> Ints:
        """Whole slots that each job needs."""
        return np.asarray(-(-self.asked.duration_s // self.step_s))

    @property
    def whole_slots(self) -> Ints:
        """Whole slots of each job's window inside the table; zero or more."""
        first = -(-self.asked.earliest_s // self.step_s)
        after = np.minimum(self.asked.deadline_s // self.step_s, self.foretold.table.slots)
        return np.maximum(after - first, 0)

    def run_at_once(self, job: int) -> Pieces:
        """One piece from the earliest start on."""
        start = int(self.asked.earliest_s[job])
        return [(start, start + int(self.asked.duration_s[job]))]

    def pieces_of_slots(self, job: int, slots: Sequence[int]) -> Pieces:
        """A job in some slots, in order: it ends inside the last where it does not fill it."""
        edges = np.flatnonzero(np.diff(slots) > 1).tolist()
        starts = [slots[0], *(slots[at + 1] for at in edges)]
        ends = [*(slots[at] + 1 for at in edges), slots[-1] + 1]
        spare = len(slots) * self.step_s - int(self.asked.duration_s[job])
        found = [(a * self.step_s, b * self.step_s) for a, b in zip(starts, ends, strict=True)]
        return [*found[:-1], (found[-1][0], found[-1][1] - spare)]

    def site(self, job: int) -> Site:
        """Where a job runs by the plan."""
        return self.moved.get(job, self.jobs[job].home)

    def planned_g(self, runs: Mapping[int, Pieces]) -> dict[int, float]:
        """Emissions of runs where they are planned [gCO2e], those of moving data with them; absent: not foretold."""
        found = self.carbon_g({job: run for job, run in runs.items() if job not in self.moved})
        for job, run in runs.items():
            if job in self.moved and (grams := self._away_g(job, run)) is not None:
                found[job] = grams
        return found

    def _away_g(self, job: int, run: Pieces) -> float | None:
        of, site = self.jobs[job], self.moved[job]
        here, home = (self._mean(zone, run) for zone in (site.zone, of.zone))
        if here is None or (of.transfer_gb and home is None):
            return None
        own = here * of.power_kw * site.pue * of.duration_s / S_PER_H
        return own + float(moving(of.transfer_gb, here, home or 0.0, MOST))

    def _mean(self, zone: str | None, run: Pieces) -> float | None:
        """Mean intensity over a run in one piece [gCO2e/kWh]; none where it is not foretold."""
        ((start, end),) = run
        row, begin, stop = (np.array([each]) for each in (self.foretold.rows[zone], start, end))
        if not self.foretold.table.known(row, begin, stop)[0]:
            return None
        return float(self.foretold.table.area(row, begin, stop)[0]) / (QUANTA * (end - start))

    def carbon_g(self, runs: Mapping[int, Pieces]) -> dict[int, float]:
        """Emissions of runs at home by job [gCO2e], those of going on after a pause with them; absent: not foretold."""
        if not runs:
            return {}
        table, at = self.foretold.table, np.array(list(runs))
        lengths = np.array([len(pieces) for pieces in runs.values()])
        begins = np.cumsum(lengths) - lengths
        edges = np.array([edge for pieces in runs.values() for edge in pieces], np.int64)
        zone = np.repeat(self.asked.zone[at], lengths)
        known = table.known(zone, edges[:, 0], edges[:, 1])
        starts, ends = (np.where(known, each, 0) for each in edges.T)
        area = table.area(zone, starts, ends)
        resumed = np.repeat([self.jobs[job].resume_s for job in runs], lengths)
        resumed[begins] = 0  # the first start is paid in any case
        area += resumed * table.values[zone * (table.slots + 1) + starts // table.step_s]
        grams = np.add.reduceat(area, begins) / (QUANTA * S_PER_H)
        power = [self.jobs[job].power_kw * self.jobs[job].pue for job in runs]
        whole = np.logical_and.reduceat(known, begins)
        return dict(zip(at[whole].tolist(), (grams * power)[whole].tolist(), strict=True))

    def not_planned(self, jobs: Iterable[int], *, in_slots: bool) -> None:
        """Say why some jobs have no run in their windows, and when each would end soonest."""
        short = self.asked.latest_s < self.asked.earliest_s
        few = self.whole_slots < self.slots
        covered = self.asked.deadline_s <= self.foretold.table.end_s
        for job in jobs:
            if short[job]:
                self.why[job] = Why.WINDOW
            elif in_slots and few[job] and covered[job]:
                self.why[job] = Why.SLOTS
            else:
                self.why[job] = Why.FORECAST
            self.late.setdefault(job, self.run_at_once(job))


def _up(foretold: Foretold, at: datetime) -> int:
    """Seconds from the first slot's start, rounded up."""
    second = foretold.second(at)
    return second + (foretold.instant(second) < at)
