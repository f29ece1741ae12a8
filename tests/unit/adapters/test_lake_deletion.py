"""Rows of a subject go from every file, stay out when they come again, and what is kept does not name it."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from greenops.adapters import lake_places
from greenops.adapters.lake_deletion import Deletion, delete_days
from greenops.adapters.lake_packing import Packer, alone
from greenops.adapters.lake_shipping import GRACE, Shipper
from greenops.adapters.lake_store import keep_store, store_of
from greenops.adapters.lake_writing import no_import
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from greenops.adapters.reported_lake import ReportedLake
from greenops.domain.energy import Category
from greenops.domain.spans import EnergyAccount, SpanRow
from greenops.errors import DataMissing, Unreachable
from tests.unit.adapters import told_by_others
from tests.unit.adapters.test_lake_packing import record
from tests.unit.adapters.told_by_others import amount, reading

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOMORROW = date(2026, 11, 24)
LATER = NOON + timedelta(days=1)


def span(number, who, service="shop", at=NOON):
    known = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "service": service,
        "name": "order",
        "start": at,
        "end": at,
        "time": at,
        "energy_j": 1.5,
        "attributes": {"enduser.id": json.dumps(who), "n": str(number)},
    }
    return SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known)


def account(service):
    return EnergyAccount(service, "i-1", None, "cpu", Category.IDLE, NOON, 1.0, None, None)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(lake_places, "FRESH_S", -1.0)


@pytest.fixture
def folder(tmp_path):
    """Six small files, three of them packed; two users, two services."""
    folder = tmp_path / "lake"
    for at in range(6):
        lake = ParquetLake(folder)
        service = ("shop", "bank")[at % 2]
        rows = [span(2 * at, "alice", service), span(2 * at + 1, "bob", service)]
        lake.write_spans(rows, f"{at:012d}-run")
        lake.write_accounts([account(service)], f"{at:012d}-run")
        if at == 2:
            Packer(folder, TABLES).pack(TOMORROW)
    return folder


def delete(folder, name="attributes.enduser.id", value="alice", at=LATER):
    return Deletion(folder, TABLES).delete(name, value, at, at)


def users(folder):
    return sorted(json.loads(each.attributes["enduser.id"]) for each in ParquetLake(folder).spans())


def labels(folder):
    """Users that what others told names."""
    lake = ReportedLake(folder)
    amounts = [each.more["enduser.id"] for each in lake.amounts()]
    return sorted([*amounts, *(each.labels["enduser.id"] for each in lake.readings())])


def everything(folder):
    """What all files of a lake hold in bytes, counted or not."""
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())


def test_rows_of_a_user_go_from_small_and_packed_files(folder):
    done = delete(folder)

    assert users(folder) == ["bob"] * 6
    assert (done.rows, done.days) == (
        {"spans": 6, "accounts": 0, "reported": 0, "readings": 0},
        {"spans": 1, "accounts": 0, "reported": 0, "readings": 0},
    )
    assert done.files == 4
    assert b"alice" not in everything(folder)


def test_rows_of_a_service_go_with_its_energy_accounts(folder):
    done = delete(folder, "service", "bank")

    assert {each.service for each in ParquetLake(folder).spans()} == {"shop"}
    assert {each.service for each in ParquetLake(folder).accounts()} == {"shop"}
    assert done.rows == {"spans": 6, "accounts": 3, "reported": 0, "readings": 0}


def test_rows_that_come_late_or_again_stay_out(folder):
    delete(folder)
    lake = ParquetLake(folder)

    lake.write_spans([span(0, "alice"), span(1, "bob")], f"{0:012d}-run")
    lake.write_spans([span(90, "alice"), span(91, "carol")], "000000000090-run")

    assert users(folder) == [*["bob"] * 6, "carol"]
    assert b"alice" not in everything(folder)


def test_rows_of_a_later_time_are_kept(folder):
    delete(folder)

    ParquetLake(folder).write_spans([span(90, "alice", at=LATER + timedelta(seconds=1))], "9-run")

    assert users(folder) == ["alice", *["bob"] * 6]


def test_a_small_file_that_was_written_meanwhile_loses_its_rows_when_it_is_packed(folder):
    lake = ParquetLake(folder)
    lake.write_spans([span(90, "alice"), span(91, "bob")], "000000000090-run")
    path = next((folder / "v1" / "spans").rglob("000000000090-run.parquet"))
    kept = path.read_bytes()

    delete(folder)
    path.write_bytes(kept)
    Packer(folder, TABLES).pack(TOMORROW)

    assert users(folder) == ["bob"] * 7
    assert b"alice" not in everything(folder)


def test_what_is_kept_of_a_subject_does_not_name_it(folder):
    delete(folder)

    kept = json.loads((folder / "subjects.json").read_text())

    (subject,) = kept["subjects"]
    assert "alice" not in json.dumps(kept)
    assert len(subject["digest"]) == 32
    other = folder.parent / "other"
    delete(other)
    again = json.loads((other / "subjects.json").read_text())["subjects"][0]
    assert again["digest"] != subject["digest"]


def test_a_number_and_a_text_are_named_as_people_write_them(folder):
    assert delete(folder, "attributes.n", "3").rows["spans"] == 1
    assert delete(folder, "attributes.enduser.id", '"bob"').rows["spans"] == 5


def test_subjects_are_kept_out_each_by_its_own_time(folder):
    delete(folder, value="alice", at=LATER)
    delete(folder, value="bob", at=NOON - timedelta(hours=1))
    lake = ParquetLake(folder)
    assert users(folder) == ["bob"] * 6

    early, late = NOON - timedelta(hours=2), LATER + timedelta(hours=1)
    rows = [
        span(100 + 2 * at + each, who, at=when)
        for at, when in enumerate((early, NOON, late))
        for each, who in enumerate(("alice", "bob"))
    ]
    lake.write_spans(rows, "000000000100-run")

    assert users(folder) == ["alice", *["bob"] * 8]


def test_deleting_again_removes_nothing_more(folder):
    delete(folder)

    done = delete(folder)

    assert (sum(done.rows.values()), done.files) == (0, 0)
    assert len(json.loads((folder / "subjects.json").read_text())["subjects"]) == 1


def test_a_damaged_list_of_subjects_lets_no_row_in(folder):
    delete(folder)
    (folder / "subjects.json").write_text("{")

    with pytest.raises(DataMissing, match="GO0422"):
        ParquetLake(folder).write_spans([span(90, "alice")], "9-run")


def test_deletion_waits_for_no_other_process_and_says_so(folder):
    with alone(folder / "v1"), pytest.raises(Unreachable, match="GO0423"):
        delete(folder)

    assert "alice" in users(folder)
    ParquetLake(folder).write_spans([span(90, "alice")], "9-run")
    assert users(folder).count("alice") == 6


@pytest.fixture
def sent(folder, tmp_path):
    keep_store(folder, f"file://{tmp_path}/away")
    Packer(folder, TABLES).pack(TOMORROW)
    Shipper(folder, store_of(folder), TABLES, lambda: LATER).ship(TOMORROW)
    return folder


def in_store(tmp_path):
    other = tmp_path / "other" / "lake"
    keep_store(other, f"file://{tmp_path}/away")
    from greenops.adapters.lake_columns import span_columns

    tables = span_columns(other, NOON, LATER, ["attributes.enduser.id"])
    return sorted(each for table in tables for each in table.column(0).to_pylist())


def test_what_was_sent_and_lies_here_too_is_sent_anew_without_the_rows(sent, tmp_path):
    done = delete(sent)

    assert users(sent) == ["bob"] * 6
    assert done.rows["spans"] == 6
    assert in_store(tmp_path) == ['"bob"'] * 6
    assert b"alice" not in everything(tmp_path / "away")


def test_what_lies_in_object_storage_alone_is_written_anew_there(sent, tmp_path):
    Shipper(sent, store_of(sent), TABLES, lambda: LATER + GRACE).drop(TOMORROW)
    assert not list((sent / "v1").rglob("*.parquet"))

    done = delete(sent)

    assert done.rows == {"spans": 6, "accounts": 0, "reported": 0, "readings": 0}
    assert in_store(tmp_path) == ['"bob"'] * 6
    assert b"alice" not in everything(tmp_path / "away")
    assert not list(sent.rglob(".deleting*"))


def test_days_that_are_too_old_go_here_and_in_object_storage(sent, tmp_path):
    assert delete_days(sent, "spans", date(2026, 11, 23)) == 0
    assert users(sent) != []

    assert delete_days(sent, "spans", TOMORROW) == 2

    assert users(sent) == []
    assert in_store(tmp_path) == []
    assert len(list(ParquetLake(sent).accounts())) == 6


@pytest.mark.parametrize("last", range(1, 13))
def test_a_deletion_that_dies_at_any_step_is_finished_when_it_is_asked_again(
    folder, monkeypatch, last
):
    bring(folder, "label", "alice")
    bring(folder, "label", "bob")
    Packer(folder, {"reported": TABLES["reported"]}).pack(TOMORROW)
    steps = iter(range(1, 1_000))

    def dying(real):
        def step(*given, **named):
            if next(steps) == last:
                raise KeyboardInterrupt
            return real(*given, **named)

        return step

    with monkeypatch.context() as patched:
        for name in ("rename", "replace", "unlink"):
            patched.setattr(Path, name, dying(getattr(Path, name)))
        with pytest.raises(KeyboardInterrupt):
            delete(folder)
    between, others = users(folder), labels(folder)

    delete(folder)

    assert (between.count("bob"), others.count("bob")) == (6, 6)
    assert (users(folder), labels(folder)) == (["bob"] * 6, ["bob"] * 6)
    Packer(folder, TABLES).pack(TOMORROW)
    assert (users(folder), labels(folder)) == (["bob"] * 6, ["bob"] * 6)
    assert b"alice" not in everything(folder)


SUBJECTS = {
    "service": ("service", "alice", ["reported"]),
    "account": ("account", "alice", ["reported"]),
    "workload": ("workload", "alice", ["reported", "readings"]),
    "host": ("host", "alice", ["reported", "readings"]),
    "label": ("attributes.enduser.id", "alice", ["reported", "readings"]),
}


def bring(folder, field, who):
    """An amount and two looks of two sources each, all of one who is named in one field."""
    mark = {"alice": "one", "bob": "two"}[who]
    told, names = {"region": mark}, {"workload": mark}
    if field == "label":
        told |= {"more": {"enduser.id": who}}
        names |= {"enduser.id": who}
    else:
        told |= {field: who}
        names |= {field: who} if field in ("workload", "host") else {}
    others = ReportedLake(folder)
    for source in ("a", "b"):
        others.keep([amount(source=source, **told)])
        others.keep_readings([reading(each, source=source, **names) for each in range(2)])


def whole(folder):
    """How many rows readers see of both tables."""
    return {table: len(rows) for table, rows in told_by_others.told(folder).items()}


@pytest.mark.parametrize("lies", ["small", "packed", "sent", "away"])
@pytest.mark.parametrize("field", SUBJECTS)
def test_what_others_told_of_a_subject_goes_wherever_it_lies_and_stays_out(tmp_path, field, lies):
    lake = tmp_path / "lake"
    name, value, tables = SUBJECTS[field]
    for who in ("alice", "bob"):
        bring(lake, field, who)
    keep_store(lake, f"file://{tmp_path}/away")
    if lies != "small":
        Packer(lake, TABLES).pack(TOMORROW)
    if lies in ("sent", "away"):
        Shipper(lake, store_of(lake), TABLES, lambda: LATER).ship(TOMORROW)
    if lies == "away":
        Shipper(lake, store_of(lake), TABLES, lambda: LATER + GRACE).drop(TOMORROW)
        assert not list(lake.rglob("*.parquet"))
    before = whole(lake)

    done = delete(lake, name, value)
    after = whole(lake)
    bring(lake, field, "alice")
    bring(lake, field, "bob")

    gone = {"reported": 2, "readings": 4}
    assert {table: done.rows[table] for table in gone} == {
        table: rows * (table in tables) for table, rows in gone.items()
    }
    assert after == {table: before[table] - done.rows[table] for table in before}
    assert whole(lake) == after
    assert b"alice" not in everything(tmp_path)
    assert b"bob" in everything(tmp_path)


def test_an_amount_of_a_month_that_is_not_over_goes_too_and_a_later_month_stays(tmp_path):
    lake = tmp_path / "lake"
    others = ReportedLake(lake)
    others.keep([amount("alice", start=datetime(2026, month, 1, tzinfo=UTC)) for month in (11, 12)])

    assert delete(lake, "service", "alice").rows["reported"] == 1

    assert [each.start.month for each in others.amounts()] == [12]


def test_decisions_and_their_candidates_stay_when_their_day_is_packed_later(tmp_path):
    lake = tmp_path / "lake"
    ParquetLake(lake).write_decision(record("a", 3))
    delete(lake, "region", "eu")
    delete(lake, "workload", "etl")

    Packer(lake, TABLES).pack(TOMORROW)

    counts = {
        each.parent.parent.name: pq.read_metadata(each).num_rows for each in lake.rglob("0-*")
    }
    assert counts == {"decisions": 1, "candidates": 4}


@pytest.mark.parametrize("name", ["account", "host"])
def test_a_column_that_spans_have_not_names_no_rows_of_theirs(folder, name):
    done = delete(folder, name, "alice")

    assert sum(done.rows.values()) == 0
    assert users(folder) == ["alice"] * 6 + ["bob"] * 6


def test_an_import_takes_up_no_row_that_a_deletion_could_not_reach(tmp_path):
    lake = tmp_path / "lake"
    keep_store(lake, f"file://{tmp_path}/away")
    for who in ("alice", "bob"):
        bring(lake, "host", who)
    Packer(lake, TABLES).pack(TOMORROW)
    Shipper(lake, store_of(lake), TABLES, lambda: LATER).ship(TOMORROW)
    Shipper(lake, store_of(lake), TABLES, lambda: LATER + GRACE).drop(TOMORROW)
    (tmp_path / "away").rename(tmp_path / "gone")
    with pytest.raises(Unreachable, match="GO0420"):
        delete(lake, "host", "alice")
    (tmp_path / "gone").rename(tmp_path / "away")

    ReportedLake(lake).keep([amount("late", source="a")])
    ReportedLake(lake).keep_readings([reading(9, source="a", workload="late", host="n2")])

    assert list((lake / "v1").rglob("a.parquet"))
    assert b"alice" not in everything(lake)
    assert delete(lake, "host", "alice").rows["readings"] == 2
    assert b"alice" not in everything(tmp_path)


@pytest.mark.parametrize("table", ["reported", "readings"])
@pytest.mark.parametrize("what", ["a subject", "days"])
def test_a_deletion_waits_for_an_import_that_is_under_way(tmp_path, table, what):
    bring(tmp_path, "host", "alice")
    begun = threading.Event()

    def work():
        begun.set()
        if what == "days":
            delete_days(tmp_path, table, TOMORROW)
        else:
            delete(tmp_path, "host", "alice")

    with no_import(tmp_path / "v1" / table):
        deleting = threading.Thread(target=work)
        deleting.start()
        begun.wait()
        deleting.join(0.2)
        assert deleting.is_alive()
        assert whole(tmp_path)[table] > 0
    deleting.join()

    assert whole(tmp_path)[table] == 0
