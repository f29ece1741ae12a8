"""The factor table on disk: written by the control loop, read by every service, never in its way."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from greenops.adapters.disk import sync
from greenops.domain.factors import FactorTable
from greenops.domain.record import canonical, restore
from greenops.errors import Location, Unreachable

SHIPPED: Final = Path(__file__).parent.parent / "data" / "factors.json"
"""Annual means, PUE and prices; what holds where no fresher table was written."""
LOOK_EVERY_S: Final = 1.0
"""Wall seconds between two looks at the file's modification time [s]."""

Stamp = tuple[int, int, int]
"""Modification time [ns], size, inode: a rename within one tick of the clock is still seen."""


class FactorFile:
    """A factor table that follows its file.

    Args:
        path: File that `greenops serve` keeps fresh; none for the shipped table alone.
        shipped: Fall back on the shipped table; without it the fallback has no regions.
        monotonic: Seconds that only rise; tests own it.
    """

    def __init__(
        self,
        path: Path | None,
        shipped: bool = True,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._shipped = shipped
        self._monotonic = monotonic
        self._table: FactorTable | None = None
        self._stamp: Stamp | None = None
        self._next_look = float("-inf")
        self.problem: str | None = None
        """Why the file, as it is now, is not what `table` gives; none where it is."""

    def table(self) -> FactorTable:
        """The newest good table: from the file, else the last good one, else the shipped one.

        Never raises; looks at the file at most once a second and reads it only when it changed.
        """
        now = self._monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY_S
            self._look()
        if self._table is None:
            self._table = _shipped() if self._shipped else FactorTable("none", {})
        return self._table

    def _look(self) -> None:
        if self._path is None:
            return
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._stamp = stamp
                self._table = parse(self._path.read_bytes())
                self.problem = None
        except FileNotFoundError:
            self.problem = f"{self._path} is missing"
            self._stamp = None
        except (OSError, ValueError) as error:
            self.problem = f"{self._path}: {error}"

    def write(self, table: FactorTable) -> None:
        """Put a table in the file's place at once: a reader sees the old or the new one, whole.

        Raises:
            Unreachable: The folder cannot be written; the old file stands.
            ValueError: This file has no path.
        """
        if self._path is None:
            raise ValueError("a factor file without a path cannot be written")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self._path, canonical(table))
        except OSError as error:
            raise Unreachable(
                "GO0308",
                f"the factor table cannot be written: {error.strerror or error}",
                at=Location(str(self._path)),
                fix="free space or make the folder writable; services go on with the last table",
            ) from error


def parse(content: bytes) -> FactorTable:
    """A table from its JSON.

    Raises:
        ValueError: It is not a factor table, or its content does not hash to its version.
    """
    try:
        table = restore(FactorTable, json.loads(content))
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a factor table: {error}") from error
    if hashlib.sha256(canonical(table.regions)).hexdigest() != table.version:
        raise ValueError("content does not hash to its version")
    return table


def _shipped() -> FactorTable:
    try:
        return parse(SHIPPED.read_bytes())
    except (OSError, ValueError):
        return FactorTable("none", {})


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
