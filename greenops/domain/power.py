"""Power as an energy counter: what a sensor of watts has added up to since it was first asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from greenops.units import NS_PER_S, Joules, Seconds, Watts, energy

LARGEST_NODE: Final = Watts(10_200.0)
"""Largest plausible power of one machine or a part of it [W]. Source: NVIDIA DGX H100 data sheet, 10.2 kW."""
LONGEST_GAP: Final = Seconds(60.0)
"""Between two samples further apart nothing is known of the power, so nothing is added [s]."""
STANDSTILL: Final = Seconds(60.0)
"""A counter that stands for so long, and for four of its steps, is not counting: what is on draws something [s]."""


@dataclass(slots=True)
class PowerCounter:
    """Joules under the samples of a power, by trapezoids."""

    joules: float = 0.0
    watts: float = 0.0
    at_ns: int | None = None

    def add(self, watts: Watts, at_ns: int) -> Joules:
        """Take a sample in; the counter as it stands then [J]."""
        if self.at_ns is not None and at_ns > self.at_ns:
            lasted = Seconds((at_ns - self.at_ns) / NS_PER_S)
            if lasted <= LONGEST_GAP:
                self.joules += energy(Watts((self.watts + watts) / 2), lasted)
        self.watts, self.at_ns = watts, max(at_ns, self.at_ns or at_ns)
        return Joules(self.joules)


def plausible_watts(value: float) -> Watts:
    """A power that one machine can draw [W].

    Raises:
        ValueError: It is not finite, negative, or above what `LARGEST_NODE` draws with half as much again.
    """
    if not 0 <= value <= 1.5 * LARGEST_NODE:
        raise ValueError(f"{value} W is no power of a machine")
    return Watts(value)


def plausible_joules(value: float) -> Joules:
    """A counter's value [J].

    Raises:
        ValueError: It is not finite, or negative.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{value} J is no energy counter")
    return Joules(value)


@dataclass(slots=True)
class EvenCounter:
    """A counter that steps seldom, paid out evenly: what a step brought, over as long as the longer of two steps took.

    Never ahead of the counter, and nothing of it lost. A fall, and a step that `most` watts do not explain, pass
    through at once: whoever keeps the books refuses them.

    Attributes:
        most: Largest plausible power [W].
        known: False until a step is seen, and where none comes any more; then nothing tells what is drawn.
    """

    most: Watts
    known: bool = False
    paid: float = 0.0
    last: float | None = None
    rate: float = 0.0
    """What is paid out per nanosecond [J]."""
    took_ns: int = 0
    """How long the last step took [ns]."""
    changed_ns: int = 0
    asked_ns: int = 0

    def sample(self, joules: Joules, at_ns: int) -> None:
        """Take a reading of the counter in."""
        before, took = self.last, at_ns - self.changed_ns
        if joules == before or (before is not None and took <= 0):
            if took > max(STANDSTILL * NS_PER_S, 4 * self.took_ns):
                self.catch_up(joules, at_ns)
            return
        if before is None or not 0 < joules - before <= 1.5 * self.most * took / NS_PER_S:
            self.catch_up(joules, at_ns)
            return
        # What an earlier step has left is paid out along with this one. Looks at the counter and its steps
        # beat, so steps seem to take longer and shorter in turn: by the longer, none ends before the next.
        self.rate = (joules - self.at(at_ns)) / max(took, self.took_ns)
        self.last, self.changed_ns, self.took_ns, self.known = joules, at_ns, took, True

    def catch_up(self, joules: Joules, at_ns: int) -> None:
        """Stand where the counter stands, at once."""
        self.paid, self.rate, self.last = joules, 0.0, joules
        self.took_ns, self.known = 0, False
        self.changed_ns, self.asked_ns = at_ns, max(at_ns, self.asked_ns)

    def at(self, now_ns: int) -> Joules:
        """The counter at a moment; one before the last gives what it gave then [J]."""
        if now_ns > self.asked_ns and self.last is not None:
            self.paid = min(self.last, self.paid + self.rate * (now_ns - self.asked_ns))
            self.asked_ns = now_ns
        return Joules(self.paid)
