"""A folder of small files between processes: holders drop receipts, `serve` takes them in later.

Dropping works without a server, without a network and in any order; taking in is idempotent.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from greenops.domain.action import Receipt
from greenops.domain.record import canonical, restore
from greenops.errors import Location, Unreachable


class Spool:
    """Receipts on their way to the ledger. Stability: beta."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def drop(self, receipt: Receipt) -> None:
        """Leave a receipt; the same again is one.

        Raises:
            Unreachable: The disk cannot take it.
        """
        content = canonical(receipt)
        name = f"{hashlib.sha256(content).hexdigest()[:32]}.json"
        new = self._folder / f".{name}.{os.getpid()}"
        try:
            (self._folder / "done").mkdir(parents=True, exist_ok=True)
            if (self._folder / "done" / name).exists():
                return
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._folder / name)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise Unreachable(
                "GO0601",
                f"spool cannot be written: {error.strerror or error}",
                at=Location(str(self._folder)),
            ) from error

    def pending(self) -> list[tuple[str, Receipt]]:
        """Receipts not yet taken in, with their names; oldest first. Damaged files go aside."""
        found = []
        for path in self._waiting():
            try:
                found.append((path.name, restore(Receipt, json.loads(path.read_bytes()))))
            except OSError:
                continue
            except (ValueError, TypeError, AttributeError):
                self._aside(path, "damaged")
        return found

    def done(self, name: str) -> None:
        """Mark a receipt as taken in; twice is once."""
        self._aside(self._folder / name, "done")

    def _waiting(self) -> list[Path]:
        try:
            paths = [p for p in self._folder.glob("*.json") if not p.name.startswith(".")]
            return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))
        except OSError:
            return []

    def _aside(self, path: Path, where: str) -> None:
        with suppress(OSError):
            (self._folder / where).mkdir(parents=True, exist_ok=True)
            path.replace(self._folder / where / path.name)
