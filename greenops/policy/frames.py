"""Frames: the smallest set of rows that tells a value, and how it is brought to the candidates.

A value that names the job alone is worked out once per job; one of a candidate's dictionary column
(its region, a slot), once per word of the dictionary; one of both, once per pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np

from greenops.policy.columns import Column, Values

CHUNK: Final = 65_536
"""Candidates worked out together: their columns stay in a core's cache."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a value depends on.

    Attributes:
        job: The job.
        coded: A dictionary column of the candidates; none: no candidate at all.
        wide: Anything else of the candidate, so every row.
    """

    job: bool = False
    coded: str | None = None
    wide: bool = False


ONE: Final = Frame()
JOB: Final = Frame(job=True)
WIDE: Final = Frame(wide=True)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some candidates, as an array of (their jobs, candidates of each) where jobs run evenly.

    Attributes:
        rows: Candidates, a slice of the table; none: those of jobs that run evenly and lie apart.
        jobs: Their jobs: a slice where they run evenly, or the places of those that lie apart; else
            one index per row.
        places: Frame → where each candidate's value stands in it, as far as it was asked.
    """

    rows: slice | None
    jobs: slice | Values
    shape: tuple[int, int]
    places: dict[Frame, Values] = field(default_factory=dict, compare=False)

    @property
    def even(self) -> bool:
        """Does each job have a line of the shape to itself?"""
        return self.rows is None or isinstance(self.jobs, slice)

    def of(self, values: Values) -> Values:
        """Its part of an array with one value per candidate of the table, in its shape."""
        if self.rows is None:
            apart: Values = values.reshape(-1, self.shape[1])[self.jobs]
            return apart
        return values[self.rows].reshape(self.shape)

    def holds(self, rows: Values) -> Values:
        """Rows of the chunk, of those rows of the table that it holds."""
        if self.rows is not None:
            inside: Values = rows[(rows >= self.rows.start) & (rows < self.rows.stop)]
            inside -= self.rows.start
            return inside
        jobs, each = cast("Values", self.jobs), self.shape[1]
        at = np.minimum(np.searchsorted(jobs, rows // each), len(jobs) - 1)
        held = jobs[at] == rows // each
        found: Values = at[held] * each + rows[held] % each
        return found

    def row(self, at: Any) -> Any:
        """Row of the table, of a row of the chunk or of many."""
        if self.rows is not None:
            return at + self.rows.start
        jobs, each = cast("Values", self.jobs), self.shape[1]
        return jobs[at // each] * each + at % each


@dataclass(frozen=True, slots=True)
class Layout:
    """How the candidates lie under their jobs.

    Attributes:
        job: Job of each candidate.
        each: Candidates of every job where all have that many, in job order; 0 where not.
        sizes: Dictionary column → length of its dictionary, absent included.
        codes: Dictionary column → place in the dictionary of each candidate.
    """

    jobs: int
    job: Values
    each: int
    sizes: dict[str, int]
    codes: dict[str, Values]

    def joined(self, left: Frame, right: Frame) -> Frame:
        """The frame that tells both; wide where hoisting would cost more than it saves."""
        coded = left.coded or right.coded
        if left.wide or right.wide or {left.coded, right.coded} - {None, coded}:
            return WIDE
        frame = Frame(left.job or right.job, coded)
        jobs, words = self.shape(frame)
        return WIDE if coded and jobs * words * 2 > max(len(self.job), 1_000) else frame

    def shape(self, frame: Frame) -> tuple[int, int]:
        """Rows and columns of a hoisted value."""
        return self.jobs if frame.job else 1, self.sizes[frame.coded] if frame.coded else 1

    def chunks(self) -> Iterator[Chunk]:
        """The candidates in order."""
        if self.each:
            step = max(1, CHUNK // self.each)
            for low in range(0, self.jobs, step):
                high = min(low + step, self.jobs)
                rows = slice(low * self.each, high * self.each)
                yield Chunk(rows, slice(low, high), (high - low, self.each))
            return
        for low in range(0, len(self.job), CHUNK):
            rows = slice(low, min(low + CHUNK, len(self.job)))
            yield Chunk(rows, self.job[rows], (rows.stop - low, 1))

    def spread(self, column: Column, frame: Frame) -> Column:
        """A hoisted value at its frame's full size."""
        return _at_size(column, self.shape(frame))

    def gathered(self, column: Column, frame: Frame, chunk: Chunk) -> Column:
        """A hoisted value, spread to its frame, brought to the candidates of a chunk."""
        if frame.coded is None:
            return column.at(chunk.jobs) if frame.job else column
        if frame not in chunk.places:
            chunk.places[frame] = self._places(frame, chunk, frame.coded)
        places = chunk.places[frame]
        ok = None if column.ok is None else column.ok.ravel().take(places)
        return Column(column.kind, column.values.ravel().take(places), ok)

    def _places(self, frame: Frame, chunk: Chunk, coded: str) -> Values:
        codes = chunk.of(self.codes[coded]).astype(np.int64)
        if frame.job:
            starts = np.arange(self.jobs, dtype=np.int64)[chunk.jobs] * self.sizes[coded]
            codes += starts.reshape(-1, 1)
        return codes


def _at_size(column: Column, shape: tuple[int, int]) -> Column:
    def size(array: Any) -> Any:
        return None if array is None else np.broadcast_to(array, shape)

    return Column(column.kind, size(column.values), size(column.ok))


def laid_out(jobs: int, job: Values) -> int:
    """Candidates of every job where the jobs run evenly and in order, else 0."""
    if not jobs or not len(job) or len(job) % jobs:
        return 0
    each = len(job) // jobs
    even = (job.reshape(jobs, each) == np.arange(jobs, dtype=job.dtype).reshape(-1, 1)).all()
    return each if even else 0
