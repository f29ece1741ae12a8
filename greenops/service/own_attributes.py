"""The attributes of many spans, where they lie in a message: words, numbers and JSON texts of them all at once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from greenops.observe.enrichment_columns import Sparse, sparse
from greenops.pipeline.span_columns import Attributes
from greenops.service.attribute_pairs import BOOLEAN, DOUBLE, NOTHING, TEXT, WHOLE, pairs_of
from greenops.service.rows import text_of, value_of
from greenops.service.wire import (
    Data,
    Fields,
    Odd,
    doubles,
    texts,
)

ABSENT: Final = -2
"""Code of a word that a span does not carry; -1 is one that it carries without a value."""
ESCAPED: Final = np.array([n < 0x20 or n > 0x7E or n in b'"\\' for n in range(256)])  # noqa: PLR2004
"""Bytes that JSON text of ASCII does not hold as they are."""
BOOLEANS: Final = pa.array(["false", "true"])
QUOTE: Final = pa.scalar('"')


@dataclass(slots=True)
class Lexicon:
    """Words of a column, each with its place."""

    places: dict[str, int] = field(default_factory=dict)

    def codes(self, words: Sequence[str | None]) -> Any:
        """The place of each word; -1 where there is none."""
        places = self.places
        return np.array(
            [-1 if each is None else places.setdefault(each, len(places)) for each in words],
            np.int32,
        )

    def array(self, codes: Any) -> pa.DictionaryArray:
        """A column of words from their places; below 0 is none."""
        indices = pa.array(codes.astype(np.int32), mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(self.places), pa.string()))


@dataclass(frozen=True, slots=True)
class Own:
    """Attributes, in the order of the spans that carry them.

    Attributes:
        span: Place of the span of each.
        names: Every name that occurs.
        name: Place of each one's name.
        kind: Tag of each one's value; 0 where it has none.
        values: The value's field, as `kind` says; its owner is the attribute's place.
        whole: Where the value as a message begins, and how long it is [bytes].
    """

    data: Data
    span: Any
    names: tuple[str, ...]
    name: Any
    kind: Any
    start: Any
    length: Any
    number: Any
    whole: tuple[Any, Any]

    def _at(self, name: str) -> Any:
        if name not in self.names:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.name == self.names.index(name))

    def only_text(self, name: str) -> None:
        """Make sure that every value of a name is text.

        Raises:
            Odd: One is not.
        """
        at = self._at(name)
        if len(at) and not np.isin(self.kind[at], (TEXT, NOTHING)).all():
            raise Odd

    def values(self, name: str) -> Iterator[tuple[int, Any]]:
        """Each span that carries a name, and the value."""
        for at in self._at(name).tolist():
            yield int(self.span[at]), self._value(at)

    def _value(self, at: int) -> Any:
        first, length = (int(each[at]) for each in self.whole)
        return value_of(AnyValue.FromString(self.data.raw[first : first + length]))

    def words(self, name: str, count: int, lexicon: Lexicon, none: str | None = None) -> Any:
        """Code of each span's word; `ABSENT` where it carries none.

        Args:
            name: Of the attribute.
            count: Number of spans.
            lexicon: Takes the words in.
            none: What a value that is none reads as.
        """
        found = np.full(count, ABSENT, np.int32)
        at = self._at(name)
        if not len(at):
            return found
        if (self.kind[at] == TEXT).all():
            told = texts(self.data, self.start[at], self.length[at]).dictionary_encode()
            codes = lexicon.codes(told.dictionary.to_pylist())
            found[self.span[at]] = codes[told.indices.to_numpy()]
        else:
            words = [text_of(self._value(each)) for each in at.tolist()]
            found[self.span[at]] = lexicon.codes([none if w is None else w for w in words])
        return found

    def numbers(self, name: str, count: int) -> tuple[Any, Any]:
        """Each span's number, and whether it carries one."""
        values, has = np.full(count, np.nan), np.zeros(count, np.bool_)
        at = self._at(name)
        for kind in (DOUBLE, WHOLE) if len(at) else ():
            some = at[self.kind[at] == kind]
            values[self.span[some]] = (
                doubles(self.data, self.start[some]) if kind == DOUBLE else self.number[some]
            )
            has[self.span[some]] = True
        return values, has

    def sparse(self, name: str) -> Sparse:
        """The spans that carry a value of a name, and the values."""
        at = self._at(name)
        at = at[self.kind[at] != NOTHING]
        if len(at) and (self.kind[at] == self.kind[at[0]]).all():
            match int(self.kind[at[0]]):
                case kind if kind == TEXT:
                    words = texts(self.data, self.start[at], self.length[at])
                    return Sparse(self.span[at], words.to_numpy(zero_copy_only=False))
                case kind if kind == WHOLE:
                    return Sparse(self.span[at], self.number[at].astype(np.object_))
                case kind if kind == DOUBLE:
                    return Sparse(
                        self.span[at], doubles(self.data, self.start[at]).astype(np.object_)
                    )
        return sparse(self.span[at].tolist(), [self._value(each) for each in at.tolist()])

    def kept(self, mapped: Collection[str], count: int) -> Attributes:
        """Those that have no column of their own, as JSON texts."""
        stays = np.array([name not in mapped for name in self.names], np.bool_)
        at = np.flatnonzero(stays[self.name]) if len(stays) else np.empty(0, np.int64)
        return Attributes(self.names, self.name[at], self.span[at], self._texts(at), count)

    def _texts(self, at: Any) -> pa.StringArray:
        kind = self.kind[at]
        makers = (
            (TEXT, self._quoted),
            (WHOLE, lambda some: pa.array(self.number[some]).cast(pa.string())),
            (BOOLEAN, lambda some: BOOLEANS.take(pa.array(self.number[some] != 0).cast(pa.int8()))),
            (DOUBLE, self._doubles),
        )
        parts, places = [], []
        for which, make in makers:
            some = np.flatnonzero(kind == which)
            if len(some):
                parts.append(make(at[some]))
                places.append(some)
        rest = np.flatnonzero(~np.isin(kind, [which for which, _ in makers]))
        if len(rest) or not parts:
            others = [json.dumps(self._value(each)) for each in at[rest].tolist()]
            parts.append(pa.array(others, pa.string()))
            places.append(rest)
        if len(parts) == 1:
            return parts[0]
        order = np.empty(len(at), np.int64)
        order[np.concatenate(places)] = np.arange(len(at))
        return pa.concat_arrays(parts).take(pa.array(order))

    def _doubles(self, at: Any) -> pa.StringArray:
        numbers = doubles(self.data, self.start[at]).tolist()
        return pa.array([json.dumps(each) for each in numbers], pa.string())

    def _quoted(self, at: Any) -> pa.StringArray:
        plain = texts(self.data, self.start[at], self.length[at])
        odd = _escaped(plain)
        quoted = pc.binary_join_element_wise(QUOTE, plain, QUOTE, "")
        if not len(odd):
            return quoted
        written = [json.dumps(plain[each].as_py()) for each in odd.tolist()]
        order = np.arange(len(plain))
        order[odd] = len(plain) + np.arange(len(odd))
        return pa.concat_arrays([quoted, pa.array(written, pa.string())]).take(pa.array(order))


