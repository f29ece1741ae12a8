"""What tells spans apart stands once a file, and reads the same wherever it stands."""

from __future__ import annotations

import base64
import json
import random
import zlib
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenops.adapters import lake_attributes, lake_series
from greenops.adapters.lake_compact import SERIES
from greenops.adapters.lake_packing import Packer
from greenops.adapters.lake_series import APART, LISTED, MODELS, SeriesList, listed_in, series_of
from greenops.adapters.parquet_lake import SPANS, TABLES, ParquetLake
from greenops.errors import DataMissing
from tests.unit.adapters.test_lake_compact import DAY, files_of, packed, read, span_of

NAMES = (None, "", "shop", "sh\0op", "Größe", '"tiny"')


def table_of(count, seed=1):
    """Spans that say what they like of what tells them apart."""
    draw = random.Random(seed)
    rows = []
    for at in range(count):
        row = span_of(draw, at, [])
        row |= {name: draw.choice(NAMES) for name in ("workload", "region", "method", "unknown")}
        said = [(each.removeprefix("attributes."), '"m"') for each in MODELS if draw.random() < 0.2]
        row["attributes"] = [*said, (f"rare{draw.randrange(30)}", "1")]
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=SPANS)


def words_of(table):
    """What tells each row apart, by `series`; and by the words themselves."""
    column = table[SERIES].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    listed = column.dictionary.to_pylist()
    by_series = [tuple(listed[at].values()) for at in column.indices.to_pylist()]
    return by_series, [tuple(row[name] for name in APART) for row in table.to_pylist()]


def same_everywhere(folder, count):
    """Every row's series has the row's words; so many rows there are."""
    tables = read(folder, [*APART, SERIES], rows=10**6)
    for table in tables:
        by_series, by_words = words_of(table)
        assert by_series == by_words
    assert sum(map(len, tables)) == count


def test_rows_share_a_series_where_all_words_are_the_same_and_only_there():
    draw = random.Random(3)
    rows = [tuple(draw.choice(NAMES) for _ in APART[:3]) for _ in range(2_000)]
    columns = {name: pa.nulls(len(rows), pa.string()) for name in APART}
    columns |= {APART[at]: pa.array([row[at] for row in rows], pa.string()) for at in range(3)}

    found = series_of(columns)

    numbers = found.indices.to_pylist()
    assert len(set(zip(numbers, rows, strict=True))) == len(set(rows)) == len(set(numbers))
    listed = found.dictionary.to_pylist()
    assert [tuple(listed[at].values())[:3] for at in numbers] == rows


def test_series_read_the_same_from_small_files_and_from_packed_ones_and_packed_again(tmp_path):
    table = table_of(900)
    lake = ParquetLake(tmp_path)
    for at in range(3):
        lake.write_span_table(table.slice(at * 300, 300), f"{at:012d}-run")
    same_everywhere(tmp_path, 900)

    Packer(tmp_path, TABLES).pack(DAY + timedelta(days=1))
    same_everywhere(tmp_path, 900)

    lake.write_span_table(table_of(200, seed=2), f"{9:012d}-late")
    Packer(tmp_path, TABLES).pack(DAY + timedelta(days=1))
    same_everywhere(tmp_path, 1_100)
    (file,) = files_of(tmp_path)
    listed = listed_in(pq.read_metadata(file).metadata)
    assert len(listed) == len(set(map(str, listed.to_pylist()))) > 100


def test_a_model_in_an_attribute_without_a_column_counts(tmp_path, monkeypatch):
    # A file gives a column to as many keys as it may; the names of models are among the others here.
    monkeypatch.setattr(lake_attributes, "MOST_KEYS", 3)
    monkeypatch.setattr("greenops.adapters.lake_compact_writer.MOST_KEYS", 3)
    packed(tmp_path, table_of(400))
    (file,) = files_of(tmp_path)

    assert len([name for name in pq.read_schema(file).names if name in MODELS]) < len(MODELS)
    same_everywhere(tmp_path, 400)


def test_where_there_are_too_many_the_words_themselves_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(lake_series, "MOST", 20)
    packed(tmp_path, table_of(400))
    (file,) = files_of(tmp_path)

    assert LISTED not in pq.read_metadata(file).metadata
    same_everywhere(tmp_path, 400)


def rewritten(file, columns=None, **footer):
    """The same file with fewer columns, or with another footer."""
    whole = pq.ParquetFile(file)
    told = dict(whole.metadata.metadata) | footer.pop("told", {})
    table = whole.read(columns=columns)
    with pq.ParquetWriter(file, table.schema.remove_metadata()) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({k: v for k, v in told.items() if v is not None})


def test_a_file_of_an_earlier_version_reads_the_same(tmp_path):
    packed(tmp_path, table_of(300))
    (file,) = files_of(tmp_path)
    names = pq.read_schema(file).names

    rewritten(file, [each for each in names if each != SERIES], told={LISTED: None})

    same_everywhere(tmp_path, 300)


def zipped(value):
    return base64.b85encode(zlib.compress(json.dumps(value).encode()))


GOOD = {name: [["a"], [1, 0]] for name in APART}


@pytest.mark.parametrize(
    "told",
    [
        b"", b"nothing", base64.b85encode(b"nothing"), zipped([]), zipped({}), zipped(7),
        zipped(GOOD | {"service": [["a"]]}), zipped(GOOD | {"service": ["a", [1]]}),
        zipped(GOOD | {"service": [["a"], [1]]}), zipped(GOOD | {"service": [["a"], [9, 9]]}),
        zipped(GOOD | {"service": [[7], [1, 0]]}), zipped(GOOD | {"service": [["a"], [2**40, 0]]}),
        zipped(GOOD),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_names_the_damaged_file(tmp_path, told):
    packed(tmp_path, table_of(300))
    (file,) = files_of(tmp_path)

    rewritten(file, told={LISTED: told})

    with pytest.raises(DataMissing, match="GO0412") as error:
        read(tmp_path, [SERIES])
    assert file.name in str(error.value)


def test_a_list_of_nothing_is_a_list():
    assert len(listed_in(SeriesList().footer())) == 0
