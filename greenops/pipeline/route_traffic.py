"""The traffic of a route with origins as the planner wants it: what may go where, and what a request emits there.

Hard limits are masks, not penalties: a pair of an origin and a backend is left out where a round trip is too
long or not known, a promised P95 would break, the origin or the rules say no, the grid there is not known, or
the backend is down. Each pair that is left out is told, with every reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import inf
from typing import Final

import numpy as np

from greenops.domain.route import Front, FrontBackend, Origin
from greenops.domain.workload import Workload
from greenops.errors import UsageError
from greenops.plan.candidates import RegionOption
from greenops.plan.intensity import MeanIntensity
from greenops.plan.route_mix import Part
from greenops.plan.routes import WINDOW
from greenops.plan.routing_lp import Traffic
from greenops.plan.slot_table import Floats
from greenops.plan.transfer import MOST, moving
from greenops.units import Grams, GramsPerKwh, Joules, emissions, to_joules, to_kwh

KB_PER_GB: Final = 1e6
HOUR_S: Final = WINDOW.total_seconds()


@dataclass(frozen=True, slots=True)
class Excluded:
    """An origin's traffic that may not go to a backend, and why."""

    origin: str
    backend: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RouteTraffic:
    """A route's traffic of the coming hour.

    Attributes:
        traffic: Rows are origins, targets are backends [requests/s]; costs are grams per request.
        excluded: Pairs that are masked.
        joules: Energy of a request at each backend [J].
        intensity: Mean of the hour in each backend's grid [gCO2e/kWh]; none where not known.
        grams: Emissions of a request of each origin at each backend [g], shape (origin, backend); NaN where not known.
    """

    front: Front
    options: tuple[RegionOption, ...]
    traffic: Traffic
    excluded: tuple[Excluded, ...]
    joules: tuple[Joules, ...]
    intensity: tuple[GramsPerKwh | None, ...]
    grams: Floats

    def parts(self, placed: Floats) -> list[Part]:
        """What each backend answers of each origin, where it answers anything.

        Args:
            placed: Traffic of each origin at each backend [requests/s].
        """
        total = placed.sum()
        return [
            self._part(row, at, float(placed[row, at]), float(placed[row, at] / total))
            for row, at in np.argwhere(placed > 0).tolist()
        ]

    def _part(self, row: int, at: int, rate: float, share: float) -> Part:
        grams = float(self.grams[row, at])
        return Part(
            region=self.options[at].region,
            share=share,
            energy_kwh=to_kwh(Joules(rate * HOUR_S * self.joules[at])),
            intensity=self.intensity[at],
            carbon_g=None if np.isnan(grams) else Grams(rate * HOUR_S * grams),
            p95_ms=p95_of(self.front.origins[row], self.front.backends[at]),
        )


def traffic_of(
    front: Front,
    options: Sequence[RegionOption],
    workload: Workload,
    refused: Mapping[str, Sequence[str]],
    now: datetime,
) -> RouteTraffic:
    """The traffic of a route's origins over the hour from now.

    Args:
        front: A route with origins.
        options: Region and forecast of each backend, in its order.
        workload: What answers it.
        refused: Backend → rules that refuse it.
        now: Start of the hour.

    Raises:
        UsageError: Nothing says what a request takes.
    """
    joules = tuple(_joules(front, each, workload) for each in front.backends)
    means = tuple(_mean(each, now) for each in options)
    names = [each.name for each in front.backends]
    homes = [names.index(each.home) for each in front.origins]
    grams = np.array(
        [
            [_grams(front, options, joules, means, at, home) for at in range(len(names))]
            for home in homes
        ]
    )
    excluded = tuple(_excluded(front, means, refused))
    pairs = {(each.origin, each.backend) for each in excluded}
    may = np.array([[(o.name, name) not in pairs for name in names] for o in front.origins])
    known = np.isfinite(grams)
    caps = [inf if each.capacity_rps is None else each.capacity_rps for each in front.backends]
    traffic = Traffic(
        demand=np.array([each.requests_per_s for each in front.origins], float),
        capacity=np.array(caps, float),
        # What is at home in a grid that is not known stays there: it competes with nothing.
        cost=np.where(known, grams, 0.0),
        may=may,
        home=np.array(homes),
    )
    return RouteTraffic(front, tuple(options), traffic, excluded, joules, means, grams)


