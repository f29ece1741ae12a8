"""Deletion from the lake: a subject's rows now, and whole days that are older than they may be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from greenops.adapters.lake_files import (
    Counting,
    Day,
    Pack,
    Part,
    Run,
    day_of,
    number_of,
    pack_name,
)
from greenops.adapters.lake_merging import (
    Damaged,
    Merged,
    Reading,
    is_spans,
    merged_plain,
    merged_spans,
    stored,
)
from greenops.adapters.lake_packing import alone, next_number, put, temporary_in
from greenops.adapters.lake_pieces import damaged
from greenops.adapters.lake_places import (
    VERSION,
    day_folders,
    forget,
    is_over,
    key_of,
    whole_day,
)
from greenops.adapters.lake_read import span_tables
from greenops.adapters.lake_shipping import Shipper, away_name, drop_notes, write_note
from greenops.adapters.lake_store import Store, store_of
from greenops.adapters.lake_subjects import OF_SUBJECTS, Subject, Subjects, tells
from greenops.adapters.lake_writing import no_import, replaced
from greenops.errors import Unreachable

GONE: Final = ".gone-"
"""How the name of a day begins that is being removed."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion removed.

    Attributes:
        rows: Rows by table.
        files: Files that were written anew, here and in object storage.
        days: Days on which there were such rows, by table.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    days: Mapping[str, int] = field(default_factory=dict)

    def plus(self, table: str, done: _Pass) -> Deleted:
        """With what one pass over a table removed."""
        return Deleted(
            {**self.rows, table: self.rows.get(table, 0) + done.rows},
            self.files + done.files,
            {**self.days, table: self.days.get(table, 0) + done.days},
        )


@dataclass(slots=True)
class Deletion:
    """Takes a subject's rows out of every file of a lake.

    Each file is replaced by one without them: a reader sees the file before or the file after.

    Attributes:
        folder: The lake.
        tables: Schema of each table.
    """

    folder: Path
    tables: Mapping[str, pa.Schema]

    def delete(self, name: str, value: str, wall: datetime, now: datetime) -> Deleted:
        """Delete a subject.

        Args:
            name: Column, or `attributes.KEY`.
            value: Its value, as people write it.
            wall: Rows that ended after it stay.
            now: The same in simulated time.

        Raises:
            Unreachable: The disk or object storage cannot be used, or another process packs this lake. Rows that
                come late stay out all the same; ask again.
            DataMissing: A file is damaged, so nobody knows whether it holds the subject's rows.
        """
        try:
            (self.folder / VERSION).mkdir(parents=True, exist_ok=True)
            subjects = Subjects(self.folder)
            subject = subjects.add(name, value, wall, now)
            with alone(self.folder / VERSION) as mine:
                if not mine:
                    raise Unreachable(
                        "GO0423",
                        "another process packs this lake now, so not all rows are deleted",
                        fix="ask again; rows that come late stay out from now on",
                    )
                return self._everywhere(subjects, subject)
        except OSError as error:
            raise Unreachable(
                "GO0411",
                f"rows of {self.folder} cannot be deleted: {error.strerror or error}",
                fix="free space and ask again: each file is as it was, or without the rows",
            ) from error

    def _everywhere(self, subjects: Subjects, subject: Subject) -> Deleted:
        done, store = Deleted(), store_of(self.folder)

        def over(table: str) -> _Pass:
            return _Pass(self.folder / VERSION / table, self.tables[table], subjects, subject)

        # Here first: what lies here can be deleted though the store be down.
        for table in OF_SUBJECTS:
            with no_import(self.folder / VERSION / table):
                done = done.plus(table, over(table).delete_here())
        if store is not None:
            for table in OF_SUBJECTS:
                done = done.plus(table, over(table).delete_away(store))
        return done


