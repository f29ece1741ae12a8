"""The usual course of a zone's carbon intensity: what holds for a forecast where none can be had.

The mean of each hour of the day over one, two and four weeks, moved by how weekends differ from other days and
by how the last day that is known differed from the usual. The range comes from the same rule asked on earlier days of
the same past, so it is as wide as the rule was wrong.

On the shipped series, July to December 2021, twelve zones, it is off by 8.3 % on the first day, 9.4 % over two and 10.5 %
over four (mean absolute; every fourth day), and 95, 93, 92 and 89 % of the hours of each day ahead lie in the range. The bare
hour-of-day mean of four weeks is off by 11.8, 11.8 and 12.0 %. tests/unit/grid/test_climatology.py keeps that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.domain.grid import Forecast, IntensitySeries
from greenops.grid.past import DAY, HOUR, KEPT, WINDOW
from greenops.units import GramsPerKwh

Floats = NDArray[np.float64]

HORIZON: Final = 4 * DAY
"""Hours that are foretold."""
LEAST: Final = 7 * DAY
"""Known hours in the window below which nothing is said."""
FADES: Final = 0.5
"""What is left a day later of how far the last day was from the usual; as in `local_forecast`."""
WEEKEND: Final = 0.5
"""Part of the difference between weekends and other days that is believed: four weekends are few. The whole of it and
none of it are each 0.1 points worse over two days on the shipped series of 2021 H2."""
SATURDAY: Final = 5
QUANTILES: Final = (0.05, 0.95)
"""The house's ranges are 90 %."""
LEAST_ORIGINS: Final = 4
"""Earlier days below which their errors say nothing."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
THURSDAY: Final = 3
"""Weekday of the epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """Hourly means that end at an instant, NaN where unknown; `end` is in hours since 1970."""

    values: Floats
    end: int

    def until(self, hours_ago: int) -> _Past:
        """What was known some hours before."""
        return _Past(self.values[: len(self.values) - hours_ago], self.end - hours_ago)


def climatology(past: IntensitySeries, at: datetime, why: str) -> Forecast | None:
    """The usual course from an instant on, as a forecast that says what it stands in for.

    Args:
        past: What was recorded of the zone; nothing from the hour of `at` on is looked at.
        at: When it is asked for; it counts as issued at the begin of that hour.
        why: Why there is no forecast, for `degraded`.

    Returns:
        Four days of whole hours with their 90 % range; none where the four weeks before `at` have less than seven
        days of known hours or never know one hour of the day. The range is none where the past is too short
        to tell errors.
    """
    issued = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    known = _hourly(past, issued)
    course = _course(known)
    if course is None:
        return None
    errors = _errors(known)
    spans = None if errors is None else [np.maximum(course + each, 0.0) for each in errors.bounds]
    return Forecast(
        past.zone,
        replace(past.kind, source=f"usual course of {past.kind.source}"),
        issued,
        HOUR,
        _grams(course),
        issued_at=issued,
        id=f"climatology/{past.kind.source}/{past.zone}/{issued:%Y-%m-%dT%H:%MZ}",
        error=None if errors is None else errors.relative,
        low=None if spans is None else _grams(spans[0]),
        high=None if spans is None else _grams(spans[1]),
        degraded=f"usual course of the last four weeks in place of a forecast: {why}",
    )


