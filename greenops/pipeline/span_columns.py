"""Spans in columns, as a receiver hands them to the sums and to the lake."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.adapters.parquet_lake import SPANS
from greenops.domain.span_keys import keys_of
from greenops.domain.spans import MOST, SpanRow, sound

PLAIN: Final = tuple(name for name in SPANS.names if name != "attributes")


@dataclass(frozen=True, slots=True)
class Attributes:
    """What some spans carry beside the lake's columns, in the order of the spans.

    Attributes:
        names: Every name that occurs.
        name: Of each attribute, its place in `names`.
        span: Of each attribute, the place of its span; never falls.
        texts: Of each attribute, its value as JSON text.
        count: Number of spans.
    """

    names: tuple[str, ...]
    name: Any
    span: Any
    texts: pa.StringArray
    count: int

    @classmethod
    def of_column(cls, column: pa.MapArray) -> Attributes:
        """Those of the lake's column, where every row has some or an empty map."""
        ends = np.asarray(column.offsets).astype(np.int64)
        first, last = int(ends[0]), int(ends[-1])
        keys = column.keys.slice(first, last - first).cast(pa.string()).dictionary_encode()
        texts = column.items.slice(first, last - first).cast(pa.string())
        span = np.repeat(np.arange(len(column)), np.diff(ends))
        names = tuple(keys.dictionary.to_pylist())
        return cls(names, keys.indices.to_numpy(), span, texts, len(column))

    def column(self) -> pa.MapArray:
        """The lake's column of them."""
        ends = np.searchsorted(self.span, np.arange(self.count + 1)).astype(np.int32)
        keys = pa.array(self.names, pa.string()).take(pa.array(self.name))
        return pa.MapArray.from_arrays(pa.array(ends), keys, self.texts)

    def at(self, name: str) -> Any:
        """Places of the attributes of one name."""
        if name not in self.names:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.name == self.names.index(name))

    def carriers(self, names: Collection[str]) -> Any:
        """Places of the spans that carry any of some names, in order, each once."""
        wanted = np.array([name in names for name in self.names], np.bool_)
        if not wanted.any():
            return np.empty(0, np.int64)
        return np.unique(self.span[wanted[self.name]])

    def where(self, mask: Any) -> Attributes:
        """Those of some of the spans."""
        kept = np.flatnonzero(mask[self.span])
        place = np.cumsum(mask) - 1
        texts = self.texts.take(pa.array(kept))
        return Attributes(
            self.names, self.name[kept], place[self.span[kept]], texts, int(mask.sum())
        )

    def of(self, spans: Iterable[int]) -> list[dict[str, str]]:
        """The attributes of each of some spans."""
        found = []
        for place in spans:
            first, end = np.searchsorted(self.span, [place, place + 1]).tolist()
            words = [self.names[each] for each in self.name[first:end].tolist()]
            found.append(dict(zip(words, self.texts[first:end].to_pylist(), strict=True)))
        return found


