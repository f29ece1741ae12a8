"""What a content delivery network's cache spares: the way to the server, and the server, each as a range.

The way is a range without a middle, since nobody knows how much energy a byte takes on it. The server is at most what one of its own
requests takes on the mean, and at least nothing: what a cache holds is seldom what is dear to make. The two are of different
boundaries and methods and are never added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters import language_model_file
from greenops.adapters.lake_columns import span_columns
from greenops.domain.reported import Amount, Quantity, total
from greenops.observe.embodied import network_energy
from greenops.pipeline.reconcile_own import IMPORTED
from greenops.units import Joules, Kwh

COLUMNS: Final = ("trace_id", "parent_id", "kind", "energy_j", IMPORTED)
SERVER: Final = "SERVER"
"""Kind of a span that answers a request."""


@dataclass(frozen=True, slots=True)
class RequestEnergy:
    """Mean energy of requests that came from outside, with all that lies below them [J], and the day it is of."""

    joules: Joules
    day: date
    requests: int


@dataclass(frozen=True, slots=True)
class Spared:
    """Energy that some requests and bytes spare, or would: estimated, both ends [J].

    Attributes:
        server: At most; none where the lake has no request to go by. At least nothing.
    """

    network_low: Joules
    network_high: Joules
    server: Joules | None


@dataclass(frozen=True, slots=True)
class EdgeReport:
    """Days of one site.

    Attributes:
        hit_ratio: Of requests [1]; none of no requests. `byte_ratio` is that of bytes.
        now: What the cache spares as it is.
        most: What it would spare beyond that if it answered everything; nothing where none of the rest can be cached.
    """

    site: str
    start: datetime
    end: datetime
    days: int
    requests: float
    cached_requests: float
    bytes: float
    cached_bytes: float
    now: Spared
    most: Spared

    @property
    def hit_ratio(self) -> float | None:
        """Part of the requests that the cache answered [1]."""
        return self.cached_requests / self.requests if self.requests else None

    @property
    def byte_ratio(self) -> float | None:
        """Part of the bytes that came out of the cache [1]."""
        return self.cached_bytes / self.bytes if self.bytes else None


def edge_reports(amounts: Sequence[Amount], request: RequestEnergy | None) -> list[EdgeReport]:
    """One for each site, as each source counts it."""
    sites: defaultdict[tuple[str, str], list[Amount]] = defaultdict(list)
    for each in amounts:
        sites[each.account or "?", each.kind.source].append(each)
    return [_report(site, group, request) for (site, _), group in sorted(sites.items())]


def _report(site: str, amounts: Sequence[Amount], request: RequestEnergy | None) -> EdgeReport:
    sums = {
        quantity: total(each for each in amounts if each.kind.quantity is quantity) or 0.0
        for quantity in Quantity
    }
    requests, cached = sums[Quantity.REQUESTS], sums[Quantity.CACHED_REQUESTS]
    carried, out_of_cache = sums[Quantity.BYTES], sums[Quantity.CACHED_BYTES]
    return EdgeReport(
        site=site,
        start=min(each.start for each in amounts),
        end=max(each.end for each in amounts),
        days=len({each.start for each in amounts}),
        requests=requests,
        cached_requests=cached,
        bytes=carried,
        cached_bytes=out_of_cache,
        now=_spared(cached, out_of_cache, request),
        most=_spared(requests - cached, carried - out_of_cache, request),
    )


def _spared(requests: float, carried: float, request: RequestEnergy | None) -> Spared:
    figure = language_model_file.shipped().figures["network"]
    low, high = network_energy(round(carried), Kwh(figure.low or 0.0), Kwh(figure.high or 0.0))
    server = None if request is None else Joules(requests * request.joules)
    return Spared(low, high, server)


def request_energy(amounts: Iterable[Amount], state: Path) -> RequestEnergy | None:
    """Mean energy of a request on the newest of some days that the lake has requests of; none where it has none.

    Raises:
        DataMissing: A file of the lake is damaged.
    """
    for day in sorted({each.start.astimezone(UTC).date() for each in amounts}, reverse=True):
        found = _of_day(state / "lake", day)
        if found is not None:
            return found
    return None


def _of_day(lake: Path, day: date) -> RequestEnergy | None:
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
    tables = [
        _own(each) for each in span_columns(lake, begins, begins + timedelta(days=1), COLUMNS)
    ]
    if not tables:
        return None
    spans = pa.concat_tables(tables)
    entered = pc.and_(pc.is_null(spans["parent_id"]), pc.equal(spans["kind"], SERVER))
    traces = pc.unique(spans.filter(entered)["trace_id"])
    below = spans.filter(pc.is_in(spans["trace_id"], traces))
    sums = below.group_by("trace_id").aggregate([("energy_j", "sum")])["energy_j_sum"].drop_null()
    if not len(sums):
        return None
    return RequestEnergy(Joules(pc.sum(sums).as_py() / len(sums)), day, len(sums))


def _own(table: pa.Table) -> pa.Table:
    """Spans that no other tool accounted for, in plain words."""
    words = [(name, pa.string()) for name in COLUMNS[:-2]]
    found = table.filter(pc.is_null(table[IMPORTED].cast(pa.string()))).select(list(COLUMNS[:-1]))
    return found.cast(pa.schema([*words, ("energy_j", pa.float64())]))
