"""The clocks of this machine and this process, as Linux keeps them."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greenops.units import NS_PER_S

OVERHEAD_THREADS = (
    "greenops-meter",
    "OtelBatchSpanRecordProcessor",
    "OtelPeriodicExportingMetricReader",
)
"""Names of threads that are the cost of looking: our meter thread and the SDK's two exporters."""
NAME_EVERY: Final = 10
"""Looks between two lists of all threads where their number stays; those with spans make themselves known."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Cumulative CPU times at one moment [ns]; see `greenops.observe.attribution.Tick`."""

    at_ns: int
    host_ns: int | None
    process_ns: int
    threads: dict[int, int]
    overhead: frozenset[int]
    native: bool


class Host:
    """Reads `/proc/stat` through one kept descriptor and the CPU clocks of threads.

    Args:
        stat: The machine's CPU times; a machine without it has no host clock.
        tasks: Folder with one entry per thread of this process.
    """

    def __init__(
        self, stat: Path = Path("/proc/stat"), tasks: Path = Path("/proc/self/task")
    ) -> None:
        self._known: set[int] = set()
        self._overhead: frozenset[int] = frozenset()
        self._tasks, self._tasks_named, self._looks = tasks, 0, 0
        self._unit = NS_PER_S // os.sysconf("SC_CLK_TCK")
        try:
            self._stat: int | None = os.open(stat, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._stat = None

    def close(self) -> None:
        """Let go of the descriptor; twice is once."""
        stat, self._stat = self._stat, None
        if stat is not None:
            os.close(stat)

    def know(self, thread: int) -> None:
        """Remember a thread by the kernel's id; Python's own goes to the next thread when one dies."""
        self._known.add(thread)

    def thread_ns(self, thread: int) -> int | None:
        """CPU clock of any thread of this process [ns]; none where it is gone."""
        try:
            # The kernel's clock id of a thread, as glibc's pthread_getcpuclockid builds it; an id
            # that is gone is an error here, where the glibc call would read freed memory.
            return time.clock_gettime_ns((~thread << 3) | 6)
        except OSError:
            self._known.discard(thread)
            return None

    def read(self) -> Clocks:
        """All clocks, the process first so that threads never seem to exceed it for long."""
        # What lets other threads run comes first, so that the clocks after it are of one moment.
        host_ns, tasks = self._busy_ns(), self._count_tasks()
        if tasks != self._tasks_named or self._looks % NAME_EVERY == 0:
            self._name_threads()
        self._tasks_named, self._looks = tasks, self._looks + 1
        # The time before the list of threads: one that is not in it and used something later is new, not dead.
        at_ns = time.monotonic_ns()
        process_ns = time.process_time_ns()
        times = {thread: self.thread_ns(thread) for thread in list(self._known)}
        known = {thread: ns for thread, ns in times.items() if ns is not None}
        return Clocks(at_ns, host_ns, process_ns, known, self._overhead, tasks > len(known))

    def _name_threads(self) -> None:
        overhead = set()
        for thread in threading.enumerate():
            if thread.native_id is not None:
                self._known.add(thread.native_id)
                if thread.name.startswith(OVERHEAD_THREADS):
                    overhead.add(thread.native_id)
        self._overhead = frozenset(overhead)

    def _busy_ns(self) -> int | None:
        if self._stat is None:
            return None
        try:
            _, user, nice, system, _idle, _iowait, irq, softirq, _ = os.pread(
                self._stat, 160, 0
            ).split(None, 8)
            busy = int(user) + int(nice) + int(system) + int(irq) + int(softirq)
        except (OSError, ValueError):
            return None
        # Guest time is inside user time; stolen time ran elsewhere and is left out.
        return busy * self._unit

    def _count_tasks(self) -> int:
        # The kernel counts the threads in the links of their folder, which is cheaper than to list them.
        try:
            links = self._tasks.stat().st_nlink
            # This process has a thread: where links tell of none, they tell nothing.
            return links - 2 if links > 2 else len(os.listdir(self._tasks))  # noqa: PLR2004, PTH208
        except OSError:
            return 0
