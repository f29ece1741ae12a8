"""What the lake's spans used, by workload and stretch of time; days that stay are not read again."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.adapters.lake_files import Part, Run, is_pack
from greenops.adapters.lake_pieces import sound
from greenops.adapters.lake_places import day_folders, names_away, parts
from greenops.adapters.lake_read import span_tables
from greenops.adapters.lake_tally import MEASURES, NEVER, Cell, Columns, Key, Seen, add_all
from greenops.domain.usage import Known, Usage, Used, Window
from greenops.errors import DataMissing

WORD: Final = pa.dictionary(pa.int32(), pa.string())
ASKED: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("trace_id", "span_id")),
        *((name, WORD) for name in ("workload", "unknown")),
        ("time", pa.timestamp("us", "UTC")),
        *((name, pa.float64()) for name in MEASURES),
    ]
)
"""What is read of each span."""
TOGETHER: Final = 400_000
"""Rows that are summed at once; some 50 megabytes."""
OPEN_DAYS: Final = timedelta(days=1)
"""How long before the end of what is asked a day is still being written to. Keys of its spans are
kept [8 bytes each]; an earlier day is read again as a whole when a late row comes."""
SETTLED_NS: Final = 2 * 10**9
"""How long a folder must have been left alone before its time of change tells that it stays so: a
file system counts in ticks, and two changes may fall into one."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

log = logging.getLogger("greenops.lake")

_Identity = tuple[int, int, int]


@dataclass(slots=True)
class _Day:
    """Sums of a day, and of which files they are.

    Attributes:
        edges: Instants that its cells do not cross [us since 1970].
        changed: Inode and change time of the folder, where that tells that its files are the same.
        files: Name → inode, size and time of each file that was counted.
        here: Those of them that do not lie away.
        seen: Keys of its spans; none: they were let go.
        sources: Names of the small files that its rows came from, packed or not.
        later: Rows at or after the end of all windows; counted once a window reaches them.
        low: First instant that was counted; `high` is the last [us since 1970].
    """

    edges: Any
    changed: tuple[int, int] | None = None
    files: Mapping[str, _Identity] = field(default_factory=dict)
    here: Mapping[str, _Identity] = field(default_factory=dict)
    seen: Seen | None = field(default_factory=Seen)
    sources: set[str] = field(default_factory=set)
    cells: dict[Key, Cell] = field(default_factory=dict)
    later: list[Columns] = field(default_factory=list)
    low: int = NEVER
    high: int = -NEVER

    def serves(self, edges: Sequence[int]) -> bool:
        """Whether its cells can be told apart at these instants."""
        return all(each in self.edges for each in edges if self.low < each <= self.high)

    def add(self, rows: Columns, end: int) -> None:
        """Count rows before an instant, and keep the others for later."""
        before = rows.time < end
        if not before.all():
            self.later.append(rows.where(~before))
            rows = rows.where(before)
        if len(rows.time):
            self.low = min(self.low, int(rows.time.min()))
            self.high = max(self.high, int(rows.time.max()))
            add_all(self.cells, rows, self.edges)

    def reach(self, end: int) -> None:
        """Count what was kept for later and lies before an instant now."""
        waiting, self.later = self.later, []
        for each in waiting:
            self.add(each, end)

    def within(self, begins: int, ends: int) -> Iterator[tuple[str | None, Cell]]:
        """Cells of a window whose bounds `serves` was asked for."""
        if begins > self.high or ends <= self.low:
            return
        first = int(np.searchsorted(self.edges, begins, side="right"))
        last = int(np.searchsorted(self.edges, ends, side="left"))
        for key, cell in self.cells.items():
            if first <= key.stretch <= last:
                yield key.workload, cell


