"""The factor table as a file: `greenops serve` writes it, services read it when it changes."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Final

from greenops.domain.factors import FactorTable
from greenops.domain.record import canonical, restore
from greenops.errors import Unreachable

SHIPPED: Final = Path(__file__).parents[1] / "data" / "factors.json"
LOOK_EVERY_S: Final = 1.0
"""Least wall time between two looks at the file's age [s]; a look costs one `stat`."""
EMPTY: Final = FactorTable("none", {})


class FactorFile:
    """A table that is always there: the file's, else the last good one, else the shipped one.

    Args:
        path: The file that `greenops serve` keeps fresh; none: the shipped table alone.
        shipped: Fall back on the annual factors that ship with the package.
    """

    def __init__(self, path: Path | None, *, shipped: bool = True) -> None:
        self._path = path
        self._table: FactorTable | None = None
        self._shipped = shipped
        self._stamp: tuple[int, int] | None = None
        self._looked = float("-inf")

    def table(self) -> FactorTable:
        """The table now; never raises, never waits for the network."""
        now = time.monotonic()
        if self._path is not None and now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._look(self._path)
        if self._table is not None:
            return self._table
        return _shipped() if self._shipped else EMPTY

    def _look(self, path: Path) -> None:
        # A file that is gone or half written leaves the last good table in force.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._table = restore(FactorTable, json.loads(path.read_bytes()))
                self._stamp = stamp

    def write(self, table: FactorTable) -> None:
        """Replace the file in one step.

        Raises:
            Unreachable: The disk is full or the folder cannot be written.
        """
        if self._path is None:
            return
        temporary = ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".factors-")
            with os.fdopen(handle, "wb") as file:
                file.write(canonical(table))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)  # noqa: PTH105  (both paths are strings already)
        except OSError as error:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise Unreachable(
                "GO0308",
                f"cannot write {self._path}: {error.strerror}",
                fix="free space or set GREENOPS_STATE to a folder that can be written",
            ) from error


@cache
def _shipped() -> FactorTable:
    try:
        return restore(FactorTable, json.loads(SHIPPED.read_bytes()))
    except (OSError, ValueError):
        return EMPTY
