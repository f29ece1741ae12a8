"""Spans as packed files of the lake hold them (form 2): some thirty-five bytes each, exact.

Rows lie by service, then by the beginning of their trace there, then trace by trace. Ids are bytes, a parent in
the same row group is a distance in rows, instants are differences, a number that follows from energy is a factor
that many rows share, and each attribute has a column. `lake_expand` gives back what was written, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.lake_attributes import MAP, WORD, split_attributes
from greenops.adapters.lake_ids import binary_ids, numbers_of

FORM: Final = 2
"""Version of this form, as footers and names of files tell it."""
WORDS: Final = ("service", "instance", "workload", "name", "kind")
MORE_WORDS: Final = ("method", "unknown", "region", "grid_zone", "decision_id")
IDS: Final = (("trace", 16), ("span", 8), ("parent", 8))
DERIVED: Final = ("energy_low_j", "energy_high_j", "carbon_g", "cost_usd")
"""Numbers that mostly are energy times what many spans share."""
ATTRIBUTE: Final = "attributes."
SERIES: Final = "series"
"""Number of what roll-ups tell a row apart by; see `lake_series`."""
WHOLE: Final = "attributes_int."
"""Attributes whose text is a whole number, as that; one whose text is not has it in the other column."""
INSTANT: Final = pa.timestamp("us", "UTC")
COLUMNS: Final = (
    *(f"{name}_id" for name, _ in IDS),
    *WORDS,
    *("start", "end", "time", "energy_j"),
    *DERIVED,
    *MORE_WORDS,
    "attributes",
)
"""Columns of the lake's schema; see `parquet_lake`."""

GROUP_ROWS: Final = 20_000
"""Least rows of a row group [1]; services with fewer share one."""


def schema_of(keys: dict[str, bool]) -> pa.Schema:
    """Columns of a file, given the keys that have one, and whether they are whole numbers."""
    fields: list[tuple[str, pa.DataType]] = [("service", WORD)]
    for name, width in IDS:
        fields += [(f"{name}_id", pa.binary(width)), (f"{name}_text", pa.string())]
    fields += [("parent_at", pa.int32()), ("small_file", WORD)]
    fields += [(name, WORD) for name in (*WORDS[1:], *MORE_WORDS)]
    fields += [("time", INSTANT), ("end_after_us", pa.int64()), ("duration_us", pa.int64())]
    fields += [("start", INSTANT), ("energy_j", pa.float64())]
    for name in DERIVED:
        fields += [(each, pa.float64()) for each in (name, f"{name}_per_j", f"{name}_rest")]
    fields += [("attribute_keys", WORD), ("attributes_more", MAP)]
    fields += [(ATTRIBUTE + key, WORD) for key in keys]
    fields += [(WHOLE + key, pa.int64()) for key, whole in keys.items() if whole]
    return pa.schema([*fields, pa.field(SERIES, pa.int32(), nullable=False)])


def in_columns(table: pa.Table, allowed: Sequence[str] | None) -> pa.Table:
    """Rows of the lake's schema in columns of this form, in their order."""
    columns: dict[str, Any] = {}
    for name, width in IDS:
        columns[f"{name}_id"], columns[f"{name}_text"] = binary_ids(table[f"{name}_id"], width)
    for name in ("small_file", *WORDS, *MORE_WORDS):
        columns[name] = table[name].cast(WORD)
    columns |= _instants(table)
    for name in ("energy_j", *DERIVED):
        columns[name] = table[name]
    split = split_attributes(table["attributes"].cast(MAP), allowed)
    columns["attribute_keys"] = split.keys
    columns["attributes_more"] = split.maps
    columns |= {ATTRIBUTE + key: values for key, values in split.columns.items()}
    return pa.table(columns)


def _instants(table: pa.Table) -> dict[str, Any]:
    time, start, end = (table[name].cast(INSTANT) for name in ("time", "start", "end"))
    length = pc.subtract(end.cast(pa.int64()), start.cast(pa.int64()))
    return {
        "time": time,
        "end_after_us": pc.subtract(end.cast(pa.int64()), time.cast(pa.int64())),
        "duration_us": length,
        "start": pc.if_else(pc.is_valid(length), pa.scalar(None, INSTANT), start),
    }


