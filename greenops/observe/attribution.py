"""Who used the energy: splits each tick of each device among spans, and loses nothing.

Energy is counted in whole quanta, so every split is exact and sums do not depend on order. Clocks come in as
arguments: cumulative nanoseconds of CPU time and of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from math import hypot
from typing import Final

from greenops.domain.energy import (
    Category,
    EnergyReading,
    MeterInfo,
    Method,
    SpanEnergy,
    Unknown,
)
from greenops.observe.device import QUANTA_PER_JOULE, DeviceAccount, joules, share
from greenops.observe.idle import SEPARATE, Idle
from greenops.observe.open_spans import Lost, OpenSpan, OpenSpans
from greenops.observe.shares import Shares, Use
from greenops.observe.split import Split, splitter
from greenops.units import Joules

SLACK_NS: Final = 200_000_000
"""How far host and process clocks may drift before the difference is forgotten [ns]; /proc/stat counts 10 ms."""


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

    def __init__(self, meters: Iterable[MeterInfo], idle: Idle = SEPARATE) -> None:
        self.devices = {info.device: DeviceAccount(info) for info in meters}
        self.splitters = {device: splitter(each.info) for device, each in self.devices.items()}
        self._idle = idle
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
        self._split(account, moved, shares, reading, tick.period)
        return known

    def learn(self, at_ns: int) -> None:
        """Fit the rates of operations where it is time; takes milliseconds, and no lock but the looker's own."""
        for each in self.splitters.values():
            if each.rates is not None and each.rates.due(at_ns):
                each.rates.fit(at_ns)

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
                span: Use(span.cpu_ns, ns, span.wall_ns, span.read, span.written)
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
        self,
        account: DeviceAccount,
        moved: tuple[int, int],
        shares: Shares,
        reading: EnergyReading,
        period: int,
    ) -> None:
        delta, dt_ns = moved
        idle = account.idle(delta, dt_ns)
        device, parts = account.info.device, account.parts
        dynamic = delta - idle
        split = self.splitters[device].split(dynamic, shares, reading)
        weighed = sum(split.weights) + sum(split.rest) > 0
        more = self._idle.given(idle, split.mine, dynamic) if weighed else 0
        own = split.mine + more
        given = share(own, [*split.weights, *split.rest])
        for at, span in enumerate(shares.spans):
            if given[at]:
                span.add(device, period, given[at])
                _explain(span, split, at, given[at])
        attributed, overhead = sum(given[: len(split.weights)]), given[-1]
        parts[Category.IDLE] += idle - more
        parts[Category.OTHER_PROCESS] += dynamic - split.mine
        parts[Category.ATTRIBUTED] += attributed
        parts[Category.OVERHEAD] += overhead
        parts[Category.UNATTRIBUTED] += own - attributed - overhead

    def _settle(self, shares: Shares, whole: bool, gap: bool) -> list[Finished]:
        for span, use in shares.spans.items():
            span.used_ns += use.cpu + use.native
            span.cpu_ns = span.wall_ns = span.read = span.written = 0
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
        meter = sum(joules(q) * self.devices[d].info.uncertainty for d, q in span.devices.items())
        spread = hypot(meter, span.doubt / QUANTA_PER_JOULE)
        methods = [account.info.method for account in self.devices.values()]
        energy = SpanEnergy(
            self_j=own,
            total_j=joules(span.quanta + span.below),
            low_j=Joules(max(0.0, own - spread)),
            high_j=Joules(own + spread),
            method=max(methods, key=list(Method).index),
            attribution=max(span.rules, key=span.rules.__getitem__, default="cpu_time"),
        )
        periods = {period: joules(quanta) for period, quanta in span.periods.items()}
        return Finished(span.key, energy, None, span.used_ns, periods)


def _explain(span: OpenSpan, split: Split, at: int, quanta: int) -> None:
    """Note on a span by what rule it got a share, and how far that may be off."""
    native, time = split.native[at] if split.native is not None else (0, 1)
    by_wall = quanta * native // time if time else 0
    span.note_rule("wall_share", by_wall)
    span.note_rule(split.rule, quanta - by_wall)
    if split.doubts is not None:
        span.doubt += quanta * split.doubts[at]
