"""What the lake's spans emitted in a month in the regions of a cloud provider, and what of them is left out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from greenops.adapters.shipped_grid import shipped_regions
from greenops.domain.carbon import Account, Carbon, total
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Signal
from greenops.domain.spans import SpanRow
from greenops.units import Grams

IMPORTED: Final = "greenops.import.tool"
"""Attribute of runs that other tools accounted for."""
NOT_TOLD: Final = "not told"
"""Method of spans that carry none."""
Range = tuple[float, float, float]
"""Emissions and their 90 % range [gCO2e]."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is compared.

    Attributes:
        month: First instant of it (UTC).
        regions: Regions of the provider; none: all.
        services: Services by the provider's names; none: all.
        ours: Services of the lake; none: all.
    """

    provider: str
    month: datetime
    regions: Collection[str] = ()
    services: Collection[str] = ()
    ours: Collection[str] = ()

    @property
    def end(self) -> datetime:
        """First instant after the month."""
        return (self.month + timedelta(days=31)).replace(day=1)


@dataclass(slots=True)
class Own:
    """Sums of the lake's spans.

    Attributes:
        grams: Emissions of each span, by method.
        joules: Energy of each that has it; `with_carbon_joules` of those that have emissions.
        imported: Runs that other tools accounted for: they may be the same work, and are in no sum.
        nowhere: Spans of the month without a region.
    """

    grams: defaultdict[str, list[Range]] = field(default_factory=lambda: defaultdict(list))
    spans: int = 0
    with_carbon: int = 0
    joules: list[float] = field(default_factory=list)
    with_carbon_joules: list[float] = field(default_factory=list)
    days: set[date] = field(default_factory=set)
    regions: set[str] = field(default_factory=set)
    imported: int = 0
    imported_grams: list[float] = field(default_factory=list)
    nowhere: int = 0


def own_emissions(spans: Iterable[SpanRow], asked: Asked) -> Own:
    """Sums over spans that come by day, of which those after the month are not read."""
    theirs = {each.id for each in shipped_regions() if each.provider == asked.provider}
    asked_for = set(asked.regions) or theirs
    found = Own()
    for span in _within(spans, asked):
        if asked.ours and span.service not in asked.ours:
            continue
        if span.region is None:
            found.nowhere += 1
        elif span.region in asked_for:
            _add(found, span)
    return found


def _within(spans: Iterable[SpanRow], asked: Asked) -> Iterator[SpanRow]:
    for span in spans:
        # Days come in order, so nothing of the month follows.
        if span.time.date() > asked.end.date():
            return
        if asked.month <= span.time < asked.end:
            yield span


def _add(found: Own, span: SpanRow) -> None:
    if IMPORTED in span.attributes:
        found.imported += 1
        found.imported_grams.append(span.carbon_g or 0.0)
        return
    found.spans += 1
    found.days.add(span.time.date())
    found.regions.add(str(span.region))
    if span.energy_j is not None:
        found.joules.append(span.energy_j)
    if span.carbon_g is not None:
        found.with_carbon += 1
        found.with_carbon_joules.append(span.energy_j or 0.0)
        found.grams[span.method or NOT_TOLD].append(_range(span, span.carbon_g))


def _range(span: SpanRow, grams: float) -> Range:
    """A span's emissions with the range of its energy, where it has one."""
    energy, low, high = span.energy_j, span.energy_low_j, span.energy_high_j
    if not energy or low is None or high is None:
        return grams, grams, grams
    return grams, grams * low / energy, grams * high / energy


def carbon_of(own: Own) -> Carbon | None:
    """Emissions of all spans, located by grid, with the site's overhead; none where no span has them."""
    parts = []
    for name, ranges in own.grams.items():
        middle, low, high = (Grams(math.fsum(each)) for each in zip(*ranges, strict=True))
        # What does not say how it came about is not taken for better than an estimate.
        method = Method(name) if name in set(Method) else Method.ESTIMATED
        parts.append(
            Carbon(middle, low, high, Signal.AVERAGE, Account.LOCATION, Boundary.SITE, method)
        )
    return total(parts)
