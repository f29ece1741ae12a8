"""A forecast from a zone's own past alone: no weather, no network, trained in a fraction of a second.

Two ridge regressions, one on the last day and one on the last three, are blended with the usual profile of
the day. Each foretells all hours at once, as differences from the mean of the last four weeks. What else is
known of the past, such as the shares of wind and sun, may be given beside it. The quantiles come from the
errors on the last part of the past, which the model that made them had not seen.

Wind-heavy grids are foretold worst, for want of a weather forecast; their quantiles say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Hours = NDArray[np.int64]

HORIZON: Final = 96
"""Hours that are foretold."""
DAY: Final = 24
WEEK: Final = 7
HISTORY: Final = 28 * DAY
"""Hours of the past that a forecast looks at."""
YEAR: Final = 365.25 * DAY
LEAST_DAYS: Final = 60
"""Days of the past below which no model is trained: four weeks are only looked at."""
QUANTILES: Final = (0.05, 0.95)
"""The house's ranges are 90 %."""
HELD_OUT: Final = 0.25
"""Share of the past whose errors make the quantiles."""
USUAL: Final = 0.3
"""Weight of the usual profile. Chosen, as are `FADES` and the two regressions below, on 2020 against the first half of 2021
of twelve grids; what they capture in the second half: tests/bench/scheduling.py, which was looked at along the way."""
FADES: Final = 0.5
"""What is left a day later of how far the last day was from the usual."""
FLAT: Final = 1e-9
"""Deviation below which a feature says nothing."""


@dataclass(frozen=True, slots=True)
class Regression:
    """What one ridge regression looks at.

    Attributes:
        hours: Last hours, one by one; then `blocks` means of four hours before them.
        shifts: Origins to train on, as hours from the hour of day that it will be asked at.
        penalty: Strength of the ridge, per origin and for features of deviation 1.
    """

    hours: int
    blocks: int
    shifts: tuple[int, ...]
    penalty: float


