"""Which hours a lake's files have spans of, and which hours of a day must therefore be made anew, together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_files import Part
from greenops.adapters.lake_read import span_tables
from greenops.adapters.rollup_place import SpanFile, is_gone
from greenops.errors import DataMissing, Unreachable
from greenops.pipeline.rollup_cells import words_of
from greenops.pipeline.rollup_sources import DAMAGED, HOURS, Source, Sources, hours_in, mask_of
from greenops.pipeline.rollup_work import Unit, hour_of

TOGETHER: Final = 64
"""Files that are looked at as one part of the work."""
SMALL_FILE: Final = "small_file"
AGAIN: Final = 2.0
"""Hours are made together where apart they would read more than this many times an hour's rows again. A file of two
hours is read twice, which lets many workers have an hour each; one of the whole day would be read for each hour."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What some files hold.

    Attributes:
        sources: By name of the small file.
        damaged: Files that cannot be read, with what is wrong.
        moved: A file went away meanwhile.
    """

    sources: Mapping[str, Source]
    damaged: tuple[tuple[str, str], ...] = ()
    moved: bool = False


class Survey:
    """Work of an engine: says of which hours some files have spans."""

    def __call__(self, files: Sequence[SpanFile]) -> Surveyed:
        """Every small file in them."""
        found: dict[str, Source] = {}
        damaged: list[tuple[str, str]] = []
        for file in files:
            try:
                found |= _sources(file)
            except (DataMissing, Unreachable) as error:
                if is_gone(error):
                    return Surveyed({}, moved=True)
                if isinstance(error, Unreachable):
                    raise
                damaged.append((file.path, str(error)))
                found |= {run.name: Source(DAMAGED, 0, file.stamp) for run in file.runs}
        return Surveyed(found, tuple(damaged))


def known(file: SpanFile, before: Sources) -> dict[str, Source] | None:
    """What is in a file, where that was seen before; none where it has to be looked at."""
    found = {}
    for run in file.runs:
        old = before.get(run.name)
        rows = old.rows if run.rows is None and old else run.rows
        if old is None or not old.is_still(Source(rows or 0, 0, file.stamp)):
            return None
        found[run.name] = Source(old.rows, old.hours, file.stamp)
    return found


def units(day: date, hours: int, files: Iterable[tuple[SpanFile, int, int]]) -> Iterator[Unit]:
    """Hours that are made together, so that few rows are read more than once; the same for the same files.

    Args:
        day: Of all of them.
        hours: Which are made, a bit each.
        files: In the order of reading; of which hours each has spans, and how many.
    """
    listed = [each for each in files if each[1] & hours]
    together = 0
    for hour in hours_in(hours):
        if together and not _belongs(hour, together, listed):
            yield _unit(day, together, listed)
            together = 0
        together |= 1 << hour
    if together:
        yield _unit(day, together, listed)


def _belongs(hour: int, together: int, files: Sequence[tuple[SpanFile, int, int]]) -> bool:
    here = [(mask, rows) for _, mask, rows in files if mask >> hour & 1]
    own = sum(rows / mask.bit_count() for mask, rows in here)
    again = sum(rows for mask, rows in here if mask & together)
    return again > AGAIN * own


def _unit(day: date, hours: int, files: Sequence[tuple[SpanFile, int, int]]) -> Unit:
    return Unit(day, hours, tuple((file, mask) for file, mask, _ in files if mask & hours))


def _sources(file: SpanFile) -> dict[str, Source]:
    part = file.open()
    told = {run.name: run.rows for run in file.runs}
    if not part.packed:
        rows, hours = _by_footer(part) or _by_reading(part)
        return {name: Source(rows, hours, file.stamp) for name in told}
    found = _by_footer(part)
    if found is not None and None not in told.values():
        return {name: Source(rows or 0, found[1] if rows else 0) for name, rows in told.items()}
    rows_of: dict[str, int] = dict.fromkeys(told, 0)
    hours_of: dict[str, int] = dict.fromkeys(told, 0)
    for table in span_tables(part, ["time", SMALL_FILE]):
        words = words_of(table[SMALL_FILE])
        pairs = (words.codes.astype(np.int64) - 1) * HOURS + hour_of(table["time"])
        counts = np.bincount(pairs, minlength=len(words.known) * HOURS)
        for at in np.flatnonzero(counts).tolist():
            name = words.known[at // HOURS]
            rows_of[name] += int(counts[at])
            hours_of[name] |= 1 << at % HOURS
    return {
        name: Source(rows if told[name] is None else int(told[name] or 0), hours_of[name])
        for name, rows in rows_of.items()
    }


def _by_footer(part: Part) -> tuple[int, int] | None:
    """Rows and hours of a file whose footer says that all its spans are of one hour."""
    try:
        about = pq.ParquetFile(part.source).metadata
    except (OSError, ValueError, pa.ArrowException):
        return None  # whoever reads it says what is wrong
    if not about.num_rows:
        return None
    instants: list[Any] = []
    for group in range(about.num_row_groups):
        columns = (about.row_group(group).column(at) for at in range(about.num_columns))
        told = next((each.statistics for each in columns if each.path_in_schema == "time"), None)
        if told is None or not told.has_min_max:
            return None
        instants += [told.min, told.max]
    hours = {each.replace(minute=0, second=0, microsecond=0) for each in instants}
    return (about.num_rows, 1 << instants[0].hour) if len(hours) == 1 else None


def _by_reading(part: Part) -> tuple[int, int]:
    rows, hours = 0, 0
    for table in span_tables(part, ["time"]):
        rows += len(table)
        hours |= mask_of(np.unique(hour_of(table["time"])).tolist())
    return rows, hours
