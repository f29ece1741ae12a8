"""A row of a table that another tool wrote: its cells as text, numbers and times, and the place of what is wrong in one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from greenops.domain.reported import Amount
from greenops.errors import InvalidFile, Location

PLAIN: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3}){2,}(?:\.\d*)?|,\d{3}\.\d*)")
"""Thousands set off by commas where no other reading of them is possible: `1,234.5`, `1,234,567`."""
MONTH: Final = re.compile(r"(\d{4})-?(\d{2})(?:-?(\d{2}))?(?:[T ].*)?")
LONGEST: Final = 60
"""Longest part of a cell that a message quotes [characters]."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: cells by name, text or plain values; none where a cell is empty.

    Attributes:
        line: Line in the file, or number of the row where its file has no lines.
        raw: Text of the row in CSV; none elsewhere.
        columns: Place of each column in it.
    """

    path: Path
    cells: Mapping[str, Any]
    line: int
    raw: str | None = None
    columns: Mapping[str, int] | None = None
    separator: str = ","
    in_lines: bool = True

    def text(self, name: str) -> str | None:
        """A cell's text."""
        value = self.cells.get(name)
        return str(value).strip() or None if value is not None else None

    def needed(self, name: str) -> str:
        """A cell's text.

        Raises:
            InvalidFile: It is empty.
        """
        found = self.text(name)
        if found is None:
            raise self.wrong(name, "must not be empty")
        return found

    def number(self, name: str, *, least: float = 0.0) -> float | None:
        """A cell's number; none where it is empty.

        Raises:
            InvalidFile: It is none, not finite, less than what it can be, or can be read in two ways.
        """
        told = self.text(name)
        if told is None:
            return None
        text = told.replace(",", "") if GROUPED.fullmatch(told) else told
        value = float(text) if PLAIN.fullmatch(text) else math.nan
        if "," in text:
            fix = "export it with a decimal point and without thousands separators"
            raise self.wrong(name, f"`{told[:LONGEST]}` can be read in two ways", fix)
        if not math.isfinite(value):
            raise self.wrong(name, f"must be a number, not `{told[:LONGEST]}`")
        if value < least:
            raise self.wrong(name, f"must not be below {least:g}: `{told[:LONGEST]}`")
        return value

    def instant(self, name: str) -> datetime:
        """A cell's date and time, in UTC where it does not say.

        Raises:
            InvalidFile: It is none.
        """
        told = self.cells.get(name)
        if isinstance(told, datetime):
            return told if told.tzinfo else told.replace(tzinfo=UTC)
        if isinstance(told, date):
            return datetime(told.year, told.month, told.day, tzinfo=UTC)
        try:
            found = datetime.fromisoformat(self.needed(name).removesuffix(" UTC"))
        except ValueError as error:
            raise self.wrong(
                name, f"must be a date and time, not `{str(told)[:LONGEST]}`"
            ) from error
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def month(self, name: str) -> datetime:
        """First instant of the month that a cell names: `2026-10`, `2026-10-01`, `20261001`.

        Raises:
            InvalidFile: It names none, or another day than the first.
        """
        told = self.needed(name)
        found = MONTH.fullmatch(told)
        if found is None or found[3] not in (None, "01"):
            raise self.wrong(
                name, f"must be the first day of a month, not `{told[:LONGEST]}`", "as 2026-10-01"
            )
        try:
            return datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
        except ValueError as error:
            raise self.wrong(name, f"is no month: `{told[:LONGEST]}`") from error

    def wrong(self, name: str, what: str, fix: str | None = None) -> InvalidFile:
        """The error that says where a cell is and what is wrong with it."""
        if self.raw is None:
            where = f"row {self.line}, " if not self.in_lines else ""
            at = Location(str(self.path), self.line if self.in_lines else 0)
        else:
            where, at = "", self._cell(name)
        return InvalidFile("GO0441", f"{where}`{name}` {what}", at=at, fix=fix)

    def _cell(self, name: str) -> Location:
        """Where a cell begins, counted in characters from 1."""
        before, line, column, quoted = (self.columns or {}).get(name, 0), self.line, 1, False
        for sign in self.raw or "":
            if before == 0:
                break
            quoted ^= sign == '"'
            before -= sign == self.separator and not quoted
            line, column = (line + 1, 1) if sign == "\n" else (line, column + 1)
        return Location(str(self.path), line, column)


def month_after(start: datetime) -> datetime:
    """First instant of the month after one that begins at an instant."""
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def once(
    amounts: Iterable[tuple[Row, Amount]], periods: Sequence[str], is_value: Callable[[str], bool]
) -> list[Amount]:
    """Amounts of one key as one; rows that differ in nothing but their values are the same row, told again.

    Args:
        amounts: Each with its row.
        periods: Columns that may tell the period, for the message.
        is_value: Whether a column is a value, and not what it is of.

    Raises:
        InvalidFile: A row was told before, with another amount or by another version of its method.
    """
    seen: dict[tuple[object, ...], tuple[Row, float]] = {}
    found: dict[tuple[object, ...], tuple[Row, Amount]] = {}
    for row, amount in amounts:
        of = [(name, str(cell)) for name, cell in row.cells.items() if not is_value(name)]
        before = seen.setdefault((amount.key, *sorted(of)), (row, amount.value))
        name = next((each for each in periods if each in row.cells), periods[0])
        if before[1] != amount.value:
            raise twice(row, name, before[0])
        if before[0] is row:
            first, sum_so_far = found.get(amount.key, (row, None))
            # The same month by two versions of a method are two tellings of one thing.
            if sum_so_far is not None and sum_so_far.version != amount.version:
                raise twice(row, name, first)
            found[amount.key] = (first, _added(sum_so_far, amount))
    return [amount for _, amount in found.values()]


def _added(one: Amount | None, other: Amount) -> Amount:
    """Two parts of one key together; what they tell beside it goes where they differ in it."""
    if one is None:
        return other
    more = dict(one.more.items() & other.more.items())
    return replace(one, value=one.value + other.value, more=more)


def twice(row: Row, name: str, before: Row) -> InvalidFile:
    """The error of a period that is told in two ways."""
    found = row.wrong(name, f"is told in line {before.line}, too, in another way")
    fix = "leave out the one that is outdated"
    return InvalidFile("GO0445", found.message, at=found.at, fix=fix)
