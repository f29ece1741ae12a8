"""What others told counts once, through a day's whole life in the lake: small, packed, sent, away, brought again, too old."""

from __future__ import annotations

import fcntl
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

from greenops.adapters import lake_places
from greenops.adapters.lake_deletion import delete_days
from greenops.adapters.lake_packing import Packed, Packer
from greenops.adapters.lake_shipping import GRACE, Shipper
from greenops.adapters.lake_store import keep_store, store_of
from greenops.adapters.lake_views import views
from greenops.adapters.parquet_lake import TABLES
from greenops.adapters.reported_lake import ReportedLake
from greenops.domain.grid import Basis
from greenops.errors import DataMissing, Unreachable
from tests.unit.adapters.test_lake_shipping import Down
from tests.unit.adapters.told_by_others import DAY, OCTOBER, amount, files, reading, told

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOMORROW = NOW.date()
SOURCES = ("a", "b", "c")
BOTH = ("reported", "readings")


class Imports:
    """A file of each of three sources, that can be brought in again and again."""

    def __init__(self, table, lake):
        self.table, self.others, self.lake = table, ReportedLake(lake), lake

    def bring(self, first=1.0, more=()):
        """Bring in the files; the first row of the first may tell something else, and rows may have come."""
        if self.table == "reported":
            rows = [amount(f"s{at}", source=each) for each in SOURCES for at in range(3)]
            rows[0] = replace(rows[0], value=first)
            return self.others.keep([*rows, *(amount(f"s{at}", source="b") for at in more)])
        looks = [
            reading(at, 1.0, source=each, workload=each) for each in SOURCES for at in range(3)
        ]
        looks[0] = replace(looks[0], joules=first)
        late = (reading(at, 1.0, source="b", workload="b") for at in more)
        return self.others.keep_readings([*looks, *late])

    def rows(self):
        return told(self.lake)[self.table]

    def sum(self):
        values = ("value", "joules")
        return sum(getattr(each, values[self.table == "readings"]) for each in self.rows())

    def files(self):
        return files(self.lake, self.table)

    def pack(self):
        return Packer(self.lake, TABLES).pack(TOMORROW)

    def ship(self, store=None):
        store = store or store_of(self.lake)
        return Shipper(self.lake, store, TABLES, lambda: NOW).ship(TOMORROW)

    def drop(self):
        late = NOW + GRACE
        return Shipper(self.lake, store_of(self.lake), TABLES, lambda: late).drop(TOMORROW)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(lake_places, "FRESH_S", -1.0)


@pytest.fixture(params=BOTH)
def imports(request, tmp_path):
    found = Imports(request.param, tmp_path / "state" / "lake")
    keep_store(found.lake, f"file://{tmp_path}/away")
    assert found.bring() == 9
    return found


@pytest.mark.feature("K5")
def test_files_that_are_brought_again_change_nothing_at_any_moment_of_a_days_life(imports):
    rows = imports.rows()

    for step in (lambda: None, imports.pack, imports.ship, imports.drop):
        step()
        before = imports.files()
        assert imports.rows() == rows
        assert imports.bring() == 0
        assert (imports.rows(), imports.files()) == (rows, before)

    assert imports.files() == []
    assert imports.bring(more=[7]) == 1
    assert len(imports.rows()) == 10


@pytest.mark.feature("K5")
def test_a_correction_replaces_what_was_packed_and_sent_and_no_other_row_is_lost(imports):
    for step, first in ((imports.pack, 2.0), (imports.ship, 3.0), (imports.drop, 4.0)):
        step()
        assert imports.bring(first, more=[int(first) + 10]) == 2
        imports.bring(first)
        assert imports.sum() == 8 + first + (first - 1.0)
        imports.pack()
        assert imports.sum() == 8 + first + (first - 1.0)

    imports.ship()
    imports.drop()
    assert imports.files() == []
    assert imports.sum() == 8 + 4.0 + 3.0
    assert len(imports.rows()) == 12


def test_what_is_too_old_goes_and_counts_once_when_it_is_brought_again(imports):
    imports.pack()
    imports.ship()

    assert delete_days(imports.lake, imports.table, date(2026, 10, 1)) == 0
    assert delete_days(imports.lake, imports.table, TOMORROW) == 2
    assert imports.rows() == []
    assert imports.bring() == 9
    assert imports.bring() == 0
    assert (len(imports.rows()), imports.sum()) == (9, 9.0)

    assert delete_days(imports.lake, imports.table, TOMORROW) == 1
    assert imports.rows() == []


def test_a_month_is_kept_until_its_last_day_is_too_old(tmp_path):
    imports = Imports("reported", tmp_path)
    imports.bring()

    assert delete_days(tmp_path, "reported", date(2026, 10, 31)) == 0
    assert delete_days(tmp_path, "reported", date(2026, 11, 1)) == 1


def test_a_month_is_sent_and_goes_from_here_once_its_last_day_is_over(tmp_path):
    imports = Imports("reported", tmp_path / "lake")
    keep_store(imports.lake, f"file://{tmp_path}/away")
    imports.bring()
    imports.pack()
    shipper = Shipper(imports.lake, store_of(imports.lake), TABLES, lambda: NOW)

    assert shipper.ship(date(2026, 10, 31)).files == 0
    assert shipper.ship(date(2026, 11, 1)).files == 1
    late = replace(shipper, wall=lambda: NOW + GRACE)
    assert late.drop(date(2026, 10, 31)).gone == 0
    assert late.drop(date(2026, 11, 1)).gone == 1


