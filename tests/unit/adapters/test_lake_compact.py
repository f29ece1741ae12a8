"""Packed spans are small, and come back to the byte."""

from __future__ import annotations

import random
import struct
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenops.adapters import lake_compact, lake_compact_writer
from greenops.adapters.lake_compact import ATTRIBUTE, WHOLE
from greenops.adapters.lake_files import VERSION
from greenops.adapters.lake_merging import merged_plain
from greenops.adapters.lake_packing import Packer
from greenops.adapters.lake_places import parts
from greenops.adapters.lake_read import Wanted, span_tables
from greenops.adapters.lake_sums import LakeSums
from greenops.adapters.parquet_lake import SPANS, TABLES, ParquetLake
from greenops.domain.usage import Window

DAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SEED = 20261123
ODD_IDS = ("", "AB" * 16, "é" * 16, "00", "z" * 32)
VALUES = (
    '"GET"',
    "200",
    "007",
    "-0",
    "1e3",
    "9223372036854775807",
    "9223372036854775808",
    '"é\\n"',
    "",
)


def span_of(draw, number, spans):
    trace, energy = number // 4, draw.lognormvariate(0, 2)
    begin = NOON + timedelta(microseconds=trace * 1_700 + draw.randrange(500))
    end = begin + timedelta(microseconds=draw.randrange(10**6))
    own = f"{draw.getrandbits(64):016x}"
    parent = draw.choice([None, *spans[-3:], f"{draw.getrandbits(64):016x}", "not an id"])
    spans.append(own)
    known = draw.random() > 0.1
    row = {
        "trace_id": f"{trace * 7919:032x}" if draw.random() > 0.02 else draw.choice(ODD_IDS),
        "span_id": own if draw.random() > 0.02 else draw.choice(ODD_IDS),
        "parent_id": parent,
        "service": f"service-{draw.randrange(4)}",
        "name": f"op {number % 3}",
        "kind": "SERVER",
        "start": begin,
        "end": end,
        "time": end + timedelta(days=draw.randrange(2) * 0, seconds=draw.randrange(3)),
        "energy_j": energy if known else None,
        "energy_low_j": energy * 0.85 if known else None,
        "energy_high_j": draw.choice([energy * 1.15, draw.random(), 0.0, -0.0, 5e-324]),
        "carbon_g": energy / 3.6e6 * (300 + trace // 40) if known else None,
        "cost_usd": draw.choice([None, float("nan"), float("inf"), energy * 1e300]),
        "attributes": attributes(draw),
    }
    return dict.fromkeys(SPANS.names) | row


def attributes(draw):
    kind = draw.random()
    if kind < 0.1:
        return draw.choice([None, [], [("a", "1"), ("a", "2")], [("a", None)]])
    keys = draw.sample([f"key{each}" for each in range(8)], draw.randrange(6))
    rare = [f"rare{draw.randrange(500)}"] if kind > 0.9 else []
    return [(key, draw.choice(VALUES)) for key in keys + rare] + [("n", str(draw.randrange(99)))]


def table_of(count=600, seed=SEED):
    draw, spans = random.Random(seed), []
    return pa.Table.from_pylist([span_of(draw, at, spans) for at in range(count)], schema=SPANS)


def packed(folder, table=None, files=6):
    lake = ParquetLake(folder)
    table = table_of() if table is None else table
    each = -(-len(table) // files)
    for at in range(files):
        lake.write_span_table(table.slice(at * each, each), f"{at:012d}-run")
    Packer(folder, TABLES).pack(DAY + timedelta(days=1))
    return lake


def files_of(folder):
    return sorted((folder / "v1" / "spans").glob("day=*/*"))


def read(folder, columns, wanted=Wanted(), rows=0):  # noqa: B008  (it is frozen)
    folder = folder / "v1" / "spans" / f"day={DAY}"
    return [
        each
        for part in parts(folder, pa.OSFile)
        for each in span_tables(part, columns, wanted, rows)
    ]


def rows_of(tables):
    """Rows as they are to the bit, in an order that does not hang on files."""
    return sorted(
        repr([struct.pack("d", each) if isinstance(each, float) else each for each in row.values()])
        for table in tables
        for row in table.to_pylist()
    )


@pytest.mark.parametrize("chunk", [1, 40_000, 32 * 2**20])
def test_every_column_comes_back_to_the_bit(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(lake_compact_writer, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(lake_compact_writer, "JOINED_ROWS", 100)
    table = table_of()

    packed(tmp_path, table)

    assert [each.name for each in files_of(tmp_path)] == ["0-packed-1.v2.parquet"]
    for rows in (0, 150, 10**6):
        assert rows_of(read(tmp_path, SPANS.names, rows=rows)) == rows_of([table])


def regular(count=900):
    """Spans of one kind as a service sends them: what follows from energy does so by one factor."""
    rows = []
    for at in range(count):
        energy = None if at % 7 == 3 else (at % 50 + 1) * 0.3
        factors = {"energy_low_j": 0.5, "energy_high_j": 2.0, "carbon_g": 1e-4, "cost_usd": 1e-8}
        row = span_of(random.Random(at), at, [])
        row |= {name: energy and energy * factor for name, factor in factors.items()}
        row |= {"energy_j": energy, "service": f"service-{at * 3 // count}", "region": "eu"}
        row |= {"workload": None, "grid_zone": "DE", "method": energy and "measured"}
        rows.append(row)
    # One number that no factor gives, one zero with a sign, and one that is not there though energy is.
    rows[5]["carbon_g"], rows[6]["cost_usd"], rows[8]["cost_usd"] = 7e-9, -0.0, None
    return pa.Table.from_pylist(rows, schema=SPANS)


@pytest.mark.parametrize("rows", [0, 10**6])
def test_what_the_footers_tell_is_not_read_and_is_what_would_be_read(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(lake_compact, "GROUP_ROWS", 100)
    table = regular()
    packed(tmp_path, table)
    asked = []
    whole = pq.ParquetFile.read_row_groups

    def noted(self, groups, columns=None, **more):
        asked.append((len(groups), set(columns)))
        return whole(self, groups, columns=columns, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", noted)
    found = read(tmp_path, SPANS.names, rows=rows)

    assert rows_of(found) == rows_of([table])
    assert [count for count, _ in asked] == ([3] if rows else [1, 1, 1])
    read_of = set.intersection(*(columns for _, columns in asked))
    ever = set.union(*(columns for _, columns in asked))
    assert {"energy_j", "span_id", "time"} <= read_of
    assert not ever & {"service", "region", "grid_zone", "workload", "decision_id"}
    assert not ever & {"energy_low_j", "energy_low_j_per_j", "energy_low_j_rest"}
    assert "method" in read_of  # where it is absent, energy is; but no footer says so
    assert {"carbon_g_per_j", "cost_usd_per_j"} <= ever  # they are not of all rows that have energy


def test_files_whose_footers_tell_nothing_are_read_whole(tmp_path, monkeypatch):
    def untold(schema, rows, how=lake_compact_writer.options):
        return how(schema, rows) | {"write_statistics": ["service", "time"]}

    monkeypatch.setattr(lake_compact_writer, "options", untold)
    packed(tmp_path, regular())

    assert rows_of(read(tmp_path, SPANS.names, rows=10**6)) == rows_of([regular()])


def test_a_packed_file_says_its_version_in_its_name_and_in_its_footer(tmp_path):
    packed(tmp_path)

    (path,) = files_of(tmp_path)

    assert pq.read_metadata(path).metadata[VERSION] == b"2"
    assert ".v2." in path.name


def test_columns_that_are_asked_for_alone_are_those_of_all_columns(tmp_path):
    packed(tmp_path)
    whole = pa.concat_tables(read(tmp_path, SPANS.names))

    for name in SPANS.names:
        alone = pa.concat_tables(read(tmp_path, [name]))
        assert rows_of([alone]) == rows_of([whole.select([name])]), name


def test_one_attribute_is_read_without_the_others(tmp_path):
    packed(tmp_path)
    whole = pa.concat_tables(read(tmp_path, ["attributes"])).column(0).to_pylist()

    alone = pa.concat_tables(read(tmp_path, ["attributes.n", "attributes.key3"])).to_pylist()

    told = [dict(reversed(each or ())) for each in whole]
    assert alone == [
        {"attributes.n": each.get("n"), "attributes.key3": each.get("key3")} for each in told
    ]


def test_ids_as_bytes_are_absent_where_they_are_no_such_bytes(tmp_path):
    packed(tmp_path)

    found = pa.concat_tables(read(tmp_path, ["trace_id", "trace_bytes", "span_id", "span_bytes"]))

    odd = 0
    for row in found.to_pylist():
        for name in ("trace", "span"):
            if row[f"{name}_bytes"] is None:
                odd += 1
                assert row[f"{name}_id"] in ODD_IDS
            else:
                assert row[f"{name}_bytes"].hex() == row[f"{name}_id"]
    assert odd


def test_small_and_packed_files_give_the_same_columns(tmp_path):
    columns = [*SPANS.names, "trace_bytes", "span_bytes", "attributes.key1", "small_file"]
    table = table_of(80)
    ParquetLake(tmp_path / "small").write_span_table(table, "1-run")

    packed(tmp_path / "packed", table, files=1)

    small = pa.concat_tables(read(tmp_path / "small", columns)).to_pylist()
    assert {each.pop("small_file") for each in small} == {"1-run.parquet"}
    got = pa.concat_tables(read(tmp_path / "packed", columns)).to_pylist()
    assert {each.pop("small_file") for each in got} == {f"{0:012d}-run.parquet"}
    assert sorted(map(repr, got)) == sorted(map(repr, small))


def test_a_query_for_one_service_reads_its_row_groups_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(lake_compact, "GROUP_ROWS", 50)
    packed(tmp_path)
    (path,) = files_of(tmp_path)
    footer = pq.read_metadata(path)
    within = [
        at
        for at in range(footer.num_row_groups)
        if Wanted("service-2").may_be_in(footer.row_group(at))
    ]

    got = pa.concat_tables(read(tmp_path, ["service", "span_id"], Wanted("service-2")))

    assert footer.num_row_groups == 4
    assert len(within) == 1
    everything = pa.concat_tables(read(tmp_path, ["service"])).column(0).to_pylist()
    assert len(got) == everything.count("service-2") > 0
    assert set(got["service"].to_pylist()) == {"service-2"}


def test_a_query_for_some_time_gives_the_rows_of_that_time(tmp_path):
    packed(tmp_path)
    times = np.array(pa.concat_tables(read(tmp_path, ["time"])).column(0).cast(pa.int64()))
    low, high = (int(each) for each in np.quantile(times, (0.4, 0.6)))

    got = read(tmp_path, ["time", "energy_j"], Wanted(begins=low, ends=high))

    assert sum(map(len, got)) == int(((times >= low) & (times < high)).sum()) > 0
    assert read(tmp_path, ["time"], Wanted(begins=int(times.max()) + 1)) == []


def test_packed_files_of_the_first_form_are_read_as_ever(tmp_path, monkeypatch):
    table = table_of(200)
    monkeypatch.setattr("greenops.adapters.lake_packing.merged_spans", merged_plain)
    lake = packed(tmp_path, table)
    assert [each.name for each in files_of(tmp_path)] == ["0-packed-1.parquet"]
    before = list(lake.spans())

    monkeypatch.undo()
    lake.write_span_table(table_of(8, seed=1), "9-run")
    both = rows_of(read(tmp_path, SPANS.names))
    Packer(tmp_path, TABLES).pack(DAY + timedelta(days=1))

    assert len(before) > 150
    assert both == rows_of([table, table_of(8, seed=1)])
    assert [each.name for each in files_of(tmp_path)] == ["0-packed-2.v2.parquet"]
    assert rows_of(read(tmp_path, SPANS.names)) == both


def test_large_packed_files_stay_as_they_are_when_rows_come_late(tmp_path, monkeypatch):
    monkeypatch.setattr("greenops.adapters.lake_packing.SMALL_ROWS", 500)
    lake = packed(tmp_path)
    (first,) = files_of(tmp_path)
    kept = first.stat().st_ino
    late = table_of(8, seed=1)

    lake.write_span_table(late, "late-run")
    # One of those that the large file holds is written again, shorter.
    lake.write_span_table(table_of().slice(0, 60), f"{0:012d}-run")
    before = rows_of(read(tmp_path, SPANS.names))
    Packer(tmp_path, TABLES).pack(DAY + timedelta(days=1))

    names = [each.name for each in files_of(tmp_path)]
    assert names == ["0-packed-1.v2.parquet", "0-packed-2.v2.parquet"]
    assert first.stat().st_ino == kept
    assert rows_of(read(tmp_path, SPANS.names)) == before
    assert len(before) == 600 - 40 + 8


def test_a_day_becomes_several_files_where_it_is_large(tmp_path, monkeypatch):
    monkeypatch.setattr("greenops.adapters.lake_merging.PACK_BYTES", 1)
    monkeypatch.setattr(lake_compact_writer, "CHUNK_BYTES", 1)
    monkeypatch.setattr(lake_compact_writer, "JOINED_ROWS", 50)

    packed(tmp_path)

    assert len(files_of(tmp_path)) == 6
    assert rows_of(read(tmp_path, SPANS.names)) == rows_of([table_of()])


def test_sums_over_packed_spans_are_those_over_small_files(tmp_path):
    table = table_of()
    window = Window(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    small = ParquetLake(tmp_path / "small")
    for at in range(6):
        small.write_span_table(table.slice(at * 100, 100), f"{at:012d}-run")

    packed(tmp_path / "packed", table)

    used = [LakeSums(tmp_path / each)([window]) for each in ("small", "packed")]
    assert used[0] == used[1]
    assert next(iter(used[0][0].values())).energy_j is not None


def test_whole_numbers_are_kept_as_numbers_and_other_texts_beside_them(tmp_path, monkeypatch):
    monkeypatch.setattr(lake_compact_writer, "CHUNK_BYTES", 1)
    monkeypatch.setattr(lake_compact_writer, "JOINED_ROWS", 300)
    table = table_of()
    odd = pa.array(
        [[("n", "007")], [("n", "12"), ("new", "1")], [("n", '"x"')]] * 200,
        SPANS.field("attributes").type,
    )
    table = pa.concat_tables(
        [table, table.set_column(table.column_names.index("attributes"), "attributes", odd)]
    )

    packed(tmp_path, table, files=1)

    (path,) = files_of(tmp_path)
    names = pq.read_schema(path).names
    assert WHOLE + "n" in names
    assert ATTRIBUTE + "n" in names
    assert ATTRIBUTE + "new" not in names
    assert rows_of(read(tmp_path, SPANS.names)) == rows_of([table])
