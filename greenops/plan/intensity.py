"""Mean intensity over many windows of one series, from prefix sums: constant time each, exact."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from greenops.domain.grid import IntensitySeries
from greenops.units import GramsPerKwh


class MeanIntensity:
    """Time-weighted mean of a series over `[start, end)`.

    The integral up to any instant is a sum of whole steps and a part of one; a mean is the
    difference of two integrals over the length.
    """

    def __init__(self, series: IntensitySeries) -> None:
        values = np.array([np.nan if v is None else v for v in series.values], dtype=float)
        self._gaps = np.concatenate([[0], np.cumsum(np.isnan(values))])
        self._values = np.nan_to_num(values)
        self._sums = np.concatenate([[0.0], np.cumsum(self._values)])
        self._start, self._end = series.start, series.end
        self._step_s = series.step.total_seconds()

    def __call__(self, start: datetime, end: datetime) -> GramsPerKwh | None:
        """Mean [gCO2e/kWh]; none where the series has a gap in it or does not cover it."""
        if start >= end or start < self._start or end > self._end:
            return None
        first = (start - self._start).total_seconds() / self._step_s
        last = (end - self._start).total_seconds() / self._step_s
        if self._gaps[int(np.ceil(last))] != self._gaps[int(first)]:
            return None
        return GramsPerKwh((self._integral(last) - self._integral(first)) / (last - first))

    def _integral(self, steps: float) -> float:
        whole = int(steps)
        part = steps - whole
        return float(self._sums[whole] + (part * self._values[whole] if part else 0.0))
