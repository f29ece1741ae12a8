"""From spans to cells: a pure function of a table of the lake, some rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.lake_compact import SERIES
from greenops.adapters.lake_series import MODELS
from greenops.domain.grouping import grouped
from greenops.domain.spans import MOST, OUT_OF_RANGE
from greenops.pipeline.rollup_cells import (
    COUNTED_BY,
    COUNTS,
    MEASURES,
    NO_DURATIONS,
    WORDS,
    Cells,
    Durations,
    Words,
    bucket_of,
    buffer_of,
    one_chunk,
    validity,
    words_of,
)
from greenops.pipeline.rollup_merging import used_series
from greenops.pipeline.rollup_sums import AT_ONCE, sums_by_group, totals, whole_sums

MINUTE_US: Final = 60 * 10**6
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
ASKED: Final = (SERIES, "time", *MEASURES)
"""What is asked of the lake beside `duration_us` and the ids."""
DURATION: Final = "duration_us"
"""How long each span took [us]; null or negative where that is not known."""
LAKE_NAMES: Final = {"operation": "name"}
"""The lake's names of what cells are told apart by, where they are others."""
METHOD, UNKNOWN = WORDS.index("method"), WORDS.index("unknown")
LONGEST: Final = 100
"""Longest name of a model that cells are told apart by [characters]."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """Cells of the same spans by minute, without durations by bucket, and by hour."""

    minutes: Cells
    hours: Cells


def rolled(table: pa.Table) -> Iterator[Rolled]:
    """Roll spans up, in parts; each row counts, so a span that stands twice counts twice.

    In a part `hours` has durations by bucket alone: all else of an hour stands in its minutes.

    Args:
        table: Columns `ASKED` and `DURATION`.
    """
    for first in range(0, len(table), AT_ONCE):
        yield _some(table.slice(first, AT_ONCE))


def _some(table: pa.Table) -> Rolled:
    measures = _measures(table)
    time = _instants(table["time"])
    series, words, width = _series(one_chunk(table[SERIES]), measures[0].wrong)
    cells, first = _stretches(time, MINUTE_US, series, width)
    durations = _durations(table)
    minutes = _summed(durations, cells, len(first), measures)
    at = time[first] - time[first] % MINUTE_US
    # A file's list of series may be long, and hours of many files have many parts.
    by_minute = Cells(at, *used_series(series[first], words), *minutes, NO_DURATIONS)
    return Rolled(by_minute, _by_duration(durations, by_minute, cells))


@dataclass(frozen=True, slots=True)
class _Measure:
    """One measure of some spans.

    Attributes:
        values: Of each span; zero where it has none.
        there: Which have one; none: all of them.
        wrong: Which have a number that cannot be; none: no one.
    """

    values: Any
    there: Any = None
    wrong: Any = None


def _measures(table: pa.Table) -> list[_Measure]:
    """The measures; numbers that cannot be are absent, as `greenops.domain.spans.sound` has it."""
    columns = [one_chunk(table[name]) for name in MEASURES]
    energy, low, high, carbon, cost = map(_measure, columns, _validities(columns))
    if energy.wrong is not None:
        sound = ~energy.wrong
        low, high, carbon = (_only(each, sound) for each in (low, high, carbon))
    if low.there is not high.there:
        low, high = _only(low, high.there), _only(high, low.there)
    return [energy, low, high, carbon, cost]


def _validities(columns: Sequence[Any]) -> list[Any]:
    """Which values of each column are there, the same object where the same are; none: all are."""
    known: list[tuple[bytes, int, Any]] = []
    found: list[Any] = []
    for column in columns:
        if not column.null_count:
            found.append(None)
            continue
        bits, first = bytes(column.buffers()[0]), column.offset
        alike = (each[2] for each in known if each[:2] == (bits, first))
        found.append(next(alike, None))
        if found[-1] is None:
            found[-1] = validity(column)
            known.append((bits, first, found[-1]))
    return found


def _measure(column: Any, there: Any) -> _Measure:
    values = buffer_of(column, np.float64)
    if there is not None:
        values = np.where(there, values, 0.0)
    if not len(values) or (values.min() >= 0.0 and values.max() <= MOST):
        return _Measure(values, there)
    with np.errstate(invalid="ignore"):
        sound = (values >= 0.0) & (values <= MOST)
    given = np.ones(len(column), np.bool_) if there is None else there
    return _Measure(np.where(sound, values, 0.0), given & sound, given & ~sound)


def _only(measure: _Measure, rows: Any) -> _Measure:
    """The measure of some rows alone; none: of all."""
    if rows is None:
        return measure
    there = rows if measure.there is None else measure.there & rows
    return _Measure(np.where(there, measure.values, 0.0), there, measure.wrong)


def _series(column: Any, wrong: Any) -> tuple[Any, tuple[Words, ...], int]:
    """Series of each span, the words of each series, and how many there are; spans whose energy cannot be say so."""
    series, listed = buffer_of(column.indices, np.int32), column.dictionary
    width = len(listed)
    columns = dict(zip((each.name for each in listed.type), listed.flatten(), strict=True))
    columns["model"] = _models([columns[name] for name in MODELS])
    words = [words_of(columns[LAKE_NAMES.get(name, name)]) for name in WORDS]
    if wrong is None:
        return series, tuple(words), width
    series = np.where(wrong, series + np.int32(width), series)
    words = [Words(each.known, np.tile(each.codes, 2)) for each in words]
    unknown = words[UNKNOWN]
    words[METHOD].codes[width:] = 0
    unknown.codes[width:] = len(unknown.known) + 1
    words[UNKNOWN] = Words((*unknown.known, OUT_OF_RANGE), unknown.codes)
    return series, tuple(words), 2 * width


def _models(columns: Sequence[Any]) -> pa.Array:
    """Name of each series' model; the first of some attributes that is there counts."""
    found = pa.nulls(len(columns[0]), pa.string())
    for column in columns:
        if column.null_count < len(column):
            names = pa.array([_text(each) for each in column.dictionary.to_pylist()], pa.string())
            found = pc.coalesce(found, names.take(column.indices))
    return found


