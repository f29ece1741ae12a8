"""Spans that were delivered more than once: which rows repeat an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.domain.span_keys import keys_of
from greenops.pipeline.rollup_cells import one_chunk

IDS: Final = ("trace_bytes", "span_bytes")
TEXTS: Final = ("trace_id", "span_id")
"""Ids as they were sent, for those that are not as many bytes as OpenTelemetry's."""
PIECE: Final = 2**15
"""Keys that are compared at once, about; more are divided by their leading bits, so that they stay near the core."""
SLOTS: Final = 2**19
"""Slots for them: eight or more for each key."""


def span_keys(table: pa.Table) -> Any | None:
    """One number of 64 bits for those ids of each span that are there; none where some need their texts."""
    ids = [one_chunk(table[name]) for name in IDS if name in table.column_names]
    if any(each.null_count for each in ids):
        return None
    return keys_of(*(_words(each, each.type.byte_width // 8) for each in ids))


def text_repeats(tables: Iterable[pa.Table]) -> Any:
    """As `repeats`, by ids as texts."""
    joined = [
        pc.binary_join_element_wise(*(table[name].cast(pa.string()) for name in TEXTS), "\0")
        for table in tables
    ]
    whole = pa.chunked_array([chunk for each in joined for chunk in each.chunks], pa.string())
    places = pc.index_in(whole, whole.unique()).to_numpy()
    _, first = np.unique(places, return_index=True)
    return np.delete(np.arange(len(whole)), first)


def repeats(keys: Sequence[Any]) -> Any:
    """Places of the rows whose key an earlier row has, rising; `keys` come in pieces, in the order of reading."""
    whole = np.concatenate([np.zeros(0, np.uint64), *keys])
    bits = max(0, (len(whole) // PIECE).bit_length())
    if not bits:
        return _among(whole, np.arange(len(whole)))
    leading = (whole >> np.uint64(64 - bits)).astype(np.uint16)
    order = np.argsort(leading, kind="stable")
    ends = np.cumsum(np.bincount(leading, minlength=2**bits)).tolist()
    begin, found = 0, [np.zeros(0, np.int64)]
    for end in ends:
        rows = order[begin:end]
        found.append(_among(whole[rows], rows))
        begin = end
    return np.sort(np.concatenate(found))


def _among(keys: Any, rows: Any) -> Any:
    """Which of some rows repeat an earlier one; rows rise."""
    suspects = _sharing(keys, 0)
    if not len(suspects):
        return rows[:0]
    # Most share a slot by chance, and hardly any of them another one.
    suspects = suspects[_sharing(keys[suspects], SLOTS.bit_length() - 1)]
    _, first = np.unique(keys[suspects], return_index=True)
    return rows[np.delete(suspects, first)]


def _sharing(keys: Any, shift: int) -> Any:
    """Keys that share a slot with another, by some of their bits; their places rise."""
    # The last of the rows that share a slot keeps it, and the others see that they do not have it.
    places = np.arange(len(keys), dtype=np.uint32)
    slots = (keys >> np.uint64(shift) & np.uint64(SLOTS - 1)).astype(np.intp)
    holder = np.empty(SLOTS, np.uint32)
    holder[slots] = places
    shared = holder[slots] != places
    losers = np.flatnonzero(shared)
    shared[holder[slots[losers]]] = True
    return np.flatnonzero(shared)


def _words(ids: Any, count: int) -> Any:
    """Eight bytes of every id each."""
    plain = np.frombuffer(ids.buffers()[1], np.uint64)
    return plain.reshape(-1, count)[ids.offset : ids.offset + len(ids)].T