def _escaped(plain: pa.StringArray) -> Any:
    """Places of the texts that JSON writes otherwise than they are."""
    ends = np.frombuffer(plain.buffers()[1], np.int32)[: len(plain) + 1]
    data = np.frombuffer(plain.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]
    signs = np.flatnonzero(ESCAPED[data]) + ends[0]
    return np.unique(np.searchsorted(ends, signs, side="right") - 1)


def own_attributes(data: Data, fields: Fields) -> Own:
    """The attributes that lie in some fields, each of its owner.

    Raises:
        Odd: A name comes twice on a span, or a pair is in parts.
    """
    found = pairs_of(data, fields.start, fields.length)
    words = texts(data, found.key_start, found.key_length).dictionary_encode()
    name = words.indices.to_numpy()
    _each_once(fields.owner, name, len(words.dictionary))
    different = tuple(words.dictionary.to_pylist())
    value = (found.kind, found.start, found.size, found.number)
    return Own(data, fields.owner, different, name, *value, (found.begin, found.length))


def _each_once(span: Any, name: Any, different: int) -> None:
    if not len(span):
        return
    codes = span * different + name
    # As many counters as there may be pairs, where that is cheaper than sorting them.
    if (int(span[-1]) + 1) * different <= 4 * len(span) + 1024:
        twice = np.bincount(codes).max() > 1
    else:
        ordered = np.sort(codes)
        twice = (ordered[1:] == ordered[:-1]).any()
    if twice:
        raise Odd
