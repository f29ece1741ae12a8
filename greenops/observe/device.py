"""One device's energy in whole quanta: laps counted, faults refused, idle known or learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from greenops.domain.energy import Category, EnergyReading, MeterInfo
from greenops.observe.idle_power import IdlePower
from greenops.units import NS_PER_S, Joules, Seconds, Watts

QUANTA_PER_JOULE: Final = 2**32
"""One quantum is 2^-32 J: sums of such doubles are exact up to 2^21 J, whoever adds them in whatever order."""
JUMP: Final = 1.5
"""A step above this many times what the rated power gives in its time is a fault of the meter, not energy."""
LAP_POWER: Final = Watts(10_000.0)
"""A lap may take no more where the rated power is unknown [W]. Source: NVIDIA DGX H100, 10.2 kW, a whole node.

A counter that was reset far from its end would else seem to have run on to it in no time.
"""
LATE_STEPS: Final = 3
"""A counter that stands for so many of its steps is not late: nothing was drawn."""
LONGEST_STEP: Final = Seconds(0.5)
"""Spans wait for no longer steps than this; meters that step more seldom are paid out evenly."""


def joules(quanta: int) -> Joules:
    """Quanta as [J], exact below 2^21 J."""
    return Joules(quanta / QUANTA_PER_JOULE)


def share(total: int, weights: Sequence[int]) -> list[int]:
    """Split whole quanta in proportion to whole weights; the parts add up to `total` exactly.

    All weights zero gives all zero parts: the caller keeps the total.
    """
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    parts, run, before = [], 0, 0
    for weight in weights:
        run += weight
        upto = total * run // whole
        parts.append(upto - before)
        before = upto
    return parts


@dataclass(slots=True)
class DeviceAccount:
    """Where one device's energy went, in quanta, and what was refused."""

    info: MeterInfo
    parts: dict[Category, int] = field(default_factory=lambda: dict.fromkeys(Category, 0))
    measured: int = 0
    taken: int = 0
    """Idle energy that fell to this process, and stands in its own parts."""
    resets: int = 0
    jumps: int = 0
    last: int | None = None
    last_ns: int = 0
    changed_ns: int = 0
    """Reading at which the counter was last seen to have moved [ns]."""
    learned: IdlePower = field(default_factory=IdlePower)
    """Power with nothing running, where the meter does not say."""

    def advance(self, reading: EnergyReading) -> tuple[int, int]:
        """Energy of the counter's step and the time it took: quanta and [ns]; laps counted, faults dropped.

        Both are zero where the counter has not moved: it steps when it likes, so a step belongs to all the
        time since the last one, however often it was looked at.
        """
        now = round(reading.joules * QUANTA_PER_JOULE)
        if self.last is None:
            self.last, self.last_ns, self.changed_ns = now, reading.at_ns, reading.at_ns
            return 0, 0
        if reading.at_ns <= self.last_ns or now == self.last:
            self.last_ns = max(self.last_ns, reading.at_ns)
            return 0, 0
        delta, dt_ns = now - self.last, reading.at_ns - self.changed_ns
        self.last, self.last_ns, self.changed_ns = now, reading.at_ns, reading.at_ns
        if delta < 0 and self.info.wrap is not None:
            lapped = delta + round(self.info.wrap * QUANTA_PER_JOULE)
            most = self.info.rated_power or LAP_POWER
            delta = lapped if self._plausible(lapped, dt_ns, most) else delta
        if delta < 0:
            self.resets += 1
            return self._refused()
        if not self._plausible(delta, dt_ns, self.info.rated_power):
            self.jumps += 1
            return self._refused()
        self.measured += delta
        return delta, dt_ns

    def awaits_step(self, at_ns: int) -> bool:
        """True where the counter has not moved yet since it last did, and will: it is read between two steps."""
        stood, step = at_ns - self.changed_ns, min(self.info.update_period, LONGEST_STEP)
        return 0 < stood < LATE_STEPS * step * NS_PER_S

    def _refused(self) -> tuple[int, int]:
        # What was drawn meanwhile is not known: a window with a gap would teach too low an idle power.
        self.learned.forget()
        return 0, 0

    def _plausible(self, delta: int, dt_ns: int, most: Watts | None) -> bool:
        if delta < 0 or most is None:
            return delta >= 0
        # A step may have begun just before the last look, and another may lie in this one.
        lasted_s = dt_ns / NS_PER_S + 2 * self.info.update_period
        return delta <= JUMP * most * lasted_s * QUANTA_PER_JOULE

    def idle(self, delta: int, dt_ns: int) -> int:
        """The part that would have been drawn with nothing running; never more than `delta`."""
        if dt_ns <= 0:
            return 0
        declared = self.info.idle_power
        power = self._learned(delta, dt_ns) if declared is None else declared
        return min(delta, int(power * dt_ns * QUANTA_PER_JOULE / NS_PER_S))

    def _learned(self, delta: int, dt_ns: int) -> float:
        self.learned.learn(joules(delta), dt_ns / NS_PER_S)
        return self.learned.watts

    @property
    def refused(self) -> dict[str, int]:
        """How many readings were refused, by fault."""
        return {"jump": self.jumps, "reset": self.resets}

    @property
    def residual(self) -> int:
        """What the parts leave of the measured energy; zero, or there is a fault [quanta]."""
        return self.measured - sum(self.parts.values())
