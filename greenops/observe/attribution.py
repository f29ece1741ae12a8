"""Who used the energy: splits each tick of each device among spans, and loses nothing.

Energy is counted in whole quanta, so every split is exact and sums do not depend on order. Clocks come in as
arguments: cumulative nanoseconds of CPU time and of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from greenops.domain.energy import (
    Category,
    EnergyReading,
    MeterInfo,
    Method,
    SpanEnergy,
    Unknown,
)
from greenops.observe.device import DeviceAccount, joules, share
from greenops.observe.open_spans import Lost, OpenSpan, OpenSpans
from greenops.observe.shares import Shares, Use
from greenops.units import Joules

SLACK_NS: Final = 200_000_000
"""How far host and process clocks may drift before the difference is forgotten [ns]; /proc/stat counts 10 ms."""

Rate = Callable[[str], float]
"""Relative power of an operation while it is on the CPU; 1.0 for every operation is the flat rule."""


def flat(operation: str) -> float:  # noqa: ARG001
    """Every operation draws alike."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Tick:
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


@dataclass(frozen=True, slots=True)
class Finished:
    """A span that is settled.

    Attributes:
        energy: What it got; none where a meter did not tell all that it used.
        unknown: Why there is none.
        cpu_ns: CPU time of its own, its part of native threads included [ns].
        periods: Its own energy by period [J].
    """

    key: int
    energy: SpanEnergy | None
    unknown: Unknown | None
    cpu_ns: int
    periods: Mapping[int, Joules]


class Known(Enum):
    """What is known of a device's energy since the last tick."""

    ALL = auto()
    LATER = auto()
    """It could not be read: the next reading covers this tick too."""
    GAP = auto()
    """A first reading, or one that was refused: what was drawn before it is never known."""


