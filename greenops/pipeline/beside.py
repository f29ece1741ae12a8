"""Work that is carried out now, or beside what must not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

Run = Callable[[Callable[[], None]], None]
"""Carries out work, now or beside."""


def at_once(work: Callable[[], None]) -> None:
    """Work now; whoever asked waits for it."""
    work()


def in_background(work: Callable[[], None]) -> None:
    """Work in a thread that keeps nobody waiting, not at the end of the process either.

    Raises:
        RuntimeError: No thread can be had.
    """
    threading.Thread(target=work, name="greenops-beside", daemon=True).start()
