"""Ids of traces and spans: hexadecimal text outside, bytes inside packed files of the lake."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NO_DIGIT: Final = 255


def _table_of_digits() -> Any:
    found = np.full(256, NO_DIGIT, np.uint8)
    for value, digit in enumerate(b"0123456789abcdef"):
        found[digit] = value
    return found


DIGITS: Final = _table_of_digits()
"""Byte of text → its value as a digit; upper case is none, for it would not come back as it was."""
PAIRS: Final = np.frombuffer(bytes(range(256)).hex().encode(), np.uint16)
"""Byte → its two digits, as they lie in memory."""


def binary_ids(ids: pa.ChunkedArray, width: int) -> tuple[pa.Array, pa.Array]:
    """Ids as bytes, and as text those that are not so many bytes in lower-case hexadecimal.

    Args:
        ids: Text.
        width: Bytes of an id.
    """
    text = _one(ids.cast(pa.string()))
    count = len(text)
    fits = pc.fill_null(pc.equal(pc.binary_length(text), 2 * width), fill_value=False)
    rows = np.flatnonzero(fits.to_numpy(zero_copy_only=False))
    digits = DIGITS[_letters(text.filter(fits)).reshape(len(rows), 2 * width)]
    good = (digits != NO_DIGIT).all(axis=1)
    rows, digits = rows[good], digits[good]
    data = np.zeros((count, width), np.uint8)
    data[rows] = digits[:, 0::2] << 4 | digits[:, 1::2]
    there = np.zeros(count, np.bool_)
    there[rows] = True
    odd = pa.array(~there)
    return fixed(data, there), pc.if_else(odd, text, pa.scalar(None, pa.string()))


def text_ids(ids: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.Array:
    """The ids again as text; where they have no bytes, as the others say."""
    whole = _one(ids)
    data = bytes_of(whole)
    letters = PAIRS[data].view(np.uint8)
    ends = np.arange(len(data) + 1, dtype=np.int32) * letters.shape[1]
    text = pa.StringArray.from_buffers(len(data), pa.py_buffer(ends), pa.py_buffer(letters))
    if not whole.null_count:
        return text
    return pc.if_else(whole.is_valid(), text, _one(others))


def fixed(data: Any, there: Any) -> pa.Array:
    """Rows of bytes, shape (row, byte), as one column; absent where they are not there."""
    bits = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    kind = pa.binary(data.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(data), [bits, pa.py_buffer(data)])


def bytes_of(ids: pa.Array) -> Any:
    """Bytes of every id, shape (row, byte); zeros or anything else where it is absent."""
    width = ids.type.byte_width
    data = np.frombuffer(ids.buffers()[1] or b"", np.uint8)
    return data[ids.offset * width : (ids.offset + len(ids)) * width].reshape(len(ids), width)


def numbers_of(ids: pa.Array) -> Any:
    """Ids of eight bytes as numbers of 64 bits; anything where one is absent."""
    return np.ascontiguousarray(bytes_of(ids)).view(np.uint64).reshape(len(ids))


def _letters(text: pa.Array) -> Any:
    data = np.frombuffer(text.buffers()[2] or b"", np.uint8)
    ends = np.frombuffer(text.buffers()[1] or b"\0\0\0\0", np.int32)
    return data[ends[text.offset] : ends[text.offset + len(text)]]


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column