@pytest.mark.parametrize("calls", range(6))
def test_a_store_that_goes_away_at_any_call_loses_and_doubles_nothing(imports, calls):
    imports.pack()

    with suppress(Unreachable):
        imports.ship(Down(store_of(imports.lake), calls))

    assert imports.sum() == 9.0
    imports.ship()
    imports.drop()
    assert (imports.files(), imports.sum(), imports.bring()) == ([], 9.0, 0)


def test_an_import_into_what_lies_away_alone_waits_for_object_storage_and_doubles_nothing(
    imports, tmp_path
):
    imports.pack()
    imports.ship()
    imports.drop()
    (tmp_path / "away").rename(tmp_path / "gone")

    with pytest.raises(Unreachable, match="GO0420"):
        imports.bring(5.0)
    with pytest.raises(Unreachable, match="GO0420"):
        imports.rows()
    assert imports.files() == []

    (tmp_path / "gone").rename(tmp_path / "away")
    assert imports.bring(5.0) == 1
    assert imports.sum() == 8 + 5.0


def test_what_lies_here_is_corrected_while_object_storage_is_down(imports, tmp_path):
    imports.pack()
    imports.ship()
    (tmp_path / "away").rename(tmp_path / "gone")

    assert imports.bring(5.0) == 1

    (tmp_path / "gone").rename(tmp_path / "away")
    assert imports.sum() == 8 + 5.0


def test_no_import_writes_while_its_day_is_packed(imports):
    held = []

    def meanwhile():
        folder = imports.lake / "v1" / imports.table
        with (folder / ".lock").open("ab") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(False)
        return False

    done = Packer(imports.lake, {imports.table: TABLES[imports.table]}, meanwhile).pack(TOMORROW)

    assert (done, held) == (Packed(1, 3, 9), [])


def test_what_a_source_told_is_taken_back_wherever_it_lies_and_can_be_brought_again(imports):
    stretch = "2026-10" if imports.table == "reported" else DAY
    for step in (lambda: None, imports.pack, imports.ship, imports.drop):
        step()
        assert imports.others.drop("a", stretch) == 3
        assert imports.others.drop("a", stretch) == 0
        assert len(imports.rows()) == 6
        imports.pack()
        assert len(imports.rows()) == 6
        assert imports.bring() == 3
        imports.pack()
        imports.ship()
        assert len(imports.rows()) == 9

    assert imports.others.drop("../a", stretch) == imports.others.drop("a", "1999-01") == 0


def test_views_show_each_row_once_by_day_and_by_month(imports):
    imports.bring(2.0)
    imports.pack()
    imports.bring(3.0, more=[20])

    value = "value" if imports.table == "reported" else "joules"
    stretch = "month" if imports.table == "reported" else "CAST(day AS VARCHAR)"
    with duckdb.connect() as connection:
        connection.execute(views(imports.lake, TABLES))
        asked = f"SELECT {stretch}, count(*), sum({value}) FROM {imports.table} GROUP BY ALL"
        found = connection.sql(asked).fetchall()

    assert found == [((imports.table == "reported" and "2026-10") or DAY, 10, 8 + 3.0 + 1.0)]
    assert len(imports.rows()) == 10


def test_rows_come_by_source_whatever_was_packed_first(imports):
    imports.pack()
    for at, source in enumerate("d0"):
        if imports.table == "reported":
            imports.others.keep([amount("late", source=source)])
        else:
            imports.others.keep_readings([reading(90 + at, source=source, workload="late")])

    before = [each.kind.source for each in imports.rows()]
    imports.pack()

    assert before == sorted(before)
    assert [each.kind.source for each in imports.rows()] == before


def test_accounting_that_is_told_after_packing_replaces_what_was_untold(tmp_path):
    imports = Imports("reported", tmp_path)
    imports.others.keep([amount()])
    imports.pack()
    said = amount()

    changed = imports.others.keep([replace(said, kind=replace(said.kind, accounting=Basis.MARKET))])
    imports.pack()

    assert changed == 2
    assert [each.kind.accounting for each in imports.rows()] == [Basis.MARKET]


def test_amounts_of_one_month_are_read_alone(tmp_path):
    imports = Imports("reported", tmp_path)
    imports.others.keep([amount(), amount(start=OCTOBER + timedelta(days=31))])
    imports.pack()
    damaged = next((tmp_path / "v1" / "reported" / "month=2026-11").glob("*.parquet"))
    damaged.write_bytes(b"PAR1 no file PAR1")

    assert len(list(imports.others.amounts(OCTOBER))) == 1
    with pytest.raises(DataMissing, match="GO0412"):
        list(imports.others.amounts())


def test_a_damaged_packed_file_is_never_taken_for_one_without_rows(imports):
    imports.pack()
    (name,) = imports.files()
    path = next((imports.lake / "v1" / imports.table).rglob(name))
    path.write_bytes(path.read_bytes()[:-50])

    with pytest.raises(DataMissing, match="GO0412"):
        imports.bring(5.0)
    with pytest.raises(DataMissing, match="GO0412"):
        imports.others.drop("a", path.parent.name.partition("=")[2])
    assert imports.files() == [name]