def order(rows: pa.Table) -> pa.Array:
    """Places of rows by service, then by the beginning of their trace there, then by trace and beginning."""
    begins = pc.subtract(
        pc.add(rows["time"].cast(pa.int64()), pc.fill_null(rows["end_after_us"], 0)),
        pc.fill_null(rows["duration_us"], 0),
    ).to_numpy()
    service = _ranks(rows["service"])
    trace = _codes(rows["trace_id"]) * (int(service.max()) + 1) + service
    _, trace = np.unique(trace, return_inverse=True)
    first = np.full(int(trace.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, trace, begins)
    return pa.array(np.lexsort((begins, trace, first[trace], service)))


def _ranks(words: pa.ChunkedArray) -> Any:
    """Places of words in their order; absent ones come first."""
    column = one(words)
    names = column.dictionary.to_pylist()
    rank = np.empty(len(names) + 1, np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(1, len(names) + 1)
    rank[-1] = 0
    return rank[pc.fill_null(column.indices, len(names)).to_numpy(zero_copy_only=False)]


def _codes(ids: pa.ChunkedArray) -> Any:
    found = one(ids).dictionary_encode()
    return (
        pc.fill_null(found.indices, len(found.dictionary))
        .to_numpy(zero_copy_only=False)
        .astype(np.int64)
    )


def groups(rows: pa.Table) -> Iterator[pa.Table]:
    """Row groups: a service's own where it has enough rows, else shared with those beside it."""
    ranks = _ranks(rows["service"])
    ends = [*(np.flatnonzero(np.diff(ranks)) + 1).tolist(), len(rows)]
    begin = 0
    for at, end in enumerate(ends):
        last = at == len(ends) - 1
        following = 0 if last else ends[at + 1] - end
        enough = end - begin >= GROUP_ROWS or following >= GROUP_ROWS
        if last or enough:
            yield rows.slice(begin, end - begin).combine_chunks()
            begin = end


def parents(rows: pa.Table) -> dict[str, Any]:
    """Parents as distances in rows where they lie in this row group, else as they are."""
    spans, parents = one(rows["span_id"]), one(rows["parent_id"])
    there = np.flatnonzero(spans.is_valid().to_numpy(zero_copy_only=False))
    numbers = numbers_of(spans)[there]
    order = np.argsort(numbers, kind="stable")
    asked = np.flatnonzero(parents.is_valid().to_numpy(zero_copy_only=False))
    wanted = numbers_of(parents)[asked]
    ordered = numbers[order]
    place = np.minimum(np.searchsorted(ordered, wanted), max(len(ordered) - 1, 0))
    hit = ordered[place] == wanted if len(ordered) else np.zeros(len(wanted), np.bool_)
    found = asked[hit]
    distance = np.zeros(len(rows), np.int32)
    distance[found] = found - there[order[place[hit]]]
    absent = np.ones(len(rows), np.bool_)
    absent[found] = False
    kept = pc.if_else(pa.array(absent), parents, pa.scalar(None, parents.type))
    return {"parent_at": pa.array(distance, mask=absent), "parent_id": kept}


def numbers(words: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Texts that are no whole numbers, and the numbers of the others."""
    found, good = _whole_numbers(words.dictionary)
    number = found.take(words.indices)
    keep = pc.fill_null(good.take(words.indices), fill_value=False)
    return pc.if_else(keep, pa.scalar(None, pa.string()), words.cast(pa.string())), number


def _whole_numbers(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Numbers of texts, and which texts are what their number is written as."""
    likely = pc.match_substring_regex(texts, "^(0|-?[1-9][0-9]{0,17})$")
    found = pc.if_else(likely, texts, pa.scalar(None, pa.string())).cast(pa.int64())
    return found, likely


def is_whole(words: pa.ChunkedArray) -> bool:
    """Whether all texts of a column are whole numbers, and there is one."""
    texts = one(words).dictionary
    return len(texts) > 0 and bool(pc.all(_whole_numbers(texts)[1]).as_py())


def one(column: Any) -> Any:
    """A column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    found = column.unify_dictionaries().combine_chunks()
    if isinstance(found, pa.ChunkedArray):
        found = found.chunk(0) if found.num_chunks else pa.array([], column.type)
    return found
