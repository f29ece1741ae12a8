"""What DuckDB shows people of a lake is what the lake's own readers say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from shutil import copy

import duckdb
import pytest

from greenops.adapters import lake_compact_writer
from greenops.adapters.lake_files import number_of
from greenops.adapters.lake_merging import merged_plain
from greenops.adapters.lake_packing import Packer
from greenops.adapters.lake_views import views
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from greenops.domain.energy import Category
from greenops.domain.spans import EnergyAccount, SpanRow

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOMORROW = date(2026, 11, 24)


def span(number, energy_j=None, at=NOON):
    trace, place = divmod(number, 4)
    energy = energy_j or 0.1 * number + 0.3
    known = {
        "trace_id": f"{trace:032x}" if number % 7 else "odd",
        "span_id": f"{number:016x}",
        "parent_id": f"{number - 1:016x}" if place else ("f" * 16 if trace % 2 else None),
        "service": ("shop", "bank")[trace % 2],
        "name": "order",
        "start": at - timedelta(milliseconds=number),
        "end": at,
        "time": at + timedelta(seconds=1),
        "energy_j": energy,
        "carbon_g": energy * 0.3 if number % 5 else None,
        "attributes": {"n": str(number), "it's": '"x"'} if number % 3 else {"a.b": "1.5"},
    }
    return SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known)


def shown(lake):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(views(lake, TABLES))
        # Arrow has columns by name as the lake has them; maps come as lists of pairs.
        columns = ", ".join(f'"{each}"' for each in TABLES["spans"].names)
        rows = connection.sql(f"SELECT {columns} FROM spans").to_arrow_table().to_pylist()
    return sorted(
        (SpanRow(**{**row, "attributes": dict(row["attributes"])}) for row in rows),
        key=lambda each: each.span_id,
    )


def told(lake):
    return sorted(ParquetLake(lake).spans(), key=lambda each: each.span_id)


@pytest.fixture
def lake(tmp_path):
    folder = tmp_path / "it's a lake"
    for at in range(8):
        ParquetLake(folder).write_spans(
            [span(5 * at + each) for each in range(5)], f"{at:012d}-run"
        )
    return folder


def test_small_files_are_shown_as_they_are(lake):
    assert shown(lake) == told(lake)


def test_packed_files_are_shown_with_ids_and_numbers_as_they_were(lake):
    before = told(lake)
    Packer(lake, TABLES).pack(TOMORROW)

    assert shown(lake) == before


def test_small_and_packed_files_of_any_form_count_once(lake, monkeypatch):
    monkeypatch.setattr("greenops.adapters.lake_packing.merged_spans", merged_plain)
    Packer(lake, TABLES).pack(TOMORROW)
    monkeypatch.undo()
    ParquetLake(lake).write_spans([span(90)], "import-x")
    # Two of the small files that are packed come again, with other numbers.
    ParquetLake(lake).write_spans([span(0, 9.0)], f"{0:012d}-run")
    first = told(lake)

    assert shown(lake) == first
    Packer(lake, TABLES).pack(TOMORROW)
    ParquetLake(lake).write_spans([span(5, 9.0)], f"{1:012d}-run")
    ParquetLake(lake).write_spans([span(100, at=NOON + timedelta(days=1))], "000000000100-run")

    assert shown(lake) == told(lake)
    assert len(told(lake)) == 41 - 4 - 4 + 1


def test_rows_that_a_later_packed_file_has_are_not_shown_twice(lake, monkeypatch):
    monkeypatch.setattr("greenops.adapters.lake_packing.SMALL_ROWS", 1)
    Packer(lake, TABLES).pack(TOMORROW)
    ParquetLake(lake).write_spans([span(0, 9.0)], f"{0:012d}-run")
    Packer(lake, TABLES).pack(TOMORROW)
    packs = sorted(lake.rglob("0-packed-*"), key=number_of)
    assert len(packs) == 2

    assert shown(lake) == told(lake)
    # And a packed file that another took the place of, as a death leaves it.
    copy(packs[1], packs[1].with_name("0-packed-9.v2.parquet"))
    assert shown(lake) == told(lake)


def test_attributes_that_came_late_are_shown(lake, monkeypatch):
    monkeypatch.setattr(lake_compact_writer, "CHUNK_BYTES", 1)
    monkeypatch.setattr(lake_compact_writer, "JOINED_ROWS", 10)
    Packer(lake, TABLES).pack(TOMORROW)

    assert shown(lake) == told(lake)


def test_an_attribute_is_a_column_of_its_own_too(lake):
    Packer(lake, TABLES).pack(TOMORROW)
    ParquetLake(lake).write_spans([span(91)], "late-run")

    with duckdb.connect() as connection:
        connection.execute(views(lake, TABLES))
        found = connection.sql("""SELECT span_id, "attributes.n", "attributes.it's" FROM spans""")
        rows = {name: told for name, *told in found.fetchall()}

    assert rows == {
        each.span_id: [each.attributes.get("n"), each.attributes.get("it's")] for each in told(lake)
    }
    assert len(rows) == 41


def test_other_tables_are_shown_too(lake):
    rows = [
        EnergyAccount("shop", "i", None, "cpu", Category.IDLE, NOON, float(each), None, None)
        for each in range(3)
    ]
    for each in rows:
        ParquetLake(lake).write_accounts([each], f"{int(each.joules):012d}-run")
    Packer(lake, TABLES).pack(TOMORROW)
    ParquetLake(lake).write_accounts([rows[0]], f"{0:012d}-run")

    with duckdb.connect() as connection:
        connection.execute(views(lake, TABLES))
        found = connection.sql("SELECT joules FROM accounts ORDER BY 1").fetchall()

    assert found == [(0.0,), (1.0,), (2.0,)]


def test_a_lake_without_files_has_no_views(tmp_path):
    assert views(tmp_path, TABLES) == ""
