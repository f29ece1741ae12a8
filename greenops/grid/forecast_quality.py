"""How good forecasts were: do their ranges hold, how far off are they, and what do they save.

A forecast that errs much may still name the cleanest hours, and one that errs little may not: so the captured
share stands beside the errors. It is the part of the best possible saving that a job makes which starts when
the forecast says, against the mean over all its starts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.domain.grid import Forecast, IntensitySeries
from greenops.units import GramsPerKwh

Floats = NDArray[np.float64]

HOUR: Final = timedelta(hours=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST: Final = 96
"""Hours ahead that are looked at."""
PROMISED: Final = 0.9
"""Share of hours that a range should hold: the house's ranges are 90 %."""
TOO_FEW: Final = 0.85
"""Share held below which ranges are widened. Four weeks of issues tell the share to a few percent only, for
hours near each other err together; so 5 points less than promised is the least that says something."""
JOB_H: Final = 4
"""Length of the job that tells what a forecast saves [h]."""
WINDOWS: Final = (24, 48)
"""Within how many hours of the issue it has to end."""
TOO_CLEAN: Final = 20.0
"""Least intensity [gCO2e/kWh] that a relative error is told for: near zero it says nothing."""


@dataclass(frozen=True, slots=True)
class ForecastQuality:
    """What came of a source's forecasts of one zone.

    Attributes:
        since, until: First issue, and the end of what is known of what came.
        issues: Forecasts that were looked at.
        hours: Hours of them that have come: an hour counts for each forecast of it.
        coverage: Share of those with a range that lie in it [1]; none without ranges.
        mae: Mean absolute error [gCO2e/kWh].
        mape: Mean relative error [1]; none where the grid comes near zero.
        captured: By the hours within which a 4-hour job has to end, the share of the best saving that
            it makes [1]; none where no whole window has come, or where nothing could be saved.
        widening: Factor on the range's half widths that would have held 90 % of the hours [1];
            none without ranges, or where no factor does.
    """

    zone: str
    source: str
    since: datetime
    until: datetime
    issues: int
    hours: int
    coverage: float | None
    mae: GramsPerKwh
    mape: float | None
    captured: tuple[float | None, ...]
    widening: float | None

    @property
    def widened(self) -> float | None:
        """The factor by which newer ranges are to be widened; none where these held enough."""
        if self.coverage is None or self.coverage >= TOO_FEW:
            return None
        return self.widening


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Forecasts beside what came, arrays of shape (issue, hour ahead) [gCO2e/kWh]; NaN is not known."""

    said: Floats
    low: Floats
    high: Floats
    came: Floats


def compared(forecasts: Sequence[Forecast], actual: IntensitySeries) -> Compared:
    """Forecasts by whole hours from their first one on, beside what came of each.

    Raises:
        ValueError: The steps of a series do not make whole hours.
    """
    came, start = hourly(actual)
    made = [_compared(each, came, start) for each in forecasts]
    shape = (len(made), 4, LONGEST)
    whole = np.array(made).reshape(shape) if made else np.empty(shape)
    return Compared(*(np.asarray(whole[:, part]) for part in range(4)))


def _compared(forecast: Forecast, came: Floats, start: datetime) -> list[Floats]:
    parts = []
    first = None
    for values in (forecast.values, *_ends(forecast)):
        hours, first = _whole_hours(values, forecast.start, forecast.step)
        parts.append(_padded(hours))
    after = ((first or forecast.start) - start) // HOUR
    then = came[after : after + LONGEST] if after >= 0 else came[:0]
    return [*parts, _padded(then)]


def _ends(forecast: Forecast) -> tuple[Sequence[float | None], Sequence[float | None]]:
    """The range of each step: its own, else from the error that the source states, else unknown."""
    if forecast.low is not None and forecast.high is not None:
        return forecast.low, forecast.high
    if forecast.error is None:
        unknown = [None] * len(forecast.values)
        return unknown, unknown
    by = (max(0.0, 1 - forecast.error), 1 + forecast.error)
    low, high = ([None if v is None else v * each for v in forecast.values] for each in by)
    return low, high


def _padded(values: Floats) -> Floats:
    found = np.full(LONGEST, np.nan)
    found[: len(values)] = values[:LONGEST]
    return found


def hourly(series: IntensitySeries) -> tuple[Floats, datetime]:
    """Values by whole hours of UTC, NaN where a part is not known, and the start of the first one.

    Raises:
        ValueError: The series' steps do not make whole hours.
    """
    return _whole_hours(series.values, series.start, series.step)


def _whole_hours(
    values: Sequence[float | None], start: datetime, step: timedelta
) -> tuple[Floats, datetime]:
    given = np.array([math.nan if each is None else each for each in values], dtype=float)
    late = (start - EPOCH) % HOUR
    if step % HOUR == timedelta(0) and not late:
        return np.repeat(given, step // HOUR), start
    before = -late % HOUR  # to the next whole hour
    if HOUR % step or before % step:
        raise ValueError(f"steps of {step} from {start} do not make whole hours")
    given, each = given[before // step :], HOUR // step
    whole = given[: len(given) // each * each].reshape(-1, each)
    return np.asarray(whole.mean(axis=1)), start + before


def measured(
    of: Compared, *, zone: str, source: str, since: datetime, until: datetime
) -> ForecastQuality | None:
    """The figures; none where no hour of any forecast has come."""
    error = np.abs(of.said - of.came)
    known = np.isfinite(error)
    if not known.any():
        return None
    least = of.came[known].min()
    return ForecastQuality(
        zone=zone,
        source=source,
        since=since,
        until=until,
        issues=int(known.any(axis=1).sum()),
        hours=int(known.sum()),
        coverage=_coverage(of),
        mae=GramsPerKwh(float(error[known].mean())),
        mape=float((error[known] / of.came[known]).mean()) if least >= TOO_CLEAN else None,
        captured=tuple(captured(of.said, of.came, each) for each in WINDOWS),
        widening=_widening(of),
    )


def _coverage(of: Compared) -> float | None:
    known = np.isfinite(of.low) & np.isfinite(of.high) & np.isfinite(of.came)
    if not known.any():
        return None
    inside = (of.low <= of.came) & (of.came <= of.high)
    return float(inside[known].mean())


def _widening(of: Compared) -> float | None:
    """The least factor on half widths that holds 90 % of the hours that have come (split conformal)."""
    error = of.came - of.said
    width = np.where(error >= 0, of.high - of.said, of.said - of.low)
    known = np.isfinite(error) & np.isfinite(width)
    if not known.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        needed = np.where(error == 0, 0.0, np.abs(error) / np.maximum(width, 0))[known]
    rank = min(len(needed), math.ceil((len(needed) + 1) * PROMISED))
    found = float(np.partition(needed, rank - 1)[rank - 1])
    return found if math.isfinite(found) else None


def captured(said: Floats, came: Floats, hours: int, job_h: int = JOB_H) -> float | None:
    """Share of the best saving that one job per issue makes which starts when the forecast says [1].

    Args:
        said: What was foretold [gCO2e/kWh], shape (issue, hour).
        came: What came, likewise.
        hours: The job ends within so many hours of the issue, and starts on the hour.
        job_h: Its length [h].

    Returns:
        Mean over all starts less the chosen one, over the same less the best one, both summed over
        the issues whose hours have all come; none where there are none, or nothing to save.
    """
    whole = np.isfinite(said[:, :hours] + came[:, :hours]).all(axis=1)
    if not whole.any():
        return None
    means = [_run_means(each[whole, :hours], job_h) for each in (said, came)]
    chosen = means[0].argmin(axis=1)  # the earliest of equals
    every = means[1].mean(axis=1).sum()
    best = means[1].min(axis=1).sum()
    emitted = means[1][np.arange(len(chosen)), chosen].sum()
    return float((every - emitted) / (every - best)) if every - best > 1e-9 * every else None


def _run_means(values: Floats, job_h: int) -> Floats:
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return np.asarray((sums[:, job_h:] - sums[:, :-job_h]) / job_h)


def quality_by_source(
    forecasts: Iterable[Forecast], actual: IntensitySeries
) -> list[ForecastQuality]:
    """The figures of one zone's forecasts, by who made them; each forecast counts once.

    Args:
        forecasts: What was said, in any order.
        actual: What came, as far as it is known.

    Raises:
        ValueError: The steps of a series do not make whole hours.
    """
    sources: dict[str, dict[str, Forecast]] = {}
    for each in forecasts:
        sources.setdefault(each.kind.source, {})[each.id] = each
    found = []
    for source, by_id in sources.items():
        made = sorted(by_id.values(), key=lambda each: each.issued_at)
        told = measured(
            compared(made, actual),
            zone=actual.zone,
            source=source,
            since=made[0].issued_at,
            until=actual.end,
        )
        if told is not None:
            found.append(told)
    return found