def down(found: Front, names: Sequence[str]) -> Front:
    """The route while some of its backends are down."""
    backends = (
        replace(each, capacity_rps=0.0) if each.name in names else each for each in found.backends
    )
    return replace(found, backends=tuple(backends))


def p95_of(origin: Origin, backend: FrontBackend) -> float | None:
    """P95 as an origin sees it [ms]; none where the place's, or the way to it, is not known."""
    trip = origin.rtt_ms.get(backend.name)
    return None if trip is None or backend.p95_ms is None else trip + backend.p95_ms


def _joules(front: Front, backend: FrontBackend, workload: Workload) -> Joules:
    if backend.joules_per_request is not None:
        return Joules(backend.joules_per_request)
    requests = HOUR_S * sum(each.requests_per_s for each in front.origins)
    if workload.energy_kwh is None:
        raise UsageError(
            "GO0653",
            f"route `{front.route}`: what a request takes at `{backend.name}` is not known",
            fix=f"give `joules_per_request`, or `energyKwh` of an hour in workload `{workload.name}`",
        )
    return Joules(to_joules(workload.energy_kwh) / requests)


def _mean(option: RegionOption, now: datetime) -> GramsPerKwh | None:
    return MeanIntensity(option.forecast)(now, now + WINDOW) if option.forecast else None


def _grams(
    front: Front,
    options: Sequence[RegionOption],
    joules: Sequence[Joules],
    means: Sequence[GramsPerKwh | None],
    at: int,
    home: int,
) -> float:
    """Emissions of a request at a backend [g], with those of the network where that is not its home."""
    here, there = means[at], means[home]
    if here is None:
        return np.nan
    own = emissions(joules[at], here, options[at].region.pue)
    if at == home or not front.kilobytes_per_request:
        return float(own)
    if there is None:
        return np.nan
    return float(own + moving(front.kilobytes_per_request / KB_PER_GB, here, there, MOST))


def _excluded(
    front: Front, means: Sequence[GramsPerKwh | None], refused: Mapping[str, Sequence[str]]
) -> Iterator[Excluded]:
    for origin in front.origins:
        for backend, mean in zip(front.backends, means, strict=True):
            reasons = tuple(_reasons(front, origin, backend, mean, refused.get(backend.name, ())))
            if reasons:
                yield Excluded(origin.name, backend.name, reasons)


def _reasons(
    front: Front,
    origin: Origin,
    backend: FrontBackend,
    mean: GramsPerKwh | None,
    rules: Sequence[str],
) -> Iterator[str]:
    if backend.capacity_rps == 0:
        yield "down: its capacity is zero"
    if backend.name == origin.home:
        # Home is where it goes without us: nothing else takes that away.
        return
    if origin.pinned:
        yield f"pinned to {origin.home}"
    elif origin.allowed_backends is not None and backend.name not in origin.allowed_backends:
        yield "not among the origin's backends"
    yield from _too_far(front, origin, backend)
    if mean is None:
        yield f"no forecast of the grid of {backend.region}"
    yield from (f"rule {each}" for each in rules)


def _too_far(front: Front, origin: Origin, backend: FrontBackend) -> Iterator[str]:
    trip, p95 = origin.rtt_ms.get(backend.name), p95_of(origin, backend)
    if trip is None:
        yield "its round trip is not declared"
    elif front.max_rtt_ms is not None and trip > front.max_rtt_ms:
        yield f"round trip {trip:g} ms, at most {front.max_rtt_ms:g}"
    if front.max_p95_ms is None or trip is None:
        return
    if p95 is None:
        yield "its P95 is not declared"
    elif p95 > front.max_p95_ms:
        yield f"P95 {p95:g} ms, at most {front.max_p95_ms:g}"