def _hourly(past: IntensitySeries, end: datetime) -> _Past:
    """Means of the hours before `end`, the last `KEPT` of them."""
    last = (end - EPOCH) // HOUR
    sums, counts = np.zeros(KEPT), np.zeros(KEPT)
    # A step of several hours holds for each of them; one that is shorter is a part of its hour.
    repeats = max(1, past.step // HOUR)
    first = (past.start - EPOCH) / HOUR
    step = (past.step / repeats) / HOUR
    given = np.array([np.nan if v is None else v for v in past.values], dtype=float)
    values = np.repeat(given, repeats)
    # Instants are whole microseconds; this much of an hour is below one of them.
    hours = np.floor(first + step * np.arange(len(values)) + 1e-9).astype(np.int64)
    places = hours - (last - KEPT)
    kept = (places >= 0) & (places < KEPT) & np.isfinite(values)
    np.add.at(sums, places[kept], values[kept])
    np.add.at(counts, places[kept], 1)
    with np.errstate(invalid="ignore"):
        return _Past(np.where(counts > 0, sums / counts, np.nan), last)


def _course(past: _Past) -> Floats | None:
    """The next four days, NaN-free; none where too little is known."""
    window = past.values[-WINDOW:]
    days = len(window) // DAY
    window = window[len(window) - days * DAY :]
    known = np.isfinite(window)
    if known.sum() < LEAST or not known.reshape(days, DAY).any(axis=0).all():
        return None
    profile = _profile(window.reshape(days, DAY))
    weekend = _weekend(past.end - days * DAY, days * DAY)
    over = window - np.tile(profile, days)
    by_kind = np.array([_mean(over[~weekend]), _mean(over[weekend])])
    shift = WEEKEND * np.nan_to_num(by_kind - _mean(over))
    over -= shift[weekend.astype(int)]
    last_known = int(np.flatnonzero(known)[-1]) + 1
    moved = _mean(over[max(0, last_known - DAY) : last_known])
    silent = (len(window) - last_known) / DAY
    fade = FADES ** (silent + np.arange(HORIZON // DAY) + 0.5)
    ahead = _weekend(past.end, HORIZON).astype(int)
    course = np.tile(profile, HORIZON // DAY) + shift[ahead] + moved * np.repeat(fade, DAY)
    return np.asarray(np.maximum(course, 0.0))


def _profile(days: Floats) -> Floats:
    """Mean of each column over one, two and four weeks; a span that does not know a column is left out of it."""
    spans = [days[-week * 7 :] for week in (1, 2, 4)]
    sums = np.array([np.nansum(each, axis=0) for each in spans])
    counts = np.array([np.isfinite(each).sum(axis=0) for each in spans])
    means = np.where(counts > 0, sums / np.maximum(counts, 1), 0.0)
    return np.asarray(means.sum(axis=0) / (counts > 0).sum(axis=0))


def _weekend(first: int, hours: int) -> NDArray[np.bool_]:
    """Which of some hours lie on a Saturday or Sunday, UTC."""
    day = (first + np.arange(hours)) // DAY
    return np.asarray((day + THURSDAY) % 7 >= SATURDAY)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """How wrong the rule was: 5 % and 95 % of recorded minus foretold by hour ahead [g/kWh], and relative [1]."""

    bounds: tuple[Floats, Floats]
    relative: float | None


def _errors(past: _Past) -> _Errors | None:
    """From every earlier day of the past at this hour; a day ahead that has too few takes those of the day before it."""
    by_day: list[list[Floats]] = [[] for _ in range(HORIZON // DAY)]
    shares: list[Floats] = []
    for ago in range(DAY, len(past.values) - LEAST + 1, DAY):
        course = _course(past.until(ago))
        if course is None:
            continue
        came = past.values[len(past.values) - ago :][:HORIZON]
        for ahead in range(len(came) // DAY):
            hours = slice(ahead * DAY, (ahead + 1) * DAY)
            by_day[ahead].append(came[hours] - course[hours])
        first_two = slice(0, 2 * DAY)
        said, found = course[first_two][: len(came)], came[first_two]
        with np.errstate(divide="ignore", invalid="ignore"):
            shares.append(np.abs(found - said) / said)
    low, high = np.empty(HORIZON), np.empty(HORIZON)
    bounds: NDArray[np.float64] | None = None
    for ahead, errors in enumerate(by_day):
        pooled = np.concatenate(errors) if errors else np.empty(0)
        pooled = pooled[np.isfinite(pooled)]
        if len(errors) >= LEAST_ORIGINS and len(pooled):
            bounds = np.quantile(pooled, _widened(len(errors)))
        if bounds is None:
            return None
        low[ahead * DAY : (ahead + 1) * DAY], high[ahead * DAY : (ahead + 1) * DAY] = bounds
    all_shares = np.concatenate(shares)
    all_shares = all_shares[np.isfinite(all_shares)]
    relative = float(np.quantile(all_shares, 0.9)) if len(all_shares) else None
    return _Errors((low, high), relative)


def _widened(origins: int) -> tuple[float, float]:
    """The quantiles of the house, moved outward as a sample of so few asks for: the hours of one origin err alike."""
    low, high = QUANTILES
    outward = high / origins
    return max(0.0, low - outward), min(1.0, high + outward)


def _grams(values: Floats) -> tuple[GramsPerKwh, ...]:
    return tuple(GramsPerKwh(each) for each in values.tolist())
