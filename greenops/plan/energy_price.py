"""Candidates whose cost has the electricity in it: for machines whose owner pays for it by the hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from greenops.domain.decision import Candidate
from greenops.domain.prices import PriceSeries
from greenops.plan.intensity import Mean
from greenops.units import Usd, electricity_cost, to_joules


@dataclass(frozen=True, slots=True)
class SitePrice:
    """What electricity costs in one region.

    Attributes:
        series: Prices as they are known at the decision; what is not published yet is not in it.
        usd_per_unit: Exchange rate, USD per unit of the series' currency; 1 where it is USD.
        pue: Power usage effectiveness of the site: its meter counts more than the servers'.
    """

    series: PriceSeries
    usd_per_unit: float
    pue: float


def with_electricity(
    candidates: Iterable[Candidate], prices: Mapping[str, SitePrice | None]
) -> tuple[Candidate, ...]:
    """The same candidates with the electricity of their runs in their cost.

    A price that is not known of all of a run makes its cost unknown: no cap can be held by it, so
    rules on cost refuse it. Where a machine is rented, its rent has the electricity in it: leave its region out.

    Args:
        candidates: As they were listed, baseline included.
        prices: Region → its price, none where it is not known; candidates of other regions stay as they are.
    """
    sites = {
        region: None if each is None else (each, _mean(each.series))
        for region, each in prices.items()
    }
    return tuple(
        _priced(each, sites[each.region]) if each.region in sites else each for each in candidates
    )


def _mean(series: PriceSeries) -> Mean:
    return Mean(series.start, series.step, series.values)


def _priced(candidate: Candidate, site: tuple[SitePrice, Mean] | None) -> Candidate:
    start, end, energy = candidate.start, candidate.end, candidate.energy_kwh
    if site is None or start is None or end is None:
        return replace(candidate, cost_usd=None)
    price, mean = site
    found = mean.over(start, end)
    if found is None or energy is None or candidate.cost_usd is None:
        return replace(candidate, cost_usd=None)
    electricity = electricity_cost(to_joules(energy), found * price.usd_per_unit, price.pue)
    return replace(candidate, cost_usd=Usd(candidate.cost_usd + electricity))
