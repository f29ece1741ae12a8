"""Arithmetic on intensity series: values hold over half-open steps, gaps stay gaps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

from greenops.domain.grid import IntensitySeries, SeriesKind
from greenops.errors import MixedQuantities
from greenops.units import GramsPerKwh


def value_at(series: IntensitySeries, at: datetime) -> GramsPerKwh | None:
    """Intensity at an instant [gCO2e/kWh]; none in a gap or outside the series."""
    if not series.start <= at < series.end:
        return None
    return series.values[(at - series.start) // series.step]


def mean_intensity(series: IntensitySeries, start: datetime, end: datetime) -> GramsPerKwh | None:
    """Time-weighted mean over a run; a step that is touched in part counts in part.

    Args:
        series: What was recorded or foretold.
        start: First instant, inclusive.
        end: Last instant, exclusive; equal to `start` asks for that instant alone.

    Returns:
        Mean carbon intensity [gCO2e/kWh], or none where the series has a gap in the run or does not
        cover it, or where the run ends before it starts.
    """
    if end == start:
        return value_at(series, start)
    if end < start or start < series.start or end > series.end:
        return None
    weighted = []
    for value, seconds in _parts(series, start, end):
        if value is None:
            return None
        weighted.append(value * seconds)
    mean = math.fsum(weighted) / (end - start).total_seconds()
    return GramsPerKwh(mean)


def _parts(
    series: IntensitySeries, start: datetime, end: datetime
) -> Iterator[tuple[GramsPerKwh | None, float]]:
    """Each touched step's value with the seconds of it inside `[start, end)`."""
    index = (start - series.start) // series.step
    opens = series.start + index * series.step
    while opens < end:
        closes = opens + series.step
        yield series.values[index], (min(end, closes) - max(start, opens)).total_seconds()
        index, opens = index + 1, closes


def same_kind(first: IntensitySeries, *others: IntensitySeries) -> SeriesKind:
    """The kind that all series share; the sources may differ.

    Raises:
        MixedQuantities: One is average and another marginal, lifecycle and direct, or by location and by market.
    """
    for other in others:
        what = first.kind.differs_in(other.kind)
        if what is not None:
            ours, theirs = getattr(first.kind, what), getattr(other.kind, what)
            raise MixedQuantities(
                "GO0301",
                f"cannot compare `{ours}` intensity of {first.zone} with `{theirs}` of "
                f"{other.zone}: {what} differs",
                fix="take both series of one kind",
            )
    return first.kind
