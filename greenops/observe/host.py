"""The clocks of this machine and this process, as Linux keeps them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from greenops.units import NS_PER_S

OVERHEAD_THREADS = (
    "greenops-meter",
    "OtelBatchSpanRecordProcessor",
    "OtelPeriodicExportingMetricReader",
)
"""Names of threads that are the cost of looking: our meter thread and the SDK's two exporters."""
NAME_EVERY: Final = 10
"""Looks between two lists of all threads; those with spans make themselves known, as do those that use CPU time."""
UNEXPLAINED_NS: Final = 1_000_000
"""CPU time of no known thread between two looks for which all threads are listed anew [ns]: one per cent of a look."""


class Clocks(NamedTuple):
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
        self._tasks, self._tasks_counted, self._looks = tasks, 0, 0
        self._listed, self._seen = 0, (0, 0)
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
        host_ns = self._busy_ns()
        at_ns, process_ns, known = self._own()
        # While there are threads that the interpreter does not know, or one has just died, each look counts anew.
        changed = len(known) != self._listed or self._tasks_counted > len(known)
        changed = changed or self._is_unexplained(process_ns, known)
        if changed or self._looks % NAME_EVERY == 0:
            self._tasks_counted, before = self._count_tasks(), len(self._known)
            self._name_threads()
            if len(self._known) > before:
                at_ns, process_ns, known = self._own()
            self._listed = len(known)
        self._looks += 1
        self._seen = process_ns, sum(known.values())
        native = self._tasks_counted > len(known)
        return Clocks(at_ns, host_ns, process_ns, known, self._overhead, native)

    def _own(self) -> tuple[int, int, dict[int, int]]:
        # The time before the clocks of threads: one that is not among them and used something later is new, not dead.
        at_ns = time.monotonic_ns()
        process_ns = time.process_time_ns()
        times = {thread: self.thread_ns(thread) for thread in list(self._known)}
        return at_ns, process_ns, {thread: ns for thread, ns in times.items() if ns is not None}

    def _is_unexplained(self, process_ns: int, known: Mapping[int, int]) -> bool:
        """True where more CPU time went than known threads tell of: one is new, has died, or is not the interpreter's."""
        process_before, known_before = self._seen
        return process_ns - process_before - (sum(known.values()) - known_before) > UNEXPLAINED_NS

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
