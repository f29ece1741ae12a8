"""Writes packed files of spans in their compact form; see `lake_compact`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from greenops.adapters.lake_attributes import MAP, MOST_KEYS, WORD
from greenops.adapters.lake_compact import (
    ATTRIBUTE,
    DERIVED,
    FORM,
    IDS,
    INSTANT,
    MORE_WORDS,
    SERIES,
    WHOLE,
    WORDS,
    groups,
    in_columns,
    is_whole,
    numbers,
    one,
    order,
    parents,
    schema_of,
)
from greenops.adapters.lake_expand import apart
from greenops.adapters.lake_files import VERSION, sources_text
from greenops.adapters.lake_numbers import split_number
from greenops.adapters.lake_series import SeriesList

JOINED_ROWS: Final = 20_000
"""Rows that are put into columns at once [1]."""
TOGETHER: Final = 256
"""Small tables that are joined at once: each costs some kilobytes beside its rows."""
CHUNK_BYTES: Final = 32 * 2**20
"""About what rows take that are put in order together [bytes]; several times that is in memory at the peak."""
LEVEL: Final = 9
"""Of zstd: a file is packed once and kept for years."""
PAGE: Final = 4 * 2**20
"""Longest list of distinct values of a column [bytes]; more are written as they come."""


UNTOLD: Final = (
    "span_id",
    "span_text",
    "parent_id",
    "parent_text",
    "parent_at",
    "small_file",
    SERIES,
)
"""Columns of which footers need not tell the least, the most and how many are absent."""


@dataclass(slots=True)
class CompactWriter:
    """Writes one packed file; rows of a source may come in several tables.

    Attributes:
        path: The file.
        bytes: What the rows took that were written, as they lay in memory.
        sources: Rows by the small file that they came from.
    """

    path: Path
    bytes: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    _series: SeriesList = field(default_factory=SeriesList)
    _writer: pq.ParquetWriter | None = None
    _keys: dict[str, bool] = field(default_factory=dict)
    _small: list[pa.Table] = field(default_factory=list)
    _small_rows: int = 0
    _waiting: list[pa.Table] = field(default_factory=list)
    _waiting_bytes: int = 0

    def hold(self, sources: Iterable[str]) -> None:
        """Say that the file stands for small files, though none of their rows be left."""
        for name in sources:
            self.sources[name] += 0

    def add(self, table: pa.Table) -> None:
        """Take rows: the columns of the lake's schema and `small_file`."""
        self._small.append(table)
        self._small_rows += len(table)
        if self._small_rows >= JOINED_ROWS or len(self._small) >= TOGETHER:
            self._join()

    def _join(self) -> None:
        if not self._small_rows:
            return
        table = pa.concat_tables(self._small).unify_dictionaries()
        self._small, self._small_rows = [], 0
        for at in range(0, len(table), JOINED_ROWS):
            fixed = self._writer is not None or len(self._keys) >= MOST_KEYS
            rows = in_columns(table.slice(at, JOINED_ROWS), list(self._keys) if fixed else None)
            if not fixed:
                self._keys |= {name: False for name in _keys_of(rows) if name not in self._keys}
            counts = pc.value_counts(rows["small_file"].cast(pa.string()))
            self.sources.update(dict(zip(*(e.to_pylist() for e in counts.flatten()), strict=True)))
            self._waiting.append(rows)
            self._waiting_bytes += rows.nbytes
            if self._waiting_bytes >= CHUNK_BYTES:
                self._flush()

    def _flush(self) -> None:
        """Put in order and write what waits."""
        if not self._waiting:
            return
        whole = pa.concat_tables(self._waiting, promote_options="default").unify_dictionaries()
        self.bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes = [], 0
        whole = whole.take(order(whole)).combine_chunks()
        if self._writer is None:
            self._open(whole)
        for group in groups(whole):
            self._write(group)

    def close(self) -> None:
        """Write what waits and the footer."""
        self._join()
        self._flush()
        if self._writer is None:
            self._open(in_columns(EMPTY, None))
        assert self._writer is not None  # noqa: S101
        sources = sources_text(list(self.sources.items()), zipped=True)
        self._writer.add_key_value_metadata(
            {**sources, **self._series.footer(), VERSION: str(FORM).encode()}
        )
        self.abandon()

    def abandon(self) -> None:
        """Close the file as it is; once is enough."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _open(self, rows: pa.Table) -> None:
        for name in self._keys:
            self._keys[name] = is_whole(rows.column(ATTRIBUTE + name))
        schema = schema_of(self._keys)
        self._writer = pq.ParquetWriter(self.path, schema, **options(schema, rows))

    def _write(self, rows: pa.Table) -> None:
        assert self._writer is not None  # noqa: S101
        schema = self._writer.schema
        columns = {name: rows.column(name) for name in rows.column_names}
        columns |= parents(rows)
        energy = one(rows.column("energy_j"))
        for name in DERIVED:
            itself, factor, rest = split_number(one(rows.column(name)), energy)
            columns |= {name: itself, f"{name}_per_j": factor, f"{name}_rest": rest}
        for key, whole in self._keys.items():
            if whole and ATTRIBUTE + key in columns:
                text, number = numbers(one(columns[ATTRIBUTE + key]))
                columns |= {ATTRIBUTE + key: text, WHOLE + key: number}
        columns[SERIES] = pa.array(self._series.numbers(apart(columns, len(rows))))
        arrays = [
            columns[each.name].cast(each.type)
            if each.name in columns
            else pa.nulls(len(rows), each.type)
            for each in schema
        ]
        table = pa.Table.from_arrays(arrays, schema=schema)
        self._writer.write_table(table, row_group_size=max(1, len(table)))


def options(schema: pa.Schema, rows: pa.Table) -> dict[str, Any]:
    """What a Parquet writer is told of a packed file.

    Args:
        schema: Its columns.
        rows: Some of what it is to hold.
    """
    plain = [each for each in rows.column_names if _mostly_distinct(rows.column(each))]
    words = [e.name for e in schema if e.name not in plain and _listed(e)]
    return {
        "compression": "zstd",
        "compression_level": LEVEL,
        "use_dictionary": words,
        "column_encoding": _encodings(words),
        "dictionary_pagesize_limit": PAGE,
        "write_statistics": [each for each in _leaves(schema) if each not in UNTOLD],
        "store_schema": True,
    }


def _leaves(schema: pa.Schema) -> list[str]:
    """Columns as Parquet has them: a map is one of keys and one of values."""
    found = []
    for each in schema:
        inside = [".key_value.key", ".key_value.value"] if pa.types.is_map(each.type) else [""]
        found += [each.name + name for name in inside]
    return found


def _mostly_distinct(column: pa.ChunkedArray) -> bool:
    """Whether a list of a column's values would be longer than the values."""
    if not pa.types.is_dictionary(column.type):
        return False
    return bool(2 * len(one(column).dictionary) > len(column) - column.null_count)


