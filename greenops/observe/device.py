"""One device's energy in whole quanta: laps counted, faults refused, idle known or learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from greenops.domain.energy import Category, EnergyReading, MeterInfo
from greenops.units import NS_PER_S, Joules

QUANTA_PER_JOULE: Final = 2**32
"""One quantum is 2^-32 J: sums of such doubles are exact up to 2^21 J, whoever adds them in whatever order."""
JUMP: Final = 1.5
"""A reading above this many times the rated power is a fault of the meter, not energy."""
IDLE_WINDOW_NS: Final = NS_PER_S
"""An unknown idle power is the lowest mean power over windows this long [ns]."""


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
    resets: int = 0
    jumps: int = 0
    last: int | None = None
    last_ns: int = 0
    idle_w: float | None = None
    window: tuple[int, int] = (0, 0)

    def advance(self, reading: EnergyReading) -> tuple[int, int]:
        """Energy and time since the last good reading: quanta and [ns]; laps counted, faults dropped."""
        now = round(reading.joules * QUANTA_PER_JOULE)
        before, since = self.last, self.last_ns
        self.last, self.last_ns = now, reading.at_ns
        if before is None or reading.at_ns <= since:
            self.last_ns = max(since, reading.at_ns)
            self.last = now if before is None else before
            return 0, 0
        delta, dt_ns = now - before, reading.at_ns - since
        if delta < 0 and self.info.wrap is not None:
            lapped = delta + round(self.info.wrap * QUANTA_PER_JOULE)
            delta = lapped if self._plausible(lapped, dt_ns) else delta
        if delta < 0:
            self.resets += 1
            return 0, dt_ns
        if not self._plausible(delta, dt_ns):
            self.jumps += 1
            return 0, dt_ns
        self.measured += delta
        return delta, dt_ns

    def _plausible(self, delta: int, dt_ns: int) -> bool:
        rated = self.info.rated_power
        if delta < 0:
            return False
        return rated is None or delta * NS_PER_S <= JUMP * rated * dt_ns * QUANTA_PER_JOULE

    def idle(self, delta: int, dt_ns: int) -> int:
        """The part that would have been drawn with nothing running; never more than `delta`."""
        power = self.info.idle_power
        if power is None:
            self._learn(delta, dt_ns)
            power = self.idle_w  # type: ignore[assignment]
        if power is None:
            return 0
        return min(delta, int(power * dt_ns * QUANTA_PER_JOULE / NS_PER_S))

    def _learn(self, delta: int, dt_ns: int) -> None:
        energy, lasted = self.window[0] + delta, self.window[1] + dt_ns
        if lasted >= IDLE_WINDOW_NS:
            power = joules(energy) / (lasted / NS_PER_S)
            self.idle_w = power if self.idle_w is None else min(self.idle_w, power)
            energy, lasted = 0, 0
        self.window = (energy, lasted)

    @property
    def residual(self) -> int:
        """What the parts leave of the measured energy; zero, or there is a fault [quanta]."""
        return self.measured - sum(self.parts.values())
