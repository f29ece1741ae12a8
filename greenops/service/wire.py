"""Protobuf's wire format in columns: the fields of thousands of messages at once, where they lie.

Only for bytes that a whole parser has taken: lengths are believed. What is allowed and never seen,
such as groups, is `Odd` here, and whoever asks reads those bytes one message at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types. Source: Protocol Buffers, Encoding."""
FEW: Final = 8
"""Messages below which they are read one after the other [1]: columns cost more then."""
PADDING: Final = bytes(16)
"""Behind the data, so that a look at a field's first bytes never leaves it."""
LONGEST_VARINT: Final = 10
HEX: Final = np.frombuffer(b"".join(b"%02x" % n for n in range(256)), np.uint16)
"""Two digits of each byte."""


class Odd(Exception):
    """These bytes are no task for columns."""


def tag(field: int, wire: int) -> int:
    """What stands before each field of a number and a wire type."""
    return field << 3 | wire


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes, and the same as numbers and as Arrow sees them."""

    raw: bytes
    numbers: Any
    buffer: pa.Buffer

    @classmethod
    def of(cls, raw: bytes) -> Data:
        """The bytes with their padding."""
        padded = raw + PADDING
        return cls(padded, np.frombuffer(padded, np.uint8), pa.py_buffer(padded))


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of some messages, by message and in their order there; arrays of one length.

    Attributes:
        owner: Place of the message.
        tag: Number and wire type.
        start: Where its content begins [bytes].
        length: Of the content [bytes].
        value: Of a varint; 0 otherwise.
    """

    owner: Any
    tag: Any
    start: Any
    length: Any
    value: Any

    def of(self, wanted: int) -> Fields:
        """The fields of one tag."""
        at = np.flatnonzero(self.tag == wanted)
        return Fields(*(each[at] for each in self._all()))

    def _all(self) -> tuple[Any, ...]:
        return self.owner, self.tag, self.start, self.length, self.value

    def once(self) -> Fields:
        """The same; a message that has it twice means their sum, which is `Odd`."""
        if len(self.owner) > 1 and (self.owner[1:] == self.owner[:-1]).any():
            raise Odd
        return self

    def last(self) -> Fields:
        """Of each message the last, which is the one that counts of a plain field."""
        if len(self.owner) < 2:  # noqa: PLR2004  (one is the last)
            return self
        at = np.flatnonzero(np.append(self.owner[1:] != self.owner[:-1], True))
        return Fields(*(each[at] for each in self._all()))


def fields(data: Data, begin: Any, end: Any) -> Fields:
    """Every field of the messages that lie in `[begin, end)`, without a look inside of any."""
    count = len(begin)
    active = np.flatnonzero(begin < end)
    at, stop = begin[active], end[active]
    steps: list[tuple[Any, ...]] = []
    while len(active) >= FEW:
        steps.append((active, *_step(data.numbers, at)))
        at = steps[-1][2] + steps[-1][3]
        more = at < stop
        if not more.all():
            if (at > stop).any():
                raise Odd
            active, at, stop = active[more], at[more], stop[more]
    rest = _Rest()
    for owner, first, last in zip(active.tolist(), at.tolist(), stop.tolist(), strict=True):
        rest.read(data.raw, owner, first, last)
    return _in_order(count, steps, rest)


def _step(data: Any, at: Any) -> tuple[Any, Any, Any, Any]:
    """Tag, start, length and value of the field at each place."""
    tags, at = varints(data, at)
    wire = tags & 7
    kind = int(wire[0])
    if (wire == kind).all():
        return (tags, *_content(data, at, kind))
    start, length = np.empty_like(at), np.empty_like(at)
    value = np.zeros_like(at)
    for kind in np.unique(wire).tolist():
        some = np.flatnonzero(wire == kind)
        start[some], length[some], value[some] = _content(data, at[some], kind)
    return tags, start, length, value


def _content(data: Any, at: Any, kind: int) -> tuple[Any, Any, Any]:
    if kind == BYTES:
        length, start = varints(data, at)
        if (length < 0).any():
            raise Odd
        return start, length, np.zeros_like(at)
    if kind == VARINT:
        value, after = varints(data, at)
        return after, np.zeros_like(at), value
    if kind in (FIXED64, FIXED32):
        return at, np.full_like(at, 8 if kind == FIXED64 else 4), np.zeros_like(at)
    raise Odd


def varints(data: Any, at: Any) -> tuple[Any, Any]:
    """The number that begins at each place, of 64 bits with a sign, and where it ends."""
    first = data[at]
    value, after = first.astype(np.int64), at + 1
    long = np.flatnonzero(first > 127)  # noqa: PLR2004  (the bit that says that more follows)
    if not len(long):
        return value, after
    value &= 127
    for place in range(1, LONGEST_VARINT):
        byte = data[after[long]].astype(np.int64)
        value[long] |= (byte & 127) << (7 * place)
        after[long] += 1
        long = long[byte > 127]  # noqa: PLR2004
        if not len(long):
            return value, after
    raise Odd


