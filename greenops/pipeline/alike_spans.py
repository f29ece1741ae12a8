"""Spans of one service, workload and region together: what every sum over spans asks of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from greenops.pipeline.span_columns import SpanColumns, groups_of

SERVER: Final = "SERVER"
BY: Final = ("service", "workload", "region")


@dataclass(frozen=True, slots=True)
class Requests:
    """How many there are, and how many of them have a known number."""

    count: int
    energy: int
    carbon: int


@dataclass(frozen=True, slots=True)
class AlikeSpans:
    """At least one span; lists hold what is known, in no order that matters.

    Attributes:
        servers: Those that answered a request.
        roots: Those without a parent.
        methods: Of those with energy.
        energy: [J]; `low` and `high` are the ends of its 90 % range.
        carbon: [gCO2e].
        cost: [USD].
        priced: Energy of those that have carbon [J].
    """

    service: str
    workload: str | None
    region: str | None
    count: int
    servers: Requests
    roots: Requests
    methods: frozenset[str]
    energy: list[float]
    low: list[float]
    high: list[float]
    carbon: list[float]
    cost: list[float]
    priced: list[float]


def alike_spans(spans: SpanColumns) -> Iterator[AlikeSpans]:
    """The groups of some spans, in the order of their first ones."""
    columns = [spans.words(name) for name in BY]
    groups = groups_of(*((codes, len(words)) for codes, words in columns))
    measures = _Measures.of(spans)
    for places in groups:
        service, workload, region = (words[codes[places[0]]] for codes, words in columns)
        yield measures.alike(service or "", workload, region, places)


@dataclass(frozen=True, slots=True)
class _Measures:
    """Columns of numbers, NaN where one is not known, and of what counts."""

    energy: Any
    low: Any
    high: Any
    carbon: Any
    cost: Any
    server: Any
    root: Any
    method: tuple[Any, list[str | None]]

    @classmethod
    def of(cls, spans: SpanColumns) -> _Measures:
        numbers = ("energy_j", "energy_low_j", "energy_high_j", "carbon_g", "cost_usd")
        energy, low, high, carbon, cost = map(spans.numbers, numbers)
        server, method = spans.is_word("kind", SERVER), spans.words("method")
        return cls(energy, low, high, carbon, cost, server, spans.roots(), method)

    def alike(
        self, service: str, workload: str | None, region: str | None, places: Any
    ) -> AlikeSpans:
        # Most messages come from one service in one place.
        at: Any = slice(None) if len(places) == len(self.energy) else places
        energy, carbon = self.energy[at], self.carbon[at]
        with_energy, with_carbon = ~np.isnan(energy), ~np.isnan(carbon)

        def requests(which: Any) -> Requests:
            count, known = int(which.sum()), int((which & with_energy).sum())
            return Requests(count, known, int((which & with_carbon).sum()))

        codes, words = self.method
        methods = {words[code] for code in np.unique(codes[at][with_energy]).tolist()}
        return AlikeSpans(
            service,
            workload,
            region,
            count=len(places),
            servers=requests(self.server[at]),
            roots=requests(self.root[at]),
            methods=frozenset(method for method in methods if method),
            energy=energy[with_energy].tolist(),
            low=_known(self.low[at]),
            high=_known(self.high[at]),
            carbon=carbon[with_carbon].tolist(),
            cost=_known(self.cost[at]),
            priced=energy[with_energy & with_carbon].tolist(),
        )


def _known(values: Any) -> list[float]:
    found: list[float] = values[~np.isnan(values)].tolist()
    return found
