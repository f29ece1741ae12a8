"""A ledger in one file of lines: one writer, durable before it answers, whole after a crash."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from greenops.domain.evidence import EntryKind, LedgerEntry
from greenops.errors import DataMissing, Location, Unreachable
from greenops.ports import Clock

FILE: Final = "ledger.jsonl"
CHECKPOINTS: Final = "checkpoints"
TORN: Final = "torn.jsonl"
"""What a crash left of a last line, one JSON object each: kept, but no part of the ledger."""

Item = tuple[EntryKind, Mapping[str, object]]


class ChainState(Protocol):
    """The pure half: makes lines, checks lines, knows the root."""

    @property
    def size(self) -> int:
        """Number of entries."""

    def root(self) -> bytes:
        """Merkle root of all entries."""

    def copy(self) -> Self:
        """The same state, to go on from separately."""

    def add(
        self, kind: EntryKind, body: Mapping[str, object], ts: datetime
    ) -> tuple[LedgerEntry, bytes]:
        """Append an entry; give it with its line."""

    def take(self, line: bytes) -> LedgerEntry:
        """Append a stored line; ValueError where it does not fit."""


class Sealer(Protocol):
    """Signs and opens checkpoints."""

    def seal(self, size: int, root: bytes) -> str:
        """The signed note of a state."""

    def open(self, note: str) -> tuple[int, bytes]:
        """Size and root of a note; ValueError where it is not ours."""


class FileLedger:
    """`<folder>/ledger.jsonl` with its checkpoints beside it; implements `LedgerStore`.

    Each append is one write and one fsync; what cannot be written whole is taken back. Checkpoints
    are written after the first entry, every `checkpoint_entries` entries, on demand and at close.
    Stability: beta.

    Args:
        folder: The ledger's own folder; made where it is not there.
        clock: Gives the simulated time of entries.
        chain: An empty chain.
        sealer: Signs checkpoints with the ledger's key.
        parse: Line → entry, ValueError where it is none; for reading.
        checkpoint_entries: Entries between two checkpoints.
        mirror: A second folder for checkpoints, one that this process can add to but not rewrite
            (another host's mount, object lock, a Git work tree that is pushed).

    Raises:
        Unreachable: Another writer has the ledger (GO0402), or the folder cannot be used (GO0401).
        DataMissing: What is stored does not fit its hashes or checkpoints (GO0403): it was altered.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        chain: ChainState,
        sealer: Sealer,
        parse: Callable[[bytes], LedgerEntry],
        *,
        checkpoint_entries: int = 100,
        mirror: Path | None = None,
    ) -> None:
        self._folder, self._path = folder, folder / FILE
        self._clock, self._chain, self._sealer, self._parse = clock, chain, sealer, parse
        self._every, self._mirror = checkpoint_entries, mirror
        self._guard = threading.RLock()
        self._sealed, self._size, self._torn = 0, 0, False
        self._mirrored: set[str] = set()
        self.checkpoint_problem: str | None = None
        """Why the newest checkpoint is not kept or not mirrored; none where all is well."""
        try:
            (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._open()
        except BaseException:
            os.close(self._fd)
            raise

    def append(self, kind: EntryKind, body: Mapping[str, object]) -> LedgerEntry:
        """Add one entry durably, then return it.

        Raises:
            Unreachable: The disk is full or gone (GO0401), the ledger is closed (GO0404); nothing
                was added.
            DataMissing: Someone else changed the file (GO0403); nothing was added.
        """
        return self.append_many([(kind, body)])[0]

    def append_many(self, items: Sequence[Item]) -> list[LedgerEntry]:
        """Add entries with one write and one fsync: all of them, or on an error none.

        Raises:
            Unreachable, DataMissing: As for `append`.
        """
        with self._guard:
            self._check_ours()
            ahead, ts = self._chain.copy(), self._clock.now()
            made = [ahead.add(kind, body, ts) for kind, body in items]
            self._store(b"".join(line + b"\n" for _, line in made))
            self._chain = ahead
            if self._sealed == 0 or ahead.size - self._sealed >= self._every:
                # The entries are durable, so a missing checkpoint must not make the append fail.
                with contextlib.suppress(Unreachable):
                    self.checkpoint()
            return [entry for entry, _ in made]

    def read(self) -> Iterator[LedgerEntry]:
        """Every whole entry, oldest first; safe while another process appends.

        Raises:
            DataMissing: A line is no entry (GO0403); names the line.
        """
        for number, line in enumerate(_whole_lines(self._path), 1):
            try:
                yield self._parse(line)
            except ValueError as error:
                raise self._altered(f"line {error}", number) from error

    def checkpoint(self) -> str:
        """Sign and keep the root of all entries; the C2SP note text.

        Raises:
            Unreachable: It cannot be kept (GO0401) or the ledger is closed (GO0404).
        """
        with self._guard:
            self._check_ours()
            size = self._chain.size
            note = self._sealer.seal(size, self._chain.root())
            path = self._folder / CHECKPOINTS / f"{size:06d}.txt"
            try:
                if not path.exists():
                    _write_whole(path, note)
            except OSError as error:
                self.checkpoint_problem = f"checkpoint not kept: {error.strerror}"
                raise self._unusable(error, path) from error
            self._sealed = size
            self.checkpoint_problem = self._copy_to_mirror()
            return note

    def close(self) -> None:
        """Sign what is not signed yet and let go of the file; twice is once."""
        with self._guard:
            if self._fd < 0:
                return
            try:
                if self._chain.size != self._sealed or self.checkpoint_problem:
                    self.checkpoint()
            finally:
                os.close(self._fd)
                self._fd = -1

    def __enter__(self) -> Self:
        """Give the ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _open(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Unreachable(
                "GO0402",
                "another process writes this ledger, and it has one writer at a time",
                at=Location(str(self._path)),
                fix="stop the other `greenops serve`, or give this one its own state folder",
            ) from error
        try:
            self._size = self._cut_torn_line()
            self._replay(self._stored_checkpoints())
            _sync_folder(self._folder)
        except OSError as error:
            raise self._unusable(error) from error

    def _cut_torn_line(self) -> int:
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole == len(data):
            return whole
        torn = {
            "at": self._clock.now().isoformat(),
            "offset": whole,
            "bytes": base64.b64encode(data[whole:]).decode(),
        }
        with (self._folder / TORN).open("a") as file:
            file.write(json.dumps(torn) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.ftruncate(self._fd, whole)
        os.fsync(self._fd)
        return whole

    def _stored_checkpoints(self) -> dict[int, bytes]:
        found = {}
        for path in sorted((self._folder / CHECKPOINTS).glob("*.txt")):
            try:
                size, root = self._sealer.open(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DataMissing(
                    "GO0403",
                    f"checkpoint {error}",
                    at=Location(str(path)),
                    fix="run `greenops evidence verify`; a ledger goes on only with its own key",
                ) from error
            found[size] = root
        return found

    def _replay(self, wanted: dict[int, bytes]) -> None:
        # A log must never sign a state that contradicts one it signed before, so look first.
        self._sealed = max(wanted, default=0)
        for number, line in enumerate(_whole_lines(self._path), 1):
            try:
                self._chain.take(line)
            except ValueError as error:
                raise self._altered(f"line {error}", number) from error
            if self._chain.size in wanted and wanted[self._chain.size] != self._chain.root():
                raise self._altered("the lines so far differ from what a checkpoint saw", number)
        if self._sealed > self._chain.size:
            raise self._altered(f"ends here, but a checkpoint saw {self._sealed} entries")
        if not self._sealed and self._chain.size:
            self.checkpoint()

    def _store(self, data: bytes) -> None:
        try:
            written = 0
            while written < len(data):
                written += os.write(self._fd, data[written:])
            os.fsync(self._fd)
        except OSError as error:
            # Nothing may stay half written; where even this fails, the next append tries again.
            self._torn = True
            with contextlib.suppress(OSError):
                self._take_back()
            raise self._unusable(error) from error
        self._size += len(data)

    def _check_ours(self) -> None:
        if self._fd < 0:
            raise Unreachable("GO0404", "the ledger is closed", at=Location(str(self._path)))
        try:
            self._take_back()
            held, named = os.fstat(self._fd), self._path.stat()
        except OSError as error:
            raise self._unusable(error) from error
        if (held.st_ino, held.st_size) != (named.st_ino, self._size):
            raise self._altered("someone else changed the file while it was open")

    def _take_back(self) -> None:
        if self._torn:
            os.ftruncate(self._fd, self._size)
            self._torn = False

    def _copy_to_mirror(self) -> str | None:
        if self._mirror is None:
            return None
        try:
            self._mirror.mkdir(parents=True, exist_ok=True)
            for path in sorted((self._folder / CHECKPOINTS).glob("*.txt")):
                copy = self._mirror / path.name
                if path.name not in self._mirrored and not copy.exists():
                    _write_whole(copy, path.read_text(encoding="utf-8"))
                self._mirrored.add(path.name)
        except OSError as error:
            return f"checkpoint not mirrored to {self._mirror}: {error.strerror}"
        return None

    def _unusable(self, error: OSError, path: Path | None = None) -> Unreachable:
        return Unreachable(
            "GO0401",
            f"cannot write the ledger: {error.strerror or error}; nothing was added",
            at=Location(str(path or self._path)),
            fix="free space or mend the disk, then try again; earlier entries are whole",
        )

    def _altered(self, what: str, line: int = 0) -> DataMissing:
        return DataMissing(
            "GO0403",
            what,
            at=Location(str(self._path), line),
            fix="keep the folder as it is, run `greenops evidence verify`, start a new one",
        )


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):  # a writer may be in the middle of the last one
                yield line[:-1]


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
