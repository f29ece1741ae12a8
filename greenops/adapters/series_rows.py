"""Time series out of CSV and Parquet files that somebody brings: every row checked, every fault with its place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from greenops.adapters.grid_points import iso
from greenops.adapters.series_declaration import Declared
from greenops.adapters.series_tables import Fault, open_table

MOST_VALUES: Final = 2_000_000
"""Longest series; five-minute values of 19 years."""
DAY: Final = timedelta(days=1)
TRUE, FALSE = {"true", "1", "yes"}, {"false", "0", "no", ""}
WRITE_TIME: Final = (
    "write times as `2026-03-01T00:00Z` or with their offset, `2026-03-01T01:00+01:00`"
)
NAIVE: Final = (
    f"{WRITE_TIME}, since local time without it is double on the day the clocks go back; "
    "where they all are UTC, declare `naive_times: utc`"
)
FILL: Final = (
    "write a row with an empty value for each time that is not known, or declare `gaps: absent`"
)

Stamps = tuple[tuple[int, int, int] | None, ...]
"""Modification time [ns], size and inode of each file."""
Key = tuple[str, datetime | None]
"""Grid zone, and when it was issued or published; none where the rows do not say."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a kind of file holds.

    Attributes:
        least, most: Range of values that can be.
        unit: Of the values.
        absurd: What to do about a value outside.
        moment: Column that says when a row was issued or published.
        kinds: Words of the column `kind`: without a moment and with one; none where there is no such column.
    """

    least: float
    most: float
    unit: str
    absurd: str
    moment: str
    kinds: tuple[str, str] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a file of this kind may have."""
        return (
            "time",
            "zone",
            "value",
            "estimated",
            self.moment,
            *(("kind",) if self.kinds else ()),
        )


@dataclass(slots=True)
class Series:
    """A regular series as it was read: value `i` holds from `start + i * step`; none is a gap."""

    start: datetime
    step: timedelta
    line: int
    values: list[float | None] = field(default_factory=list)
    estimated: list[bool] = field(default_factory=list)

    @property
    def end(self) -> datetime:
        """First instant after the last value."""
        return self.start + self.step * len(self.values)


@dataclass(frozen=True, slots=True)
class Row:
    """One row, read."""

    line: int
    zone: str
    moment: datetime | None
    time: datetime
    value: float | None
    estimated: bool


def read_series(declared: Declared, wanted: Wanted) -> dict[Key, Series]:
    """Every series of a file, by zone and issue.

    Raises:
        DataMissing: The file cannot be read, or a row is not what it should be; names line and column.
    """
    with open_table(declared, wanted.columns) as table:
        line = 0
        try:
            found: dict[Key, Series] = {}
            for line, cells in table.rows():
                _add(found, _row(line, cells, declared, wanted), declared)
            _check_whole(found)
        except Fault as fault:
            raise table.missing(line, fault) from fault
    return found


def _check_whole(found: Mapping[Key, Series]) -> None:
    if not found:
        raise Fault("holds no row", line=0)
    for series in found.values():
        if not series.step:
            raise Fault(
                "the only row of its series, so nothing says how long its value holds",
                "time",
                "declare `step: 1h`, or what it is",
                line=series.line,
            )


