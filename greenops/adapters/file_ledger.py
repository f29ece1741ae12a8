"""A ledger in one file of lines: one writer, durable before it answers, whole after a crash."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from greenops.adapters.disk import sync
from greenops.domain.evidence import EntryKind, LedgerEntry, LedgerHead, LedgerState
from greenops.errors import DataMissing, Location, Unreachable
from greenops.ports import ChainState, CheckpointKeeper, Clock, Sealer
from greenops.units import NS_PER_S

FILE: Final = "ledger.jsonl"
TORN: Final = "torn.jsonl"
"""What a crash left of a last line, one JSON object each: kept, but no part of the ledger."""
SEAL_EVERY_NS: Final = 2 * NS_PER_S
"""Shortest time between two signatures that nobody asked for [ns]."""
LASTING_EVERY_NS: Final = 3600 * NS_PER_S
"""After this, a new entry gets a checkpoint that stays, and is mirrored [ns]."""

Item = tuple[EntryKind, Mapping[str, object]]


class FileLedger:
    """`<folder>/ledger.jsonl`; implements `LedgerStore`. Stability: beta.

    Each append is one write and one fsync; what cannot be written whole is taken back. What the
    file is about to become is kept beside the key first, so that lines which this writer did not
    write are never signed. Checkpoints that stay are made after the first entry, every
    `checkpoint_entries` entries, hourly, on demand and at close; `seal` signs in between.

    Args:
        folder: The ledger's own folder; made where it is not there.
        clock: Gives the simulated time of entries.
        chain: An empty chain.
        sealer: Signs checkpoints with the ledger's key.
        parse: Line → entry, ValueError where it is none; for reading.
        keeper: Keeps checkpoints and what the writer set out on.
        checkpoint_entries: Entries between two checkpoints.

    Raises:
        Unreachable: Another writer has the ledger (GO0402), or the folder cannot be used (GO0401).
        DataMissing: What is stored does not fit its hashes, its checkpoints, or what this writer
            wrote (GO0403): it was altered.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        chain: ChainState,
        sealer: Sealer,
        parse: Callable[[bytes], LedgerEntry],
        keeper: CheckpointKeeper,
        *,
        checkpoint_entries: int = 100,
    ) -> None:
        self._folder, self._path = folder, folder / FILE
        self._clock, self._chain, self._sealer, self._parse = clock, chain, sealer, parse
        self._keeper, self._every = keeper, checkpoint_entries
        self._guard = threading.RLock()
        self._sealed = self._lasting = 0
        self._sealed_ns = self._lasting_ns = clock.monotonic_ns()
        self._size, self._torn = 0, False
        self.checkpoint_problem: str | None = None
        """Why the newest checkpoint is not kept or not mirrored; none where all is well."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            keeper.prepare()
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
            data = b"".join(line + b"\n" for _, line in made)
            self._set_out(ahead, self._size + len(data))
            self._store(data)
            self._chain = ahead
            if self._lasting == 0 or ahead.size - self._lasting >= self._every:
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
        """Sign the root of all entries and keep that for good; the C2SP note text.

        Raises:
            Unreachable: It cannot be kept (GO0401) or the ledger is closed (GO0404).
        """
        with self._guard:
            return self._sign(lasting=True)

    def seal(self, *, at_once: bool = False) -> None:
        """Sign what is not signed yet, if the last signature is old enough or it must be now.

        Raises:
            Unreachable: As for `checkpoint`; or it cannot be mirrored (GO0409).
        """
        with self._guard:
            now = self._clock.monotonic_ns()
            done = self._chain.size == self._sealed and not self.checkpoint_problem
            if done or not (at_once or now - self._sealed_ns >= SEAL_EVERY_NS):
                return
            self._sealed_ns = now
            self._sign(lasting=now - self._lasting_ns >= LASTING_EVERY_NS)
            if self.checkpoint_problem:
                raise Unreachable("GO0409", self.checkpoint_problem, at=Location(str(self._path)))

    def _sign(self, *, lasting: bool) -> str:
        self._check_ours()
        size = self._chain.size
        note = self._sealer.seal(size, self._chain.root())
        try:
            self._keeper.keep(size, note, lasting=lasting)
        except OSError as error:
            self.checkpoint_problem = f"checkpoint not kept: {error.strerror}"
            raise self._unusable(error) from error
        self._sealed = size
        if lasting:
            self._lasting, self._lasting_ns = size, self._clock.monotonic_ns()
        self.checkpoint_problem = self._keeper.copy_to_mirror()
        return note

    def close(self) -> None:
        """Sign what is not signed yet and let go of the file; twice is once."""
        with self._guard:
            if self._fd < 0:
                return
            try:
                if self._chain.size != self._lasting or self.checkpoint_problem:
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
            head = self._head()
            self._size = self._whole(head)
            self._replay(self._checkpoints())
            self._check_head(head)
            self._cut()
            sync(self._folder)
        except OSError as error:
            raise self._unusable(error) from error
        if self._chain.size > self._sealed:
            self.checkpoint()

    def _head(self) -> LedgerHead | None:
        try:
            return self._keeper.head()
        except ValueError as error:
            raise self._altered(
                f"what its writer kept beside the key is damaged: {error}"
            ) from error

    def _whole(self, head: LedgerHead | None) -> int:
        """Length of what counts: whole lines, and of the last append all of them or none."""
        whole = self._path.read_bytes().rfind(b"\n") + 1
        return head.counted(whole) if head else whole

    def _cut(self) -> None:
        data = self._path.read_bytes()
        if len(data) == self._size:
            return
        torn = {
            "at": self._clock.now().isoformat(),
            "offset": self._size,
            "bytes": base64.b64encode(data[self._size :]).decode(),
        }
        with (self._folder / TORN).open("a") as file:
            file.write(json.dumps(torn) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.ftruncate(self._fd, self._size)
        os.fsync(self._fd)

    def _checkpoints(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for where, note in self._keeper.notes():
            try:
                size, root = self._sealer.open(note)
            except ValueError as error:
                raise DataMissing(
                    "GO0403",
                    f"checkpoint {error}",
                    at=Location(where),
                    fix="run `greenops evidence verify`; a ledger goes on only with its own key",
                ) from error
            if found.setdefault(size, root) != root:
                raise self._altered(f"two checkpoints contradict each other at {size} entries")
        return found

    def _replay(self, wanted: dict[int, bytes]) -> None:
        # A log must never sign a state that contradicts one it signed before, so look first.
        self._sealed = max(wanted, default=0)
        for number, line in enumerate(self._counted_lines(), 1):
            try:
                self._chain.take(line)
            except ValueError as error:
                raise self._altered(f"line {error}", number) from error
            if number in wanted and wanted[number] != self._chain.root():
                raise self._altered("the lines so far differ from what a checkpoint saw", number)
        if self._sealed > self._chain.size:
            raise self._altered(f"ends here, but a checkpoint saw {self._sealed} entries")

    def _counted_lines(self) -> Iterator[bytes]:
        left = self._size
        for line in _whole_lines(self._path):
            if left <= 0:
                return
            left -= len(line) + 1
            yield line

    def _check_head(self, head: LedgerHead | None) -> None:
        """Law: what is not signed yet is signed only if this writer wrote it."""
        found = self._state(self._chain, self._size)
        if head is not None and found not in (head.before, head.after):
            raise self._altered(
                f"has {found.size} entries that are not the {head.after.size} its writer left"
            )
        if head is None and found.size != self._sealed:
            raise self._altered(
                f"has {found.size} entries, of which {self._sealed} are signed; "
                "who wrote the others is not known"
            )

    def _state(self, chain: ChainState, length: int) -> LedgerState:
        return LedgerState(chain.size, chain.root().hex(), length)

    def _set_out(self, ahead: ChainState, length: int) -> None:
        try:
            self._keeper.set_out(
                LedgerHead(self._state(self._chain, self._size), self._state(ahead, length))
            )
        except OSError as error:
            raise self._unusable(error) from error

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

    def _unusable(self, error: OSError) -> Unreachable:
        return Unreachable(
            "GO0401",
            f"cannot write the ledger: {error.strerror or error}; nothing was added",
            at=Location(str(error.filename or self._path)),
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
