"""OTLP spans to the lake's columns: what `rows.span_rows` makes of them one by one, for thousands at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from greenops.adapters.parquet_lake import INSTANT, SPANS
from greenops.domain.energy import Unknown
from greenops.domain.span_keys import keys_of
from greenops.domain.spans import MOST, OUT_OF_RANGE
from greenops.observe import attributes as names
from greenops.observe.enrichment_batch import SpanBatch
from greenops.pipeline.enriching import at_simulated_time
from greenops.pipeline.span_columns import PLAIN, SpanColumns
from greenops.service.own_attributes import ABSENT, Lexicon, own_attributes
from greenops.service.resource_facts import Facts
from greenops.service.rows import (
    EPOCH,
    LATEST,
    MAPPED,
    OUTGOING,
    SPAN_BYTES,
    TRACE_BYTES,
    Simulated,
    kind_of,
    time_of,
)
from greenops.service.wire import (
    BYTES,
    FIXED64,
    VARINT,
    Data,
    Fields,
    Odd,
    fields,
    hexed,
    tag,
    texts,
    unsigned,
)

KINDS: Final = tuple(kind_of(number) for number in sorted(Span.SpanKind.values()))
TRACE_ID, SPAN_ID, PARENT, NAME = (tag(number, BYTES) for number in (1, 2, 4, 5))
KIND, START, END = tag(6, VARINT), tag(7, FIXED64), tag(8, FIXED64)
ATTRIBUTES = tag(9, BYTES)
MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Found:
    """What a message holds.

    Attributes:
        spans: A row for each span that says which it is; none where there is none.
    """

    spans: SpanColumns | None
    looked: SpanBatch | None = None
    """What was looked at of these spans, for enrichment."""


def columns_of(raw: bytes, simulated: Simulated | None, wanted: Collection[str] = ()) -> Found:
    """One row per span.

    Args:
        raw: `ExportTraceServiceRequest`s one after the other, which a whole parser has taken.
        simulated: Maps wall time to simulated time; none: they are the same.
        wanted: Attributes that enrichment looks at; none: nothing is looked at for it.

    Raises:
        Odd: They are allowed, but no task for columns.
    """
    data = Data.of(raw)
    top = fields(data, np.array([0]), np.array([len(raw)])).of(tag(1, BYTES))
    parts = _inside(data, top)
    resources = parts.of(tag(1, BYTES)).once()
    scopes = parts.of(tag(2, BYTES))
    spans = _inside(data, scopes).of(tag(2, BYTES))
    inside = _inside(data, spans)
    good = _named(data, inside, len(spans.owner))
    owner = scopes.owner[spans.owner]
    if not good.all():
        begin, length = spans.start[good], spans.length[good]
        owner, inside = owner[good], fields(data, begin, begin + length)
    if not len(owner):
        return Found(None)
    facts = Facts.of(data, resources, len(top.owner))
    builder = _Builder(data, inside, facts, owner)
    found = builder.columns(simulated)
    return Found(found, builder.looked(found, wanted) if wanted else None)


def _inside(data: Data, of: Fields) -> Fields:
    return fields(data, of.start, of.start + of.length)


def _named(data: Data, inside: Fields, count: int) -> Any:
    """Which spans have both their ids."""
    good = np.ones(count, np.bool_)
    for which, size in ((TRACE_ID, TRACE_BYTES), (SPAN_ID, SPAN_BYTES)):
        found = inside.of(which).last()
        right = found.length == size
        start, owner = found.start[right], found.owner[right]
        some = unsigned(data, start) != 0
        if size == TRACE_BYTES:
            some |= unsigned(data, start + 8) != 0
        has = np.zeros(count, np.bool_)
        has[owner[some]] = True
        good &= has
    return good


class _Builder:
    """Columns of the spans of some messages."""

    def __init__(self, data: Data, inside: Fields, facts: Facts, resource: Any) -> None:
        self._data, self._inside, self._facts = data, inside, facts
        self._resource, self._count = resource, len(resource)
        self._own = own_attributes(data, inside.of(ATTRIBUTES))

    def columns(self, simulated: Simulated | None) -> SpanColumns:
        start, end = self._instants(START), self._instants(END)
        kind = self._kinds()
        method, energy = self._methods(), self._energy()
        region, zone = self._places(kind)
        found: dict[str, pa.Array] = {
            "trace_id": self._ids(TRACE_ID, TRACE_BYTES),
            "span_id": self._ids(SPAN_ID, SPAN_BYTES),
            "parent_id": self._parents(),
            "service": self._said(self._facts.service),
            "instance": self._said(self._facts.instance),
            "workload": self._either(names.WORKLOAD, self._facts.workload),
            "name": self._names().dictionary_encode(),
            "kind": pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(KINDS)),
            "start": pa.array(start).cast(INSTANT),
            "end": pa.array(end).cast(INSTANT),
            "time": pa.array(self._times(end, simulated)).cast(INSTANT),
            **self._numbers(energy, method),
            "region": region,
            "grid_zone": zone,
            "decision_id": self._either(names.DECISION_ID, self._facts.decision),
        }
        fit = [found[name].cast(SPANS.field(name).type) for name in PLAIN]
        table = pa.Table.from_arrays(fit, schema=pa.schema([SPANS.field(n) for n in PLAIN]))
        return SpanColumns(table, self._own.kept(MAPPED, self._count), *self._keys())

    def looked(self, spans: SpanColumns, wanted: Collection[str]) -> SpanBatch:
        """What enrichment looks at."""
        start, end = at_simulated_time(spans)
        return SpanBatch(
            kind=self._kinds().astype(np.int64),
            root=spans.roots(),
            start_ns=start,
            end_ns=end,
            resource=self._resource,
            resources=self._facts.said,
            columns={n: self._own.sparse(n) for n in self._own.names if n in wanted},
        )

    def _last(self, which: int) -> Fields:
        return self._inside.of(which).last()

    def _keys(self) -> tuple[Any, Any]:
        """Numbers of the spans and of their parents, as `SpanColumns.of_rows` makes them of the texts."""
        first = self._last(TRACE_ID).start
        trace = (unsigned(self._data, first), unsigned(self._data, first + 8))
        keys = keys_of(trace, (unsigned(self._data, self._last(SPAN_ID).start),))
        above, found = keys.copy(), self._last(PARENT)
        some = found.length > 0
        child = found.owner[some]
        parent = (unsigned(self._data, found.start[some]),)
        above[child] = keys_of([word[child] for word in trace], parent)
        return keys, above

    def _ids(self, which: int, size: int) -> pa.StringArray:
        return hexed(self._data, self._last(which).start, size)

    def _parents(self) -> pa.StringArray:
        found = self._last(PARENT)
        some = found.length > 0
        if (found.length[some] != SPAN_BYTES).any():
            raise Odd
        at = np.full(self._count, -1)
        at[found.owner[some]] = np.arange(int(some.sum()))
        ids = hexed(self._data, found.start[some], SPAN_BYTES)
        return ids.take(pa.array(at, mask=at < 0))

    def _names(self) -> pa.StringArray:
        found = self._last(NAME)
        # Where there is no name its text is empty, at a place between those of its neighbours.
        start = self._inside.start[np.searchsorted(self._inside.owner, np.arange(self._count))]
        length = np.zeros(self._count, np.int64)
        start[found.owner], length[found.owner] = found.start, found.length
        return texts(self._data, start, length)

    def _kinds(self) -> Any:
        found, kind = self._last(KIND), np.zeros(self._count, np.int32)
        number = found.value.astype(np.int32)
        kind[found.owner] = np.where((number >= 0) & (number < len(KINDS)), number, 0)
        return kind

    def _instants(self, which: int) -> Any:
        found, us = self._last(which), np.zeros(self._count, np.int64)
        whole = unsigned(self._data, found.start) // np.uint64(1000)
        us[found.owner] = np.minimum(whole, np.uint64(LATEST)).astype(np.int64)
        return us

    def _times(self, end: Any, simulated: Simulated | None) -> Any:
        told = self._own.values(names.TIME)
        times = {at: time_of(value) for at, value in told}
        found = end.copy()
        if simulated is not None:
            for at, us in enumerate(end.tolist()):
                if times.get(at) is None:
                    times[at] = simulated(EPOCH + timedelta(microseconds=us))
        for at, instant in times.items():
            if instant is not None:
                found[at] = _microseconds(instant)
        return found

    def _said(self, words: Sequence[str | None]) -> pa.DictionaryArray:
        lexicon = Lexicon()
        return lexicon.array(lexicon.codes(words)[self._resource])

    def _either(self, name: str, words: Sequence[str | None]) -> pa.DictionaryArray:
        """A span's own word, else its resource's."""
        lexicon = Lexicon()
        own = self._own.words(name, self._count, lexicon)
        return lexicon.array(self._or(own, lexicon.codes(words)))

    def _or(self, own: Any, said: Any) -> Any:
        return np.where(own == ABSENT, said[self._resource], own)

    def _places(self, kind: Any) -> tuple[pa.DictionaryArray, pa.DictionaryArray]:
        """Region and zone; on an outgoing call its own region is that of the service called."""
        facts, own = self._facts, self._own
        for name in (names.CLOUD_REGION, names.GRID_ZONE):
            own.only_text(name)
        lexicon = Lexicon()
        home = lexicon.codes(facts.region)[self._resource]
        told = own.words(names.CLOUD_REGION, self._count, lexicon)
        region = np.where((told == ABSENT) | np.isin(kind, OUTGOING), home, told)
        zones = Lexicon()
        zone = own.words(names.GRID_ZONE, self._count, zones)
        at_home = self._or(zone, zones.codes(facts.zone))
        away = np.where(zone == ABSENT, -1, zone)
        return lexicon.array(region), zones.array(np.where(region == home, at_home, away))

    def _methods(self) -> tuple[pa.DictionaryArray, Any]:
        """Each span's method, and whether it is that of its resource."""
        self._own.only_text(names.ENERGY_METHOD)
        lexicon = Lexicon()
        own = self._own.words(names.ENERGY_METHOD, self._count, lexicon)
        of_resource = lexicon.codes(self._facts.method)
        method = self._or(own, of_resource)
        return lexicon.array(method), method == of_resource[self._resource]

    def _energy(self) -> tuple[Any, Any]:
        return self._own.numbers(names.ENERGY_SELF, self._count)

    def _numbers(
        self, energy: tuple[Any, Any], method: tuple[pa.DictionaryArray, Any]
    ) -> dict[str, pa.Array]:
        """Energy with its range, carbon, cost, method and reason; numbers that cannot be are absent."""
        joules, has = energy
        low, high = self._range(joules, has, method[1])
        carbon, cost = (
            self._own.numbers(name, self._count) for name in (names.CARBON_SELF, names.COST_SELF)
        )
        bad = has & ~_credible(joules)
        fine = has & ~bad
        lexicon = Lexicon()
        why = self._own.words(names.ENERGY_UNKNOWN, self._count, lexicon, none="None")
        (unobserved, wrong) = lexicon.codes([str(Unknown.NOT_OBSERVED), OUT_OF_RANGE]).tolist()
        unknown = np.where(has, -1, np.where(why == ABSENT, unobserved, why))
        with_energy = {"energy_j": (joules, fine)}
        derived = {"energy_low_j": low, "energy_high_j": high, "carbon_g": carbon}
        found = {**with_energy, **{k: (v, h & ~bad) for k, (v, h) in derived.items()}}
        found["cost_usd"] = cost
        arrays = {k: pa.array(v, mask=~(h & _credible(v))) for k, (v, h) in found.items()}
        return {
            **arrays,
            "method": _masked(method[0], ~fine),
            "unknown": lexicon.array(np.where(bad, wrong, unknown)),
        }

    def _range(self, joules: Any, has: Any, same: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Ends of the 90 % range: as the span says, else as its resource says for all of its method."""
        low, has_low = self._own.numbers(names.ENERGY_LOW, self._count)
        high, has_high = self._own.numbers(names.ENERGY_HIGH, self._count)
        doubt = self._facts.doubt[self._resource]
        with np.errstate(all="ignore"):
            take = has & ~has_low & ~has_high & same & (doubt >= 0) & (doubt < np.inf)
            below, above = joules * (1 - doubt), joules * (1 + doubt)
            low = np.where(take, np.where(below > 0, below, 0.0), low)
            high = np.where(take, above, high)
        return (low, has_low | take), (high, has_high | take)


def _masked(words: pa.DictionaryArray, gone: Any) -> pa.DictionaryArray:
    codes = words.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    codes = np.where(gone, -1, codes)
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), words.dictionary)


def _credible(values: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return (values >= 0.0) & (values <= MOST)


def _microseconds(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND
