"""Readings that others took: a counter of joules or a power at an instant, and the energy between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import Final

from greenops.domain.power import LARGEST_NODE
from greenops.domain.reported import Kind
from greenops.units import Joules, Seconds, Watts, energy

LONGEST_GAP: Final = Seconds(300.0)
"""Between two samples of a power further apart nothing is known [s]. Source: Prometheus, which takes a series for gone after it."""


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One look that another tool took.

    Attributes:
        series: Identity of the counter or gauge among all of its tool.
        device: `cpu`, `memory`, `gpu` or `host`, as of energy meters.
        joules: The counter as it stood [J]; it may begin anew at zero.
        watts: The power [W], of what has no counter.
        workload: Pod, container or process that it is the share of; none of whole machines and devices.
        labels: What the tool named it by.
    """

    kind: Kind
    series: str
    device: str
    at: datetime
    joules: Joules | None
    watts: Watts | None
    host: str | None
    workload: str | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Energy between two readings of one series."""

    start: datetime
    reading: MeterReading
    """The later of the two."""
    joules: Joules


def stretches(readings: Iterable[MeterReading]) -> Iterator[Stretch]:
    """Energy between successive readings of one series, in any order.

    A counter that fell began anew at zero, so what it shows was drawn since; where it could not have drawn that in the time,
    nothing is known of the stretch. Of a power, what lies under a line through two looks, unless they are too far apart.
    """
    ordered = sorted(readings, key=attrgetter("at"))
    for before, after in pairwise(ordered):
        joules = _between(before, after)
        if joules is not None:
            yield Stretch(before.at, after, joules)


def _between(before: MeterReading, after: MeterReading) -> Joules | None:
    lasted = after.at - before.at
    if before.watts is not None and after.watts is not None:
        mean = Watts((before.watts + after.watts) / 2)
        seconds = Seconds(lasted.total_seconds())
        return energy(mean, seconds) if 0 < seconds <= LONGEST_GAP else None
    if before.joules is None or after.joules is None:
        return None
    if after.joules >= before.joules:
        return Joules(after.joules - before.joules)
    return after.joules if can_be(after.joules, lasted) else None


def can_be(joules: float, lasted: timedelta) -> bool:
    """Whether one machine can draw an energy [J] in a time; half as much again as the largest is let pass."""
    most = energy(Watts(1.5 * LARGEST_NODE), Seconds(lasted.total_seconds()))
    return 0 <= joules <= most
