"""The tables that enrichment reads: joules per token, grams per joule by region and time, watts of workloads.

Rendered for the Collector and read by our own receiver, so that both put the same numbers on the same span.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from greenops.domain.energy import Method
from greenops.domain.factors import LATE, FactorTable, RegionFactors
from greenops.domain.language_model import LanguageModelTable
from greenops.observe.model_names import Names
from greenops.observe.per_token import Formula, PerToken

BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Since when what holds always holds; the first instant that OTLP can say."""
END: Final = datetime(2036, 1, 1, tzinfo=UTC)
"""Until when what holds always holds; its microseconds leave room for a region's number in one integer."""
TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """Energy per token of one name of a model, at the node: no PUE is in it [J].

    Attributes:
        name: As `Names.plain` leaves it.
        input_j: A token that was read and computed.
        cached_j: A token that was read from the cache.
        output_j: A token that was written.
        method: How it came about.
    """

    name: str
    input_j: float
    cached_j: float
    output_j: float
    method: str = str(Method.ESTIMATED)


@dataclass(frozen=True, slots=True)
class RegionRow:
    """What holds of a region for a while; several rows of one region follow each other.

    Attributes:
        zone: Grid zone; none where no zone fits: carbon is then unknown.
        pue: Power usage effectiveness; applied once, from energy to grams.
        intensity: Average carbon intensity [gCO2e/kWh]; none where it is not known.
        valid_from: First instant.
        valid_until: First instant that it does not hold for; after a region's last row its table is stale.
    """

    region: str
    zone: str | None
    pue: float
    intensity: float | None
    valid_from: datetime = BEGIN
    valid_until: datetime = END


@dataclass(frozen=True, slots=True)
class EnrichmentTables:
    """All that enrichment rests on.

    Attributes:
        models: Sorted by name.
        regions: Sorted by region and `valid_from`.
        watts: Workload → what its run draws [W], for batch spans without a meter.
        version: Content hash of the factors, the value of `greenops.factors.version`.
    """

    models: tuple[Coefficient, ...]
    regions: tuple[RegionRow, ...]
    watts: Mapping[str, float] = field(default_factory=dict)
    version: str = "none"


def coefficients(table: LanguageModelTable) -> tuple[Coefficient, ...]:
    """Joules per token of every name that the table knows.

    A measurement of a server of its own does not count here: a span may come from any server.
    """
    formula = Formula(table)
    tiers = {each.name: formula.of_tier(each) for each in table.tiers}
    known = {each.name: tiers[each.tier] for each in table.hosted}
    for model in table.models:
        known.update(dict.fromkeys((model.name, *model.aliases), formula.of_size(model)))
    for row in sorted(table.measured, key=lambda each: each.date):
        if row.server is None:
            known[Names.plain(row.model) or row.model] = formula.of_server(row)
    share, pue = formula.figures["cached_share"], formula.figures["pue"]
    plain = sorted(name for name in known if Names.plain(name) == name)
    return tuple(_coefficient(name, known[name], share, pue) for name in plain)


def _coefficient(name: str, per: PerToken, cached_share: float, pue: float) -> Coefficient:
    # What was metered for the whole site holds a PUE already; the table's stands for it.
    node = per.site or 1 / pue
    read, wrote = per.input * node, per.output * node
    return Coefficient(name, read, read * cached_share, wrote, str(per.method))


def region_rows(table: FactorTable) -> tuple[RegionRow, ...]:
    """Each region at all times, as `greenops.observe.emissions.intensity_at` gives it."""
    rows = (row for name in sorted(table.regions) for row in _steps(table.regions[name]))
    return tuple(rows)


def region_rows_at(table: FactorTable, now: datetime) -> tuple[RegionRow, ...]:
    """Each region as it is now, one row each.

    A value of a series holds from one step before its own, for spans that are on their way, and as long as a newest
    value may stand; an annual mean holds always.
    """
    return tuple(_now(table.regions[name], now) for name in sorted(table.regions))


def _now(factors: RegionFactors, now: datetime) -> RegionRow:
    series = factors.series
    if factors.zone is not None and series is not None:
        for start, end, value in reversed(list(_values(factors))):
            if start <= now <= end + LATE:
                since = start - series.step
                return _row(factors, value, since, end + LATE)
    return _row(factors, factors.annual)


def _steps(factors: RegionFactors) -> Iterator[RegionRow]:
    if factors.zone is None:
        yield _row(factors, None)
        return
    at = BEGIN
    values = list(_values(factors))
    for number, (start, end, value) in enumerate(values):
        if start > at:
            yield _row(factors, factors.annual, at, start)
        last = number == len(values) - 1
        at = end + LATE + TICK if last else end
        yield _row(factors, value, start, at)
    yield _row(factors, factors.annual, at)


def _values(factors: RegionFactors) -> Iterator[tuple[datetime, datetime, float]]:
    series = factors.series
    for place, value in enumerate(series.values if series else ()):
        if series is not None and value is not None:
            start = series.start + place * series.step
            yield start, start + series.step, value


def _row(
    factors: RegionFactors,
    intensity: float | None,
    valid_from: datetime = BEGIN,
    valid_until: datetime = END,
) -> RegionRow:
    known = intensity is not None and math.isfinite(intensity) and factors.zone is not None
    return RegionRow(
        factors.region,
        factors.zone,
        factors.pue,
        intensity if known else None,
        max(valid_from, BEGIN),
        min(valid_until, END),
    )


def microseconds(at: datetime) -> int:
    """An instant as whole microseconds since 1970."""
    return (at - BEGIN) // TICK


def by_region(rows: Iterable[RegionRow]) -> dict[str, list[RegionRow]]:
    """Region → its rows, in their order."""
    found: dict[str, list[RegionRow]] = {}
    for row in rows:
        found.setdefault(row.region, []).append(row)
    return found
