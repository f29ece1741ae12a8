"""A lake of as many packed spans as are asked for, made quickly: hours that were packed, with other ids and instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from greenops.adapters.lake_compact_writer import options
from greenops.adapters.lake_files import VERSION, day_of, sources_text
from greenops.adapters.lake_packing import Packer
from greenops.adapters.lake_series import LISTED
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from tests.bench.collect_parts.spans import FIRST_US, spans

HOUR_US = 3_600_000_000
TEMPLATES = 2
"""Hours that are packed as the lake packs them; the others are made from them in turn."""
FILES = 30
"""Small files of an hour."""
IDS = {"trace_id": 16, "span_id": 8, "parent_id": 8}


def make(lake: Path, count: int, hours: int) -> int:
    """Packed spans over some hours, a file for each; gives how many there are."""
    each = count // hours // FILES // 4 * 4
    made = [_template(lake.parent / f"template-{at}", each, at) for at in range(TEMPLATES)]
    draw = np.random.default_rng(7)
    for hour in range(hours):
        at = datetime.fromtimestamp(FIRST_US / 1e6, UTC) + timedelta(hours=hour)
        folder = lake / "v1" / "spans" / f"day={at.date()}"
        folder.mkdir(parents=True, exist_ok=True)
        _copy(made[hour % TEMPLATES], folder / f"0-packed-{at.hour + 1}.v2.parquet", hour, draw)
    return each * FILES * hours


def _template(folder, each, seed):
    writer = ParquetLake(folder)
    for at in range(FILES):
        first = FIRST_US + at * HOUR_US // FILES
        # A trace may go on for some seconds; none of it is of the next hour, so each hour is a copy.
        some = spans(each, crossing=True, seed=seed * FILES + at, hours=0.9 / FILES, first_us=first)
        writer.write_span_table(some, f"{at:012d}-{at:032x}")
    day = datetime.fromtimestamp(FIRST_US / 1e6, UTC).date()
    Packer(folder, TABLES).pack(day + timedelta(days=1))
    (pack,) = day_of(folder / "v1" / "spans" / f"day={day}").packs
    return pack


def _copy(pack, path, hour, draw):
    """A packed hour under other ids, some hours later."""
    source = pq.ParquetFile(pack.path)
    keys = {name: np.frombuffer(draw.bytes(width), np.uint64) for name, width in IDS.items()}
    keys["parent_id"] = keys["span_id"]
    named = [(f"{hour:05d}-{run.name}", run.rows) for run in pack.runs]
    how = options(source.schema_arrow, source.read_row_group(0))
    with pq.ParquetWriter(path, source.schema_arrow, **how) as writer:
        for group in range(source.num_row_groups):
            table = source.read_row_group(group)
            columns = dict(zip(table.column_names, table.columns, strict=True))
            for name, key in keys.items():
                columns[name] = _other_ids(columns[name].combine_chunks(), key)
            for name in ("time", "start"):
                moved = columns[name].combine_chunks().cast(pa.int64())
                shift = pa.scalar(hour * HOUR_US, pa.int64())
                columns[name] = pc.add(moved, shift).cast(table.schema.field(name).type)
            files = columns["small_file"].combine_chunks()
            names = pa.array([f"{hour:05d}-{each}" for each in files.dictionary.to_pylist()])
            columns["small_file"] = pa.DictionaryArray.from_arrays(files.indices, names)
            writer.write_table(pa.table(columns).cast(table.schema), row_group_size=len(table))
        series = {LISTED: source.metadata.metadata[LISTED]}
        writer.add_key_value_metadata({**sources_text(named, zipped=True), **series, VERSION: b"2"})


def _other_ids(ids, key):
    assert ids.offset == 0
    other = (
        np.frombuffer(ids.buffers()[1], np.uint64)[: len(ids) * len(key)].reshape(-1, len(key))
        ^ key
    )
    return pa.Array.from_buffers(
        ids.type, len(ids), [ids.buffers()[0], pa.py_buffer(other.tobytes())]
    )
