"""The candidates of each job of a chunk: what is least, first or true among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from greenops.policy.columns import Mask, Values
from greenops.policy.frames import CHUNK, Chunk, Layout

NONE: Final = -1
"""No row."""
RARE: Final = 4
"""Jobs that fill less than this part of a chunk get none of their own: each costs a millisecond."""
Key = Callable[[Mask], Values]
"""Gives numbers to rank the rows of a mask by, the least first; what other rows get is not looked at."""


@dataclass(frozen=True, slots=True)
class JobGroups:
    """A chunk that holds whole jobs, one after the other.

    Attributes:
        starts: First row of each job, in the chunk.
        lengths: Rows of each job.
        jobs: The jobs, a slice of the table or their places.
    """

    chunk: Chunk
    jobs: slice | Values
    starts: Values
    lengths: Values

    @property
    def even(self) -> bool:
        """Does each job have a line of the chunk's shape to itself?"""
        return self.chunk.even

    def least(self, values: Values) -> Values:
        """The least of each job's rows."""
        if self.even:
            found: Values = values.min(axis=1)
            return found
        least: Values = np.minimum.reduceat(values[:, 0], self.starts)
        return least

    def count(self, mask: Mask) -> Values:
        """How many rows of each job are true."""
        if self.even:
            found: Values = np.count_nonzero(mask, axis=1)
            return found
        sums: Values = np.add.reduceat(mask[:, 0], self.starts, dtype=np.int64)
        return sums

    def spread(self, per_job: Values) -> Values:
        """A value of each job on all its rows; broadcasts to the chunk's shape."""
        whole = per_job if self.even else np.repeat(per_job, self.lengths)
        return whole.reshape(-1, 1)

    def first(self, values: Values) -> Values:
        """The value of each job's first row."""
        return values[:, 0] if self.even else values[self.starts, 0]

    def is_first(self) -> Mask:
        """Rows that are the first of their job."""
        found = np.zeros(self.chunk.shape, np.bool_)
        found[(slice(None), 0) if self.even else (self.starts, 0)] = True
        return found

    def first_true(self, mask: Mask) -> Values:
        """Row in the chunk of the first true one of each job, or `NONE`."""
        if self.even:
            at = mask.argmax(axis=1)
            found = mask[np.arange(len(mask)), at]
            return np.where(found, at + self.starts, NONE)
        beyond = len(mask)
        rows = np.where(mask[:, 0], np.arange(beyond), beyond)
        least = np.minimum.reduceat(rows, self.starts)
        return np.where(least < beyond, least, NONE)

    def at(self, rows: Values) -> Mask:
        """True on some rows of the chunk, such as `first_true` gives."""
        found = np.zeros(self.lengths.sum(), np.bool_)
        found[rows[rows != NONE]] = True
        return found.reshape(self.chunk.shape)

    def best(self, able: Mask, keys: Iterable[Key]) -> Values:
        """Row of each job that is least by the first key, then by the next, and so on; or `NONE`.

        A key is asked only while some job has several rows left.
        """
        left = able
        for key in keys:
            several = self.count(left) > 1
            if not several.any():
                break
            told = key(left & self.spread(several))
            told = told.astype(np.int8) if told.dtype == np.bool_ else told
            highest = np.inf if told.dtype.kind == "f" else np.iinfo(told.dtype).max
            values = np.where(left, told, highest)
            left = left & (values == self.spread(self.least(values)))
        return self.first_true(left)


def job_groups(layout: Layout, alike: Values | None = None) -> Iterator[JobGroups]:
    """The chunks of a table whose candidates lie job by job, each job whole in one of them.

    Args:
        layout: How the candidates lie.
        alike: A number for each job; where jobs run evenly, many of one number come together, so that
            what does not concern them need not be asked. None: the jobs come as they lie.
    """
    if layout.each:
        for chunk in layout.chunks() if alike is None else _together(layout, alike):
            jobs = chunk.shape[0]
            starts = np.arange(jobs, dtype=np.int64) * layout.each
            lengths = np.full(jobs, layout.each, np.int64)
            yield JobGroups(chunk, chunk.jobs, starts, lengths)
        return
    bounds = np.searchsorted(layout.job, np.arange(layout.jobs + 1))
    low = 0
    while low < layout.jobs:
        fits = int(np.searchsorted(bounds, bounds[low] + CHUNK, side="right")) - 1
        high = max(low + 1, min(fits, layout.jobs))
        rows = slice(int(bounds[low]), int(bounds[high]))
        chunk = Chunk(rows, layout.job[rows], (rows.stop - rows.start, 1))
        starts = bounds[low:high] - bounds[low]
        yield JobGroups(chunk, slice(low, high), starts, np.diff(bounds[low : high + 1]))
        low = high


def _together(layout: Layout, alike: Values) -> Iterator[Chunk]:
    """Jobs of one number in chunks of their own, those of rare numbers with each other."""
    step = max(1, CHUNK // layout.each)
    found, places, counts = np.unique(alike, return_inverse=True, return_counts=True)
    rare = counts * RARE < step
    kinds = np.where(rare, len(found), np.arange(len(found)))[places]
    if len(alike) <= step or (kinds == kinds[0]).all():
        yield from layout.chunks()
        return
    for kind in np.unique(kinds):
        jobs = np.flatnonzero(kinds == kind)
        for low in range(0, len(jobs), step):
            some = jobs[low : low + step]
            yield Chunk(None, some, (len(some), layout.each))
