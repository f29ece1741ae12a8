"""Engine over threads of this process, for work that reads and adds up: most of it runs beside other threads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from greenops.adapters.ahead import in_order
from greenops.ports import Work

P = TypeVar("P")
R = TypeVar("R")

MOST: Final = 4
"""Most threads where none are asked for: beyond that they wait for each other, and each holds what it works on."""


class ThreadEngine:
    """The engine `threads`. Stability: beta.

    Args:
        workers: Threads; none: one for each core that this process may use, and four at most.
        spare: Results that may wait beside one for each thread, so that no thread does; each takes its memory.
    """

    def __init__(self, workers: int | None = None, spare: int = 1) -> None:
        self._spare = spare
        self._workers = workers or min(len(os.sched_getaffinity(0)), MOST)

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "threads"

    def run(self, work: Work[P, R], parts: Iterable[P]) -> Iterator[R]:
        """The result of every part, in the order of the parts."""
        pool = ThreadPoolExecutor(self._workers, "engine")
        try:
            yield from in_order(
                lambda part: pool.submit(work, part), parts, self._workers + self._spare
            )
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Nothing stays between two runs."""
