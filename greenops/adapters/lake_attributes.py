"""Attributes of spans: a map outside, a column for each key inside packed files of the lake."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_KEYS: Final = 128
"""Keys that get a column of their own, the most frequent first; rows with another stay maps."""
MAP: Final = pa.map_(pa.string(), pa.string())
WORD: Final = pa.dictionary(pa.int32(), pa.string())
SEED: Final = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Split:
    """Attributes of some spans in columns.

    Attributes:
        keys: For each row its keys in order, as a JSON list; absent where the row has no map or stays one.
        columns: Key → its values; absent where a row lacks it.
        maps: The whole map of rows that do not fit into columns.
    """

    keys: pa.Array
    columns: Mapping[str, pa.Array]
    maps: pa.Array


def split_attributes(column: pa.ChunkedArray, allowed: Sequence[str] | None = None) -> Split:
    """Maps of text to text in columns, so that they come back in every byte and in their order.

    Args:
        column: The maps.
        allowed: Keys that may have a column; none: the most frequent ones.
    """
    maps = column.combine_chunks()
    if isinstance(maps, pa.ChunkedArray):
        maps = maps.chunk(0) if maps.num_chunks else pa.array([], MAP)
    entries = _Entries.of(maps)
    chosen = _chosen(entries, allowed)
    shapes, shape_of, whole = _shapes(entries, chosen)
    columns = _columns(entries, chosen, whole)
    used, place = np.unique(shape_of[whole], return_inverse=True)
    texts = [json.dumps([entries.names[code] for code in shapes[each]]) for each in used]
    shape_of[whole] = place
    places = pa.array(shape_of.astype(np.int32), mask=~whole)
    keys = pa.DictionaryArray.from_arrays(places, pa.array(texts, pa.string()))
    rest = pa.nulls(len(maps), MAP)
    if not whole.all():
        rest = pc.if_else(pa.array(whole), pa.scalar(None, MAP), maps)
    return Split(keys, columns, rest)


def joined_attributes(keys: Any, columns: Mapping[str, Any], maps: Any) -> pa.Array:
    """The maps again.

    Args:
        keys: Of `Split`, in one piece.
        columns: Of `Split`, each in one piece; of type text.
        maps: Of `Split`, in one piece.
    """
    keys = keys if pa.types.is_dictionary(keys.type) else keys.dictionary_encode()
    count = len(keys)
    shapes = [json.loads(each) for each in keys.dictionary.to_pylist()]
    shape_of = pc.fill_null(keys.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    names = list(columns)
    lengths = np.array([*(len(each) for each in shapes), 0], np.int64)[shape_of]
    there = keys.is_valid().to_numpy(zero_copy_only=False)
    other = maps.is_valid().to_numpy(zero_copy_only=False)
    if other.any():
        sizes = pc.fill_null(pc.list_value_length(_as_list(maps)), 0).to_numpy(zero_copy_only=False)
        lengths = np.where(other, sizes, lengths)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    taken = np.zeros(ends[-1], np.int64)
    named = np.zeros(ends[-1], np.int64)
    for number, shape in enumerate(shapes):
        rows = np.flatnonzero(shape_of == number)
        if not len(rows):
            continue
        codes = np.array([names.index(each) for each in shape], np.int64)
        at = ends[rows][:, None] + np.arange(len(shape))
        taken[at] = codes * count + rows[:, None]
        named[at] = codes
    values = [each.cast(pa.string()) for each in columns.values()]
    words = list(names)
    if other.any():
        flat = _Entries.of(maps)
        at = np.flatnonzero(np.repeat(other, lengths))
        taken[at] = len(names) * count + np.arange(len(at))
        named[at] = len(words) + flat.codes
        values.append(flat.values)
        words += flat.names
    items = pa.concat_arrays(values).take(pa.array(taken)) if values else pa.array([], pa.string())
    texts = pa.array(words, pa.string()).take(pa.array(named))
    offsets = pa.array(ends.astype(np.int32), mask=np.append(~(there | other), False))
    return pa.MapArray.from_arrays(offsets, texts, items)


@dataclass(frozen=True, slots=True)
class _Entries:
    """Keys and values of maps, one after the other."""

    names: list[str]
    codes: Any
    values: pa.Array
    rows: Any
    begins: Any
    lengths: Any
    valid: Any

    @classmethod
    def of(cls, maps: pa.Array) -> _Entries:
        valid = maps.is_valid().to_numpy(zero_copy_only=False)
        lengths = pc.fill_null(pc.list_value_length(_as_list(maps)), 0)
        lengths = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
        flat = pc.list_flatten(_as_list(maps))
        keys = flat.field(0).cast(pa.string()).dictionary_encode()
        codes = keys.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        begins = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else lengths
        rows = np.repeat(np.arange(len(maps)), lengths)
        values = flat.field(1).cast(pa.string())
        return cls(keys.dictionary.to_pylist(), codes, values, rows, begins, lengths, valid)


def _as_list(maps: pa.Array) -> pa.Array:
    entry = pa.struct([("key", maps.type.key_type), ("value", maps.type.item_type)])
    return maps.cast(pa.list_(entry))


def _chosen(entries: _Entries, allowed: Sequence[str] | None) -> Any:
    """Whether each key has a column."""
    if allowed is not None:
        known = set(allowed)
        return np.array([each in known for each in entries.names], np.bool_)
    counts = Counter(dict(enumerate(np.bincount(entries.codes, minlength=len(entries.names)))))
    found = np.zeros(len(entries.names), np.bool_)
    found[[code for code, _ in counts.most_common(MOST_KEYS)]] = True
    return found


def _shapes(entries: _Entries, chosen: Any) -> tuple[list[tuple[int, ...]], Any, Any]:
    """Orders of keys, which of them each row has, and whether the row fits into columns."""
    place = np.arange(len(entries.rows)) - entries.begins[entries.rows]
    mixed = (entries.codes.astype(np.uint64) + np.uint64(1)) * np.uint64(SEED)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * (2 * place.astype(np.uint64) + np.uint64(1))
    # Sums of prefixes wrap round, and so do their differences.
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    digest = sums[entries.begins + entries.lengths] - sums[entries.begins]
    digest ^= entries.lengths.astype(np.uint64) << np.uint64(48)
    _, first, shape_of = np.unique(digest, return_index=True, return_inverse=True)
    whole = entries.valid.copy()
    # Two orders of keys may share a digest: what counts is that the keys are the same.
    same = entries.lengths == entries.lengths[first][shape_of]
    rows = np.flatnonzero(same)
    picked = np.repeat(np.arange(len(same)), np.where(same, entries.lengths, 0))
    at = entries.begins[first][shape_of][picked] + place[np.isin(entries.rows, rows)]
    wrong = entries.codes[np.isin(entries.rows, rows)] != entries.codes[at]
    same[picked[wrong]] = False
    whole &= same
    whole[entries.rows[~chosen[entries.codes]]] = False
    nothing = pc.is_null(entries.values).to_numpy(zero_copy_only=False)
    whole[entries.rows[nothing]] = False
    shapes = [
        tuple(entries.codes[entries.begins[row] : entries.begins[row] + entries.lengths[row]])
        for row in first.tolist()
    ]
    for number, shape in enumerate(shapes):
        if len(set(shape)) < len(shape):
            whole[shape_of == number] = False
    return shapes, shape_of, whole


def _columns(entries: _Entries, chosen: Any, whole: Any) -> dict[str, pa.Array]:
    order = np.argsort(entries.codes, kind="stable")
    ends = np.searchsorted(entries.codes[order], np.arange(len(entries.names) + 1))
    found: dict[str, pa.Array] = {}
    for code, name in enumerate(entries.names):
        at = order[ends[code] : ends[code + 1]]
        at = at[whole[entries.rows[at]]]
        if chosen[code] and len(at):
            places = np.full(len(entries.lengths), -1, np.int64)
            places[entries.rows[at]] = at
            found[name] = entries.values.take(pa.array(places, mask=places < 0)).dictionary_encode()
    return found
