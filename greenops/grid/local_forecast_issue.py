"""A zone's forecast from its own past: trained, tried on the last four weeks, its range widened where it must be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np

from greenops.domain.grid import Forecast, IntensitySeries
from greenops.grid.forecast_quality import (
    EPOCH,
    HOUR,
    Compared,
    Floats,
    ForecastQuality,
    hourly,
    measured,
)
from greenops.grid.local_forecast import DAY, HISTORY, HORIZON, LEAST_DAYS, Foretold, LocalForecast
from greenops.units import GramsPerKwh

MODEL: Final = "local-1"
"""The model and its settings; whoever changes what it foretells counts up, so no two are taken for one."""
TRIED_DAYS: Final = 28
"""Days on which a model that had not seen them is tried."""


@dataclass(frozen=True, slots=True)
class LocalIssue:
    """A forecast with what came of such forecasts in the four weeks before it.

    Attributes:
        quality: Of one model trained before them all, so a little worse than daily training is;
            none where the past is too short to leave four weeks out.
    """

    forecast: Forecast
    quality: ForecastQuality | None


def issue(past: IntensitySeries, at: datetime, drivers: Floats | None = None) -> LocalIssue:
    """The forecast that starts with the first hour that is not known at an instant.

    Law: what lies after `at` changes nothing. Its id names the model, the zone, the end of the last
    known hour and a hash of the values seen: equal ids mean equal forecasts, but for the rounding
    of a millionth where two machines' arithmetic differs.

    Args:
        past: Recorded intensity; what it holds beyond `at` is not looked at.
        at: Instant of the question.
        drivers: What else was known of each whole hour of `past`, such as shares of fuels,
            shape (hour, driver); a model that has them is another source.

    Raises:
        ValueError: The past is shorter than 60 days, has too many gaps, or its steps do not make
            whole hours.
    """
    values, start = _known(past, at)
    beside = None if drivers is None else drivers[: len(values)]
    quality = _tried(past, values, start, beside)
    foretold = _foretell(values, start, beside)
    issued = start + len(values) * HOUR
    saw = hashlib.sha256(values.tobytes() + (b"" if beside is None else beside.tobytes()))
    mean, low, high = (_grams(each[0]) for each in (foretold.mean, foretold.low, foretold.high))
    forecast = Forecast(
        past.zone,
        replace(past.kind, source=f"{_model(drivers)}/{past.kind.source}"),
        issued,
        HOUR,
        mean,
        issued_at=issued,
        id=f"{_model(drivers)}/{past.zone}/{issued:%Y-%m-%dT%H:%MZ}/{saw.hexdigest()[:8]}",
        low=tuple(map(min, low, mean)),
        high=tuple(map(max, high, mean)),
    )
    factor = quality.widened if quality else None
    return LocalIssue(forecast if factor is None else widened(forecast, factor), quality)


def trial(
    past: IntensitySeries, at: datetime, drivers: Floats | None = None
) -> ForecastQuality | None:
    """What came of such forecasts in the four weeks before an instant; see `LocalIssue.quality`.

    Raises:
        ValueError: The steps of the past do not make whole hours.
    """
    values, start = _known(past, at)
    return _tried(past, values, start, None if drivers is None else drivers[: len(values)])


def _model(drivers: Floats | None) -> str:
    return MODEL if drivers is None else f"{MODEL}+drivers"


def _known(past: IntensitySeries, at: datetime) -> tuple[Floats, datetime]:
    """Whole hours that were over at an instant, up to the last one that is known."""
    values, start = hourly(past)
    values = values[: max(0, (at - start) // HOUR)]
    return values[: 1 + max(np.flatnonzero(np.isfinite(values)), default=-1)], start


def _foretell(values: Floats, start: datetime, drivers: Floats | None) -> Foretold:
    first = (start - EPOCH) // HOUR
    hour = (first + len(values)) % DAY
    model = LocalForecast.train(values, first, hour=hour, drivers=drivers)
    found = model.foretell(values, np.array([len(values)]), drivers=drivers)
    if np.isnan(found.mean).any():
        raise ValueError("the last four weeks have a gap of more than a day")
    return found


def _tried(
    past: IntensitySeries, values: Floats, start: datetime, drivers: Floats | None
) -> ForecastQuality | None:
    end, cut = len(values), len(values) - TRIED_DAYS * DAY
    if cut < max(LEAST_DAYS * DAY, HISTORY):
        return None
    first = (start - EPOCH) // HOUR
    before = None if drivers is None else drivers[:cut]
    try:
        model = LocalForecast.train(values[:cut], first, hour=(first + end) % DAY, drivers=before)
    except ValueError:
        return None  # a gap in what lies before; the forecast itself may do without
    origins = np.arange(cut, end, DAY)
    found = model.foretell(values, origins, drivers=drivers)
    longer = np.concatenate([values, np.full(HORIZON, np.nan)])
    came = longer[origins[:, None] + np.arange(HORIZON)]
    return measured(
        Compared(
            found.mean,
            np.minimum(found.low, found.mean),
            np.maximum(found.high, found.mean),
            came,
        ),
        zone=past.zone,
        source=f"{_model(drivers)}/{past.kind.source}",
        since=start + cut * HOUR,
        until=start + end * HOUR,
    )


def widened(forecast: Forecast, factor: float) -> Forecast:
    """The same with each end of its ranges moved away from the value; it says by how much.

    Args:
        forecast: One that has ranges; without them it is given back as it is.
        factor: On the distance of each end from the value [1].
    """
    if forecast.low is None or forecast.high is None:
        return forecast
    low = _moved(forecast.values, forecast.low, factor)
    high = _moved(forecast.values, forecast.high, factor)
    return replace(forecast, low=low, high=high, widened=factor)


def _moved(
    values: Iterable[GramsPerKwh | None], ends: Iterable[GramsPerKwh | None], factor: float
) -> tuple[GramsPerKwh | None, ...]:
    return tuple(
        None
        if value is None or end is None
        else GramsPerKwh(max(0.0, value + factor * (end - value)))
        for value, end in zip(values, ends, strict=True)
    )


def _grams(values: Floats) -> tuple[GramsPerKwh, ...]:
    """Rounded to a millionth [gCO2e/kWh]: what lies below is noise of the arithmetic, not of the grid."""
    return tuple(GramsPerKwh(each) for each in np.round(values, 6).tolist())
