"""What services drew elsewhere, from the lake's rows; a call whose server is metered counts there alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from greenops.domain.spans import SpanRow, credible
from greenops.observe import attributes as names
from greenops.units import Grams, Joules, total_grams, total_joules

SERVER = "SERVER"
Key = tuple[str, str]
"""Trace and span."""


@dataclass(frozen=True, slots=True)
class RemoteEnergy:
    """Calls of one service by one method, at the boundary of the site; never added to metered energy.

    Attributes:
        calls: How many have energy.
        energy: Their sum [J].
        low: Sum of the lower ends [J]: the wide way, as if all were wrong alike.
        high: Sum of the upper ends [J].
        carbon: Emissions of those whose region is known [gCO2e]; none of none.
        superseded: Calls left out because their server's own span has energy.
    """

    service: str
    method: str
    calls: int
    energy: Joules
    low: Joules
    high: Joules
    carbon: Grams | None
    superseded: int


def remote_energy(rows: Iterable[SpanRow]) -> list[RemoteEnergy]:
    """Sums by service and method, in that order; the rows of a trace must all be there."""
    every = list(rows)
    served = _served(every)
    groups: defaultdict[tuple[str, str], list[SpanRow]] = defaultdict(list)
    for row in every:
        if _number(row, names.ENERGY_REMOTE) is not None:
            method = json.loads(row.attributes.get(names.ENERGY_REMOTE_METHOD, '"estimated"'))
            groups[row.service, str(method)].append(row)
    return [_sum(key, groups[key], served) for key in sorted(groups)]


def _served(rows: Iterable[SpanRow]) -> frozenset[Key]:
    """Spans above a server's span that has energy of its own."""
    above: dict[Key, Key] = {}
    metered = []
    for row in rows:
        key = (row.trace_id, row.span_id)
        if row.parent_id is not None:
            above[key] = (row.trace_id, row.parent_id)
        if row.kind == SERVER and row.energy_j is not None:
            metered.append(key)
    return frozenset(each for key in metered for each in _callers(key, above))


def _callers(key: Key, above: Mapping[Key, Key]) -> Iterator[Key]:
    # Whoever sends spans may send a circle.
    seen = {key}
    while (upper := above.get(key)) is not None and upper not in seen:
        yield upper
        seen.add(upper)
        key = upper


def _sum(key: tuple[str, str], rows: list[SpanRow], served: frozenset[Key]) -> RemoteEnergy:
    counted = [row for row in rows if (row.trace_id, row.span_id) not in served]

    def total(name: str) -> Joules:
        return total_joules(Joules(_number(row, name) or 0.0) for row in counted)

    grams = [_number(row, names.CARBON_REMOTE) for row in counted]
    known = [Grams(each) for each in grams if each is not None]
    return RemoteEnergy(
        service=key[0],
        method=key[1],
        calls=len(counted),
        energy=total(names.ENERGY_REMOTE),
        low=total(names.ENERGY_REMOTE_LOW),
        high=total(names.ENERGY_REMOTE_HIGH),
        carbon=total_grams(known) if known else None,
        superseded=len(rows) - len(counted),
    )


def _number(row: SpanRow, name: str) -> float | None:
    text = row.attributes.get(name)
    try:
        value = None if text is None else json.loads(text)
    except ValueError:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if credible(value) else None
