"""The clocks of this machine and this process, as Linux keeps them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from os import pread
from pathlib import Path
from threading import get_ident, get_native_id
from time import monotonic_ns, process_time_ns, thread_time_ns
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
TEXT_BYTES: Final = 160
"""As much of `/proc/stat` as holds the times of all CPUs together."""
AT_REST_NS: Final = 20_000
"""CPU time of all threads but the one that looks, for which no other clock is worth reading [ns]: no thread can start,
end or get anything done in less, and what it is given waits for the look that finds more."""


class Clocks(NamedTuple):
    """Cumulative CPU times at one moment [ns]; see `greenops.observe.attribution.Tick`."""

    at_ns: int
    host_ns: int | None
    process_ns: int
    threads: dict[int, int]
    overhead: frozenset[int]
    native: bool


@dataclass(frozen=True, slots=True)
class _Threads:
    """The clocks of all threads, as last read; `others_ns` is what all but the one that read them had used [ns].

    `looker` is that one as the interpreter knows it, `thread` as the kernel does.
    """

    threads: dict[int, int]
    overhead: frozenset[int]
    native: bool
    looker: int
    thread: int
    others_ns: int


HostGlance = tuple[int, bytes | None, int, int, _Threads]
"""Monotonic clock [ns], the machine's CPU times as the kernel writes them, those of the process and of the thread that
looks [ns], and those of all threads."""


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
        self._last: _Threads | None = None
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
        return self.clocks(self.glance())

    def glance(self) -> HostGlance:
        """The same, not worked out yet: ten times a second in a process at rest little else is to be done."""
        # One function, as each that is called is cold. What lets other threads run comes first, so that the clocks
        # after it are of one moment.
        text = None
        if self._stat is not None:
            try:
                text = pread(self._stat, TEXT_BYTES, 0)
            except OSError:
                text = None
        at_ns, process_ns, mine_ns = monotonic_ns(), process_time_ns(), thread_time_ns()
        last = self._last
        if (
            last is not None
            and process_ns - mine_ns - last.others_ns < AT_REST_NS
            and last.looker == get_ident()
            and len(self._known) == len(last.threads)
        ):
            return at_ns, text, process_ns, mine_ns, last
        return self._all(text)

    def clocks(self, glance: HostGlance) -> Clocks:
        """What a glance saw."""
        at_ns, text, process_ns, mine_ns, last = glance
        threads = (
            {**last.threads, last.thread: mine_ns} if last.thread in last.threads else last.threads
        )
        host_ns = None if text is None else self._busy_ns(text)
        return Clocks(at_ns, host_ns, process_ns, threads, last.overhead, last.native)

    def _all(self, text: bytes | None) -> HostGlance:
        """A glance at every thread's clock."""
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
        mine = get_native_id()
        mine_ns = known.get(mine, 0)
        last = _Threads(known, self._overhead, native, get_ident(), mine, process_ns - mine_ns)
        # Where the one that looks is not among them, what the others used is not known either.
        self._last = last if mine in known else None
        return at_ns, text, process_ns, mine_ns, last

    def _own(self) -> tuple[int, int, dict[int, int]]:
        # The time before the clocks of threads: one that is not among them and used something later is new, not dead.
        at_ns, process_ns = monotonic_ns(), process_time_ns()
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

    def _busy_ns(self, text: bytes) -> int | None:
        try:
            _, user, nice, system, _idle, _iowait, irq, softirq, _ = text.split(None, 8)
            busy = int(user) + int(nice) + int(system) + int(irq) + int(softirq)
        except ValueError:
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
