"""What it costs to be fresh: carbon and money of refreshing every 1, 2, 6 or 24 hours, at fixed times or at the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from greenops.domain.console import Cadence, DayOfRefreshes
from greenops.domain.grid import Forecast, Region
from greenops.plan.intensity import MeanIntensity, MeanRange
from greenops.units import (
    Grams,
    GramsPerKwh,
    Kwh,
    Seconds,
    Usd,
    emissions,
    to_joules,
    total_grams,
)

CADENCES: Final = tuple(timedelta(hours=hours) for hours in (1, 2, 6, 24))
"""Times between two refreshes that are compared; each divides a day."""
DAY: Final = timedelta(days=1)
SLOT: Final = timedelta(minutes=30)
"""Distance between two starts that are considered, from the start of each period on."""
ON_DEMAND: Final = "ondemand"


@dataclass(frozen=True, slots=True)
class Refresh:
    """One refresh of a product, such as a table of recommendations.

    Attributes:
        duration: Run time.
        energy_kwh: Energy at the server [kWh]; none where not known: carbon is then absent.
    """

    duration: timedelta
    energy_kwh: Kwh | None


def cadences(
    refresh: Refresh,
    region: Region,
    forecast: Forecast | None,
    start: datetime,
    every: Sequence[timedelta] = CADENCES,
) -> tuple[Cadence, ...]:
    """The day from an instant on, refreshed so often: at the start of each period, or at its best time.

    A refresh at its best time starts and ends within its period, at a slot with the least mean
    intensity; of equals the earliest. So the worst gap between two refreshes grows to less than two periods.

    Args:
        refresh: What is run each time.
        region: Where.
        forecast: What was foretold of its grid; none, or one that does not cover a day: carbon is absent.
        start: Start of the day.
        every: Times between two refreshes, each a whole part of a day.

    Raises:
        ValueError: A time between two refreshes does not divide a day.
    """
    return tuple(_cadence(refresh, region, forecast, start, each) for each in every)


def _cadence(
    refresh: Refresh, region: Region, forecast: Forecast | None, start: datetime, every: timedelta
) -> Cadence:
    if every <= timedelta(0) or DAY % every:
        raise ValueError(f"{every} is no whole part of a day")
    periods = [start + number * every for number in range(DAY // every)]
    told = Seconds(every.total_seconds())
    if refresh.duration > every:
        # One would not be over when the next is due.
        return Cadence(told, len(periods), None, None)
    fixed = _day(refresh, region, forecast, periods)
    best = None
    if forecast is not None:
        mean = MeanIntensity(forecast)
        found = [_best(mean, refresh.duration, each, each + every) for each in periods]
        starts = [each for each in found if each is not None]
        if len(starts) == len(periods):
            best = _day(refresh, region, forecast, starts)
    return Cadence(told, len(periods), fixed, best)


def _best(
    mean: MeanIntensity, duration: timedelta, opens: datetime, closes: datetime
) -> datetime | None:
    """Start of the run with the least mean that lies in a period; none where one mean is not known."""
    found = []
    for at in _slots(opens, closes - duration):
        value = mean(at, at + duration)
        if value is None:
            return None
        found.append((value, at))
    return min(found)[1]


def _slots(first: datetime, last: datetime) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += SLOT


def _day(
    refresh: Refresh, region: Region, forecast: Forecast | None, starts: Sequence[datetime]
) -> DayOfRefreshes:
    low, mean, high = _grams(refresh, region, forecast, starts)
    hourly = region.usd_per_hour.get(ON_DEMAND)
    hours = refresh.duration / timedelta(hours=1)
    gaps = [
        after - before for before, after in zip(starts, [*starts[1:], starts[0] + DAY], strict=True)
    ]
    return DayOfRefreshes(
        starts=tuple(starts),
        carbon_g=mean,
        carbon_low_g=low,
        carbon_high_g=high,
        cost_usd=None if hourly is None else Usd(len(starts) * hours * hourly),
        longest_gap_s=Seconds(max(gaps).total_seconds()),
    )


def _grams(
    refresh: Refresh, region: Region, forecast: Forecast | None, starts: Sequence[datetime]
) -> tuple[Grams | None, Grams | None, Grams | None]:
    """Low, mean and high of all runs [gCO2e]; the range as if all of them erred together."""
    if forecast is None or refresh.energy_kwh is None:
        return None, None, None
    joules = to_joules(refresh.energy_kwh)

    def total(values: Sequence[GramsPerKwh | None]) -> Grams | None:
        known = [each for each in values if each is not None]
        if len(known) < len(values):
            return None
        return total_grams(emissions(joules, each, region.pue) for each in known)

    of_run, of_range = MeanIntensity(forecast), MeanRange(forecast)
    runs = [(at, at + refresh.duration) for at in starts]
    mean = total([of_run(*run) for run in runs])
    if mean is None:
        return None, None, None
    ranges = [each for run in runs if (each := of_range(*run)) is not None]
    if len(ranges) == len(runs):
        return total([low for low, _ in ranges]), mean, total([high for _, high in ranges])
    if forecast.error is None:
        return None, mean, None
    error = forecast.error
    return Grams(mean * max(0.0, 1 - error)), mean, Grams(mean * (1 + error))
