"""What the lake's spans emitted in a month in the regions of a cloud provider, and what of them is left out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.shipped_grid import shipped_regions
from greenops.domain.carbon import Account, Carbon, total
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Signal
from greenops.units import Grams

IMPORTED: Final = "attributes.greenops.import.tool"
"""Column that runs have which other tools accounted for."""
COLUMNS: Final = ("service", "region", "method", "time", "energy_j", "energy_low_j", "energy_high_j", "carbon_g", IMPORTED)  # fmt: skip
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
        grams: Sums of emissions, by method.
        joules: Sums of energy; `with_carbon_joules` of spans that have emissions.
        days: Days with spans, since 1970.
        imported: Runs that other tools accounted for: they may be the same work, and are in no sum.
        nowhere: Spans of the month without a region.
    """

    grams: defaultdict[str, list[Range]] = field(default_factory=lambda: defaultdict(list))
    spans: int = 0
    with_carbon: int = 0
    joules: list[float] = field(default_factory=list)
    with_carbon_joules: list[float] = field(default_factory=list)
    days: set[int] = field(default_factory=set)
    regions: set[str] = field(default_factory=set)
    imported: int = 0
    imported_grams: list[float] = field(default_factory=list)
    nowhere: int = 0


def own_emissions(tables: Iterable[pa.Table], asked: Asked) -> Own:
    """Sums over spans of the month, of which each is there once.

    Args:
        tables: `COLUMNS` of them.
        asked: Whose count.
    """
    theirs = {each.id for each in shipped_regions() if each.provider == asked.provider}
    regions = pa.array(sorted(set(asked.regions) or theirs), pa.string())
    names, found = pa.array(sorted(asked.ours), pa.string()), Own()
    for every in tables:
        ours = every.filter(_among(every["service"], names)) if asked.ours else every
        found.nowhere += _words(ours["region"]).null_count
        here = ours.filter(_among(ours["region"], regions))
        imported = pc.is_valid(_words(here[IMPORTED]))
        others = here.filter(imported)
        found.imported += len(others)
        found.imported_grams.append(_sum(others["carbon_g"]))
        _add(found, here.filter(pc.invert(imported)))
    return found


def _add(found: Own, table: pa.Table) -> None:
    found.spans += len(table)
    found.days.update(pc.unique(table["time"].cast(pa.date32()).cast(pa.int32())).to_pylist())
    found.regions.update(map(str, pc.unique(_words(table["region"])).to_pylist()))
    found.joules.append(_sum(table["energy_j"]))
    table = table.filter(pc.is_valid(table["carbon_g"]))
    found.with_carbon += len(table)
    found.with_carbon_joules.append(_sum(table["energy_j"]))
    methods = pc.fill_null(_words(table["method"]), NOT_TOLD)
    for name in pc.unique(methods).to_pylist():
        found.grams[name].append(_range(table.filter(pc.equal(methods, name))))


def _range(table: pa.Table) -> Range:
    """Emissions with the range of their energy; a span that has none stands at its middle."""
    middle, energy = table["carbon_g"], table["energy_j"]
    ends = (
        pc.coalesce(pc.multiply(middle, pc.divide(table[name], energy)), middle)
        for name in ("energy_low_j", "energy_high_j")
    )
    # Nothing over nothing is no number; such a span emitted what it emitted.
    low, high = (_sum(pc.if_else(pc.is_nan(end), middle, end)) for end in ends)
    return _sum(middle), low, high


def _among(column: Any, words: Any) -> Any:
    return pc.is_in(_words(column), words)


def _words(column: Any) -> Any:
    return column.cast(pa.string())


def _sum(column: Any) -> float:
    return pc.sum(column).as_py() or 0.0


def carbon_of(own: Own) -> Carbon | None:
    """Emissions of all spans, located by grid, with the site's overhead; none where no span has them."""
    parts = []
    for name, ranges in own.grams.items():
        middle, low, high = (Grams(math.fsum(each)) for each in zip(*ranges, strict=True))
        # What does not say how it came about is not taken for better than an estimate.
        method = Method(name) if name in set(Method) else Method.ESTIMATED
        kind = (Signal.AVERAGE, Account.LOCATION, Boundary.SITE, method)
        parts.append(Carbon(middle, low, high, *kind))
    return total(parts)
