"""What spans in memory used, a row at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from greenops.domain.spans import SpanRow
from greenops.domain.usage import Known, Usage, Used, Window


def usage_of(rows: Iterable[SpanRow], windows: Sequence[Window]) -> list[Usage]:
    """What was used in each window; every row counts, as none is there twice."""
    found: list[dict[str | None, Used]] = [{} for _ in windows]
    for row in rows:
        for usage, window in zip(found, windows, strict=True):
            if window.begins <= row.time < window.ends:
                usage[row.workload] = _with(usage.get(row.workload, Used()), row)
    return [dict(each) for each in found]


def _with(used: Used, row: SpanRow) -> Used:
    tells = row.energy_j is not None or row.unknown is not None
    lacks = (row.carbon_g is None, row.cost_usd is None)
    return Used(
        carbon_g=_plus(used.carbon_g, row.carbon_g, row),
        cost_usd=_plus(used.cost_usd, row.cost_usd, row),
        energy_j=_plus(used.energy_j, row.energy_j, row),
        no_carbon=used.no_carbon + (tells and lacks[0]),
        no_cost=used.no_cost + (tells and lacks[1]),
        no_either=used.no_either + (tells and any(lacks)),
    )


def _plus(known: Known | None, value: float | None, row: SpanRow) -> Known | None:
    if value is None:
        return known
    if known is None:
        return Known(value, row.time)
    return Known(known.total + value, min(known.first, row.time))
