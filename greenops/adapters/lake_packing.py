"""Packing: a day's many small files become one, in the order in which they are read."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.disk import sync
from greenops.adapters.lake_files import (
    PACK,
    STAGES,
    Day,
    Part,
    Run,
    day_of,
    number_of,
    runs_of,
    sources_text,
)
from greenops.errors import Unreachable

GROUP_BYTES: Final = 16 * 2**20
"""About what a row group takes while it is put together [bytes]; several times that is in memory at the peak."""
GROUP_ROWS: Final = 800_000
"""Most rows of a row group; what a replay takes at once."""
TOGETHER: Final = 256
"""Small tables that are joined at once: each costs some kilobytes beside its rows."""
JOINED_ROWS: Final = 20_000
"""Rows that are joined at once [1]."""
GONE: Final = ".gone"
"""Ending of a packed small file's name just before it is removed."""

log = logging.getLogger("greenops.lake")


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing did.

    Attributes:
        days: Days of a table that were packed.
        files: Files that they had before.
        rows: Rows in them.
    """

    days: int = 0
    files: int = 0
    rows: int = 0


class Stopped(Exception):
    """Whoever asked for packing wants it to end; the day stays as it was."""


@dataclass(slots=True)
class Packer:
    """Packs finished days of the lake in a folder; takes no lock that a writer or a reader waits for.

    Attributes:
        folder: The lake.
        tables: Schema of each table that is packed.
        stopped: Asked between two small files; true ends the packing there.
    """

    folder: Path
    tables: Mapping[str, pa.Schema]
    stopped: Callable[[], bool] = lambda: False
    _left: set[tuple[Path, _Identity]] = field(default_factory=set)

    def pack(self, before: date) -> Packed:
        """Pack every day before a day; nothing where another process packs this lake.

        Raises:
            Unreachable: The disk is full or gone; each day is as it was, or packed.
        """
        done = Packed()
        try:
            with _alone(self.folder / "v1") as alone:
                if alone:
                    for table, schema in self.tables.items():
                        for day in _days(self.folder / "v1" / table, before):
                            done = _sum(done, self._day(day, schema))
        except Stopped:
            pass
        except OSError as error:
            raise Unreachable(
                "GO0411",
                f"cannot pack {self.folder}: {error.strerror or error}",
                fix="free space; what is not packed is read as it is",
            ) from error
        return done

    def _day(self, folder: Path, schema: pa.Schema) -> Packed:
        _tidy(folder)
        day = day_of(folder)
        for each in day.stale:
            each.unlink(missing_ok=True)
        loose = [
            name for name in day.loose if (folder / name, _of(folder / name)) not in self._left
        ]
        if len(loose) <= (day.pack is None):
            return Packed()
        day = Day(folder, day.pack, day.runs, tuple(loose))
        number = 1 if day.pack is None else number_of(day.pack) + 1
        target = folder / f"{PACK}{number}.parquet"
        temporary = folder / f".{target.name}.{os.getpid()}"
        try:
            merged = self._merge(day, temporary, schema)
            if not merged.known:
                return Packed()
            _check(temporary, merged)
            sync(temporary)
            temporary.rename(target)
        except _Damaged as error:
            log.warning("GO0412 %s: this lake file is damaged; its day is not packed", error.path)
            return Packed()
        finally:
            temporary.unlink(missing_ok=True)
        # The name must be on disk before those that it stands for are not.
        sync(folder)
        for name, identity in merged.known.items():
            _forget(folder / name, identity)
        if day.pack is not None:
            day.pack.unlink(missing_ok=True)
        return Packed(1, len(merged.known), sum(rows for _, rows in merged.sources))

    def _merge(self, day: Day, temporary: Path, schema: pa.Schema) -> _Merged:
        merged = _Merged(frozenset(run.name for run in day.runs))
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            groups = _Groups(writer)
            for path, runs in day.wanted():
                if path == day.pack:
                    self._repack(path, runs, schema, groups, merged)
                else:
                    self._take(path, schema, groups, merged)
            groups.write()
            writer.add_key_value_metadata(sources_text(merged.sources))
        return merged

    def _repack(
        self,
        path: Path,
        runs: tuple[Run, ...],
        schema: pa.Schema,
        groups: _Groups,
        merged: _Merged,
    ) -> None:
        file = _opened(path)
        for group, start, rows in Part(path, None, runs).pieces(file):
            self._go_on()
            groups.add(_rows(path, file, group, schema).slice(start, rows))
        whole = file.metadata.num_rows
        merged.sources += [(run.name, whole if run.rows is None else run.rows) for run in runs]

    def _take(self, path: Path, schema: pa.Schema, groups: _Groups, merged: _Merged) -> None:
        identity = _of(path)
        try:
            file = _opened(path)
            for group in range(file.num_row_groups):
                self._go_on()
                groups.add(_rows(path, file, group, schema))
        except _Damaged as error:
            # Readers say what is wrong with it; a file of an earlier version lacks columns.
            self._left.add((path, identity))
            if error.group or path.name in merged.replaced:
                raise
            return
        merged.sources.append((path.name, file.metadata.num_rows))
        merged.known[path.name] = identity

    def _go_on(self) -> None:
        if self.stopped():
            raise Stopped


_Identity = tuple[int, int, int]


class _Damaged(Exception):
    """A row group cannot be read, or lacks columns."""

    def __init__(self, path: Path, group: int) -> None:
        super().__init__(str(path))
        self.path, self.group = path, group


@dataclass(slots=True)
class _Merged:
    """What went into a packed file.

    Attributes:
        replaced: Small files that the packed file before it holds.
        sources: Small files and their rows, in order.
        known: Small files that can go now, as they were when they were read.
    """

    replaced: frozenset[str]
    sources: list[tuple[str, int]] = field(default_factory=list)
    known: dict[str, _Identity] = field(default_factory=dict)


@dataclass(slots=True)
class _Groups:
    """Row groups in the making; rows that were added together stay together."""

    writer: pq.ParquetWriter
    _small: list[pa.Table] = field(default_factory=list)
    _joined: list[pa.Table] = field(default_factory=list)
    _small_rows: int = 0

    def add(self, table: pa.Table) -> None:
        """Take some rows; writes a row group where there are enough."""
        self._small.append(table)
        self._small_rows += len(table)
        if len(self._small) >= TOGETHER or self._small_rows >= JOINED_ROWS:
            self._join()
            rows = sum(map(len, self._joined))
            if rows >= GROUP_ROWS or sum(each.nbytes for each in self._joined) >= GROUP_BYTES:
                self.write()

    def write(self) -> None:
        """Write what was added as one row group."""
        self._join()
        if self._joined:
            whole = pa.concat_tables(self._joined).unify_dictionaries()
            self._joined = []
            self.writer.write_table(whole, row_group_size=max(1, len(whole)))

    def _join(self) -> None:
        if self._small:
            whole = pa.concat_tables(self._small).unify_dictionaries().combine_chunks()
            self._joined.append(whole)
        self._small, self._small_rows = [], 0


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise _Damaged(path, 0) from error


def _rows(path: Path, file: pq.ParquetFile, group: int, schema: pa.Schema) -> pa.Table:
    try:
        table = file.read_row_group(group, columns=schema.names, use_threads=False)
        if STAGES in schema.names and STAGES not in table.column_names:
            table = table.append_column(STAGES, pa.nulls(len(table), schema.field(STAGES).type))
        return table.select(schema.names).cast(schema)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _Damaged(path, group) from error


def _check(temporary: Path, merged: _Merged) -> None:
    """Small files go only when what stands for them can be read and says so."""
    rows = sum(count for _, count in merged.sources)
    told = [(run.name, run.rows) for run in runs_of(temporary)]
    if told != merged.sources or pq.read_metadata(temporary).num_rows != rows:
        raise OSError(f"{temporary} does not hold what was written")


def _days(table: Path, before: date) -> Iterator[Path]:
    for folder in sorted(table.glob("day=*")):
        with suppress(ValueError):
            if date.fromisoformat(folder.name.removeprefix("day=")) < before:
                yield folder


def _of(path: Path) -> _Identity:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _forget(path: Path, known: _Identity) -> None:
    """Remove a small file, unless it was written again since it was read."""
    gone = path.with_name(f".{path.name}{GONE}")
    path.rename(gone)
    if _of(gone) == known:
        gone.unlink()
    else:
        _put_back(gone)


def _put_back(gone: Path) -> None:
    """Give a small file its name again, unless a newer one has it."""
    with suppress(FileExistsError):
        os.link(gone, gone.with_name(gone.name[1:].removesuffix(GONE)))
    gone.unlink()


def _tidy(folder: Path) -> None:
    """Clear away what a death while packing left."""
    for each in folder.glob(f".*{GONE}"):
        _put_back(each)
    for each in folder.glob(f".{PACK}*"):
        each.unlink(missing_ok=True)


def _sum(one: Packed, other: Packed) -> Packed:
    return Packed(one.days + other.days, one.files + other.files, one.rows + other.rows)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether nobody else packs in a folder, for as long as this lasts."""
    if not folder.is_dir():
        yield False
        return
    with (folder / "packing.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
