"""Worker processes of `multiprocessing` leave without the interpreter's exit handlers: what they hold would be lost."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakMethod

PATIENCE_S: Final = 2.0
"""How long a worker's end waits for its last spans and accounts to go out [s]."""


def call_at_exit(leave: Callable[[], None]) -> None:
    """Call a method as a worker process of `multiprocessing` ends: this one, if it is one, and those forked from it.

    Args:
        leave: A bound method, held weakly; may be called twice. Whoever waits for the worker waits two seconds at most.
    """
    weak = WeakMethod(leave)

    def run() -> None:
        method = weak()
        if method is None:
            return
        # A collector that does not answer must not keep a pool from ending.
        thread = threading.Thread(target=method, name="greenops-leave", daemon=True)
        thread.start()
        thread.join(PATIENCE_S)

    os.register_at_fork(after_in_child=lambda: _register(run))
    _register(run)


def _register(run: Callable[[], None]) -> None:
    util: Any = sys.modules.get("multiprocessing.util")
    process: Any = sys.modules.get("multiprocessing.process")
    if util is None or process is None:
        # Nobody has started a worker here. A process that only forks runs its exit handlers, or wants none.
        return
    if process.parent_process() is not None:
        util.Finalize(None, run, exitpriority=0)
    # A worker that was just forked forgets what its parent wanted done at the end, and then asks these.
    util.register_after_fork(run, lambda again: util.Finalize(None, again, exitpriority=0))
