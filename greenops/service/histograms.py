"""Histograms of the metrics page that take thousands of values at once; the SDK's take them one by one."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

MOST_SERIES: Final = 2000
"""Series of one histogram [1]; a name with an id in it must not fill the memory."""
OVERFLOW: Final = {"otel_metric_overflow": "true"}
"""Labels of all beyond. Source: OpenTelemetry, Metrics SDK, cardinality limits."""

Labels = tuple[tuple[str, str], ...]


class Histogram(Collector):
    """One histogram, as the SDK's exporter puts it on the page.

    Args:
        name: Of the page, with its unit.
        bounds: Upper bounds of the buckets, without the last.
    """

    def __init__(self, name: str, bounds: Sequence[float]) -> None:
        self.name, self.bounds = name, tuple(bounds)
        self._edges = np.array(bounds)
        self._lock = threading.Lock()
        self._counts: dict[Labels, Any] = {}
        self._sums: dict[Labels, float] = {}

    def buckets(self, values: Any) -> Any:
        """Place of the bucket that each value falls into."""
        return np.searchsorted(self._edges, values, side="left")

    def add(
        self, series: Sequence[Mapping[str, str]], which: Any, buckets: Any, values: Any
    ) -> None:
        """Count values.

        Args:
            series: Labels of each series.
            which: Of each value, the place of its series.
            buckets: Of each value, the place of its bucket.
            values: In the histogram's unit.
        """
        width = len(self.bounds) + 1
        cells = np.bincount(which * width + buckets, minlength=len(series) * width)
        counts = cells.reshape(-1, width)
        sums = np.bincount(which, weights=values, minlength=len(series))
        with self._lock:
            for place in np.flatnonzero(counts.any(axis=1)).tolist():
                labels = tuple(sorted(series[place].items()))
                if labels not in self._counts and len(self._counts) >= MOST_SERIES:
                    labels = tuple(OVERFLOW.items())
                before = self._counts.get(labels, 0)
                self._counts[labels] = before + counts[place]
                self._sums[labels] = self._sums.get(labels, 0.0) + float(sums[place])

    def collect(self) -> Iterator[Metric]:
        """The histogram; nothing before the first value."""
        with self._lock:
            found = [(dict(k), n.tolist(), self._sums[k]) for k, n in self._counts.items()]
        if not found:
            return
        # A series without a label that others have gets an empty one, as the exporter has it.
        names = sorted({name for labels, _, _ in found for name in labels})
        family = HistogramMetricFamily(self.name, "", labels=names)
        bounds = (*(str(float(each)) for each in self.bounds), "+Inf")
        for labels, counts, total in found:
            below = np.cumsum(counts).tolist()
            values = [labels.get(name, "") for name in names]
            family.add_metric(values, list(zip(bounds, below, strict=True)), total)
        yield family


def latest(which: Any, buckets: Any, width: int) -> Any:
    """Place of the last value of each series and bucket that has any."""
    cells = which * width + buckets
    last = np.full(int(cells.max(initial=-1)) + 1, -1)
    last[cells] = np.arange(len(cells))
    return last[last >= 0]


def known(values: Any) -> Any:
    """Places of the values that are known."""
    return np.flatnonzero(values <= math.inf)