def _text(value: str) -> str | None:
    """A name as it was sent; none where it is empty or no text."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found[:LONGEST] if isinstance(found, str) and found else None


def _stretches(time: Any, step_us: int, series: Any, width: int) -> tuple[Any, Any]:
    """Cell of each span, and a span of each cell."""
    steps = time // step_us
    steps -= steps.min(initial=np.iinfo(np.int64).max)
    size = (int(steps.max(initial=0)) + 1) * width
    steps *= width
    steps += series
    return grouped(steps, size)


def _summed(
    durations: tuple[Any, Any], cells: Any, size: int, measures: Sequence[_Measure]
) -> tuple[Any, Any, Any]:
    """Counts, sums and the sum of durations of each cell."""
    counts = np.zeros((len(COUNTS), size), np.int64)
    sums = np.zeros((len(MEASURES), 3, size), np.int64)
    counts[0] = _count(cells, size)
    there, count = None, counts[0]
    for at, measure in enumerate(measures):
        # Measures mostly are of the same spans: these are counted once.
        if measure.there is not there:
            there = measure.there
            count = counts[0] if there is None else _count(cells[there], size)
        counts[COUNTED_BY[at]] = count
        sums[at] = sums_by_group(measure.values, cells, size)
    duration, lasted = durations
    mine = cells if lasted is None else cells[lasted]
    counts[-1] = counts[0] if lasted is None else _count(mine, size)
    return counts, sums, whole_sums(duration, mine, size)


def _count(cells: Any, size: int) -> Any:
    return np.bincount(cells, minlength=size)


def _durations(table: pa.Table) -> tuple[Any, Any]:
    """How long spans took [us], of those that did not end before they began; which these are (none: all)."""
    column = one_chunk(table[DURATION])
    duration = (column.fill_null(-1) if column.null_count else column).to_numpy()
    if duration.min(initial=0) >= 0:
        return duration, None
    lasted = duration >= 0
    return duration[lasted], lasted


def _by_duration(durations: tuple[Any, Any], minutes: Cells, cells: Any) -> Cells:
    """Cells of hours that have durations by bucket and nothing else.

    Args:
        durations: Of the spans that have one, and which these are.
        minutes: Cells of the same spans.
        cells: Cell by the minute of each span.
    """
    duration, lasted = durations
    hour_of, first = _stretches(minutes.at, HOUR_US, minutes.series, len(minutes.words[0].codes))
    hours = hour_of[cells if lasted is None else cells[lasted]]
    return Cells(
        at=minutes.at[first] - minutes.at[first] % HOUR_US,
        series=minutes.series[first],
        words=minutes.words,
        counts=np.zeros((len(COUNTS), len(first)), np.int64),
        sums=np.zeros((len(MEASURES), 3, len(first)), np.int64),
        duration=np.zeros(len(first), np.int64),
        durations=_by_bucket(hours, bucket_of(duration), len(first)),
    )


def _by_bucket(cells: Any, buckets: Any, size: int) -> Durations:
    low = int(buckets.min(initial=np.iinfo(np.int64).max)) if len(buckets) else 0
    width = int(buckets.max(initial=low)) - low + 1
    codes = cells * width
    codes += buckets - low
    pairs, spans = totals(codes, size * width)
    return Durations(pairs // width, pairs % width + low, spans)


def _instants(column: Any) -> Any:
    return one_chunk(column).cast(pa.int64()).to_numpy(zero_copy_only=False)
