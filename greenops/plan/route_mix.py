"""A route's traffic as it is shared among its backends from several origins: one candidate with its figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from greenops.domain.decision import Candidate
from greenops.domain.grid import Region
from greenops.plan.routes import WINDOW
from greenops.units import Grams, GramsPerKwh, Kwh, Usd

N = TypeVar("N", bound=float)


@dataclass(frozen=True, slots=True)
class Part:
    """What one backend answers of one origin.

    Attributes:
        share: Of all traffic of the route [1], above zero.
        energy_kwh: Energy of it in an hour [kWh].
        intensity: Mean of the hour in its grid [gCO2e/kWh]; none where it is not known.
        carbon_g: Its emissions of the hour, the network with them [g]; none where not known.
        p95_ms: As those at the origin see it [ms]; none where not measured.
    """

    region: Region
    share: float
    energy_kwh: Kwh
    intensity: GramsPerKwh | None
    carbon_g: Grams | None
    p95_ms: float | None


def mixed(name: str, parts: Sequence[Part], now: datetime) -> Candidate:
    """One way to share a route; a figure that is not known of all of it is absent."""
    energy, main = Kwh(sum(each.energy_kwh for each in parts)), _main(parts)
    masses = _all([each.carbon_g for each in parts])
    waits = _all([each.p95_ms for each in parts])
    return Candidate(
        id=name,
        region=main.id,
        location=_common(each.region.location for each in parts),
        provider=_common(each.region.provider for each in parts),
        zone=main.zone,
        start=now,
        end=now + WINDOW,
        energy_kwh=energy,
        carbon_g=None if masses is None else Grams(sum(masses)),
        intensity=_intensity(parts, energy),
        cost_usd=_cost(parts),
        p95_ms=None if waits is None else max(waits),
    )


def _main(parts: Sequence[Part]) -> Region:
    """The region with most of the traffic; the first in name of those that have as much."""
    shares: dict[str, float] = {}
    for each in parts:
        shares[each.region.id] = shares.get(each.region.id, 0.0) + each.share
    most = min(shares, key=lambda name: (-round(shares[name], 12), name))
    return next(each.region for each in parts if each.region.id == most)


def _common(names: Iterable[str]) -> str | None:
    """The name that all share; none where they differ, so that a rule on it refuses the mix."""
    different = set(names)
    return different.pop() if len(different) == 1 else None


def _intensity(parts: Sequence[Part], energy: Kwh) -> GramsPerKwh | None:
    """Mean intensity of the energy that is drawn."""
    means = _all([each.intensity for each in parts])
    if means is None or not energy:
        return None
    drawn = sum(each.energy_kwh * mean for each, mean in zip(parts, means, strict=True))
    return GramsPerKwh(drawn / energy)


def _cost(parts: Sequence[Part]) -> Usd | None:
    prices = _all([each.region.usd_per_hour.get("ondemand") for each in parts])
    if prices is None:
        return None
    return Usd(sum(each.share * price for each, price in zip(parts, prices, strict=True)))


def _all(values: Iterable[N | None]) -> list[N] | None:
    """The values where each of them is known; none where one is not."""
    found = list(values)
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else None
