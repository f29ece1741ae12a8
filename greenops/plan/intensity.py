"""Mean intensity over many windows of one series, from prefix sums: constant time each, exact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from greenops.domain.grid import Forecast, IntensitySeries
from greenops.units import GramsPerKwh

QUANTA: Final = 10**9
"""Smallest parts that a g/kWh is counted in. Below it lies only noise of whoever computed the series:
the best grid forecasts err by several percent."""
TICK: Final = timedelta(microseconds=1)
"""What time is counted in; no instant is finer."""


class Mean:
    """Time-weighted mean of values on a regular grid of time over `[start, end)`.

    The integral up to any instant is a sum of whole steps and a part of one; a mean is the
    difference of two integrals over the length. Law: all of them are whole numbers, so windows of
    equal values have equal means, and no start is chosen for the noise of a sum.

    Args:
        start: When the first value begins to hold.
        step: How long each holds.
        values: None is a gap; they may be negative.
    """

    def __init__(self, start: datetime, step: timedelta, values: Sequence[float | None]) -> None:
        given = np.array([np.nan if v is None else v for v in values], dtype=float)
        known = np.isfinite(given)
        quanta = np.rint(np.where(known, given, 0.0) * QUANTA).astype(np.int64)
        self._gaps: list[int] = np.concatenate([[0], np.cumsum(~known)]).tolist()
        self._sums: list[int] = np.concatenate([[0], np.cumsum(quanta)]).tolist()
        self._values: list[int] = [*quanta.tolist(), 0]
        self._start, self._end = start, start + step * len(values)
        self._step = step // TICK

    def over(self, start: datetime, end: datetime) -> float | None:
        """The mean; none where there is a gap in it, or the values do not cover it."""
        if start >= end or start < self._start or end > self._end:
            return None
        first, last = (start - self._start) // TICK, (end - self._start) // TICK
        if self._gaps[-(-last // self._step)] != self._gaps[first // self._step]:
            return None
        area = self._integral(last) - self._integral(first)
        return area / ((last - first) * QUANTA)

    def _integral(self, until: int) -> int:
        whole, part = divmod(until, self._step)
        return self._sums[whole] * self._step + self._values[whole] * part


class MeanIntensity:
    """Time-weighted mean of a series over a run.

    Args:
        series: What was recorded or foretold.
        values: Other values for the same steps, such as one end of their range [gCO2e/kWh]; none:
            the series' own.
    """

    def __init__(
        self, series: IntensitySeries, values: Sequence[GramsPerKwh | None] | None = None
    ) -> None:
        self._mean = Mean(series.start, series.step, series.values if values is None else values)

    def __call__(self, start: datetime, end: datetime) -> GramsPerKwh | None:
        """Mean [gCO2e/kWh]; none where the series has a gap in the run or does not cover it."""
        found = self._mean.over(start, end)
        return None if found is None else GramsPerKwh(found)


class MeanRange:
    """The 90 % range of a forecast's mean over `[start, end)`, from the ranges of its steps.

    The means of the lows and of the highs: as if all steps of a run erred together, which is the
    wide way to take them; errors that cancel in a long run would make it narrower. Constant time
    each, as the mean.
    """

    def __init__(self, forecast: Forecast) -> None:
        self._low = None if forecast.low is None else MeanIntensity(forecast, forecast.low)
        self._high = None if forecast.high is None else MeanIntensity(forecast, forecast.high)

    def __call__(self, start: datetime, end: datetime) -> tuple[GramsPerKwh, GramsPerKwh] | None:
        """Low and high [gCO2e/kWh]; none where the forecast has no range of a step in the run."""
        if self._low is None or self._high is None:
            return None
        low, high = self._low(start, end), self._high(start, end)
        return None if low is None or high is None else (low, high)
