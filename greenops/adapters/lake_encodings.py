"""How the columns of a lake's files are encoded: what takes less room there is also read sooner."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

INSTANTS: Final = "DELTA_BINARY_PACKED"
AMOUNTS: Final = "BYTE_STREAM_SPLIT"
REPEATED: Final = 4
"""So often or more does a number stand in a column, on average, that a list of its values takes less
room than the values; a list gives up at a megabyte, and the numbers after it lie there as they are."""


def encodings(rows: pa.Table) -> dict[str, Any]:
    """What a Parquet writer is told of columns like these.

    Numbers of many values go by their bytes, the first of all of them, then the second: those of an
    amount are alike at its head (https://parquet.apache.org/docs/file-format/data-pages/encodings,
    BYTE_STREAM_SPLIT). Instants go by what each is from the one before.

    Args:
        rows: Some of what the file is to hold.
    """
    listed, encoded = [], {}
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if pa.types.is_timestamp(field.type):
            encoded[field.name] = INSTANTS
        elif pa.types.is_float64(field.type) and not _repeated(column):
            encoded[field.name] = AMOUNTS
        else:
            listed.append(field.name)
    return {"compression": "zstd", "use_dictionary": listed, "column_encoding": encoded}


def at_sight(schema: pa.Schema) -> dict[str, Any]:
    """The same where the rows are not looked at first, for files that are small and soon packed.

    Words and attributes are listed, and nothing else is; of attributes no least and most are kept, which nobody asks for.
    Parquet's own choices, which list ids and amounts on trial, take half as long again.
    """
    listed, told, encoded = [], [], {}
    for field in schema:
        if pa.types.is_map(field.type):
            listed += [f"{field.name}.key_value.key", f"{field.name}.key_value.value"]
            continue
        told.append(field.name)
        if pa.types.is_dictionary(field.type):
            listed.append(field.name)
        elif pa.types.is_timestamp(field.type):
            encoded[field.name] = INSTANTS
        elif pa.types.is_float64(field.type):
            encoded[field.name] = AMOUNTS
    return {
        "compression": "zstd",
        "use_dictionary": listed,
        "column_encoding": encoded,
        "write_statistics": told,
    }


def _repeated(column: pa.ChunkedArray) -> bool:
    known = len(column) - column.null_count
    return bool(REPEATED * pc.count_distinct(column).as_py() <= known)
