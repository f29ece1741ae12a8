"""The tables of enrichment as a receiver uses them: those of the state, read anew when they change.

A span's numbers follow from what it says and from the tables at its own time: sent twice, or read again after a
start, it gets the same as long as the tables say the same of that time. Where a table changes between the
acknowledgement and the lake, what was summed is what is written; after a start in between the new table holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from greenops.adapters import language_model_file
from greenops.adapters.factor_file import FactorFile
from greenops.domain.factors import FactorTable
from greenops.domain.workload import Workload
from greenops.observe.enrichment import WANTED, Enricher
from greenops.observe.enrichment_batch import SpanBatch
from greenops.observe.enrichment_tables import EnrichmentTables, coefficients, region_rows
from greenops.pipeline.collector_tables import watts_of
from greenops.pipeline.enriched_columns import enriched
from greenops.pipeline.span_columns import SpanColumns

__all__ = ["WANTED", "Enriching"]

NS_PER_US: Final = 1000
LATEST_US: Final = 9_000_000_000_000_000
"""As far as nanoseconds of 64 bits go, and a little less [us since 1970]."""


class Enriching:
    """Adds energy and carbon to spans that came without. Thread-safe.

    Args:
        factors: The newest factors; the same object as long as nothing changed.
        workloads: Those in force, for the watts of batch runs.
    """

    def __init__(
        self,
        factors: Callable[[], FactorTable],
        workloads: Callable[[], Iterable[Workload]] = tuple,
    ) -> None:
        self._factors, self._workloads = factors, workloads
        self._models = coefficients(language_model_file.shipped())
        self._lock = threading.Lock()
        self._made: tuple[FactorTable, dict[str, float], Enricher] | None = None

    @classmethod
    def shipped(cls) -> Enriching:
        """By the tables in the package."""
        return cls(FactorFile(None).table)

    def enricher(self) -> Enricher:
        """By the tables as they are now."""
        with self._lock:
            factors, watts = self._factors(), watts_of(self._workloads())
            made = self._made
            if made is None or made[0] is not factors or made[1] != watts:
                tables = EnrichmentTables(
                    self._models, region_rows(factors), watts, factors.version
                )
                made = self._made = (factors, watts, Enricher(tables))
            return made[2]

    def add(self, spans: SpanColumns, batch: SpanBatch) -> SpanColumns:
        """The spans with what enrichment adds; rows of both are the same spans."""
        return enriched(spans, self.enricher().enrich(batch))


def at_simulated_time(spans: SpanColumns) -> tuple[Any, Any]:
    """Start and end of each span [ns since 1970]: it ends when a replay says, and lasts as long as it did."""
    end = np.clip(spans.numbers("time"), 0, LATEST_US)
    lasted = np.clip(spans.numbers("end") - spans.numbers("start"), -LATEST_US, LATEST_US)
    return np.maximum(end - lasted, -LATEST_US) * NS_PER_US, end * NS_PER_US
