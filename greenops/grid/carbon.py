"""Carbon of a run: energy times PUE times the mean intensity over its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenops.domain.carbon import Account, Carbon
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Forecast, IntensitySeries
from greenops.grid.series import mean_intensity
from greenops.units import Grams, Kwh, emissions, to_joules


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of a run before PUE [kWh], with its 90 % range where known."""

    kwh: Kwh
    boundary: Boundary
    method: Method
    low: Kwh | None = None
    high: Kwh | None = None


def carbon_of_run(
    energy: Energy, pue: float, series: IntensitySeries, start: datetime, end: datetime
) -> Carbon | None:
    """Location-based emissions of a run [gCO2e] over `[start, end)`.

    The range takes the energy's and the forecast's errors together, the wide way; a recorded series
    and a forecast without a stated error add none. A forecast makes the amount an estimate.

    Returns:
        None where the series does not cover the run or has a gap in it.
    """
    mean = mean_intensity(series, start, end)
    if mean is None:
        return None
    foretold = isinstance(series, Forecast)
    error = (series.error or 0.0) if isinstance(series, Forecast) else 0.0
    low = energy.kwh if energy.low is None else energy.low
    high = energy.kwh if energy.high is None else energy.high
    return Carbon(
        grams=emissions(to_joules(energy.kwh), mean, pue),
        low=Grams(emissions(to_joules(low), mean, pue) * max(0.0, 1 - error)),
        high=Grams(emissions(to_joules(high), mean, pue) * (1 + error)),
        signal=series.kind.signal,
        account=Account.LOCATION,
        boundary=energy.boundary,
        method=_weakest(energy.method, Method.ESTIMATED) if foretold else energy.method,
    )


def _weakest(*methods: Method) -> Method:
    return max(methods, key=list(Method).index)
