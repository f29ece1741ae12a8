"""Engine over threads of this process, for work that reads and adds up: most of it runs beside other threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar, cast

from greenops.ports import Work

P = TypeVar("P")
R = TypeVar("R")

MOST: Final = 4
"""Most threads where none are asked for: beyond that they wait for each other, and each holds what it works on."""


class ThreadEngine:
    """The engine `threads`. Stability: beta.

    Args:
        workers: Threads; none: one for each core that this process may use, and four at most.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or min(len(os.sched_getaffinity(0)), MOST)

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "threads"

    def run(self, work: Work[P, R], parts: Iterable[P]) -> Iterator[R]:
        """The result of every part, in the order of the parts."""
        pool = ThreadPoolExecutor(self._workers, "engine")
        try:
            waiting: deque[Future[Any]] = deque()
            for part in parts:
                waiting.append(pool.submit(work, part))
                if len(waiting) > self._workers:
                    yield cast("R", waiting.popleft().result())
            while waiting:
                yield cast("R", waiting.popleft().result())
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Nothing stays between two runs."""
