"""Where names and values of attributes lie: `KeyValue` messages of OTLP by the thousand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from greenops.service.wire import BYTES, FIXED64, VARINT, Data, Odd, fields, tag, varints

NOTHING: Final = 0
TEXT, BOOLEAN, WHOLE, DOUBLE = tag(1, BYTES), tag(2, VARINT), tag(3, VARINT), tag(4, FIXED64)
OTHERS: Final = (tag(5, BYTES), tag(6, BYTES), tag(7, BYTES))
"""Lists, maps and bytes: each is read by itself."""
TAGS: Final = (TEXT, BOOLEAN, WHOLE, DOUBLE, *OTHERS)
KEY, VALUE = tag(1, BYTES), tag(2, BYTES)
LONG: Final = 128
"""A length from which on takes two bytes or more [bytes]."""
WIDTH_OF_DOUBLE: Final = 9


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names and values; arrays of one length.

    Attributes:
        key_start, key_length: Of the name's text.
        begin, length: Of the value as a message.
        kind: Tag of the field that the value has; 0 where it has none.
        start, size: Of that field's content.
        number: Of a varint; 0 otherwise.
    """

    key_start: Any
    key_length: Any
    begin: Any
    length: Any
    kind: Any
    start: Any
    size: Any
    number: Any

    def put(self, places: Any, others: Pairs) -> None:
        """Write others over some of these."""
        for name in self.__slots__:
            getattr(self, name)[places] = getattr(others, name)


def pairs_of(data: Data, start: Any, length: Any) -> Pairs:
    """The pairs that lie at some places.

    Raises:
        Odd: A pair or a value is in parts, or of a kind of a later version.
    """
    found, usual = _usual(data.numbers, start, start + length)
    others = np.flatnonzero(~usual)
    if len(others):
        found.put(others, _any(data, start[others], length[others]))
    return found


def _usual(data: Any, begin: Any, end: Any) -> tuple[Pairs, Any]:
    """Pairs as every SDK writes them: a name, then a value, then nothing; and which of them are so."""
    key_length = data[begin + 1].astype(np.int64)
    at = begin + 2 + key_length
    usual = (data[begin] == KEY) & (key_length < LONG) & (at + 2 <= end)
    at = np.where(usual, at, begin)
    length, value, whole = _sized(data, at)
    usual &= (data[at] == VALUE) & whole & (length > 0) & (value + length == end)
    kind = data[value].astype(np.int64)
    size, start, whole = _sized(data, value)
    good = (kind == TEXT) & whole & (start + size == end)
    doubles = (kind == DOUBLE) & (length == WIDTH_OF_DOUBLE)
    start, size = np.where(doubles, value + 1, start), np.where(doubles, 8, size)
    number = np.zeros_like(size)
    some = np.flatnonzero(usual & ((kind == WHOLE) | (kind == BOOLEAN)))
    numbers, after = varints(data, value[some] + 1)
    number[some], size[some], start[some] = numbers, 0, after
    good |= doubles
    good[some] = after == end[some]
    found = Pairs(begin + 2, key_length, value, length, kind, start, size, number)
    return found, usual & good


def _sized(data: Any, at: Any) -> tuple[Any, Any, Any]:
    """Length that stands behind the tag at each place, where its content begins, and whether two bytes told it."""
    length = data[at + 1].astype(np.int64)
    long = np.flatnonzero(length >= LONG)
    start = at + 2
    whole = np.ones(len(at), np.bool_)
    if len(long):
        more = data[at[long] + 2].astype(np.int64)
        length[long] += (more - 1) << 7
        start[long] += 1
        whole[long] = more < LONG
    return length, start, whole


def _any(data: Data, start: Any, length: Any) -> Pairs:
    """Pairs in whatever way they are written."""
    count = len(start)
    inside = fields(data, start, start + length)
    keys, values = inside.of(KEY).once(), inside.of(VALUE).once()
    first, long = start.copy(), np.zeros(count, np.int64)
    first[keys.owner], long[keys.owner] = keys.start, keys.length
    begin, size = start.copy(), np.zeros(count, np.int64)
    begin[values.owner], size[values.owner] = values.start, values.length
    told = fields(data, begin, begin + size).once()
    if not np.isin(told.tag, TAGS).all():
        raise Odd
    whole = [np.zeros(count, np.int64) for _ in range(4)]
    for column, part in zip(whole, (told.tag, told.start, told.length, told.value), strict=True):
        column[told.owner] = part
    return Pairs(first, long, begin, size, *whole)