class Attribution:
    """The books of one process. Not thread-safe: the caller holds one lock around every call."""

    def __init__(self, meters: Iterable[MeterInfo], rate: Rate = flat) -> None:
        self.devices = {info.device: DeviceAccount(info) for info in meters}
        self._rate = rate
        self.spans = OpenSpans()
        self._unread: dict[str, Shares] = {}
        """By device, who used what since it could last be read."""
        self._seen: dict[int, int] | None = None
        self._process_ns = 0
        self._host_ns: int | None = None
        self._ahead_ns = 0
        self._native_ns = 0

    def tick(self, tick: Tick) -> list[Finished]:
        """Settle everything since the last tick; the spans that ended before this one, in that order."""
        self.spans.bury()
        shares = self._shares(tick)
        whole, gap = True, False
        for device in self.devices:
            known = self._look(device, tick, shares)
            whole = whole and known is Known.ALL
            gap = gap or known is Known.GAP
        return self._settle(shares, whole, gap)

    def _look(self, device: str, tick: Tick, shares: Shares) -> Known:
        account, reading = self.devices[device], tick.readings.get(device)
        before = self._unread.pop(device, None)
        if before is not None:
            shares = shares.after(before, self.spans.settled_before)
        if reading is None:
            self._unread[device] = shares
            return Known.LATER
        known = Known.GAP if account.last is None else Known.ALL
        refused = account.jumps + account.resets
        moved = account.advance(reading)
        if account.jumps + account.resets > refused:
            return Known.GAP
        self._split(account, moved, shares, tick.period)
        return known

    def close(self) -> None:
        """No more ticks: energy of spans that are still open becomes unattributed."""
        self.spans.clear()
        self._release(self.spans.settled())

    def _release(self, lost: Lost) -> None:
        for device, quanta in lost.quanta.items():
            parts = self.devices[device].parts
            parts[Category.ATTRIBUTED] -= quanta
            parts[Category.UNATTRIBUTED] += quanta

    def _shares(self, tick: Tick) -> Shares:
        first, seen = self._seen is None, self._seen or {}
        threads = self.spans.threads
        known = unattributed = overhead = 0
        clocks = dict(tick.threads)
        for thread, state in list(threads.items()):
            if thread in clocks or state.at_ns > tick.at_ns:
                # Spans may have started and ended here since the clocks were read.
                cpu_ns = clocks[thread] = max(state.cpu_ns, clocks.get(thread, 0))
                state.charge(cpu_ns, max(state.at_ns, tick.at_ns))
            else:
                self.spans.gone(thread)
                known += state.charged_ns
        for thread, cpu_ns in clocks.items():
            used = cpu_ns - seen.get(thread, cpu_ns if first else 0)
            used = cpu_ns if used < 0 else used
            charged = threads[thread].charged_ns if thread in threads else 0
            known += max(used, charged)
            if thread in tick.overhead:
                overhead += max(0, used - charged)
            else:
                unattributed += max(0, used - charged)
        process_ns = 0 if first else max(0, tick.process_ns - self._process_ns)
        residual = 0 if first else self._residual(process_ns - known)
        self._seen, self._process_ns = clocks, tick.process_ns
        lost = self.spans.lost
        spans = [*self.spans.waiting.values(), *self.spans.active()]
        walls = [*(span.wall_ns for span in spans), lost.wall_ns]
        native = share(residual if tick.native else 0, walls)[:-1]
        return Shares(
            process_ns=process_ns,
            other_ns=self._other(tick.host_ns, process_ns),
            spans={
                span: Use(span.cpu_ns, ns, span.wall_ns)
                for span, ns in zip(spans, native, strict=True)
            },
            unattributed_ns=unattributed + residual - sum(native) + lost.cpu_ns,
            overhead_ns=overhead,
            lost_wall_ns=lost.wall_ns,
        )

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

    def _split(
        self, account: DeviceAccount, moved: tuple[int, int], shares: Shares, period: int
    ) -> None:
        delta, dt_ns = moved
        idle = account.idle(delta, dt_ns)
        own = delta - idle
        parts = account.parts
        parts[Category.IDLE] += idle
        uses = shares.spans.values()
        if account.info.device_kind == "gpu":
            shared = weights = [use.wall for use in uses]
            rest = [shares.lost_wall_ns, 0]
        else:
            running = shares.process_ns + shares.other_ns
            mine = own * shares.process_ns // running if running else own
            parts[Category.OTHER_PROCESS] += own - mine
            own, shared = mine, [use.native for use in uses]
            weights = [self._weight(span, use) for span, use in shares.spans.items()]
            rest = [shares.unattributed_ns, shares.overhead_ns]
        given = share(own, [*weights, *rest])
        for span, quanta, weight, wall in zip(shares.spans, given, weights, shared, strict=False):
            if quanta:
                span.add(account.info.device, period, quanta)
                span.shared += quanta * wall // weight
        attributed, overhead = sum(given[: len(weights)]), given[-1]
        parts[Category.ATTRIBUTED] += attributed
        parts[Category.OVERHEAD] += overhead
        parts[Category.UNATTRIBUTED] += own - attributed - overhead

    def _weight(self, span: OpenSpan, use: Use) -> int:
        if self._rate is flat:
            return use.cpu + use.native
        return int(use.cpu * self._rate(span.name)) + use.native

    def _settle(self, shares: Shares, whole: bool, gap: bool) -> list[Finished]:
        for span, use in shares.spans.items():
            span.used_ns += use.cpu + use.native
            span.cpu_ns = span.wall_ns = 0
        if gap:
            for span in self.spans.open.values():
                span.gap = True
        finished = [self._end(span, whole and not span.gap) for span in self.spans.waiting.values()]
        self.spans.waiting.clear()
        self._release(self.spans.settled())
        return [each for each in finished if each is not None]

    def _end(self, span: OpenSpan, whole: bool) -> Finished | None:
        if not whole:
            # What other devices gave is a part of its energy, and would pass for the whole.
            self.spans.lost.add(span)
        elif span.into is not None:
            span.into.below += span.quanta + span.below
        return self._finish(span, whole) if span.keep else None

    def _finish(self, span: OpenSpan, whole: bool) -> Finished:
        if not self.devices or not whole:
            why = Unknown.METER_FAILED if self.devices else Unknown.NO_METER
            return Finished(span.key, None, why, span.used_ns, {})
        own = joules(span.quanta)
        spread = sum(joules(q) * self.devices[d].info.uncertainty for d, q in span.devices.items())
        methods = [account.info.method for account in self.devices.values()]
        energy = SpanEnergy(
            self_j=own,
            total_j=joules(span.quanta + span.below),
            low_j=Joules(max(0.0, own - spread)),
            high_j=Joules(own + spread),
            method=max(methods, key=list(Method).index),
            attribution="wall_share" if 2 * span.shared > span.quanta else "cpu_time",
        )
        periods = {period: joules(quanta) for period, quanta in span.periods.items()}
        return Finished(span.key, energy, None, span.used_ns, periods)
