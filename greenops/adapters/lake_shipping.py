"""Packed files of finished days go to object storage; their copies here go later."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa

from greenops.adapters.lake_files import Day, Pack, day_of, form_of, number_of
from greenops.adapters.lake_places import (
    SENT,
    VERSION,
    day_folders,
    forget,
    is_over,
    key_of,
    whole_day,
)
from greenops.adapters.lake_store import Store
from greenops.adapters.lake_writing import replaced

GRACE: Final = timedelta(minutes=15)
"""How long a copy stays here after it was sent: a reader may have listed object storage just before."""
DIGITS: Final = 16
"""Of the hash of a file's content in its name."""

log = logging.getLogger("greenops.lake")


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent.

    Attributes:
        files: Packed files.
        bytes: In them.
        gone: Copies here that were removed.
    """

    files: int = 0
    bytes: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Shipper:
    """Sends packed files of a lake to its store; a step that was cut off is done again.

    Attributes:
        folder: The lake.
        store: Where files go.
        tables: Names of the tables.
        wall: The time of day.
        stopped: Asked between two files; true ends the sending there.
    """

    folder: Path
    store: Store
    tables: Iterable[str]
    wall: Callable[[], datetime]
    stopped: Callable[[], bool] = lambda: False

    def ship(self, before: date) -> Sent:
        """Send what is packed of every day before a day, and not sent yet.

        Raises:
            Unreachable: The store does not answer; what was not sent lies here.
        """
        files = size = 0
        for folder in self._days(before):
            sent = self.send(folder)
            files, size = files + sent.files, size + sent.bytes
        return Sent(files, size)

    def send(self, folder: Path) -> Sent:
        """The same of one day.

        Raises:
            Unreachable: The store does not answer; what was not sent lies here.
        """
        day = day_of(folder)
        files = size = 0
        for pack in _live(day):
            if self.stopped() or note_of(pack.path) is not None:
                continue
            size += self._send(folder, pack)
            files += 1
        if files:
            self._tidy(folder, day)
        return Sent(files, size)

    def drop(self, before: date) -> Sent:
        """Remove copies here of what was sent a while ago, of every day before a day.

        Raises:
            Unreachable: The store does not answer; what it may not hold stays here.
        """
        gone = 0
        for folder in self._days(before):
            for pack in day_of(folder).packs:
                note = note_of(pack.path)
                if note is not None and self._may_go(note, pack.path):
                    pack.path.unlink(missing_ok=True)
                    gone += 1
        return Sent(gone=gone)

    def _days(self, before: date) -> Iterator[Path]:
        for table in self.tables:
            for folder in day_folders(self.folder / VERSION / table, away=False):
                if is_over(folder, before):
                    yield folder

    def _send(self, folder: Path, pack: Pack) -> int:
        # Packed files are never written to, so a look at the pages will do.
        data = memoryview(pa.memory_map(str(pack.path)).read_buffer())
        key = key_of(folder, away_name(pack.path, data))
        # The name holds a hash of the content: what has it and the length is the same.
        if self.store.size(key) != len(data):
            self.store.put(key, data)
        write_note(pack.path, key, len(data), self.wall())
        forget(folder.parent)
        return len(data)

    def _tidy(self, folder: Path, day: Day) -> None:
        """Remove what was sent before, where what was sent now holds all of it."""
        _remove_stale(self.store, folder)
        here = {_note_path(each.path).name for each in day.packs}
        for note in folder.glob(f"{SENT}*.json"):
            if note.name not in here and self.store.size(_told(note).key) is None:
                note.unlink(missing_ok=True)

    def _may_go(self, note: Note, path: Path) -> bool:
        if self.wall() - note.at < GRACE:
            return False
        return self.store.size(note.key) == note.bytes == path.stat().st_size


@dataclass(frozen=True, slots=True)
class Note:
    """Where a packed file was sent, how long it is [bytes], and when."""

    key: str
    bytes: int
    at: datetime


def note_of(pack: Path) -> Note | None:
    """What is noted of a packed file that was sent; none: it was not."""
    try:
        return _told(_note_path(pack))
    except (OSError, ValueError, KeyError, TypeError):
        # A note that cannot be read is written again: sending twice is sending once.
        return None


def write_note(pack: Path, key: str, size: int, at: datetime) -> None:
    """Note that a packed file was sent."""
    note = json.dumps({"key": key, "bytes": size, "at": at.isoformat()}).encode()
    replaced(_note_path(pack), lambda temporary: temporary.write_bytes(note))


def drop_notes(folder: Path, key: str) -> None:
    """Forget what was noted of a file that is not there any more."""
    for note in folder.glob(f"{SENT}*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if _told(note).key == key:
                note.unlink()


def sent_number(note: Path) -> int:
    """Number of the packed file that a note is of."""
    return number_of(note.with_name(note.stem.removeprefix(SENT)))


def away_name(path: Path, data: bytes | memoryview) -> str:
    """Name away of a packed file: the number, and what it holds."""
    form = form_of(path.name)
    digest = hashlib.sha256(data).hexdigest()[:DIGITS]
    ending = "" if form == 1 else f".v{form}"
    return f"0-packed-{number_of(path)}-{digest}{ending}.parquet"


def _live(day: Day) -> list[Pack]:
    """Packed files that no others take the place of."""
    stale = {each.path for each in day.stale}
    return [each for each in day.packs if each.path not in stale]


def _remove_stale(store: Store, folder: Path) -> None:
    """Remove packed files away of which later ones away hold everything."""
    forget(folder.parent)
    packs = tuple(each for each in whole_day(folder).packs if each.away is not None)
    for each in Day(folder, packs).stale:
        store.remove(str(each.path))
    forget(folder.parent)


def _note_path(pack: Path) -> Path:
    return pack.with_name(f"{SENT}{pack.name}.json")


def _told(note: Path) -> Note:
    told = json.loads(note.read_bytes())
    return Note(told["key"], told["bytes"], datetime.fromisoformat(told["at"]))