REGRESSIONS: Final = (
    Regression(24, 12, (-1, 0, 1), 0.3),
    Regression(72, 24, (-4, -2, 0, 2, 4), 0.1),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Centre and deviation of the features, centre of the answers, weights (feature, hour ahead)."""

    centre: Floats
    deviation: Floats
    answer: Floats
    weights: Floats

    def __call__(self, features: Floats) -> Floats:
        return np.asarray((features - self.centre) / self.deviation @ self.weights + self.answer)


@dataclass(frozen=True, slots=True, eq=False)
class Foretold:
    """Forecasts, arrays of shape (origin, hour ahead) [gCO2e/kWh].

    NaN in a whole row: what the origin looks back at has a gap longer than a day.
    """

    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LocalForecast:
    """A trained model of one zone, asked at one hour of the day.

    Attributes:
        first_hour: Hours from 1970-01-01 00:00 UTC (a Thursday) to the first value it is given.
        hour: Hour of the day (UTC) that it may be asked at.
        drivers: Which of the drivers vary, shape (driver,).
        low, high: Errors at the quantiles, by hour ahead [gCO2e/kWh].
    """

    first_hour: int
    hour: int
    drivers: NDArray[np.bool_]
    fits: tuple[_Fit, ...]
    low: Floats
    high: Floats

    @classmethod
    def train(
        cls, values: Floats, first_hour: int, *, hour: int = 0, drivers: Floats | None = None
    ) -> LocalForecast:
        """Learn from a zone's past.

        Args:
            values: Intensity of every hour [gCO2e/kWh], shape (hour,); NaN is a gap.
            first_hour: Hours from 1970-01-01 00:00 UTC to the first of them.
            hour: Hour of the day (UTC) that forecasts will start at.
            drivers: What else was known of each hour, shape (hour, driver), such as shares of fuels.

        Raises:
            ValueError: The past is shorter than 60 days, or too full of gaps to learn from.
        """
        if len(values) < LEAST_DAYS * DAY:
            raise ValueError(
                f"a model needs {LEAST_DAYS} days of the past, not {len(values)} hours"
            )
        past = _Past.of(values, first_hour, drivers)
        first_kept = len(values) - round(len(values) * HELD_OUT)
        before = tuple(_fit(past, each, hour, first_kept) for each in REGRESSIONS)
        origins = past.origins(hour, (0,), len(values))
        origins = origins[origins >= first_kept]
        if not len(origins):
            raise ValueError("the last part of the past has too many gaps to learn from")
        error = past.values[origins[:, None] + np.arange(HORIZON)] - _mean(past, before, origins)
        low, high = np.quantile(error, QUANTILES, axis=0)
        fits = tuple(_fit(past, each, hour, len(values)) for each in REGRESSIONS)
        return cls(first_hour, hour, past.useful, fits, _smooth(low), _smooth(high))

    def foretell(
        self, values: Floats, origins: Hours, *, drivers: Floats | None = None
    ) -> Foretold:
        """The next 96 hours from each origin on; only what lies before an origin is looked at.

        Args:
            values: Intensity from `first_hour` on, as far as it is known, shape (hour,).
            origins: Places in `values` of the first hours to foretell; at least 28 days in.
            drivers: As the model was trained with.

        Raises:
            ValueError: An origin has no 28 days before it, or is at another hour than was learned for.
        """
        if ((origins + self.first_hour) % DAY != self.hour).any():
            raise ValueError(f"this model foretells from {self.hour:02d}:00 UTC on")
        if (origins < HISTORY).any() or (origins > len(values)).any():
            raise ValueError("a forecast looks at the 28 days before it, and they must be given")
        past = _Past.of(values, self.first_hour, drivers, self.drivers)
        mean = _mean(past, self.fits, origins)
        known = past.known[origins]
        return Foretold(
            *(
                np.where(known[:, None], np.maximum(mean + error, 0), np.nan)
                for error in (np.zeros(HORIZON), self.low, self.high)
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """A zone's past with its short gaps filled from the day before.

    Attributes:
        known: Is all that an origin looks back at known, shape (hour + 1,)?
        ahead: Is all that would come after an origin known without filling, shape (hour + 1,)?
        useful: Drivers that vary.
    """

    values: Floats
    first_hour: int
    drivers: Floats
    useful: NDArray[np.bool_]
    known: NDArray[np.bool_]
    ahead: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        values: Floats,
        first_hour: int,
        drivers: Floats | None,
        useful: NDArray[np.bool_] | None = None,
    ) -> _Past:
        beside = np.zeros((len(values), 0)) if drivers is None else drivers
        if useful is None:
            useful = np.nanstd(beside, axis=0) > FLAT if beside.size else np.zeros(0, bool)
        filled, beside = _filled(values), _filled(beside[:, useful])
        gaps = np.isnan(filled) | np.isnan(beside).any(axis=1)
        sums = np.concatenate([np.zeros(HISTORY), [0], np.cumsum(gaps)])
        known = sums[HISTORY:] == sums[: len(values) + 1]
        known[:HISTORY] = False
        missing = np.concatenate([[0], np.cumsum(np.isnan(values))])
        ahead = np.zeros(len(values) + 1, bool)
        ahead[: len(values) - HORIZON + 1] = missing[HORIZON:] == missing[:-HORIZON]
        return cls(np.nan_to_num(filled), first_hour, np.nan_to_num(beside), useful, known, ahead)

    def origins(self, hour: int, shifts: tuple[int, ...], end: int) -> Hours:
        """Origins to learn from: near an hour of the day, all known before and after, over by `end`."""
        at = np.arange(HISTORY, max(HISTORY, end - HORIZON + 1))
        off = (at + self.first_hour - hour + DAY // 2) % DAY - DAY // 2
        kept = np.isin(off, shifts) & self.known[at] & self.ahead[at]
        return np.asarray(at[kept], dtype=np.int64)

    def weeks(self, origins: Hours) -> Floats:
        """The four weeks before each origin, shape (origin, hour)."""
        return np.asarray(sliding_window_view(self.values, HISTORY)[origins - HISTORY])


def _filled(values: Floats) -> Floats:
    """A gap of up to a day takes the value of the day before; a longer one stays."""
    found = values.copy()
    if len(values) > DAY:
        gap = np.isnan(found[DAY:])
        found[DAY:] = np.where(gap, values[:-DAY], found[DAY:])
    return found


def _features(past: _Past, origins: Hours, what: Regression) -> tuple[Floats, Floats]:
    """What a regression looks at, and the four weeks' mean, shape (origin, 1)."""
    weeks = past.weeks(origins)
    mean = weeks.mean(axis=1, keepdims=True)
    weeks = weeks - mean
    blocks = weeks[:, -what.hours - 4 * what.blocks : -what.hours]
    time = past.first_hour + origins
    angle = 2 * np.pi * time / YEAR
    parts = [
        weeks[:, -what.hours :],
        blocks.reshape(len(origins), what.blocks, 4).mean(axis=2),
        weeks.reshape(len(origins), -1, DAY).mean(axis=1),
        np.eye(WEEK)[(time // DAY) % WEEK],
        *(wave(turns * angle)[:, None] for turns in (1, 2) for wave in (np.cos, np.sin)),
        mean,
    ]
    if past.drivers.shape[1]:
        last = sliding_window_view(past.drivers, DAY, axis=0)[origins - DAY]
        parts += [last.mean(axis=2), last[:, :, -DAY // 4 :].mean(axis=2), last[:, :, -1]]
    return np.concatenate(parts, axis=1), mean


def _fit(past: _Past, what: Regression, hour: int, end: int) -> _Fit:
    origins = past.origins(hour, what.shifts, end)
    if len(origins) < 2:  # noqa: PLR2004 - one origin has no deviation
        raise ValueError("the past has too many gaps to learn from")
    features, mean = _features(past, origins, what)
    answers = past.values[origins[:, None] + np.arange(HORIZON)] - mean
    centre, answer = features.mean(axis=0), answers.mean(axis=0)
    deviation = features.std(axis=0)
    deviation[deviation < FLAT] = np.inf  # it says nothing here, and says nothing later
    scaled = (features - centre) / deviation
    gram = scaled.T @ scaled
    gram[np.diag_indices_from(gram)] += what.penalty * len(origins)
    weights = np.linalg.solve(gram, scaled.T @ (answers - answer))
    return _Fit(centre, deviation, answer, weights)


def _mean(past: _Past, fits: tuple[_Fit, ...], origins: Hours) -> Floats:
    found = USUAL * _usual(past, origins)
    for fit, what in zip(fits, REGRESSIONS, strict=True):
        features, mean = _features(past, origins, what)
        found += (1 - USUAL) / len(fits) * (fit(features) + mean)
    return np.asarray(found)


def _usual(past: _Past, origins: Hours) -> Floats:
    """Mean profile of the day of one, two and four weeks, moved by how the last day differed from it."""
    days = past.weeks(origins).reshape(len(origins), -1, DAY)
    profile = (
        days[:, -WEEK:].mean(axis=1) + days[:, -2 * WEEK :].mean(axis=1) + days.mean(axis=1)
    ) / 3
    moved = (days[:, -1] - profile).mean(axis=1)
    fade = FADES ** (np.arange(HORIZON // DAY) + 0.5)
    whole = profile[:, None, :] + moved[:, None, None] * fade[:, None]
    return np.asarray(whole.reshape(len(origins), HORIZON))


def _smooth(errors: Floats) -> Floats:
    """Mean over three hours: a quantile of few origins jumps from hour to hour."""
    padded = np.pad(errors, 1, mode="edge")
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3)
