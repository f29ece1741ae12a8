"""Files of a lake that are there whole or not at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from greenops.adapters.disk import sync
from greenops.errors import Unreachable

MERGED: Final = frozenset({"reported", "readings"})
"""Tables of which a small file is read, and written again with what comes: not while one packs or deletes there."""
LOCK: Final = ".lock"
"""File in the folder of such a table that whoever does either of it holds."""


@contextmanager
def no_import(table: Path) -> Iterator[None]:
    """Hold off imports into a table for a while; nothing where no small file of it is ever merged.

    Args:
        table: `<state>/lake/v1/<table>`.

    Raises:
        OSError: The disk is full or gone.
    """
    if table.name not in MERGED or not table.is_dir():
        yield
        return
    with (table / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replaced(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside where it belongs, and put it there.

    Raises:
        Unreachable: The disk is full or gone; what was there before still is.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Unreachable(
            "GO0411",
            f"cannot write {path}: {error.strerror or error}",
            fix="free space, or set GREENOPS_STATE to a folder that can be written",
        ) from error
