"""From spans to cells: a pure function of a table of the lake, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.domain.spans import MOST, OUT_OF_RANGE
from greenops.pipeline.rollup_cells import (
    COUNTED_BY,
    COUNTS,
    MEASURES,
    NO_DURATIONS,
    Cells,
    Durations,
    Words,
    bucket_of,
    buffer_of,
    one_chunk,
    validity,
    words_of,
)
from greenops.pipeline.rollup_groups import combined, grouped
from greenops.pipeline.rollup_sums import AT_ONCE, sums_by_group

MINUTE_US: Final = 60 * 10**6
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
ASKED: Final = (
    *("service", "workload", "name", "region", "grid_zone", "method", "unknown"),
    "time",
    *MEASURES,
)
"""What is asked of the lake beside `model`, `duration_us` and the ids."""
DURATION: Final = "duration_us"
"""How long each span took [us]; null or negative where that is not known."""
NAMES: Final = ("service", "workload", "name", "model", "region", "grid_zone", "method", "unknown")
"""The lake's names of what cells are told apart by."""
METHOD, UNKNOWN = NAMES.index("method"), NAMES.index("unknown")


@dataclass(frozen=True, slots=True)
class Rolled:
    """Cells of the same spans by minute, without durations by bucket, and by hour."""

    minutes: Cells
    hours: Cells


def rolled(table: pa.Table) -> Iterator[Rolled]:
    """Roll spans up, in parts; each row counts, so a span that stands twice counts twice.

    In a part `hours` has durations by bucket alone: all else of an hour stands in its minutes.

    Args:
        table: Columns `ASKED`, `DURATION` and, where known, `model`, as text.
    """
    return (_some(each) for each in _slices(table))


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    table = table.unify_dictionaries()
    for first in range(0, len(table), AT_ONCE):
        yield table.slice(first, AT_ONCE)


def _some(table: pa.Table) -> Rolled:
    measures = _measures(table)
    time = _instants(table["time"])
    words = _words(table, measures[0].wrong)
    series, member = grouped(*combined([(each.codes, len(each.known) + 1) for each in words]))
    cells, first = _stretches(time, MINUTE_US, series, len(member))
    durations = _durations(table)
    minutes = _summed(durations, cells, len(first), measures)
    at = time[first] - time[first] % MINUTE_US
    by_minute = Cells(at, _chosen(words, first), *minutes, NO_DURATIONS)
    return Rolled(by_minute, _by_duration(durations, by_minute, series[first], cells))


@dataclass(frozen=True, slots=True)
class _Measure:
    """One measure of some spans.

    Attributes:
        values: Of the spans that have it, in their order.
        there: Which have it; none: all of them.
        wrong: Which have a number that cannot be; none: no one.
    """

    values: Any
    there: Any = None
    wrong: Any = None


def _measures(table: pa.Table) -> list[_Measure]:
    """The measures; numbers that cannot be are absent, as `greenops.domain.spans.sound` has it."""
    energy, low, high, carbon, cost = (_measure(one_chunk(table[name])) for name in MEASURES)
    if energy.wrong is not None:
        sound = ~energy.wrong
        low, high, carbon = (_only(each, sound) for each in (low, high, carbon))
    if low.there is not None or high.there is not None:
        low, high = _only(low, high.there), _only(high, low.there)
    return [energy, low, high, carbon, cost]


def _measure(column: Any) -> _Measure:
    there = validity(column) if column.null_count else None
    values = buffer_of(column, np.float64)
    if there is not None:
        values = values[there]
    if not len(values) or (values.min() >= 0.0 and values.max() <= MOST):
        return _Measure(values, there)
    with np.errstate(invalid="ignore"):
        sound = (values >= 0.0) & (values <= MOST)
    given = np.ones(len(column), np.bool_) if there is None else there
    kept = np.zeros(len(column), np.bool_)
    kept[np.flatnonzero(given)[sound]] = True
    return _Measure(values[sound], kept, given & ~kept)


def _only(measure: _Measure, rows: Any) -> _Measure:
    """The measure of some rows alone; none: of all."""
    if rows is None or (measure.there is not None and np.array_equal(rows, measure.there)):
        return measure
    if measure.there is None:
        return _Measure(measure.values[rows], rows, measure.wrong)
    return _Measure(measure.values[rows[measure.there]], measure.there & rows, measure.wrong)


def _words(table: pa.Table, wrong: Any) -> list[Words]:
    """What cells are told apart by; spans whose energy cannot be say so."""
    n = len(table)
    found = [
        words_of(table[name]) if name in table.column_names else Words((), np.zeros(n, np.int32))
        for name in NAMES
    ]
    if wrong is not None:
        method, unknown = found[METHOD], found[UNKNOWN]
        found[METHOD] = Words(method.known, np.where(wrong, 0, method.codes))
        out_of_range = np.where(wrong, len(unknown.known) + 1, unknown.codes)
        found[UNKNOWN] = Words((*unknown.known, OUT_OF_RANGE), out_of_range)
    return found


def _chosen(words: Sequence[Words], rows: Any) -> tuple[Words, ...]:
    return tuple(Words(each.known, each.codes[rows]) for each in words)


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
    counts[0] = np.bincount(cells, minlength=size)
    there, mine, count = None, cells, counts[0]
    for at, measure in enumerate(measures):
        # Measures mostly are of the same spans: these are looked up once.
        if not _same(measure.there, there):
            there = measure.there
            mine = cells if there is None else cells[there]
            count = counts[0] if there is None else np.bincount(mine, minlength=size)
        counts[COUNTED_BY[at]] = count
        sums[at] = sums_by_group(measure.values, mine, size)
    duration, lasted = durations
    mine = cells if lasted is None else cells[lasted]
    counts[-1] = counts[0] if lasted is None else np.bincount(mine, minlength=size)
    total = np.zeros(size, np.int64)
    np.add.at(total, mine, duration)
    return counts, sums, total


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))


def _durations(table: pa.Table) -> tuple[Any, Any]:
    """How long spans took [us], of those that did not end before they began; which these are (none: all)."""
    column = one_chunk(table[DURATION])
    duration = (column.fill_null(-1) if column.null_count else column).to_numpy()
    if duration.min(initial=0) >= 0:
        return duration, None
    lasted = duration >= 0
    return duration[lasted], lasted


def _by_duration(durations: tuple[Any, Any], minutes: Cells, series: Any, cells: Any) -> Cells:
    """Cells of hours that have durations by bucket and nothing else.

    Args:
        durations: Of the spans that have one, and which these are.
        minutes: Cells of the same spans.
        series: What these are told apart by beside their time.
        cells: Cell by the minute of each span.
    """
    duration, lasted = durations
    hour_of, first = _stretches(minutes.at, HOUR_US, series, int(series.max(initial=0)) + 1)
    hours = hour_of[cells if lasted is None else cells[lasted]]
    return Cells(
        at=minutes.at[first] - minutes.at[first] % HOUR_US,
        words=_chosen(minutes.words, first),
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
    if size * width <= 4 * len(codes):
        spans = np.bincount(codes, minlength=size * width)
        pairs = np.flatnonzero(spans)
        spans = spans[pairs]
    else:
        pairs, spans = np.unique(codes, return_counts=True)
    return Durations(pairs // width, pairs % width + low, spans)


def _instants(column: Any) -> Any:
    return one_chunk(column).cast(pa.int64()).to_numpy(zero_copy_only=False)
