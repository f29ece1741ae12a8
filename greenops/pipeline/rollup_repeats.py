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
BYTE: Final = 8
SLOT_BITS: Final = 19
"""Slots for them: eight or more for each key."""
ODD: Final = np.random.default_rng().integers(2**63, 2**64, None, np.uint64) | np.uint64(1)
"""Spreads span ids, and keeps them apart; another one in each process, so that nobody can send ids that it does not spread."""


def span_keys(table: pa.Table) -> Any | None:
    """One number of 64 bits for those ids of each span that are there; none where some need their texts."""
    ids = [one_chunk(table[name]) for name in IDS if name in table.column_names]
    if any(each.null_count for each in ids):
        return None
    if len(ids) == 1:
        (span,) = _words(ids[0], 1)
        return span * ODD
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
    bits = max(0, (sum(map(len, keys)) // PIECE).bit_length())
    divided = [_divided(each, _leading(each, bits), bits) for each in keys]
    slots = np.empty(2**SLOT_BITS, np.uint32)
    later = {}
    for number in range(2**bits if keys else 0):
        places = _later(np.concatenate([each[number] for each in divided]), bits, slots)
        if len(places):
            later[number] = places
    if not later:
        return np.zeros(0, np.int64)
    leading = np.concatenate([_leading(each, bits) for each in keys])
    rows = _divided(np.arange(len(leading)), leading, bits)
    return np.sort(np.concatenate([rows[number][places] for number, places in later.items()]))


def _later(keys: Any, bits: int, slots: Any) -> Any:
    """Places of the keys that an earlier place has too; so many of their leading bits are the same."""
    suspects = _sharing(keys, bits, slots)
    if len(suspects):
        # Most share a slot by chance, and hardly any of them another one.
        suspects = suspects[_sharing(keys[suspects], bits + SLOT_BITS, slots)]
    _, first = np.unique(keys[suspects], return_index=True)
    return np.delete(suspects, first)


def _divided(values: Any, leading: Any, bits: int) -> list[Any]:
    """Values by the leading bits of their keys, of each number in the order in which they come."""
    ends = np.cumsum(np.bincount(leading, minlength=2**bits))
    return np.split(values[np.argsort(leading, kind="stable")], ends[:-1])


def _leading(keys: Any, bits: int) -> Any:
    # One byte is sorted in half the time of two.
    kind = np.uint8 if bits <= BYTE else np.uint16
    return (keys >> np.uint64(64 - bits)).astype(kind) if bits else np.zeros(len(keys), kind)


def _sharing(keys: Any, skipped: int, holder: Any) -> Any:
    """Keys that share a slot with another, by what follows so many of their leading bits; their places rise."""
    # The last of the rows that share a slot keeps it, and the others see that they do not have it.
    places = np.arange(len(keys), dtype=np.uint32)
    slots = ((keys << np.uint64(skipped)) >> np.uint64(64 - SLOT_BITS)).view(np.int64)
    holder[slots] = places
    shared = holder[slots] != places
    losers = np.flatnonzero(shared)
    shared[holder[slots[losers]]] = True
    return np.flatnonzero(shared)


def _words(ids: Any, count: int) -> Any:
    """Eight bytes of every id each."""
    plain = np.frombuffer(ids.buffers()[1], np.uint64)
    return plain.reshape(-1, count)[ids.offset : ids.offset + len(ids)].T