def stamps(paths: Iterable[Path]) -> Stamps:
    """What tells whether files have changed: none for one that is not there."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def covering(series: Series, start: datetime, end: datetime) -> tuple[datetime, slice] | None:
    """Start and places of the values that cover `[start, end)`; none where the series does not."""
    if not (series.start <= start and end <= series.end):
        return None
    first = (start - series.start) // series.step
    past = -((series.start - end) // series.step)
    return series.start + first * series.step, slice(first, past)


def _row(line: int, cells: Mapping[str, Any], declared: Declared, wanted: Wanted) -> Row:
    zone = declared.zone or str(cells.get("zone") or "").strip()
    if not zone:
        raise Fault("no grid zone", "zone")
    said = cells.get(wanted.moment)
    moment = None if said in {None, ""} else _instant(said, wanted.moment, declared)
    if wanted.kinds and (kind := str(cells.get("kind") or "").strip()):
        fitting = wanted.kinds[moment is not None]
        if kind not in wanted.kinds:
            raise Fault(f"`{kind}` is neither {' nor '.join(wanted.kinds)}", "kind")
        if kind != fitting:
            raise Fault(
                f"`{kind}`, but `{wanted.moment}` is {'' if moment else 'not '}given", "kind"
            )
    estimated = str(cells.get("estimated") or "").strip().lower()
    if estimated not in TRUE | FALSE:
        raise Fault(f"`{estimated}` is neither true nor false", "estimated")
    time = _instant(cells["time"], "time", declared)
    return Row(line, zone, moment, time, _number(cells["value"], wanted), estimated in TRUE)


def _instant(cell: Any, column: str, declared: Declared) -> datetime:
    try:
        found = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell).strip())
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Fault(f"`{cell}` is no time", column, WRITE_TIME) from None
    if not declared.naive_utc:
        raise Fault(f"`{cell}` does not say its offset from UTC", column, NAIVE)
    return found.replace(tzinfo=UTC)


def _number(cell: Any, wanted: Wanted) -> float | None:
    text = "" if cell is None else str(cell).strip()
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        comma = "write decimals with a point" if "," in text else None
        raise Fault(f"`{text}` is no number", "value", comma) from None
    if not math.isfinite(found):
        raise Fault(f"`{text}` is no value", "value", "write nothing where it is not known")
    if not wanted.least <= found <= wanted.most:
        raise Fault(
            f"{text} {wanted.unit} cannot be: it is {wanted.least:g} to {wanted.most:g}",
            "value",
            wanted.absurd,
        )
    return found


def _add(found: dict[Key, Series], row: Row, declared: Declared) -> None:
    series = found.get((row.zone, row.moment))
    if series is None:
        series = Series(row.time, declared.step or timedelta(0), row.line)
        found[row.zone, row.moment] = series
    else:
        missing = _missing_before(series, row)
        if missing and not declared.gaps_absent:
            last = series.end - series.step
            raise Fault(
                f"{missing} {'row is' if missing == 1 else 'rows are'} missing between {iso(last)} "
                f"and {iso(row.time)} of `{row.zone}`",
                "time",
                FILL,
            )
        if len(series.values) + missing >= MOST_VALUES:
            raise Fault(f"more than {MOST_VALUES:,} values of `{row.zone}`", "time")
        series.values += [None] * missing
        series.estimated += [False] * missing
    series.values.append(row.value)
    series.estimated.append(row.estimated)


def _missing_before(series: Series, row: Row) -> int:
    """How many steps stand between the last row of a series and this one; sets the step at the second row."""
    last = series.start + series.step * (len(series.values) - 1)
    ahead = row.time - last
    if ahead <= timedelta(0):
        _refuse_backward(series, row, last)
    if not series.step:
        if ahead > DAY or DAY % ahead:
            raise Fault(
                f"rows of `{row.zone}` are {_span(ahead)} apart, which does not divide a day",
                "time",
            )
        series.step = ahead
    if ahead % series.step:
        raise Fault(
            f"{_span(ahead)} after the row before of `{row.zone}`, where the step is "
            f"{_span(series.step)}",
            "time",
            "keep one step in a file, and declare it as `step: 15m` where rows are missing",
        )
    return ahead // series.step - 1


def _refuse_backward(series: Series, row: Row, last: datetime) -> None:
    back = last - row.time
    twice = not back or (
        series.step
        and back % series.step == timedelta(0)
        and row.time >= series.start
        and series.values[(row.time - series.start) // series.step] is not None
    )
    if twice:
        raise Fault(
            f"`{row.zone}` has {iso(row.time)} twice",
            "time",
            "keep one row of each time; on the day the clocks go back the two have different offsets",
        )
    raise Fault(
        f"`{row.zone}` goes back from {iso(last)} to {iso(row.time)}",
        "time",
        "sort the rows of each zone and issue by time",
    )


def _span(length: timedelta) -> str:
    minutes = length.total_seconds() / 60
    return f"{minutes / 60:g} h" if minutes % 60 == 0 else f"{minutes:g} min"