class LakeSums:
    """Sums of the spans below `<state>/lake/v1`; one caller at a time.

    A span that was delivered twice counts once a day, as it came first in the order of reading: its
    instant goes with it, so a second one lies on the same day.
    """

    def __init__(
        self,
        folder: Path,
        *,
        skip_damaged: bool = True,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Sums of a lake.

        Args:
            folder: The lake.
            skip_damaged: Name damaged files in the log and go on; else they raise `DataMissing`.
            wall_ns: The clock that files are stamped by [ns since 1970].
        """
        self._folder = folder / "v1" / "spans"
        self._skip_damaged, self._wall_ns = skip_damaged, wall_ns
        self._days: dict[str, _Day] = {}

    def __call__(self, windows: Sequence[Window]) -> list[Usage]:
        """What was used in each window; reads files that are new since the last call.

        Raises:
            DataMissing: A file is damaged; names it.
        """
        bounds = [(_us(each.begins), _us(each.ends)) for each in windows]
        asked = [(begins, ends) for begins, ends in bounds if begins < ends]
        if not asked:
            return [{} for _ in windows]
        first, end = min(begins for begins, _ in asked), max(ends for _, ends in asked)
        self._look(_date(first), _date(end - 1), sorted({e for pair in asked for e in pair}), end)
        return [_used(self._days.values(), begins, ends) for begins, ends in bounds]

    def _look(self, first: date, last: date, edges: Sequence[int], end: int) -> None:
        names = [f"day={each.isoformat()}" for each in (first, last, last - OPEN_DAYS)]
        kept: dict[str, _Day] = {}
        for folder in day_folders(self._folder):
            if names[0] <= folder.name <= names[1]:
                # A day that fails half-way is read again; those that were read are kept.
                day = self._refreshed(folder, self._days.pop(folder.name, None), edges, end)
                self._days[folder.name] = kept[folder.name] = day
                if folder.name < names[2]:
                    day.seen, day.sources = None, set()
        self._days = kept

    def _refreshed(self, folder: Path, day: _Day | None, edges: Sequence[int], end: int) -> _Day:
        with sound(folder):
            changed = _changed(folder)
            recent = self._wall_ns() - changed[1] < SETTLED_NS
            same = day is not None and day.changed == changed
            here = day.here if day is not None and same else _files(folder)
        away = {f"away/{name}": (0, size, 0) for name, size in names_away(folder).items()}
        files = {**here, **away}
        if day is not None and files != day.files:
            day = self._more(folder, day, files, end)
        if day is not None:
            day.reach(end)
        # Rows that came may lie on both sides of an edge that no row lay beyond before.
        if day is None or not day.serves(edges):
            day = self._whole(folder, edges, end)
        day.files, day.here, day.changed = files, here, None if recent else changed
        return day

    def _more(
        self, folder: Path, day: _Day, files: Mapping[str, _Identity], end: int
    ) -> _Day | None:
        """The day with files that came; none where it has to be read as a whole."""
        if day.seen is None or not day.files.items() <= files.items():
            return None
        new = sorted(files.keys() - day.files.keys())
        # A small file that was packed and comes again takes the place of rows that were counted.
        if any(is_pack(name.removeprefix("away/")) or name in day.sources for name in new):
            return None
        in_order = not day.files or new[0] > max(day.files)
        try:
            found = [Part(folder / n, opened(str(folder / n)), (Run(n),)) for n in new]
        except (OSError, pa.ArrowException):
            return None
        for rows in self._rows(found, day.sources):
            first = day.seen.first(rows.keys)
            # Of two that differ, the one that a reader meets first counts.
            if not in_order and not first.all():
                return None
            day.add(rows.where(first), end)
        return day

    def _whole(self, folder: Path, edges: Sequence[int], end: int) -> _Day:
        seen = Seen()
        day = _Day(np.array(edges, np.int64), seen=seen)
        for rows in self._rows(parts(folder, opened), day.sources):
            day.add(rows.where(seen.first(rows.keys)), end)
        return day

    def _rows(self, found: Iterable[Part], sources: set[str]) -> Iterator[Columns]:
        tables: list[pa.Table] = []
        for table in self._tables(found, sources):
            tables.append(table)
            if sum(map(len, tables)) >= TOGETHER:
                yield Columns.of(pa.concat_tables(tables))
                tables = []
        if tables:
            yield Columns.of(pa.concat_tables(tables))

    def _tables(self, found: Iterable[Part], sources: set[str]) -> Iterator[pa.Table]:
        for part in found:
            sources.update(run.name for run in part.runs)
            try:
                for table in span_tables(part, ASKED.names):
                    with sound(part.path, away=part.away):
                        yield from _pieces(table if table.schema == ASKED else table.cast(ASKED))
            except DataMissing as error:
                if not self._skip_damaged:
                    raise
                log.warning("%s", error)


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    for first in range(0, len(table), TOGETHER):
        yield table.slice(first, TOGETHER)


def _used(days: Iterable[_Day], begins: int, ends: int) -> dict[str | None, Used]:
    found: dict[str | None, list[Cell]] = {}
    for day in days:
        for workload, cell in day.within(begins, ends):
            found.setdefault(workload, []).append(cell)
    return {workload: _sum_of(cells) for workload, cells in found.items()}


def _sum_of(cells: Sequence[Cell]) -> Used:
    known: list[Known | None] = []
    for at in range(len(MEASURES)):
        first = min(cell.first[at] for cell in cells)
        total = math.fsum(number for cell in cells for number in cell.sums[at])
        known.append(None if first == NEVER else Known(total, EPOCH + first * MICROSECOND))
    lacks = [sum(cell.lacks[at] for cell in cells) for at in range(len(MEASURES))]
    return Used(known[0], known[1], known[2], *lacks)


def opened(path: str) -> Any:
    """A file that is read, not mapped: one that is cut short meanwhile must not end the process."""
    return pa.OSFile(path)


def _changed(folder: Path) -> tuple[int, int]:
    """What changes when a file of a folder comes, goes or is replaced."""
    try:
        found = folder.stat()
    except FileNotFoundError:  # all of it lies away
        return 0, 0
    return found.st_ino, found.st_ctime_ns


def _files(folder: Path) -> dict[str, _Identity]:
    found: dict[str, _Identity] = {}
    if not folder.is_dir():
        return found
    with os.scandir(folder) as entries:
        for each in entries:
            if each.name.endswith(".parquet") and each.name[0] != ".":
                try:
                    about = each.stat()
                except FileNotFoundError:  # it was packed just now; the next look sees where
                    continue
                found[each.name] = (about.st_ino, about.st_size, about.st_mtime_ns)
    return found


def _us(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


def _date(instant: int) -> date:
    return (EPOCH + instant * MICROSECOND).date()
