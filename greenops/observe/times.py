"""Who used the time since the last look: every clock of one look, and the shares they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from greenops.domain.energy import EnergyReading
from greenops.observe.device import share
from greenops.observe.open_spans import OpenSpan, OpenSpans
from greenops.observe.shares import Shares, Use

SLACK_NS: Final = 200_000_000
"""How far host and process clocks may drift before the difference is forgotten [ns]; /proc/stat counts 10 ms."""


class Tick(NamedTuple):
    """One look at all clocks; every time is cumulative [ns].

    Attributes:
        at_ns: Monotonic clock.
        period: Name of the stretch of time this tick's energy belongs to, for carbon.
        readings: By device; none where a meter could not be read.
        host_ns: Busy CPU time of the whole machine; none where unknown.
        process_ns: CPU time of this process.
        threads: CPU time of every thread of the interpreter.
        overhead: Threads that are our own cost: meter and exporters.
        native: True where the process has threads the interpreter does not know.
    """

    at_ns: int
    period: int
    readings: Mapping[str, EnergyReading | None]
    host_ns: int | None
    process_ns: int
    threads: Mapping[int, int]
    overhead: frozenset[int] = frozenset()
    native: bool = False


class Times:
    """Clocks at the last look; what they say at the next is of whoever used it. Not thread-safe.

    Args:
        spans: Whose threads are charged at each look.
    """

    def __init__(self, spans: OpenSpans) -> None:
        self._spans = spans
        self._seen: Mapping[int, int] | None = None
        self._process_ns = 0
        self._host_ns: int | None = None
        self._ahead_ns = 0
        self._native_ns = 0

    def shares(self, tick: Tick) -> Shares:
        """Time since the last look by who used it."""
        first, spans = self._seen is None, self._spans
        clocks, known = self._charge(tick)
        known, unattributed, overhead = self._outside(tick, clocks, known)
        process_ns = 0 if first else max(0, tick.process_ns - self._process_ns)
        residual = 0 if first else self._residual(process_ns - known)
        self._seen, self._process_ns = clocks, tick.process_ns
        lost, clockless = spans.lost, not tick.threads
        shared = residual if tick.native or clockless else 0
        uses = self._uses(shared) if spans.open or spans.waiting else {}
        native = sum(use.native for use in uses.values()) if shared else 0
        return Shares(
            process_ns=process_ns,
            other_ns=self._other(tick.host_ns, process_ns),
            spans=uses,
            unattributed_ns=unattributed + residual - native + lost.cpu_ns,
            overhead_ns=overhead,
            lost_wall_ns=lost.wall_ns,
        )

    def _uses(self, shared: int) -> dict[OpenSpan, Use]:
        """What each span used, with its part of the CPU time that spans share by wall time [ns]."""
        spans = self._spans
        used = [*spans.waiting.values(), *spans.active()]
        walls = [*(span.wall_ns for span in used), spans.lost.wall_ns]
        return {
            span: Use(span.cpu_ns, ns, span.wall_ns, span.read, span.written)
            for span, ns in zip(used, share(shared, walls)[:-1], strict=True)
        }

    def _charge(self, tick: Tick) -> tuple[dict[int, int], int]:
        """Charge threads up to this look; their clocks, and what dead ones were charged [ns]."""
        spans, known = self._spans, 0
        clocks = dict(tick.threads)
        for thread, state in list(spans.threads.items()):
            if not tick.threads:
                # No clock serves here: spans share the process's CPU time by wall time.
                state.stand(tick.at_ns)
            elif thread in clocks or state.at_ns > tick.at_ns:
                # Spans may have started and ended here since the clocks were read.
                cpu_ns = clocks[thread] = max(state.cpu_ns, clocks.get(thread, 0))
                state.charge(cpu_ns, max(state.at_ns, tick.at_ns))
            else:
                spans.gone(thread)
                known += state.charged_ns
        return clocks, known

    def _outside(self, tick: Tick, clocks: dict[int, int], known: int) -> tuple[int, int, int]:
        """CPU time of all known threads, that outside spans, and that of our own threads [ns]."""
        seen, threads = self._seen, self._spans.threads
        unattributed = overhead = 0
        for thread, cpu_ns in clocks.items():
            before = cpu_ns if seen is None else seen.get(thread, 0)
            # The kernel gave the id of a dead thread to a new one.
            used = cpu_ns if cpu_ns < before else cpu_ns - before
            state = threads.get(thread)
            charged = 0 if state is None else state.charged_ns
            known += max(used, charged)
            if thread in tick.overhead:
                overhead += max(0, used - charged)
            else:
                unattributed += max(0, used - charged)
        return known, unattributed, overhead

    def _residual(self, difference: int) -> int:
        # Clocks are read one after the other: what one tick sees too much of, the next sees too little of.
        self._native_ns = max(-SLACK_NS, self._native_ns + difference)
        found = max(0, self._native_ns)
        self._native_ns -= found
        return found

    def _other(self, host_ns: int | None, process_ns: int) -> int:
        before, self._host_ns = self._host_ns, host_ns
        if host_ns is None or before is None:
            return 0
        self._ahead_ns = max(-SLACK_NS, self._ahead_ns + max(0, host_ns - before) - process_ns)
        found = max(0, self._ahead_ns)
        self._ahead_ns -= found
        return found
