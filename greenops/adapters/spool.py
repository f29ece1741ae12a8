"""A folder of small files between processes: holders leave what they did, `serve` takes it in later.

    <state>/spool/<hash>.json             receipt; taken in, it lies in `done/`
                  decisions/<hash>.json   decision that a holder made by itself; taken in, it goes

Leaving works without a server, without a network and in any order; taking in is idempotent.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from greenops.adapters.disk import write_whole
from greenops.domain.action import Receipt
from greenops.domain.console import DecisionRecord
from greenops.domain.record import canonical, parse
from greenops.errors import Location, Unreachable

R = TypeVar("R")


class Spool:
    """Receipts and decisions on their way to the ledger. Stability: beta."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._decisions = folder / "decisions"

    def drop(self, receipt: Receipt) -> None:
        """Leave a receipt; the same again is one.

        Raises:
            Unreachable: The disk cannot take it.
        """
        _drop(self._folder, canonical(receipt))

    def drop_decision(self, record: DecisionRecord) -> None:
        """Leave a decision; the same again is one.

        Raises:
            Unreachable: The disk cannot take it.
        """
        _drop(self._decisions, canonical(record))

    def pending(self) -> list[tuple[str, Receipt]]:
        """Receipts not yet taken in, with their names; oldest first. Damaged files go aside."""
        return _read(Receipt, self._folder)

    def decisions(self) -> list[tuple[str, DecisionRecord]]:
        """Decisions not yet taken in, with their names; oldest first. Damaged files go aside."""
        return _read(DecisionRecord, self._decisions)

    def done(self, name: str) -> None:
        """Mark a receipt as taken in; twice is once."""
        _aside(self._folder / name, "done")

    def decided(self, name: str) -> None:
        """Let go of a decision that was taken in; twice is once."""
        with suppress(OSError):
            (self._decisions / name).unlink()

    def refused(self, name: str) -> None:
        """Put aside what can never be evidence, receipt or decision."""
        _aside(self._folder / name, "refused")
        _aside(self._decisions / name, "refused")


def _drop(folder: Path, content: bytes) -> None:
    name = f"{hashlib.sha256(content).hexdigest()[:32]}.json"
    try:
        (folder / "done").mkdir(parents=True, exist_ok=True)
        if (folder / "done" / name).exists():
            return
        write_whole(folder / name, content)
    except OSError as error:
        raise Unreachable(
            "GO0601",
            f"spool cannot be written: {error.strerror or error}",
            at=Location(str(folder)),
        ) from error


def _read(kind: type[R], folder: Path) -> list[tuple[str, R]]:
    found = []
    for path in _waiting(folder):
        try:
            found.append((path.name, parse(kind, path.read_bytes())))
        except OSError:
            continue
        except ValueError:
            _aside(path, "damaged")
    return found


def _waiting(folder: Path) -> list[Path]:
    try:
        paths = [p for p in folder.glob("*.json") if not p.name.startswith(".")]
        return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))
    except OSError:
        return []


def _aside(path: Path, where: str) -> None:
    with suppress(OSError):
        (path.parent / where).mkdir(parents=True, exist_ok=True)
        path.replace(path.parent / where / path.name)
