"""Engine over processes of this machine; each gets the function once, and parts one by one."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final, TypeVar, cast

from greenops.adapters.ahead import in_order
from greenops.errors import Unreachable
from greenops.ports import Work

P = TypeVar("P")
R = TypeVar("R")

AHEAD: Final = 2
"""Parts that wait for each process: one to go on with while the result of another is taken."""
_work: Work[Any, Any] | None = None


class ProcessEngine:
    """The engine `processes`. Stability: beta.

    Args:
        workers: Processes; none: one for each core that this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or len(os.sched_getaffinity(0))

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "processes"

    def run(self, work: Work[P, R], parts: Iterable[P]) -> Iterator[R]:
        """The result of every part, in the order of the parts.

        Raises:
            Unreachable: A process died, for example for want of memory.
        """
        # Fresh processes: a fork of one that has threads, as pyarrow starts them, may hang.
        fresh = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self._workers, fresh, _receive, (work,))
        try:
            yield from in_order(
                lambda part: cast("Future[R]", pool.submit(_one, part)),
                parts,
                AHEAD * self._workers,
            )
        except BrokenProcessPool as error:
            raise Unreachable(
                "GO0681",
                "a process of the engine `processes` died",
                fix="give it more memory, or take fewer processes (`--workers 1`)",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Nothing stays between two runs."""


def _receive(work: Work[Any, Any]) -> None:
    global _work  # noqa: PLW0603  (one process, one function)
    _work = work


def _one(part: object) -> object:
    assert _work is not None  # noqa: S101  (the pool calls `_receive` first)
    return _work(part)
