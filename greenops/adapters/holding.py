"""Who holds a run right now: a lock on a file in its folder, which ends with the holder.

A process id would not do: loop and holder may see different processes and still share the folder.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Final, Self
from urllib.parse import unquote

MARK: Final = "holding"
CLAIM: Final = "claim"
TRIES: Final = 20
PAUSE: Final = timedelta(milliseconds=10)
"""A look at the mark locks it for microseconds; longest wait for that in all: 0.2 s."""


class Holding:
    """The mark of one holder; several may hold one run. Stability: beta."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / MARK
        self._file: IO[str] | None = None

    def begin(self, sleep: Callable[[timedelta], None]) -> bool:
        """Say that this process holds the run; whether that can be said.

        Args:
            sleep: Waits on the wall clock.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a")
        except OSError:
            return False
        for _ in range(TRIES):
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
            sleep(PAUSE)
        return False

    def end(self) -> None:
        """Let go; twice is once. Other holders of the run keep theirs."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if (self._path.parent / CLAIM).exists():
            # Nobody holds a run that has started; whoever looks for held ones need not look here.
            with suppress(OSError):
                self._path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def is_held(folder: Path) -> bool:
    """Whether anyone holds the run of a folder."""
    try:
        with (folder / MARK).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def held_keys(state: Path) -> list[str]:
    """Keys of the runs that are held and have not started, in order."""
    runs = state / "runs"
    try:
        folders = sorted(mark.parent for mark in runs.rglob(MARK))
    except OSError:
        return []
    return [
        "/".join(unquote(part) for part in folder.relative_to(runs).parts)
        for folder in folders
        if not (folder / CLAIM).exists() and is_held(folder)
    ]
