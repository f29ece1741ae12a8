"""Grams of the energy that is on no span, and users and requests of the whole fleet."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from greenops.domain.energy import Category
from greenops.domain.evidence import AvoidedEmissions
from greenops.domain.footprint import Fleet
from greenops.pipeline.service_sums import ServiceSums
from greenops.units import Grams, Joules

MOST_USERS: Final = 1_000_000
"""Users that are told apart [1]; beyond them their number is not known."""


def carbon_by_category(
    energy: Mapping[tuple[str, str], float],
    services_on: Mapping[str, Iterable[str]],
    services: Mapping[str, ServiceSums],
) -> dict[str, Grams]:
    """Category → emissions [gCO2e]; absent where those of one of its machines are not known.

    Attributed are those of the spans themselves. The rest of a machine's energy emits per joule what the
    spans of the services on it emit per joule: exact where each service runs in one place. Of one that
    runs in several, spans on other machines count as well, since sums are kept by service.

    Args:
        energy: (Host, category) → energy [J].
        services_on: Host → services whose processes reported from it.
        services: Sums of each service.
    """
    parts: defaultdict[str, list[float | None]] = defaultdict(list)
    totals = {name: (each.carbon.total(), each.priced.total()) for name, each in services.items()}
    for (host, category), joules in energy.items():
        if category != Category.ATTRIBUTED and joules:
            on_host = [totals[each] for each in services_on.get(host, ()) if each in totals]
            grams = math.fsum(each[0] for each in on_host)
            priced = math.fsum(each[1] for each in on_host)
            parts[category].append(joules * grams / priced if priced else None)
    found = {
        category: Grams(math.fsum(known))
        for category, given in parts.items()
        if len(known := [each for each in given if each is not None]) == len(given)
    }
    spans = [each.carbon.value() for each in services.values()]
    if any(each is not None for each in spans):
        found[Category.ATTRIBUTED] = Grams(math.fsum(each or 0.0 for each in spans))
    return found


def own_share(own: Grams | None, avoided: AvoidedEmissions | None) -> float | None:
    """What GreenOps emitted itself over what was avoided [1]; none without a saving to set it against."""
    if own is None or avoided is None or avoided.estimate <= 0:
        return None
    return own / avoided.estimate


@dataclass(slots=True)
class Entrances:
    """Requests that came from outside, and whose they were."""

    requests: int = 0
    users: set[int] = field(default_factory=set)
    too_many: bool = False

    def carried(self, users: Iterable[str]) -> None:
        """Take in whose some of these spans are."""
        # A number of 64 bits: who it was is kept nowhere.
        if not self.too_many:
            self.users.update(map(hash, users))
            if len(self.users) > MOST_USERS:
                self.too_many, self.users = True, set()

    def fleet(self, energy: Mapping[str, Joules], carbon: Mapping[str, Grams]) -> Fleet:
        """All that was metered against them; none where a part that has energy has no grams."""
        metered = [category for category, joules in energy.items() if joules]
        known = bool(metered) and all(each in carbon for each in metered)
        return Fleet(
            requests=self.requests,
            users=len(self.users) or None,
            energy_j=Joules(math.fsum(energy.values())) if metered else None,
            carbon_g=Grams(math.fsum(carbon[each] for each in metered)) if known else None,
        )