@dataclass(frozen=True, slots=True)
class SpanColumns:
    """Spans, a row each.

    Attributes:
        table: Every column of the lake but the attributes; of one chunk.
        attributes: The attributes.
        keys: One number of 64 bits for each span, by its ids.
        above: The number of each span's parent; of a root its own.
    """

    table: pa.Table
    attributes: Attributes
    keys: Any
    above: Any

    def __len__(self) -> int:
        """Number of spans."""
        return int(self.table.num_rows)

    def nbytes(self) -> int:
        """Memory that it takes, about [bytes]."""
        own = self.attributes
        return int(self.table.nbytes + own.texts.nbytes + own.name.nbytes + own.span.nbytes)

    @classmethod
    def of_rows(cls, rows: Sequence[SpanRow]) -> SpanColumns:
        """The same spans in columns."""
        table = pa.Table.from_arrays(
            [pa.array([getattr(row, n) for row in rows], SPANS.field(n).type) for n in PLAIN],
            schema=pa.schema([SPANS.field(name) for name in PLAIN]),
        )
        places: dict[str, int] = {}
        name = [places.setdefault(key, len(places)) for row in rows for key in row.attributes]
        counts = [len(row.attributes) for row in rows]
        texts = [text for row in rows for text in row.attributes.values()]
        span = np.repeat(np.arange(len(rows)), counts)
        codes = np.array(name, np.int32)
        own = Attributes(tuple(places), codes, span, pa.array(texts, pa.string()), len(rows))
        traces = words_of([row.trace_id for row in rows], 2)
        keys = keys_of(traces, words_of([row.span_id for row in rows], 1))
        parents = keys_of(traces, words_of([row.parent_id or "" for row in rows], 1))
        root = np.array([row.parent_id is None for row in rows])
        return cls(table, own, keys, np.where(root, keys, parents))

    @classmethod
    def of_table(cls, table: pa.Table) -> SpanColumns:
        """Spans of the lake; numbers that cannot be, as earlier versions kept them, are absent."""
        table = table.combine_chunks()
        if not _all_credible(table) or table["attributes"].null_count:
            rows = table.to_pylist()
            for row in rows:
                row["attributes"] = dict(row["attributes"] or ())
            return cls.of_rows([sound(SpanRow(**row)) for row in rows])
        plain = table.select(PLAIN).cast(pa.schema([SPANS.field(name) for name in PLAIN]))
        own = Attributes.of_column(table["attributes"].chunk(0))
        traces = words_of(table["trace_id"].to_pylist(), 2)
        keys = keys_of(traces, words_of(table["span_id"].to_pylist(), 1))
        said = table["parent_id"].to_pylist()
        parents = keys_of(traces, words_of([each or "" for each in said], 1))
        root = np.array([each is None for each in said])
        return cls(plain.combine_chunks(), own, keys, np.where(root, keys, parents))

    def lake_table(self) -> pa.Table:
        """The rows as the lake keeps them."""
        return self.table.append_column(SPANS.field("attributes"), self.attributes.column())

    def where(self, mask: Any) -> SpanColumns:
        """Some of the spans."""
        if mask.all():
            return self
        kept = self.table.filter(pa.array(mask)).combine_chunks()
        return SpanColumns(kept, self.attributes.where(mask), self.keys[mask], self.above[mask])

    def rows(self, places: Sequence[int] | None = None) -> list[SpanRow]:
        """Some spans, or all, as records."""
        if places is None:
            places = range(len(self))
        if not places:
            return []
        columns = self.table.take(pa.array(places, pa.int64())).to_pydict()
        columns["attributes"] = self.attributes.of(places)
        return [
            SpanRow(**dict(zip(columns, values, strict=True)))
            for values in zip(*columns.values(), strict=True)
        ]

    def roots(self) -> Any:
        """Which have no parent."""
        return self.absent("parent_id")

    def absent(self, column: str) -> Any:
        """Where a column has no value."""
        return self.table[column].chunk(0).is_null().to_numpy(zero_copy_only=False)

    def numbers(self, column: str) -> Any:
        """A column of numbers; absent ones are NaN."""
        found = self.table[column].chunk(0)
        if found.type != pa.float64():
            found = found.cast(pa.int64())
        return found.to_numpy(zero_copy_only=False)

    def words(self, column: str) -> tuple[Any, list[str | None]]:
        """A column of words: the place of each in a list, whose last is none."""
        found = self.table[column].chunk(0)
        codes = found.indices.fill_null(len(found.dictionary)).to_numpy(zero_copy_only=False)
        return codes, [*found.dictionary.to_pylist(), None]

    def is_word(self, column: str, word: str) -> Any:
        """Which spans have one word in a column."""
        codes, words = self.words(column)
        return codes == words.index(word) if word in words else np.zeros(len(self), np.bool_)


def _all_credible(table: pa.Table) -> bool:
    numbers = (table[field.name] for field in SPANS if field.type == pa.float64())
    for column in numbers:
        values = column.drop_null().to_numpy()
        with np.errstate(invalid="ignore"):
            if not ((values >= 0.0) & (values <= MOST)).all():
                return False
    return True


def words_of(ids: Sequence[str], count: int) -> Any:
    """So many words of eight bytes of each id; of one that is no such hexadecimal text, those of its hash."""
    raw = b"".join(_bytes_of(each, 8 * count) for each in ids)
    return np.frombuffer(raw, np.uint64).reshape(-1, count).T


def _bytes_of(text: str, size: int) -> bytes:
    if len(text) == 2 * size:
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=size).digest()


def joined(parts: Sequence[SpanColumns]) -> SpanColumns:
    """All spans of some, one after the other."""
    if len(parts) == 1:
        return parts[0]
    table = pa.concat_tables([each.table for each in parts]).unify_dictionaries().combine_chunks()
    places: dict[str, int] = {}
    codes, spans, count = [], [], 0
    for each in (part.attributes for part in parts):
        places.update((name, len(places)) for name in each.names if name not in places)
        renamed = np.array([places[name] for name in each.names], np.int32)
        codes.append(renamed[each.name] if len(renamed) else each.name)
        spans.append(each.span + count)
        count += each.count
    texts = pa.concat_arrays([part.attributes.texts for part in parts])
    own = Attributes(tuple(places), np.concatenate(codes), np.concatenate(spans), texts, count)
    keys, above = ([getattr(part, name) for part in parts] for name in ("keys", "above"))
    return SpanColumns(table, own, np.concatenate(keys), np.concatenate(above))


def groups_of(*codes: tuple[Any, int]) -> list[Any]:
    """Places of the rows that are alike in some codes, group by group, in the order of their first rows.

    Args:
        codes: Per column the code of each row, and how many there are.
    """
    whole = np.zeros(len(codes[0][0]), np.int64)
    for column, size in codes:
        whole = whole * size + column
    if not len(whole) or (whole == whole[0]).all():
        return [np.arange(len(whole))] if len(whole) else []
    order = np.argsort(whole, kind="stable")
    edges = np.flatnonzero(np.diff(whole[order])) + 1
    return sorted(np.split(order, edges), key=lambda places: int(places[0]))
