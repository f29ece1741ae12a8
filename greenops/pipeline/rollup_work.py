"""One unit of rolling up: some hours of one day, from the files that have spans of them; runs anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.lake_files import Part
from greenops.adapters.lake_read import ALL, Wanted, span_tables
from greenops.adapters.rollup_place import SpanFile, is_gone
from greenops.errors import DataMissing, Unreachable
from greenops.pipeline.rollup_cells import Cells
from greenops.pipeline.rollup_merging import merged
from greenops.pipeline.rollup_repeats import IDS, TEXTS, repeats, span_keys, text_repeats
from greenops.pipeline.rollup_sources import HOURS, hours_in
from greenops.pipeline.rollup_spans import (
    ASKED,
    DAY_US,
    DURATION,
    HOUR_US,
    MINUTE_US,
    Rolled,
    rolled,
)
from greenops.pipeline.rollup_sums import AT_ONCE

EPOCH: Final = date(1970, 1, 1)
WAITING: Final = 400_000
"""Cells of parts that wait to be merged; some 300 bytes each."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Hours of a day that are rolled up together.

    Attributes:
        hours: Which, a bit each.
        files: Files in the order of reading, and the hours of which each has spans.
    """

    day: date
    hours: int
    files: tuple[tuple[SpanFile, int], ...]

    def wanted(self) -> Wanted:
        """From the first of the hours to the last."""
        hours = hours_in(self.hours)
        begin = (self.day - EPOCH).days * DAY_US
        return Wanted(None, begin + hours[0] * HOUR_US, begin + (hours[-1] + 1) * HOUR_US)


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a unit.

    Attributes:
        minutes: Cells by minute, a table for each hour that has spans.
        hours: Cells by hour, as one table.
        spans: How many were counted.
        repeats: How many were left out because they came before.
        damaged: Files that could not be read and are left out as a whole, with what is wrong.
        moved: A file went away meanwhile, so nothing was made.
        written: Hours whose minutes were written and let go.
    """

    unit: Unit
    minutes: tuple[tuple[int, pa.Table], ...] = ()
    hours: pa.Table | None = None
    spans: int = 0
    repeats: int = 0
    damaged: tuple[tuple[str, str], ...] = ()
    moved: bool = False
    written: int = 0


@dataclass(frozen=True, slots=True)
class RollUp:
    """Work of an engine: rolls one unit up.

    Attributes:
        distinct: Count a span that was delivered twice once; false only to measure what that takes.
    """

    distinct: bool = True

    def __call__(self, unit: Unit) -> Made:
        """The unit's cells; the same wherever it runs.

        Raises:
            Unreachable: The store does not answer; none of its files is taken for damaged.
        """
        damaged: dict[str, str] = {}
        while True:
            sound = [each for each in unit.files if each[0].path not in damaged]
            try:
                return self._made(unit, sound, damaged)
            except _Lost as lost:
                if is_gone(lost.error):
                    return Made(unit, moved=True)
                damaged[lost.path] = str(lost.error)

    def _made(
        self, unit: Unit, files: Sequence[tuple[SpanFile, int]], damaged: dict[str, str]
    ) -> Made:
        reading = _Reading(unit, files, self.distinct)
        parts, spans = _counted(reading.tables())
        gone: Any = ()
        if reading.doubt:
            gone = _repeated(unit, files)
            if len(gone):
                parts, spans = _counted(_Reading(unit, files, False).tables(), gone)
        minutes = list(by_hour([each.minutes for each in parts]))
        hours = [*(cells for _, cells in minutes), *(each.hours for each in parts)]
        return Made(
            unit,
            tuple((hour, cells.table()) for hour, cells in minutes),
            merged(hours, HOUR_US).table(),
            spans,
            len(gone),
            tuple(sorted(damaged.items())),
        )


def _fewer(parts: list[Rolled]) -> list[Rolled]:
    """The same cells, merged where many wait."""
    if sum(len(each.minutes) for each in parts[1:]) < WAITING:
        return parts
    minutes = merged([each.minutes for each in parts], MINUTE_US)
    return [Rolled(minutes, merged([each.hours for each in parts], HOUR_US))]


class _Lost(Exception):
    """A file cannot be read."""

    def __init__(self, path: str, error: DataMissing | Unreachable) -> None:
        super().__init__(path)
        self.path, self.error = path, error


