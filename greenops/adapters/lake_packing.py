"""Packing: a day's many small files become one, in the order in which they are read."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.disk import sync
from greenops.adapters.lake_files import PACK, Day, Pack, day_of, number_of, pack_name, runs_in
from greenops.adapters.lake_merging import (
    Damaged,
    Identity,
    Merged,
    Reading,
    identity_of,
    is_spans,
    merged_plain,
    merged_spans,
)
from greenops.adapters.lake_places import SENT, day_folders, is_over
from greenops.adapters.lake_shipping import sent_number
from greenops.adapters.lake_subjects import Subjects
from greenops.adapters.lake_writing import no_import
from greenops.errors import Unreachable

SMALL_ROWS: Final = 500_000
"""Packed files of spans with fewer rows are merged with what comes late; larger ones stay as they are [1]."""
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
    """Packs finished days of the lake in a folder; of its locks only an import waits for one, and for a day at most.

    Attributes:
        folder: The lake.
        tables: Schema of each table that is packed.
        stopped: Asked between two small files; true ends the packing there.
    """

    folder: Path
    tables: Mapping[str, pa.Schema]
    stopped: Callable[[], bool] = lambda: False
    _left: set[tuple[Path, Identity]] = field(default_factory=set)

    def pack(self, before: date) -> Packed:
        """Pack every day before a day; nothing where another process packs this lake.

        Raises:
            Unreachable: The disk is full or gone; each day is as it was, or packed.
        """
        done = Packed()
        try:
            with alone(self.folder / "v1") as mine:
                if mine:
                    for table, schema in self.tables.items():
                        for day in _days(self.folder / "v1" / table, before):
                            with no_import(day.parent):
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
            each.path.unlink(missing_ok=True)
        loose = [
            name
            for name in day.loose
            if (folder / name, identity_of(folder / name)) not in self._left
        ]
        packs = [each for each in day.packs if each not in day.stale]
        if not loose:
            return Packed()
        if is_spans(schema):
            packs = [each for each in packs if _rows_of(each) < SMALL_ROWS]
        day = replace(day, packs=tuple(packs), loose=tuple(loose))
        done = Packed()
        try:
            for merged in self._merged(day, schema):
                done = _sum(done, put(folder, merged))
        except Damaged as error:
            log.warning("GO0412 %s: this lake file is damaged; its day is not packed", error.path)
            return done
        for pack in packs:
            pack.path.unlink(missing_ok=True)
        return replace(done, days=1) if done.files else done

    def _merged(self, day: Day, schema: pa.Schema) -> Iterator[Merged]:
        kept = partial(Subjects(self.folder).kept, day.folder.parent.name)
        reading = Reading(self._go_on, self._left, kept)
        merge = merged_spans if is_spans(schema) else merged_plain
        temporary = temporary_in(day.folder)
        try:
            yield from merge(day, temporary, schema, reading)
        finally:
            temporary.unlink(missing_ok=True)

    def _go_on(self) -> None:
        if self.stopped():
            raise Stopped


def put(folder: Path, merged: Merged) -> Packed:
    """Let a packed file count, and the small ones that it holds no more.

    Args:
        folder: The day.
        merged: The file.

    Raises:
        OSError: The disk is full or gone, or the file does not hold what was written.
    """
    if not merged.sources:
        return Packed()
    _check(merged)
    sync(merged.temporary)
    merged.temporary.rename(folder / pack_name(next_number(folder), merged.form))
    # The name must be on disk before those that it stands for are not.
    sync(folder)
    for name, identity in merged.known.items():
        _forget(folder / name, identity)
    return Packed(0, len(merged.known), sum(rows for _, rows in merged.sources))


def temporary_in(folder: Path) -> Path:
    """Where a packed file is written; a later packing clears away what a death left."""
    return folder / f".{PACK}{os.getpid()}.part"


def _rows_of(pack: Pack) -> int:
    return sum(run.rows or 0 for run in pack.runs)


def next_number(folder: Path) -> int:
    """Number of the next packed file of a day: above those here, and those that were sent away."""
    here = (number_of(each) for each in folder.glob(f"{PACK}*"))
    sent = (sent_number(each) for each in folder.glob(f"{SENT}*.json"))
    return 1 + max((*here, *sent), default=0)


def _check(merged: Merged) -> None:
    """Small files go only when what stands for them can be read and says so."""
    rows = sum(count for _, count in merged.sources)
    footer = pq.read_metadata(merged.temporary)
    told = [(run.name, run.rows) for run in runs_in(footer)]
    if told != merged.sources or footer.num_rows != rows:
        raise OSError(f"{merged.temporary} does not hold what was written")


def _days(table: Path, before: date) -> Iterator[Path]:
    return (folder for folder in day_folders(table, away=False) if is_over(folder, before))


def _forget(path: Path, known: Identity) -> None:
    """Remove a small file, unless it was written again since it was read."""
    gone = path.with_name(f".{path.name}{GONE}")
    path.rename(gone)
    if identity_of(gone) == known:
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
def alone(folder: Path) -> Iterator[bool]:
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
