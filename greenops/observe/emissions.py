"""Grams and dollars of a span, from the small table of factors; no clock and no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.grid import IntensitySeries
from greenops.units import Grams, GramsPerKwh, Joules, Seconds, Usd, emissions, total_grams


@dataclass(frozen=True, slots=True)
class Price:
    """What a span emitted and cost; a missing number has its reason."""

    carbon: Grams | None
    carbon_unknown: str | None
    cost: Usd | None
    cost_unknown: str | None


def intensity_at(factors: RegionFactors, at: datetime) -> GramsPerKwh | None:
    """Carbon intensity at an instant [g/kWh]: of the series, else its newest value where it is late, else the annual mean."""
    if factors.zone is None:
        return None
    series = factors.series
    if series is not None and series.start <= at < series.end:
        value = series.values[_step(series, at)]
        if value is not None:
            return value
    newest = factors.newest(at)
    return factors.annual if newest is None else newest[0]


def _step(series: IntensitySeries, at: datetime) -> int:
    return (at - series.start) // series.step


def price(
    table: FactorTable,
    region: str | None,
    energy: Joules,
    *,
    cpu: Seconds,
    start: datetime,
    end: datetime,
    periods: Mapping[datetime, Joules],
) -> Price:
    """Carbon [g] and cost [USD] of a span.

    Args:
        table: Factors in force.
        region: Cloud region the span ran in.
        energy: Own energy of the span [J].
        cpu: CPU time of the span [s].
        start: Simulated start.
        end: Simulated end.
        periods: Own energy by the start of its period [J]; used where the intensity changed on the way.
    """
    factors = table.regions.get(region) if region else None
    if factors is None:
        return Price(None, "no_region", None, "no_region")
    hourly = factors.usd_per_vcpu_hour
    cost = None if hourly is None else Usd(cpu * hourly / 3600)
    why = None if hourly is not None else "no_price"
    if factors.zone is None:
        return Price(None, "no_zone", cost, why)
    grams = _grams(factors, energy, start, end, periods)
    return Price(grams, None if grams is not None else "no_intensity", cost, why)


def _grams(
    factors: RegionFactors,
    energy: Joules,
    start: datetime,
    end: datetime,
    periods: Mapping[datetime, Joules],
) -> Grams | None:
    series = factors.series
    if series is None or _step(series, start) == _step(series, end) or not periods:
        at_end = intensity_at(factors, end)
        return None if at_end is None else emissions(energy, at_end, factors.pue)
    parts = []
    for at, part in periods.items():
        then = intensity_at(factors, min(max(at, start), end))
        if then is None:
            return None
        parts.append(emissions(part, then, factors.pue))
    return total_grams(parts)


def instant(ns: int) -> datetime:
    """Wall nanoseconds of a span as an aware instant."""
    return datetime.fromtimestamp(ns / 1e9, UTC)
