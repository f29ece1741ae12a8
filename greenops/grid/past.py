"""What is known of a zone's past: whole hours, put together from whatever was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from greenops.domain.grid import IntensitySeries
from greenops.grid.series import mean_intensity
from greenops.units import GramsPerKwh

HOUR: Final = timedelta(hours=1)
DAY: Final = 24
"""Hours of a day."""
WINDOW: Final = 28 * DAY
"""Hours of the past that make the usual course: long enough for a mean, short enough to be of one season."""
KEPT: Final = 42 * DAY
"""Hours of the past worth keeping: four weeks of origins, and two weeks before the first of them."""


def extended(
    past: IntensitySeries | None, series: IntensitySeries, hours: int
) -> IntensitySeries | None:
    """A past with what a newer answer says of it, the last hours only.

    Args:
        past: Whole hours; none at the start. One of another kind or source is put aside.
        series: What was answered, of any step; an hour that it knows in part is left out.
        hours: Most hours that are kept.

    Returns:
        Whole hours with gaps where nothing is known; none where no hour is known at all.
    """
    known = {} if past is None or past.kind != series.kind else dict(_hours(past))
    known.update(_hours(series))
    if not known:
        return past
    last = max(known)
    first = max(min(known), last - (hours - 1) * HOUR)
    count = (last - first) // HOUR + 1
    values = tuple(known.get(first + index * HOUR) for index in range(count))
    return IntensitySeries(series.zone, series.kind, first, HOUR, values)


def _hours(series: IntensitySeries) -> Iterator[tuple[datetime, GramsPerKwh]]:
    """Every whole hour that the series knows throughout, with its mean."""
    hour = series.start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour < series.end:
        mean = mean_intensity(series, hour, hour + HOUR)
        if mean is not None:
            yield hour, mean
        hour += HOUR


def covering(series: IntensitySeries, start: datetime, end: datetime) -> IntensitySeries | None:
    """The steps of a series that touch `[start, end)`; none where it does not reach from one to the other."""
    if start < series.start or end > series.end:
        return None
    first = (start - series.start) // series.step
    past = -((series.start - end) // series.step)
    marks = None if series.estimated is None else series.estimated[first:past]
    return replace(
        series,
        start=series.start + first * series.step,
        values=series.values[first:past],
        estimated=marks,
    )