def _listed(each: pa.Field) -> bool:
    """Whether values of a column come again, so that a list of them is shorter."""
    name: str = each.name
    if pa.types.is_dictionary(each.type) or name in ("trace_id", "parent_at", SERIES):
        return True
    return name.endswith(("_per_j", "_rest")) or name.startswith(WHOLE)


def _encodings(words: Sequence[str]) -> dict[str, str]:
    found = dict.fromkeys(("energy_j", *DERIVED), "BYTE_STREAM_SPLIT")
    found |= dict.fromkeys(("time", "end_after_us", "duration_us", "start"), "DELTA_BINARY_PACKED")
    return {name: kind for name, kind in found.items() if name not in words}


def _keys_of(rows: pa.Table) -> list[str]:
    return [e.removeprefix(ATTRIBUTE) for e in rows.column_names if e.startswith(ATTRIBUTE)]


EMPTY: Final = pa.table(
    {
        **{f"{name}_id": pa.nulls(0, pa.string()) for name, _ in IDS},
        **{name: pa.nulls(0, WORD) for name in ("small_file", *WORDS, *MORE_WORDS)},
        **{name: pa.nulls(0, INSTANT) for name in ("start", "end", "time")},
        **{name: pa.nulls(0, pa.float64()) for name in ("energy_j", *DERIVED)},
        "attributes": pa.nulls(0, MAP),
    }
)
"""Made of nulls: Arrow loads pandas, where it is installed, for other arrays."""
