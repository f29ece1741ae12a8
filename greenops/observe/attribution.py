"""Who used the energy: splits each tick of each device among spans, and loses nothing.

Energy is counted in whole quanta, so every split is exact and sums do not depend on order. Clocks come in as
arguments: cumulative nanoseconds of CPU time and of the monotonic clock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from math import hypot

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
from greenops.observe.open_spans import Ending, Lost, OpenSpan, OpenSpans
from greenops.observe.shares import Shares
from greenops.observe.split import Split, splitter
from greenops.observe.times import Tick, Times
from greenops.units import Joules

_log = logging.getLogger(__name__)

__all__ = ["Attribution", "Finished", "Tick"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A span that is settled.

    Attributes:
        energy: What it got; none where a meter did not tell all that it used.
        unknown: Why there is none.
        cpu_ns: CPU time of its own, its part of native threads included [ns].
        periods: Its own energy by period [J].
        devices: Its own energy by device [quanta].
    """

    key: int
    energy: SpanEnergy | None
    unknown: Unknown | None
    cpu_ns: int
    periods: Mapping[int, Joules]
    devices: Mapping[str, int] = field(default_factory=dict)


class Known(Enum):
    """What is known of a device's energy since the last tick."""

    ALL = auto()
    LATER = auto()
    """It could not be read: the next reading covers this tick too."""
    LATE = auto()
    """It was read between two steps of its counter: the next step covers this tick too, and is on its way."""
    GAP = auto()
    """A first reading, or one that was refused: what was drawn before it is never known."""


class Attribution:
    """The books of one process. Not thread-safe: the caller holds one lock around every call."""

    def __init__(self, meters: Iterable[MeterInfo], idle: Idle = SEPARATE) -> None:
        self.devices = {info.device: DeviceAccount(idle.told(info)) for info in meters}
        self.splitters = {device: splitter(each.info) for device, each in self.devices.items()}
        self._idle = idle
        self.spans = OpenSpans()
        self._unread: dict[str, Shares] = {}
        """By device, who used what since it could last be read."""
        self.late: frozenset[int] = frozenset()
        """Spans that ended, and wait for the next step of a counter."""
        self._times = Times(self.spans)
        methods = [each.info.method for each in self.devices.values()]
        self._method = max(methods, key=list(Method).index, default=Method.MEASURED)
        self._uncertainty = {device: each.info.uncertainty for device, each in self.devices.items()}

    def tick(self, tick: Tick, ending: Ending = frozenset) -> list[Finished]:
        """Settle everything since the last tick; the spans that ended before this one, in that order.

        Args:
            tick: One look at all clocks.
            ending: Gives the keys of spans whose end is yet to be told.
        """
        self.spans.bury(ending)
        shares = self._times.shares(tick)
        known = [self._look(device, tick, shares) for device in self.devices]
        gap = Known.GAP in known
        whole = not gap and Known.LATER not in known
        return self._settle(shares, whole, gap=gap, late=Known.LATE in known)

    def _look(self, device: str, tick: Tick, shares: Shares) -> Known:
        account, reading = self.devices[device], tick.readings.get(device)
        lasted_ns = 0 if account.last is None else tick.at_ns - account.last_ns
        account.learned.ran(self.splitters[device].busy_s(shares, reading, lasted_ns))
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
        if known is Known.ALL and account.awaits_step(reading.at_ns):
            self._unread[device] = shares
            return Known.LATE
        self._split(account, moved, shares, reading, tick.period)
        return known

    def learn(self, at_ns: int) -> None:
        """Fit the rates of operations where it is time; takes milliseconds, and no lock but the looker's own."""
        for device, each in self.splitters.items():
            if each.rates is None or not each.rates.due(at_ns):
                continue
            try:
                each.rates.fit(at_ns)
            except (ArithmeticError, ImportError, ValueError):
                _log.warning("GO0703 rates of `%s` are not learned", device, exc_info=True)
                each.rates = None

    def finish(self, key: int) -> Finished | None:
        """Settle a span that waits for a late counter with what it has; none where it does not wait."""
        if key not in self.late or key not in self.spans.waiting:
            return None
        span = self.spans.waiting.pop(key)
        if span.into is not None:
            span.into.below += span.quanta + span.below
        return self._finish(span, whole=not span.gap)

    def close(self) -> None:
        """No more ticks: energy of spans that are still open becomes unattributed."""
        self.spans.clear()
        self._release(self.spans.settled())

    def _release(self, lost: Lost) -> None:
        for device, quanta in lost.quanta.items():
            parts = self.devices[device].parts
            parts[Category.ATTRIBUTED] -= quanta
            parts[Category.UNATTRIBUTED] += quanta

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
        account.taken += more
        parts[Category.IDLE] += idle - more
        parts[Category.OTHER_PROCESS] += dynamic - split.mine
        parts[Category.ATTRIBUTED] += attributed
        parts[Category.OVERHEAD] += overhead
        parts[Category.UNATTRIBUTED] += own - attributed - overhead

    def _settle(self, shares: Shares, whole: bool, *, gap: bool, late: bool) -> list[Finished]:
        for span, use in shares.spans.items():
            span.used_ns += use.cpu + use.native
            span.cpu_ns = span.wall_ns = span.read = span.written = 0
        if gap:
            for span in self.spans.open.values():
                span.gap = True
        self.late = frozenset(self.spans.waiting if whole and late else ())
        if self.late:
            self._release(self.spans.settled())
            return []
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
        quanta, unsure, doubts = span.quanta, 0.0, self._uncertainty
        for device, part in span.devices.items():
            unsure += part * doubts[device]
        own, spread = joules(quanta), hypot(unsure, span.doubt) / QUANTA_PER_JOULE
        energy = SpanEnergy(
            self_j=own,
            total_j=joules(quanta + span.below),
            low_j=Joules(max(0.0, own - spread)),
            high_j=Joules(own + spread),
            method=self._method,
            attribution=span.rule,
        )
        periods = {period: joules(quanta) for period, quanta in span.periods.items()}
        return Finished(span.key, energy, None, span.used_ns, periods, span.devices)


def _explain(span: OpenSpan, split: Split, at: int, quanta: int) -> None:
    """Note on a span by what rule it got a share, and how far that may be off."""
    native, time = split.native[at] if split.native is not None else (0, 1)
    if native:
        by_wall = quanta * native // time
        span.note_rule("wall_share", by_wall)
        span.note_rule(split.rule, quanta - by_wall)
    else:
        span.note_rule(split.rule, quanta)
    if split.doubts is not None:
        span.doubt += quanta * split.doubts[at]
