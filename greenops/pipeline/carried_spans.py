"""What spans carry besides, by service: amounts, items, tokens, calls and users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from greenops.observe import attributes as names
from greenops.observe.gen_ai import OUTPUT
from greenops.pipeline.carried_columns import amounts, counts, metered_tokens, texts_of
from greenops.pipeline.concurrency import Call
from greenops.pipeline.more_counters import CARRIED
from greenops.pipeline.span_columns import SpanColumns, groups_of

EXTRAS: Final = frozenset({*CARRIED, names.ITEMS, names.USER_ID, *OUTPUT})
"""Attributes that are asked for here: most messages have none of them."""
US_PER_S: Final = 1_000_000


class Carried:
    """The attributes of some spans that sums ask for."""

    def __init__(self, spans: SpanColumns) -> None:
        self._spans = spans
        self._service, self._services = spans.words("service")
        self._energy = spans.numbers("energy_j")
        self._tokens = metered_tokens(spans)

    def amounts(self, name: str) -> Iterator[tuple[tuple[str, str | None], list[float]]]:
        """(Service, workload) and what its spans carry of a name [J, g]."""
        places, values = amounts(self._spans.attributes, name)
        if not len(places):
            return
        workload, workloads = self._spans.words("workload")
        service = (self._service[places], len(self._services))
        for group in groups_of(service, (workload[places], len(workloads))):
            first = places[group[0]]
            key = self._services[self._service[first]] or "", workloads[workload[first]]
            yield key, values[group].tolist()

    def items(self) -> Iterator[tuple[str, int, list[float]]]:
        """Service, items that its spans with energy tell, and that energy [J]."""
        return self._units(counts(self._spans.attributes, names.ITEMS))

    def tokens(self) -> Iterator[tuple[str, int, list[float]]]:
        """Service, tokens whose energy is its spans' own, and that energy [J]."""
        return self._units(self._tokens)

    def _units(self, told: Any) -> Iterator[tuple[str, int, list[float]]]:
        places = np.flatnonzero(~np.isnan(told) & ~np.isnan(self._energy))
        for group in groups_of((self._service[places], len(self._services))):
            own = places[group]
            service = self._services[self._service[own[0]]] or ""
            yield service, int(told[own].sum()), self._energy[own].tolist()

    def calls(self) -> Iterator[tuple[str, str, Call]]:
        """Pool, process and times of each call of an own server that drew energy."""
        spans, tokens = self._spans, self._tokens
        # A comparison with NaN is false.
        places = np.flatnonzero((tokens > 0) & (self._energy > 0))
        if not len(places):
            return
        start, end = spans.numbers("start")[places], spans.numbers("end")[places]
        lasted = end > start
        places, start, end = places[lasted], start[lasted], end[lasted]
        words = (spans.words(name) for name in ("service", "region", "instance"))
        who = ([known[code] for code in codes[places].tolist()] for codes, known in words)
        numbers = (start / US_PER_S, end / US_PER_S, self._energy[places])
        told = (each.tolist() for each in (*numbers, tokens[places].astype(np.int64)))
        calls = zip(*told, strict=True)
        for service, region, instance, call in zip(*who, calls, strict=True):
            pool = f"{service} in {region}" if region else service or ""
            yield pool, instance or "", Call(*call)

    def users(self) -> Sequence[str]:
        """Whose each span is, of those that say."""
        return texts_of(self._spans.attributes, names.USER_ID)
