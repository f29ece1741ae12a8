"""Links from a bucket of a histogram to a span that fell into it, for pages in OpenMetrics.

The SDK's Prometheus exporter drops its exemplars, so the newest of each bucket is kept here and put on
the page beside the bucket.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

MOST: Final = 10_000
"""Buckets with an exemplar [1]; the one that was set longest ago goes."""

Labels = frozenset[tuple[str, str]]


class Exemplars(Collector):
    """The pages of another registry with exemplars on the buckets of its histograms."""

    def __init__(self, pages: Collector) -> None:
        self._pages = pages
        self._lock = threading.Lock()
        self._newest: dict[tuple[str, Labels, float], Exemplar] = {}

    def see(
        self,
        metric: str,
        bounds: Sequence[float],
        labels: Mapping[str, str],
        value: float,
        span: tuple[str, str, float],
    ) -> None:
        """Keep one value as the newest of its bucket.

        Args:
            metric: Prometheus name of the histogram.
            bounds: Upper bounds of its buckets, without the last.
            labels: Of the series, in the exporter's spelling.
            value: In the histogram's unit.
            span: Trace, span, and wall instant of its end [s since 1970].
        """
        trace_id, span_id, at = span
        place = bisect_left(bounds, value)
        bound = bounds[place] if place < len(bounds) else float("inf")
        key = (metric, frozenset(pair for pair in labels.items() if pair[1]), bound)
        found = Exemplar({"trace_id": trace_id, "span_id": span_id}, value, at)
        with self._lock:
            self._newest.pop(key, None)
            self._newest[key] = found
            if len(self._newest) > MOST:
                del self._newest[next(iter(self._newest))]

    def collect(self) -> Iterator[Metric]:
        """Every metric of the other registry."""
        with self._lock:
            newest = dict(self._newest)
        for metric in self._pages.collect():
            if metric.type == "histogram":
                metric.samples = list(_with(metric, newest))
            yield metric


def _with(metric: Metric, newest: Mapping[tuple[str, Labels, float], Exemplar]) -> Iterable[Sample]:
    for sample in metric.samples:
        if not sample.name.endswith("_bucket"):
            yield sample
            continue
        # The exporter gives a series without a label that others have an empty one.
        labels = frozenset((k, v) for k, v in sample.labels.items() if k != "le" and v)
        key = (metric.name, labels, float(sample.labels["le"]))
        yield sample._replace(exemplar=newest.get(key))
