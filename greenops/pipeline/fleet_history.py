"""What the grid was and what was said of it over a period: all that a replay of a fleet rests on, and it pickles."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from greenops.domain.grid import Forecast, IntensitySeries, Region
from greenops.errors import DataMissing
from greenops.plan.candidates import RegionOption
from greenops.ports import GridProvider

HOUR: Final = timedelta(hours=1)
"""How often a provider is asked for its newest forecast that cannot list its issues."""


@dataclass(frozen=True, slots=True)
class FleetHistory:
    """Regions, and of each of their zones every forecast and what came.

    Attributes:
        forecasts: Zone → its forecasts, oldest first.
        actual: Zone → recorded intensity; a zone without it has no carbon.
        max_age: Oldest forecast that a decision may rest on.
    """

    regions: tuple[Region, ...]
    forecasts: Mapping[str, tuple[Forecast, ...]] = field(repr=False)
    actual: Mapping[str, IntensitySeries] = field(repr=False)
    max_age: timedelta

    def changes(self) -> list[datetime]:
        """Instants at which another forecast, or none, comes to be the newest that may be used."""
        every = (each for of_zone in self.forecasts.values() for each in of_zone)
        tick = timedelta(microseconds=1)
        return sorted(
            {
                instant
                for each in every
                for instant in (each.issued_at, each.end, each.issued_at + self.max_age + tick)
            }
        )

    def foretold(self, at: datetime) -> list[RegionOption]:
        """Every region with the newest forecast that could be known and used then."""
        newest = {zone: self._newest(zone, at) for zone in self.forecasts}
        return [RegionOption(each, newest.get(each.zone or "")) for each in self.regions]

    def as_it_came(self, at: datetime) -> list[RegionOption]:
        """The same, as if each forecast had been right: over its own hours, what came."""
        right = {
            zone: came
            for zone in self.forecasts
            if (said := self._newest(zone, at)) is not None
            and (came := self._came(zone, said.start, said.end, said.issued_at)) is not None
        }
        return [RegionOption(each, right.get(each.zone or "")) for each in self.regions]

    def between(self, start: datetime, end: datetime) -> list[RegionOption]:
        """Every region with what came over a stretch of time, as far as it is recorded."""
        came = {zone: self._came(zone, start, end, start) for zone in self.actual}
        return [RegionOption(each, came.get(each.zone or "")) for each in self.regions]

    def _newest(self, zone: str, at: datetime) -> Forecast | None:
        known = [each for each in self.forecasts[zone] if each.issued_at <= at]
        found = max(known, key=lambda each: each.issued_at, default=None)
        if found is None or at >= found.end or at - found.issued_at > self.max_age:
            return None
        return found

    def _came(self, zone: str, start: datetime, end: datetime, at: datetime) -> Forecast | None:
        series = self.actual.get(zone)
        if series is None:
            return None
        first = max(0, (start - series.start) // series.step)
        past = max(first, -((series.start - end) // series.step))
        return Forecast(
            zone,
            series.kind,
            series.start + first * series.step,
            series.step,
            series.values[first:past],
            issued_at=at,
            id=f"actual/{zone}",
        )


def history_of(
    provider: GridProvider,
    regions: Iterable[Region],
    start: datetime,
    end: datetime,
    *,
    beyond: timedelta,
    max_age: timedelta,
) -> FleetHistory:
    """What a provider knows of a period.

    Args:
        provider: Keeps its old forecasts, as the shipped replay and files do.
        regions: Whose zones are asked for.
        start: First submission.
        end: End of the submissions.
        beyond: How long after the last submission a run may still go on.
        max_age: Oldest forecast that a decision may rest on.

    Raises:
        DataMissing: Of no zone is anything recorded in the period.
    """
    kept = tuple(regions)
    known = {each.id for each in provider.zones()}
    zones = sorted({each.zone for each in kept if each.zone in known})
    actual, last = {}, DataMissing("GO0303", "none of the regions has a grid zone that is known")
    for zone in zones:
        try:
            actual[zone] = _longest(provider, zone, start, end, beyond)
        except DataMissing as error:
            last = error
    if not actual:
        raise last
    forecasts = {
        zone: tuple(_issued(provider, zone, start - max_age, end, max_age)) for zone in actual
    }
    return FleetHistory(kept, forecasts, actual, max_age)


def _longest(
    provider: GridProvider, zone: str, start: datetime, end: datetime, beyond: timedelta
) -> IntensitySeries:
    """As much of what came after the last submission as is recorded."""
    until = end + beyond
    while True:
        try:
            return provider.actual(zone, start, until)
        except DataMissing:
            if until <= end:
                raise
            until = max(end, until - timedelta(days=1))


def _issued(
    provider: GridProvider, zone: str, start: datetime, end: datetime, max_age: timedelta
) -> Iterator[Forecast]:
    seen: set[str] = set()
    for at in _asked(provider, zone, start, end, max_age):
        try:
            found = provider.forecast(zone, at)
        except DataMissing:
            continue
        if found.id not in seen:
            seen.add(found.id)
            yield found


def _asked(
    provider: GridProvider, zone: str, start: datetime, end: datetime, max_age: timedelta
) -> Sequence[datetime]:
    """Instants at which a forecast may be new: the issues that are listed, and hours that none of them serves."""
    known: list[datetime] = []
    with suppress(DataMissing):
        listed = getattr(provider, "issues", None)
        known = sorted(each for each in listed(zone) if each < end) if listed else []
    hours = [start + at * HOUR for at in range(-((start - end) // HOUR))]
    return sorted({*(each for each in known if each > start), *_unserved(hours, known, max_age)})


def _unserved(
    hours: Sequence[datetime], issues: Sequence[datetime], max_age: timedelta
) -> Iterator[datetime]:
    for at in hours:
        newest = bisect_right(issues, at) - 1
        if newest < 0 or at - issues[newest] > max_age:
            yield at
