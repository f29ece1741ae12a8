"""Questions to roll-ups: totals, the most of something, a course over time, how long the slowest took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.adapters.rollup_files import DAY, HOUR, MINUTE, RollupFiles
from greenops.errors import UsageError
from greenops.pipeline.rollup_cells import (
    BY_BUCKET,
    MEASURES,
    SCHEMA,
    WORDS,
    Cells,
    Words,
    bounds_of,
)
from greenops.pipeline.rollup_merging import merged
from greenops.pipeline.rollup_spans import DAY_US, HOUR_US, MINUTE_US

P50, P95 = 0.5, 0.95
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
ONE_DAY: Final = timedelta(days=1)
STEPS: Final = {"minute": MINUTE_US, "hour": HOUR_US, "day": DAY_US, None: None}
HELD: Final = 4_000_000
"""Cells that are kept in memory between two questions, about; some 250 bytes each."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        begins: First instant, whole minutes; `ends` is the last, exclusive.
        by: Words of a cell (`service`, `operation`, …) that are told apart.
        step: `minute`, `hour` or `day` for a course over time; none: the whole period at once.
        where: Word → what it must be; none: must be absent.
        durations: Tell how long spans took; of a long period by the hour that is most of the reading.
    """

    begins: datetime
    ends: datetime
    by: tuple[str, ...] = ()
    step: str | None = None
    where: Mapping[str, str | None] = field(default_factory=dict)
    durations: bool = True

    def __post_init__(self) -> None:
        unknown = [name for name in (*self.by, *self.where) if name not in WORDS]
        if unknown or self.step not in STEPS:
            raise UsageError(
                "GO0805",
                f"roll-ups know no `{unknown[0] if unknown else self.step}`",
                fix=f"there are {', '.join(WORDS)}; and minute, hour, day",
            )
        if any(each.second or each.microsecond for each in (self.begins, self.ends)):
            raise UsageError("GO0805", "roll-ups know whole minutes", fix="leave out the seconds")
        if self.begins >= self.ends:
            raise UsageError("GO0805", "the period ends before it begins", fix="turn it round")


@dataclass(slots=True)
class RollupReader:
    """Reads roll-ups; a file that stays is read once."""

    rollups: RollupFiles
    _held: dict[tuple[str, str | None, bool], tuple[tuple[int, int], Cells]] = field(
        default_factory=dict
    )

    def answer(self, question: Question) -> pa.Table:
        """A row for each group, in the order of words and time; a sum that no span has is null.

        Columns: `begins` where a step was asked for, the words, counts and sums as in the roll-ups,
        `p50_ms` and `p95_ms` (within a sixteenth, of spans in whole hours; null for shorter pieces).

        Raises:
            DataMissing: A roll-up is damaged; names it.
        """
        cells = self.cells(question)
        table = cells.table()
        kept = [*(["begins"] if question.step else []), *question.by]
        sums = [name for name in table.column_names[1 + len(WORDS) :] if "quanta" not in name]
        found = table.select([*kept, *(name for name in sums if name[:9] != "duration_")])
        for name, share in (("p50_ms", P50), ("p95_ms", P95)):
            values = quantile_us(cells, share) / 1000
            found = found.append_column(name, pa.array(values, mask=np.isnan(values)))
        return found

    def cells(self, question: Question) -> Cells:
        """The groups as cells, exact."""
        step = STEPS[question.step]
        parts = []
        for level, day, name, low, high in _pieces(question):
            durations = question.durations and level != MINUTE
            path, service = self.rollups.path(level, day, name), question.where.get("service")
            cells = self._read(path, service, durations=durations)
            if cells is None:
                continue
            rows = _rows(cells, question.where)
            if low is not None:
                rows &= (cells.at >= low) & (cells.at < high)
            some = cells if rows.all() else cells.some(rows)
            if len(some):
                parts.append(_told_apart(some, question.by, whole=step is None))
        return merged(parts, step or DAY_US)

    def _read(self, path: str, service: str | None, *, durations: bool) -> Cells | None:
        """All cells of a file, or at least those of a service."""
        stamp = self.rollups.stamp(path)
        if stamp is None:
            return None
        key = (path, service, durations)
        held = self._held.get(key)
        if held is not None and held[0] == stamp:
            return held[1]
        # The doubles follow from the exact sums.
        left_out = MEASURES if durations else (*MEASURES, *BY_BUCKET)
        columns = [each for each in SCHEMA.names if each not in left_out]
        table = self.rollups.read(path, columns, service)
        if table is None:
            return None
        cells = Cells.of_table(table)
        self._held[key] = (stamp, cells)
        while len(self._held) > 1 and sum(len(each) for _, each in self._held.values()) > HELD:
            self._held.pop(next(iter(self._held)))
        return cells


def most(table: pa.Table, name: str, count: int) -> pa.Table:
    """The rows of an answer that have the most of something, the most first; the others in their order."""
    values = table[name].to_numpy()
    return table.take(np.argsort(-values, kind="stable")[:count])


def quantile_us(cells: Cells, share: float) -> Any:
    """How long the given share of each group's spans took at most [us]; NaN where it tells none.

    Straight between the bounds of the bucket in which it lies.
    """
    durations = cells.durations
    found = np.full(len(cells), np.nan)
    if not len(durations.cell):
        return found
    order = np.lexsort((durations.bucket, durations.cell))
    cell, bucket = durations.cell[order], durations.bucket[order]
    spans = durations.spans[order].astype(np.float64)
    until = np.cumsum(spans)
    there, begins = np.unique(cell, return_index=True)
    before = np.concatenate([[0.0], until])[begins]
    ends = np.concatenate([begins[1:], [len(cell)]])
    wanted = before + share * (until[ends - 1] - before)
    at = np.minimum(np.searchsorted(until, wanted), ends - 1)
    low, high = bounds_of(bucket[at])
    within = np.clip((wanted - (until[at] - spans[at])) / spans[at], 0.0, 1.0)
    found[there] = low + within * (high - low)
    return found


def _pieces(
    question: Question,
) -> Iterator[tuple[str, date, str | None, int | None, int]]:
    """Files that cover the period, and between which instants [us]; none: all of it."""
    begins, ends = question.begins.astimezone(UTC), question.ends.astimezone(UTC)
    at = begins
    while at < ends:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(ends, midnight + ONE_DAY)
        if question.step in (None, "day") and at == midnight and until - at == ONE_DAY:
            yield DAY, at.date(), None, None, 0
        elif question.step == "minute":
            yield from _minutes(at, until)
        else:
            yield from _hours(at, until)
        at = until


def _hours(at: datetime, until: datetime) -> Iterator[tuple[str, date, str | None, int, int]]:
    """Whole hours from the day's hours, and minutes before and after them."""
    first = at if at == _hour(at) else _hour(at) + timedelta(hours=1)
    last = _hour(until)
    if first >= last:
        yield from _minutes(at, until)
        return
    yield from _minutes(at, first)
    yield HOUR, at.date(), None, _us(first), _us(last)
    yield from _minutes(last, until)


def _minutes(at: datetime, until: datetime) -> Iterator[tuple[str, date, str, int, int]]:
    while at < until:
        end = min(until, _hour(at) + timedelta(hours=1))
        yield MINUTE, at.date(), f"{at.hour:02d}", _us(at), _us(end)
        at = end


def _rows(cells: Cells, where: Mapping[str, str | None]) -> Any:
    series = np.ones(len(cells.words[0].codes), np.bool_)
    for name, wanted in where.items():
        words = cells.words[WORDS.index(name)]
        if wanted is None:
            code = 0
        elif wanted in words.known:
            code = words.known.index(wanted) + 1
        else:
            return np.zeros(len(cells), np.bool_)
        series &= words.codes == code
    return series[cells.series]


def _told_apart(cells: Cells, by: Sequence[str], *, whole: bool) -> Cells:
    """The cells with other words absent, and with one instant where the period is one."""
    nothing = Words((), np.zeros(len(cells.words[0].codes), np.int32))
    words = tuple(
        each if name in by else nothing for name, each in zip(WORDS, cells.words, strict=True)
    )
    at = np.zeros(len(cells), np.int64) if whole else cells.at
    return replace(cells, at=at, words=words)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _us(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND
