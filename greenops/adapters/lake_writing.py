"""Files of a lake that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from greenops.adapters.disk import sync
from greenops.errors import Unreachable


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