def by_hour(parts: Sequence[Cells]) -> Iterator[tuple[int, Cells]]:
    """Cells by minute of each hour of a day that has some, merged."""
    hours = [each.at // HOUR_US % HOURS for each in parts]
    for hour in np.unique(np.concatenate([np.zeros(0, np.int64), *hours])).tolist():
        some = [
            each if (of == hour).all() else each.some(of == hour)
            for each, of in zip(parts, hours, strict=True)
        ]
        yield hour, merged(some, MINUTE_US)


@dataclass(slots=True)
class _Reading:
    """What is rolled up, as it is read.

    Attributes:
        distinct: Look for spans that were delivered twice.
        doubt: Once all is read: some spans may be one, since their span ids are, or are no bytes.
    """

    unit: Unit
    files: Sequence[tuple[SpanFile, int]]
    distinct: bool
    doubt: bool = False

    def tables(self) -> Iterator[pa.Table]:
        """The rows, in the order of reading."""
        ids = IDS[1:] if self.distinct else ()
        keys: list[Any] = []
        for table in _tables(self.unit, self.files, (*ASKED, DURATION, *ids)):
            if ids and not self.doubt:
                found = span_keys(table)
                self.doubt = found is None
                keys.append(found)
            yield table.drop_columns(list(ids))
        # Where no two have one span id, none came twice, and trace ids need not be read.
        self.doubt = self.doubt or len(repeats(keys)) > 0


def _counted(tables: Iterator[pa.Table], gone: Any = ()) -> tuple[list[Rolled], int]:
    """What some rows come to, and how many they are; without those at some places, which rise."""
    parts: list[Rolled] = []
    begin = spans = 0
    for table in tables:
        end = begin + len(table)
        low, high = np.searchsorted(gone, [begin, end]).tolist()
        if low < high:
            kept = np.ones(len(table), np.bool_)
            kept[gone[low:high] - begin] = False
            table = table.filter(pa.array(kept))  # noqa: PLW2901
        parts = _fewer([*parts, *rolled(table)])
        begin, spans = end, spans + len(table)
    return parts, spans


def _repeated(unit: Unit, files: Sequence[tuple[SpanFile, int]]) -> Any:
    """Rows whose span stands in an earlier row of the unit. A span's instant goes with it, so both are there."""
    keys = []
    for table in _tables(unit, files, IDS):
        found = span_keys(table)
        if found is None:
            break
        keys.append(found)
    else:
        return repeats(keys)
    # Some ids are no bytes: all are compared as texts, so that equal ones have equal keys.
    return text_repeats(_tables(unit, files, TEXTS))


def _tables(
    unit: Unit, files: Sequence[tuple[SpanFile, int]], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Rows of the unit's hours, in the order of reading."""
    wanted = unit.wanted()
    for file, hours in files:
        others = hours & ~unit.hours
        asked = columns if not others or "time" in columns else (*columns, "time")
        try:
            part = file.open()
            for table in span_tables(part, _held(part, asked), wanted if others else ALL, AT_ONCE):
                rows = _within(table, unit.hours) if others else table
                yield _with_duration(rows, columns)
        except (DataMissing, Unreachable) as error:
            if isinstance(error, Unreachable) and not is_gone(error):
                raise
            raise _Lost(file.path, error) from error


def _held(part: Part, columns: Sequence[str]) -> list[str]:
    """The columns as a file has them: packed ones tell how long a span took, others when it began and ended."""
    if part.form > 1 or DURATION not in columns:
        return list(columns)
    return [*(each for each in columns if each != DURATION), "start", "end"]


def _with_duration(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    if DURATION in columns and DURATION not in table.column_names:
        begin, end = (table[name].cast(pa.int64()) for name in ("start", "end"))
        table = table.append_column(DURATION, pc.subtract(end, begin))
    return table.select(list(columns))


def _within(table: pa.Table, hours: int) -> pa.Table:
    wanted = np.zeros(HOURS, np.bool_)
    wanted[hours_in(hours)] = True
    return table.filter(pa.array(wanted[hour_of(table["time"])]))


def hour_of(time: Any) -> Any:
    """Hour of the day of each instant."""
    return time.cast(pa.int64()).to_numpy() // HOUR_US % HOURS
