"""Prices made up by a test, and the promises every price provider keeps."""

# ruff: noqa: S101  (a test kit asserts)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from greenops.domain.grid import GridZone
from greenops.domain.prices import PerMwh, PriceKind, PriceSeries, as_known
from greenops.errors import DataMissing
from greenops.ports import PriceProvider
from greenops.testing.grid import refuses

BERLIN: Final = ZoneInfo("Europe/Berlin")
HOUR: Final = timedelta(hours=1)
FARTHEST: Final = timedelta(hours=36, minutes=15)
"""How far ahead a day-ahead price is known at most: 12:45 to the end of the next day, of 25 hours."""


class FakePrices:
    """A day-ahead market of hourly prices that the test chose.

    Args:
        prices: Zone → price by hour from `start` [EUR/MWh]; none is a gap.
        start: First hour.
        kind: How they come about.
    """

    def __init__(
        self,
        prices: Mapping[str, Sequence[float | None]],
        *,
        start: datetime,
        kind: PriceKind = PriceKind.DAY_AHEAD,
    ) -> None:
        self._prices, self._start, self._kind = prices, start, kind

    @property
    def name(self) -> str:
        """Its name."""
        return "fake"

    def zones(self) -> Sequence[GridZone]:
        """The zones the test gave."""
        return tuple(GridZone(zone, f"Zone {zone}") for zone in self._prices)

    def prices(self, zone: str, start: datetime, end: datetime, at: datetime) -> PriceSeries:
        """What the test gave, in whole hours, as far as it was known.

        Raises:
            DataMissing: The test gave no such zone or hours, or none was known.
        """
        if zone not in self._prices:
            raise DataMissing("GO0302", f"the fake has no grid zone `{zone}`")
        values = tuple(None if each is None else PerMwh(each) for each in self._prices[zone])
        every = PriceSeries(zone, self._kind, "fake", False, "EUR", self._start, HOUR, values)
        known = as_known(every, at, BERLIN)
        first, past = (start - self._start) // HOUR, -((self._start - end) // HOUR)
        if known is None or not 0 <= first < min(past, len(known.values)):
            raise DataMissing("GO0335", f"the fake has no prices of `{zone}` for {start} at {at}")
        part = replace(known, values=known.values[:past])
        published = as_known(part, at, BERLIN)
        told = published.published_at if published else None
        begins = self._start + first * HOUR
        return replace(part, start=begins, values=part.values[first:], published_at=told)


class FaultyPrices(FakePrices):
    """A fake that fails while the test has set a fault, and counts what it is asked.

    Attributes:
        fault: Is raised, or called before the answer, as to wait; none: it answers.
        asked: Each question: the zone, and the instant by which prices were published.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fault: Exception | Callable[[], None] | None = None
        self.asked: list[tuple[str, datetime]] = []

    def prices(self, zone: str, start: datetime, end: datetime, at: datetime) -> PriceSeries:
        """Its prices, unless it fails."""
        self.asked.append((zone, at))
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            self.fault()
        return super().prices(zone, start, end, at)


def check_price_provider(
    provider: PriceProvider, zone: str, start: datetime, end: datetime, *, before: datetime
) -> None:
    """Assert the promises of the port.

    Args:
        provider: What is tested.
        zone: A zone it knows.
        start: Prices are known from here, at every instant …
        end: … up to here.
        before: An instant before the first price was published.
    """
    assert isinstance(provider, PriceProvider)
    assert provider.name
    assert zone in [each.id for each in provider.zones()]
    assert len({each.id for each in provider.zones()}) == len(provider.zones())
    whole = provider.prices(zone, start, end, end)
    # A price of real time is known when its step is over.
    lacks = whole.step if whole.kind is PriceKind.REAL_TIME else timedelta(0)
    assert whole.end + lacks >= end, "what is over is known"
    _check_form(whole, zone, start)
    reached = start
    at = whole.start + lacks if lacks else start
    while at < end:
        found = provider.prices(zone, start, end, at)
        _check_form(found, zone, start)
        _check_known(found, whole, at)
        assert found.end >= reached, "time does not take a price back"
        reached, at = found.end, at + (end - start) / 24
    _check_part(provider, whole, start, end)
    refuses(lambda: provider.prices(zone, start, end, before))
    refuses(lambda: provider.prices("no such zone", start, end, end))


def _check_form(found: PriceSeries, zone: str, start: datetime) -> None:
    assert found.zone == zone
    assert len(found.currency) == len("EUR")
    assert found.currency.isupper()
    assert found.values
    assert found.start.utcoffset() == timedelta(0), "times are aware UTC"
    assert found.start <= start < found.start + found.step, "it starts with the first step"


def _check_known(found: PriceSeries, whole: PriceSeries, at: datetime) -> None:
    """Only what was published by then, and as it was published: an auction does not revise."""
    assert found.values == whole.values[: len(found.values)]
    assert found.published_at is None or found.published_at <= at
    same = (whole.kind, whole.source, whole.replay, whole.currency, whole.step)
    assert (found.kind, found.source, found.replay, found.currency, found.step) == same
    if found.kind is PriceKind.DAY_AHEAD:
        assert found.end <= at + FARTHEST, "tomorrow is known from midday on"
        assert found.end > at or found.end == whole.end, "today is known"
    if found.kind is PriceKind.REAL_TIME:
        assert found.end <= at + found.step


def _check_part(
    provider: PriceProvider, whole: PriceSeries, start: datetime, end: datetime
) -> None:
    middle = start + (end - start) / 3
    part = provider.prices(whole.zone, middle, end, end)
    shift = (part.start - whole.start) // whole.step
    assert part.values == whole.values[shift:], "no part changes with the question"