@dataclass(slots=True)
class _Pass:
    """One table, once through."""

    table: Path
    schema: pa.Schema
    subjects: Subjects
    subject: Subject
    rows: int = 0
    files: int = 0
    days: int = 0

    def delete_here(self) -> _Pass:
        """Write every file here that holds rows of the subject anew, without them."""
        for folder in self._folders(away=False):
            day = day_of(folder)
            counting = dict(day.wanted())
            before = self.rows
            for name in day.loose:
                self._loose(folder / name)
            for pack in day.packs:
                whole = Part(pack.path, str(pack.path), pack.runs)
                if self._mine(whole):
                    self._counted(counting.get(pack.path))
                    self._rewrite(folder, pack)
            self.days += self.rows > before
        return self

    def delete_away(self, store: Store) -> _Pass:
        """The same of what lies away and not here; what lies here as well is sent anew."""
        forget(self.table)
        for folder in self._folders():
            day = whole_day(folder)
            if not any(pack.away for pack in day.packs):
                continue
            Shipper(self.table.parents[1], store, (), lambda: self.subject.wall).send(folder)
            day = whole_day(folder)
            counting = dict(day.wanted())
            before = self.rows
            for pack in day.packs:
                key = str(pack.path)
                if pack.away and self._mine(
                    Part(pack.path, store.opened(key), pack.runs, away=True)
                ):
                    self._counted(counting.get(pack.path))
                    self._rewrite_away(store, folder, pack, day)
            self.days += self.rows > before
        return self

    def _folders(self, *, away: bool = True) -> list[Path]:
        """Days that may hold rows of the subject."""
        if not tells(self.schema, self.subject.name):
            return []
        return day_folders(self.table, away=away)

    def _loose(self, path: Path) -> None:
        tables = list(self._tables(Part(path, str(path), (Run(path.name),))))
        kept = [self.subjects.kept(self.table.name, each) for each in tables]
        gone = sum(map(len, tables)) - sum(map(len, kept))
        if gone:
            whole = pa.concat_tables(
                [self.schema.empty_table(), *(_fits(e, self.schema) for e in kept)]
            )
            replaced(path, partial(pq.write_table, whole, compression="zstd"))
            self.rows += gone
            self.files += 1

    def _counted(self, counting: Counting | None) -> None:
        """Count the rows that readers saw: others stood in a file that another took the place of."""
        if counting is not None:
            source = counting.opened(pa.OSFile)
            away = counting.away is not None
            part = Part(counting.path, source, counting.runs, counting.left_out, away)
            self.rows += self._mine(part)
        self.files += 1

    def _mine(self, part: Part) -> int:
        found = 0
        narrow = span_tables(part, [self.subject.name, "end"]) if is_spans(self.schema) else None
        for table in narrow or stored(self.schema, part):
            mine = self.subjects.of(self.table.name, table, self.subject)
            found += 0 if mine is None else int(mine.sum())
        return found

    def _tables(self, part: Part) -> Iterator[pa.Table]:
        return (
            span_tables(part, self.schema.names)
            if is_spans(self.schema)
            else stored(self.schema, part)
        )

    def _rewrite(self, folder: Path, pack: Pack) -> None:
        temporary = temporary_in(folder)
        try:
            for merged in self._merged(pack, folder, temporary):
                put(folder, merged)
        finally:
            temporary.unlink(missing_ok=True)
        pack.path.unlink(missing_ok=True)

    def _rewrite_away(self, store: Store, folder: Path, pack: Pack, day: Day) -> None:
        # Readers of folders see neither the copy nor what it becomes.
        aside = self.table.parent / f".deleting-{os.getpid()}"
        aside.mkdir(exist_ok=True)
        try:
            copy = replace(pack, path=aside / pack.path.name, away=None)
            copy.path.write_bytes(store.read(str(pack.path)))
            number = 1 + max(next_number(folder) - 1, *(number_of(e.path) for e in day.packs))
            for merged in self._merged(copy, aside, aside / ".part"):
                named = aside / pack_name(number, merged.form)
                merged.temporary.rename(named)
                data = named.read_bytes()
                key = key_of(folder, away_name(named, data))
                store.put(key, data)
                if folder.is_dir():
                    write_note(folder / named.name, key, len(data), self.subject.wall)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        store.remove(str(pack.path))
        drop_notes(folder, str(pack.path))
        forget(self.table)

    def _merged(self, pack: Pack, folder: Path, temporary: Path) -> Iterator[Merged]:
        merge = merged_spans if is_spans(self.schema) else merged_plain
        reading = Reading(lambda: None, set(), partial(self.subjects.kept, self.table.name))
        try:
            yield from merge(Day(folder, (pack,)), temporary, self.schema, reading)
        except Damaged as error:
            raise damaged(error.path, "it cannot be read") from error


def delete_days(folder: Path, table: str, before: date) -> int:
    """Remove every day of a table before a day, here and in object storage; gives how many days.

    Raises:
        Unreachable: The disk or object storage cannot be used; what is left is removed the next time.
    """
    place = folder / VERSION / table
    for left in place.glob(f"{GONE}*"):
        shutil.rmtree(left, ignore_errors=True)
    gone = 0
    with no_import(place):
        for day in day_folders(place, away=False):
            if is_over(day, before):
                # A reader finds the day whole or not at all.
                hidden = day.with_name(f"{GONE}{day.name}")
                day.rename(hidden)
                shutil.rmtree(hidden, ignore_errors=True)
                gone += 1
    store = store_of(folder)
    if store is not None:
        for day in day_folders(place):
            if is_over(day, before):
                for name in store.found(key_of(day)):
                    store.remove(name)
                forget(place)
                gone += 1
    return gone


def _fits(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.select(schema.names).cast(schema)
