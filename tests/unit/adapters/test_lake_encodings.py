"""Columns of the lake's files are encoded by what is in them, or by their types, and read back as they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenops.adapters.lake_encodings import at_sight, encodings

ROWS = 20_000
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def rows():
    draw = np.random.default_rng(7)
    amounts = draw.uniform(40, 600, ROWS)
    amounts[:3] = np.nan, np.inf, -0.0
    return pa.table(
        {
            "id": [f"c{at % 200:03d}" for at in range(ROWS)],
            "region": pa.array(["eu", "us"] * (ROWS // 2)).dictionary_encode(),
            "start": pa.array(
                [None, *(BEGAN + timedelta(minutes=at % 96) for at in range(1, ROWS))],
                pa.timestamp("us", "UTC"),
            ),
            "carbon_g": pa.array(amounts, mask=draw.random(ROWS) < 0.1),
            "intensity": np.repeat(draw.uniform(40, 600, ROWS // 100), 100),
            "p95_ms": pa.nulls(ROWS, pa.float64()),
        }
    )


@pytest.fixture
def with_attributes(rows):
    pairs = pa.array(
        [[("url.path", f'"/{at % 9}"')] for at in range(ROWS)], pa.map_(pa.string(), pa.string())
    )
    return rows.append_column("attributes", pairs)


def read_encodings(path):
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(at) for at in range(group.num_columns)]
    return {each.path_in_schema: set(each.encodings) for each in columns}


def test_each_column_is_encoded_by_what_is_in_it_and_comes_back_as_it_was(tmp_path, rows):
    path = tmp_path / "a.parquet"

    pq.write_table(rows, path, **encodings(rows))

    found = read_encodings(path)
    assert "BYTE_STREAM_SPLIT" in found["carbon_g"]
    assert "DELTA_BINARY_PACKED" in found["start"]
    for name in ("id", "region", "intensity", "p95_ms"):
        assert "RLE_DICTIONARY" in found[name], name
    back = pq.read_table(path)
    assert back.schema.equals(rows.schema)
    for name in rows.column_names:
        # Bits are compared: NaN is none, and 0 is not -0.
        one, other = (each.column(name).combine_chunks() for each in (rows, back))
        if pa.types.is_float64(one.type):
            one, other = (each.view(pa.int64()) for each in (one, other))
        assert one.equals(other), name


def test_amounts_take_less_room_than_without(tmp_path, rows):
    pq.write_table(rows, tmp_path / "a.parquet", **encodings(rows))
    pq.write_table(rows, tmp_path / "b.parquet", compression="zstd")

    ours, plain = ((tmp_path / f"{name}.parquet").stat().st_size for name in "ab")

    assert ours < 0.85 * plain, (ours, plain)


def test_a_table_without_rows_has_an_encoding_too(tmp_path, rows):
    nothing = rows.slice(0, 0)

    pq.write_table(nothing, tmp_path / "a.parquet", **encodings(nothing))

    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


def test_at_sight_words_are_listed_and_ids_and_amounts_are_not(tmp_path, with_attributes):
    path = tmp_path / "a.parquet"

    pq.write_table(with_attributes, path, **at_sight(with_attributes.schema))

    found = read_encodings(path)
    listed = {name for name, each in found.items() if "RLE_DICTIONARY" in each}
    assert listed == {"region", "attributes.key_value.key", "attributes.key_value.value"}
    assert "DELTA_BINARY_PACKED" in found["start"]
    assert "BYTE_STREAM_SPLIT" in found["carbon_g"]
    back = pq.read_table(path)
    # NaN is not equal to itself.
    assert back.drop(["carbon_g"]).equals(with_attributes.drop(["carbon_g"]))
    assert (
        back["carbon_g"]
        .combine_chunks()
        .view(pa.int64())
        .equals(with_attributes["carbon_g"].combine_chunks().view(pa.int64()))
    )


def test_at_sight_least_and_most_are_told_of_all_but_attributes(tmp_path, with_attributes):
    path = tmp_path / "a.parquet"

    pq.write_table(with_attributes, path, **at_sight(with_attributes.schema))

    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(at) for at in range(group.num_columns)]
    told = {each.path_in_schema for each in columns if each.is_stats_set}
    assert told == set(with_attributes.column_names) - {"attributes"}
