"""Packed spans (form 2) as the columns of the lake's schema that they were written from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.lake_attributes import WORD, joined_attributes
from greenops.adapters.lake_compact import ATTRIBUTE, DERIVED, IDS, INSTANT, SERIES, WHOLE
from greenops.adapters.lake_ids import text_ids
from greenops.adapters.lake_numbers import joined_number
from greenops.adapters.lake_series import APART, numbered, series_of

SOURCE: Final = "small_file"
"""Column of names of the small files that rows came from."""
TRACE_BYTES: Final = "trace_bytes"
SPAN_BYTES: Final = "span_bytes"
"""Ids as bytes; absent where they are not sixteen and eight of them."""

_INSTANTS: Final = {
    "end": ("time", "end_after_us"),
    "start": ("time", "end_after_us", "duration_us", "start"),
}


def needed(columns: Sequence[str], there: Sequence[str]) -> list[str]:
    """Columns of a packed file that some columns of the lake's schema come from.

    Args:
        columns: Wanted; `attributes.KEY` is one attribute as JSON text.
        there: Columns of the file.
    """
    found: list[str] = []
    for asked in columns:
        for name in APART if asked == SERIES and SERIES not in there else (asked,):
            found += _sources(name, there)
    return list(dict.fromkeys(found))


def expanded(
    table: pa.Table,
    columns: Sequence[str],
    numbers: Mapping[str, float] | None = None,
    series: pa.StructArray | None = None,
) -> pa.Table:
    """Columns of whole row groups.

    Args:
        table: The columns that `needed` names.
        columns: Wanted.
        numbers: Factors and rests that are one number; they have no column.
        series: The words of the file's series, where it lists them.
    """
    whole = {name: _one(table.column(name)) for name in table.column_names}
    whole |= {name: pa.scalar(value, pa.float64()) for name, value in (numbers or {}).items()}
    made = {name: _column(name, whole, len(table)) for name in columns if name != SERIES}
    if SERIES in columns:
        made[SERIES] = (
            series_of(apart(whole, len(table)))
            if series is None
            else numbered(whole[SERIES], series)
        )
    return pa.table({name: made[name] for name in columns})


def apart(columns: Mapping[str, Any], count: int) -> dict[str, Any]:
    """What tells series apart, from the columns of a packed file, so many rows of them."""
    whole = {name: _one(each) for name, each in columns.items()}
    return {name: _column(name, whole, count) for name in APART}


def _sources(name: str, there: Sequence[str]) -> list[str]:
    if name in ("trace_id", "span_id"):
        return [name, f"{name.partition('_')[0]}_text"]
    if name == "parent_id":
        return [name, "parent_text", "parent_at", "span_id", "span_text"]
    if name in (TRACE_BYTES, SPAN_BYTES):
        return [f"{name.partition('_')[0]}_id"]
    if name in _INSTANTS:
        return list(_INSTANTS[name])
    if name in DERIVED:
        return [name, f"{name}_per_j", f"{name}_rest", "energy_j"]
    if name == "attributes":
        own = [each for each in there if each.startswith((ATTRIBUTE, WHOLE))]
        return ["attribute_keys", "attributes_more", *own]
    if name.startswith(ATTRIBUTE):
        key = name.removeprefix(ATTRIBUTE)
        own = [each for each in (ATTRIBUTE + key, WHOLE + key) if each in there]
        return ["attributes_more", *own]
    return [name]


def _column(name: str, whole: Mapping[str, Any], count: int) -> Any:
    if name in _MADE:
        return _MADE[name](whole)
    if name in DERIVED:
        parts = (whole[each] for each in (name, "energy_j", f"{name}_per_j", f"{name}_rest"))
        return joined_number(*parts)
    if name.startswith(ATTRIBUTE):
        return _attribute(name.removeprefix(ATTRIBUTE), whole, count)
    return whole[name]


def _text(name: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda whole: text_ids(whole[f"{name}_id"], whole[f"{name}_text"])


def _parents(whole: Mapping[str, Any]) -> Any:
    own = text_ids(whole["parent_id"], whole["parent_text"])
    distance = whole["parent_at"]
    if distance.null_count == len(distance):
        return own
    here = pa.array(np.arange(len(distance), dtype=np.int32))
    spans = text_ids(whole["span_id"], whole["span_text"])
    return pc.coalesce(own, spans.take(pc.subtract(here, distance)))


def _end(whole: Mapping[str, Any]) -> Any:
    after = whole["end_after_us"]
    return pc.add(whole["time"].cast(pa.int64()), after).cast(INSTANT)


def _start(whole: Mapping[str, Any]) -> Any:
    found = pc.subtract(_end(whole).cast(pa.int64()), whole["duration_us"]).cast(INSTANT)
    return pc.coalesce(found, whole["start"])


def _attributes(whole: Mapping[str, Any]) -> Any:
    columns = {
        name.removeprefix(ATTRIBUTE): _value(name.removeprefix(ATTRIBUTE), whole)
        for name in whole
        if name.startswith(ATTRIBUTE)
    }
    return joined_attributes(whole["attribute_keys"], columns, whole["attributes_more"])


def _value(key: str, whole: Mapping[str, Any]) -> Any:
    text = whole[ATTRIBUTE + key].cast(pa.string())
    number = whole.get(WHOLE + key)
    return text if number is None else pc.coalesce(text, number.cast(pa.string()))


def _attribute(key: str, whole: Mapping[str, Any], count: int) -> Any:
    more = whole["attributes_more"]
    if more.null_count == count and WHOLE + key not in whole:
        return whole.get(ATTRIBUTE + key, pa.nulls(count, WORD))
    found = _value(key, whole) if ATTRIBUTE + key in whole else pa.nulls(count, pa.string())
    if more.null_count < count:
        found = pc.coalesce(found, pc.map_lookup(more, key, "first"))
    return found.dictionary_encode().cast(WORD)


_MADE: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "trace_id": _text(IDS[0][0]),
    "span_id": _text(IDS[1][0]),
    "parent_id": _parents,
    TRACE_BYTES: lambda whole: whole["trace_id"],
    SPAN_BYTES: lambda whole: whole["span_id"],
    "end": _end,
    "start": _start,
    "attributes": _attributes,
}


def _one(column: Any) -> Any:
    if not isinstance(column, pa.ChunkedArray):
        return column
    found = column.unify_dictionaries().combine_chunks()
    if isinstance(found, pa.ChunkedArray):
        found = found.chunk(0) if found.num_chunks else pa.array([], column.type)
    return found