class _Rest:
    """Fields of a few messages, read byte by byte."""

    def __init__(self) -> None:
        self.owner: list[int] = []
        self.tag: list[int] = []
        self.start: list[int] = []
        self.length: list[int] = []
        self.value: list[int] = []

    # One loop, for a call costs as much as all that a field takes.
    def read(self, data: bytes, owner: int, at: int, end: int) -> None:  # noqa: C901
        before = len(self.tag)
        add, start, length, value = (
            *(self.tag.append, self.start.append, self.length.append, self.value.append),
        )
        while at < end:
            number = data[at]
            at += 1
            if number > 127:  # noqa: PLR2004
                number, at = _varint(data, at - 1)
            wire, size, told = number & 7, 0, 0
            if wire == BYTES:
                size = data[at]
                at += 1
                if size > 127:  # noqa: PLR2004
                    # Most messages in messages have a length of two bytes.
                    size += (data[at] - 1) << 7
                    at += 1
                    if data[at - 1] > 127:  # noqa: PLR2004
                        size, at = _varint(data, at - 2)
            elif wire == VARINT:
                told, at = _varint(data, at)
            elif wire == FIXED64:
                size = 8
            elif wire == FIXED32:
                size = 4
            else:
                raise Odd
            add(number)
            start(at)
            length(size)
            value(told)
            at += size
        if at > end:
            raise Odd
        self.owner += [owner] * (len(self.tag) - before)

    def arrays(self) -> tuple[Any, ...]:
        lists = (self.owner, self.tag, self.start, self.length, self.value)
        return tuple(np.array(each, np.int64) for each in lists)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(LONGEST_VARINT):
        byte = data[at + place]
        value |= (byte & 127) << (7 * place)
        if byte < 128:  # noqa: PLR2004
            value &= 2**64 - 1
            return value - 2**64 if value >= 2**63 else value, at + place + 1
    raise Odd


def _in_order(count: int, steps: Sequence[tuple[Any, ...]], rest: _Rest) -> Fields:
    tail = rest.arrays()
    if not steps:
        return Fields(*tail)
    if not len(tail[0]) and all(len(step[0]) == count for step in steps):
        owner = np.repeat(np.arange(count), len(steps))
        by_message = (np.stack(parts, 1).ravel() for parts in zip(*steps, strict=True))
        return Fields(owner, *list(by_message)[1:])
    # A message gives one field at each step, so its n-th field is that of the n-th step.
    counts = np.bincount(tail[0], minlength=count)
    for step in steps:
        counts[step[0]] += 1
    first = np.cumsum(counts) - counts
    places = [first[step[0]] + number for number, step in enumerate(steps)]
    # Of each of the few the rest lies together, behind what the steps gave.
    run = np.arange(len(tail[0])) - np.searchsorted(tail[0], tail[0])
    order = np.concatenate([*places, first[tail[0]] + len(steps) + run])
    found = [np.repeat(np.arange(count), counts)]
    for parts in list(zip(*steps, tail, strict=True))[1:]:
        whole = np.empty(len(order), np.int64)
        whole[order] = np.concatenate(parts)
        found.append(whole)
    return Fields(*found)


def texts(data: Data, start: Any, length: Any) -> pa.StringArray:
    """The text at each place; places rise and do not overlap, and all is UTF-8."""
    count = len(start)
    # Between two texts lies one that nobody asked for: with it they are one Arrow array as they lie.
    ends = np.empty(2 * count + 1, np.int32)
    ends[0] = 0
    ends[1::2] = start
    ends[2::2] = start + length
    ends[0:1] = 0
    both = pa.StringArray.from_buffers(2 * count, pa.py_buffer(ends), data.buffer)
    return both.take(pa.array(np.arange(1, 2 * count, 2)))


def hexed(data: Data, start: Any, size: int) -> pa.StringArray:
    """So many bytes at each place as hexadecimal digits."""
    rows = np.ndarray((len(data.numbers) - size + 1,), f"V{size}", data.raw, strides=(1,))[start]
    digits = HEX[np.frombuffer(rows.tobytes(), np.uint8)]
    ends = np.arange(len(start) + 1, dtype=np.int32) * np.int32(2 * size)
    return pa.StringArray.from_buffers(
        len(start), pa.py_buffer(ends), pa.py_buffer(digits.tobytes())
    )


def doubles(data: Data, start: Any) -> Any:
    """The number of eight bytes at each place."""
    return _eight(data, start, "<f8")


def unsigned(data: Data, start: Any) -> Any:
    """The whole number of eight bytes at each place."""
    return _eight(data, start, "<u8")


def _eight(data: Data, start: Any, kind: str) -> Any:
    return np.ndarray((len(data.numbers) - 7,), kind, data.raw, strides=(1,))[start]
