"""Non-interruptible jobs: the exact best start of each, over all the starts that it may have.

An integral over a run is a difference of prefix sums with the parts of its first and last slot, so one
start costs a few additions, and starts one slot apart share those parts. Jobs are taken in blocks of like
numbers of starts: no table of all jobs times all starts is ever made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from greenops.plan.slot_table import QUANTA, BatchJobs, Floats, Ints, SlotTable

BLOCK: Final = 80_000
"""Starts that are weighed at once: what the caches of one core hold of them."""
NEVER: Final = np.iinfo(np.int64).max
"""Area of a start that is no candidate."""
NONE: Final = -1
"""Start of a job that has no candidate."""


class Starts(StrEnum):
    """Which instants from a job's earliest to its latest safe start are considered."""

    SLOTS = "slots"
    """The earliest, and every start of a slot."""
    ANY = "any"
    """Every instant: the integral is linear between those at which a slot begins or ends."""
    HOPS = "hops"
    """The earliest, and every whole number of slots after it."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The best run of each job, arrays of shape (job,).

    Attributes:
        start_s: Start [s]; -1 where the job has no candidate: it is run at once, or as its baseline.
        area: Integral over the run [unit / QUANTA x s]; 0 where there is none, see `found`.
        duration_s: Run time [s].
    """

    start_s: Ints
    area: Ints
    duration_s: Ints

    @property
    def found(self) -> NDArray[np.bool_]:
        """Has the job a candidate?"""
        return np.asarray(self.start_s != NONE)

    @property
    def mean(self) -> Floats:
        """Mean over the run [unit]; NaN where the job has no candidate."""
        return np.where(self.found, self.area / (self.duration_s * float(QUANTA)), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Starts of each job one slot apart: `first_s + i * step_s` for `i < count`; shape (job,)."""

    first_s: Ints
    count: Ints


Weigh = Callable[["Rows"], Ints]
"""Area of each candidate start, shape (job, start); `NEVER` where it is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A block of jobs with the starts of one family.

    Attributes:
        jobs: Their places among all jobs.
        zone, first_s, duration_s: Of each job, shape (job,).
        width: Most starts of a job of the block.
    """

    jobs: NDArray[np.intp]
    zone: Ints
    first_s: Ints
    duration_s: Ints
    width: int

    def areas(self, table: SlotTable) -> Ints:
        """Integral of each run [unit / QUANTA x s], shape (job, start); what is past the end is any."""
        first, part = np.divmod(self.first_s, table.step_s)
        last, rest = np.divmod(self.first_s + self.duration_s, table.step_s)
        base = self.zone * (table.slots + 1)
        sums = sliding_window_view(table.sums, self.width)
        found = sums[base + last]
        found -= sums[base + first]
        found *= table.step_s
        if part.any() or rest.any():
            values = sliding_window_view(table.values, self.width)
            found += values[base + last] * rest[:, None]
            found -= values[base + first] * part[:, None]
        return found

    def touches_gap(self, table: SlotTable) -> NDArray[np.bool_] | None:
        """Does a run touch a gap, shape (job, start)? None where the table has no gap."""
        if table.gaps is None:
            return None
        first = self.first_s // table.step_s
        after = -(-(self.first_s + self.duration_s) // table.step_s)
        base = self.zone * (table.slots + 1)
        gaps = sliding_window_view(table.gaps, self.width)
        return np.asarray(gaps[base + after] != gaps[base + first])


def best_windows(table: SlotTable, jobs: BatchJobs, starts: Starts = Starts.SLOTS) -> Windows:
    """The start of each job with the least integral, the earliest where several have it.

    A run that touches a gap or leaves the table is no candidate.

    Args:
        table: Intensity [gCO2e/kWh], or a price.
        jobs: What is to run.
        starts: Which instants are considered.
    """

    def weigh(rows: Rows) -> Ints:
        areas = rows.areas(table)
        gap = rows.touches_gap(table)
        if gap is not None:
            areas[gap] = NEVER
        return areas

    return least(table, jobs, starts, weigh)


def least(table: SlotTable, jobs: BatchJobs, starts: Starts, weigh: Weigh) -> Windows:
    """The least of what `weigh` says over all families of starts, the earliest where it ties."""
    start = np.full(len(jobs), NONE, np.int64)
    area = np.full(len(jobs), NEVER, np.int64)
    for family in families(table, jobs, starts):
        for rows, counts in _blocks(table, jobs, family):
            areas = weigh(rows)
            low = int(counts[0])
            if low < rows.width:
                tail = areas[:, low:]
                tail[np.arange(low, rows.width) >= counts[:, None]] = NEVER
            at = areas.argmin(axis=1)
            found = areas[np.arange(len(at)), at]
            begins = rows.first_s + at * table.step_s
            kept, kept_start = area[rows.jobs], start[rows.jobs]
            better = (found < kept) | ((found == kept) & (found < NEVER) & (begins < kept_start))
            area[rows.jobs] = np.where(better, found, kept)
            start[rows.jobs] = np.where(better, begins, kept_start)
    return Windows(start, np.where(start == NONE, 0, area), jobs.duration_s)


def families(table: SlotTable, jobs: BatchJobs, starts: Starts) -> Iterator[Family]:
    """The starts of a kind inside the table, as families one slot apart."""
    step = table.step_s
    earliest = np.maximum(jobs.earliest_s, 0)
    if starts is Starts.HOPS:
        # The grid stays that of the job where the table begins after its earliest start.
        earliest = jobs.earliest_s - np.minimum(jobs.earliest_s, 0) // step * step
    latest = np.minimum(jobs.latest_s, table.end_s - jobs.duration_s)
    if starts is Starts.HOPS:
        yield _family(earliest, latest, step)
        return
    aligned = -(-earliest // step) * step
    yield _family(aligned, latest, step)
    off = earliest != aligned
    if off.any():
        yield Family(earliest, (off & (earliest <= latest)).astype(np.int64))
    if starts is Starts.ANY:
        # First start at or after the earliest whose run ends with a slot.
        ends = earliest + (-(earliest + jobs.duration_s)) % step
        if (jobs.duration_s % step).any():
            yield _family(ends, latest, step)
        yield Family(latest, ((latest >= earliest) & (latest % step != 0)).astype(np.int64))


def _family(first: Ints, latest: Ints, step: int) -> Family:
    return Family(first, np.maximum((latest - first) // step + 1, 0))


def _blocks(table: SlotTable, jobs: BatchJobs, family: Family) -> Iterator[tuple[Rows, Ints]]:
    """Blocks of jobs with like numbers of starts, fewest first, with those numbers."""
    able = np.flatnonzero(family.count)
    if not len(able):
        return
    counts = family.count[able]
    small = (
        counts.astype(np.int32) if table.slots > np.iinfo(np.int16).max else counts.astype(np.int16)
    )
    able = able[np.argsort(small, kind="stable")]
    counts = family.count[able]
    at = 0
    while at < len(able):
        size = max(1, BLOCK // int(counts[at]))
        width = int(counts[min(at + size, len(able)) - 1])
        size = min(size, max(1, 2 * BLOCK // width))
        some = able[at : at + size]
        own = counts[at : at + size]
        first, length = family.first_s[some], jobs.duration_s[some]
        yield Rows(some, jobs.zone[some], first, length, int(own[-1])), own
        at += size
