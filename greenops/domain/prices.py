"""Prices of electricity by time: what they are, and from when on they were known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NewType
from zoneinfo import ZoneInfo

PerMwh = NewType("PerMwh", float)
"""Price of electricity [currency/MWh]; may be negative."""

DAY: Final = timedelta(days=1)
DAY_AHEAD_KNOWN: Final = time(12, 45)
"""When a day-ahead auction's prices are known, in its market's time. Source: Single Day-Ahead Coupling, usual publication 12:45 CE(S)T."""


class PriceKind(StrEnum):
    """How a price comes about, and so how far ahead it is known."""

    DAY_AHEAD = "day-ahead"
    """An auction of the day before."""
    TARIFF = "tariff"
    """A contract, known ahead as far as it runs."""
    REAL_TIME = "real-time"
    """Known when its step is over."""


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Prices on a regular grid of time: value `i` holds from `start + i * step`.

    Attributes:
        zone: Grid zone, or that of the market.
        kind: How they come about.
        source: Who says so, for example `smard`.
        replay: True for recorded history that is played back, never shown as live.
        currency: ISO 4217 code: `EUR`.
        values: Price [currency/MWh]; none where the source has a gap.
        published_at: When the newest of them was published; none where the source does not say.
    """

    zone: str
    kind: PriceKind
    source: str
    replay: bool
    currency: str
    start: datetime
    step: timedelta
    values: tuple[PerMwh | None, ...]
    published_at: datetime | None = None

    @property
    def end(self) -> datetime:
        """First instant after the last value."""
        return self.start + self.step * len(self.values)


def known_until(kind: PriceKind, at: datetime, market: ZoneInfo) -> datetime | None:
    """Up to where prices are known at an instant; none where all are.

    Args:
        kind: How they come about.
        at: The instant.
        market: Whose midnight a day of the auction begins at; 12:45 is of that zone too.
    """
    match kind:
        case PriceKind.TARIFF:
            return None
        case PriceKind.REAL_TIME:
            return at
        case PriceKind.DAY_AHEAD:
            local = at.astimezone(market)
            days = 2 if local.time() >= DAY_AHEAD_KNOWN else 1
            return datetime.combine(local.date() + days * DAY, time(), market).astimezone(UTC)


def as_known(series: PriceSeries, at: datetime, market: ZoneInfo) -> PriceSeries | None:
    """The part of a series that was known at an instant, with its publication; none where nothing was."""
    until = known_until(series.kind, at, market)
    count = len(series.values) if until is None else (until - series.start) // series.step
    values = series.values[: max(0, count)]
    if not values:
        return None
    end = series.start + len(values) * series.step
    return replace(series, values=values, published_at=_published(series.kind, end, market))


def cut(
    points: Mapping[datetime, PerMwh | None], step: timedelta, start: datetime, end: datetime
) -> tuple[datetime, tuple[PerMwh | None, ...]] | None:
    """Values of the steps that cover `[start, end)`, as far as there are any; none where the first is not there.

    Args:
        points: Start of each step → its price; what is missing between two is a gap.
        step: Length of a step; all starts lie on one grid of it.
        start: First instant.
        end: First instant after.
    """
    if not points:
        return None
    first, last = min(points), max(points)
    begins = first + (start - first) // step * step
    count = min(-((begins - end) // step), (last - begins) // step + 1)
    if begins not in points or count < 1:
        return None
    return begins, tuple(points.get(begins + place * step) for place in range(count))


def _published(kind: PriceKind, end: datetime, market: ZoneInfo) -> datetime | None:
    """When the prices that end at `end` were known; none of a tariff."""
    match kind:
        case PriceKind.TARIFF:
            return None
        case PriceKind.REAL_TIME:
            return end
        case PriceKind.DAY_AHEAD:
            last = (end - timedelta(microseconds=1)).astimezone(market)
            return datetime.combine(last.date() - DAY, DAY_AHEAD_KNOWN, market).astimezone(UTC)
