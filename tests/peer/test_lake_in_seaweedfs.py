"""A lake goes on in a real object storage: nothing is lost while it is down, and rows are deleted there."""

from __future__ import annotations

import shutil
import threading
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from greenops.adapters import lake_places
from greenops.adapters.lake_columns import span_columns
from greenops.adapters.lake_deletion import Deletion, delete_days
from greenops.adapters.lake_packing import Packer
from greenops.adapters.lake_shipping import GRACE, Sent, Shipper
from greenops.adapters.lake_store import keep_store, store_of
from greenops.adapters.lake_sums import LakeSums
from greenops.adapters.parquet_lake import TABLES, ParquetLake
from greenops.adapters.reported_lake import ReportedLake
from greenops.adapters.rollup_files import DAY, HOUR, MINUTE, RollupFiles
from greenops.adapters.rollup_place import SpanFiles
from greenops.domain.spans import SpanRow
from greenops.domain.usage import Window
from greenops.errors import Unreachable
from greenops.pipeline.lake_packing import Packing
from greenops.pipeline.lake_upkeep import Kept, Upkeep
from greenops.pipeline.rollup_upkeep import RollingUp
from greenops.pipeline.rollup_work import RollUp
from greenops.pipeline.rollups import refresh
from greenops.testing.clock import FakeClock
from tests.peer.seaweedfs import ENVIRONMENT, SeaweedFs
from tests.unit.adapters.told_by_others import amount, fill, told

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOMORROW = date(2026, 11, 24)
LATER = NOON + timedelta(days=1)
MONTH = Window(NOON - timedelta(days=20), NOON + timedelta(days=10))


def span(number, who):
    known = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "service": "shop",
        "workload": "shop",
        "name": "order",
        **dict.fromkeys(("start", "end", "time"), NOON),
        "energy_j": 1.5,
        "attributes": {"enduser.id": f'"{who}"'},
    }
    return SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known)


@pytest.fixture(scope="module")
def weed(tmp_path_factory):
    server = SeaweedFs(tmp_path_factory.mktemp("weed"))
    try:
        server.start()
        server.bucket()
        yield server
    finally:
        server.kill()


@pytest.fixture
def lake(weed, tmp_path, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(lake_places, "FRESH_S", -1.0)
    folder = tmp_path / "state" / "lake"
    for at in range(4):
        rows = [span(2 * at, "alice"), span(2 * at + 1, "bob")]
        ParquetLake(folder).write_spans(rows, f"{at:012d}-run")
    Packer(folder, TABLES).pack(TOMORROW)
    head, _, options = weed.url.partition("?")
    keep_store(folder, f"{head}/{tmp_path.name}?{options}")
    return folder


def shipper(lake, wall=LATER):
    return Shipper(lake, store_of(lake), TABLES, lambda: wall)


def sum_j(lake):
    (used,) = LakeSums(lake)([MONTH])
    return sum(each.energy_j.total for each in used.values())


def users(lake):
    tables = span_columns(lake, NOON, LATER, ["attributes.enduser.id"])
    return sorted(each for table in tables for each in table.column(0).to_pylist())


def small_files(lake):
    return list((lake / "v1").rglob("*.parquet"))


def test_days_are_sent_read_there_and_deleted_from_there(lake):
    assert shipper(lake).ship(TOMORROW).files == 1
    assert shipper(lake).ship(TOMORROW) == Sent()
    assert shipper(lake, LATER + GRACE).drop(TOMORROW).gone == 1
    assert small_files(lake) == []
    assert sum_j(lake) == 8 * 1.5

    done = Deletion(lake, TABLES).delete("attributes.enduser.id", "alice", LATER, LATER)

    assert done.rows["spans"] == 4
    assert users(lake) == ['"bob"'] * 4
    store = store_of(lake)
    assert not [key for key in store.found("v1") if b"alice" in store.read(key)]
    assert delete_days(lake, "spans", TOMORROW) == 2
    assert store.found("v1") == {}


def test_imports_are_read_there_and_brought_again_count_once(lake):
    fill(lake, 3)
    before = told(lake)
    Packer(lake, TABLES).pack(TOMORROW)
    assert shipper(lake).ship(TOMORROW).files == 3
    assert shipper(lake, LATER + GRACE).drop(TOMORROW).gone == 3
    assert small_files(lake) == []

    assert told(lake) == before
    fill(lake, 3)
    assert small_files(lake) == []

    ReportedLake(lake).keep([amount("s1", 9.0, "source-1")])
    assert sum(each.value for each in ReportedLake(lake).amounts()) == 9.0 + 2.0
    assert Deletion(lake, TABLES).delete("service", "s2", LATER, LATER).rows["reported"] == 1
    assert [each.service for each in ReportedLake(lake).amounts()] == ["s0", "s1"]


def test_what_waits_while_the_store_is_down_is_there_once_it_answers(lake, weed, caplog):
    clock = FakeClock(LATER + timedelta(days=1))
    gone, day = lake.parent / "gone" / "lake", 8 * 1.5
    shutil.copytree(lake, gone)
    shipper(gone).ship(TOMORROW)
    shipper(gone, LATER + GRACE).drop(TOMORROW)
    assert sum_j(gone) == day
    upkeep = Upkeep(lake, clock, Kept(here=0))
    packing = Packing(lake, clock, upkeep=upkeep)
    weed.kill()
    try:
        began = time.monotonic()
        packing.once()
        # More is acknowledged, packed and read while it is down.
        ParquetLake(lake).write_spans([span(90, "carol")], "000000000090-run")
        packing.once()
        assert time.monotonic() - began < 100
        assert len(small_files(lake)) == 1
        assert len(list(ParquetLake(lake).spans())) == 9
        assert upkeep.wait_s(900) == 10.0
        # What lies there alone is not known, which is another thing than nothing.
        with pytest.raises(Unreachable, match="GO0420"):
            sum_j(gone)
    finally:
        weed.start()

    until = time.monotonic() + 60
    while upkeep.wait_s(900) < 900 and time.monotonic() < until:
        packing.once()
    clock.sleep(GRACE)
    packing.once()

    assert small_files(lake) == []
    assert sum_j(lake) == day + 1.5
    assert sum_j(gone) == day + 1.5
    said = [each.message.partition(" ")[0] for each in caplog.records if "GO04" in each.message]
    assert said == ["GO0420"]


def test_a_store_that_dies_while_it_takes_a_file_shows_no_half_of_it(lake, weed):
    store = store_of(lake)
    data = bytes(range(256)) * 2**16
    killer = threading.Timer(0.1, weed.kill)
    killer.start()
    try:
        store.put("v1/big", data)
    except Unreachable:
        pass
    finally:
        killer.join()
        weed.start()

    until = time.monotonic() + 60
    while True:
        try:
            store.put("v1/other", b"1")
            break
        except Unreachable:
            assert time.monotonic() < until
    assert store.size("v1/big") in (None, len(data))
    store.put("v1/big", data)
    assert store.read("v1/big") == data


def test_a_bucket_that_is_not_there_is_no_lake_without_rows(lake, weed, tmp_path):
    other = tmp_path / "other" / "lake"
    keep_store(other, weed.url.replace("s3://lake/", "s3://no-such-bucket/"))

    with pytest.raises(Unreachable, match="GO0420"):
        sum_j(other)


def test_what_lies_away_is_rolled_up_beside_a_service(lake, caplog):
    shipper(lake).ship(TOMORROW)
    shutil.rmtree(lake / "v1" / "spans")
    rollups = RollupFiles.local(lake)
    path = rollups.path(DAY, NOON.date())
    work = RollingUp(lake, FakeClock(LATER), 300.0)

    work.once()
    assert rollups.read(path)["spans"].to_pylist() == [8]
    ParquetLake(lake).write_spans([span(0, "alice"), span(90, "carol")], "late")
    work.once()

    assert rollups.read(path)["spans"].to_pylist() == [9]
    assert caplog.records == []


def test_roll_ups_go_on_where_the_store_died_between_reading_and_writing(lake, weed, tmp_path):
    head, _, options = weed.url.partition("?")
    url = f"{head}/{tmp_path.name}?{options}"
    shipper(lake).ship(TOMORROW)
    spans, rollups = SpanFiles.away(url), RollupFiles.away(url)
    day = rollups.path(DAY, NOON.date())
    refresh(spans, rollups)
    assert rollups.read(day)["spans"].to_pylist() == [8]
    ParquetLake(lake).write_spans([span(0, "alice"), span(90, "carol")], "000000000090-run")
    Packer(lake, TABLES).pack(TOMORROW)
    shipper(lake).ship(TOMORROW)

    class Dying(RollUp):
        def __call__(self, unit):
            made = super().__call__(unit)
            weed.kill()
            return made

    try:
        with pytest.raises(Unreachable, match="GO0420"):
            refresh(SpanFiles.away(url), rollups, work=Dying())
        with pytest.raises(Unreachable, match="GO0420"):
            refresh(spans, rollups)
    finally:
        weed.start()

    until = time.monotonic() + 60
    while True:
        try:
            done = refresh(SpanFiles.away(url), rollups)
            break
        except Unreachable:
            assert time.monotonic() < until
    assert (done.hours, done.spans, done.repeats, done.damaged) == (1, 9, 1, {})
    assert rollups.read(day)["spans"].to_pylist() == [9]
    here = RollupFiles.local(lake)
    refresh(SpanFiles.local(lake), here)
    for level, name in ((MINUTE, "12"), (HOUR, None), (DAY, None)):
        at_home, away = (each.path(level, NOON.date(), name) for each in (here, rollups))
        assert here.read(at_home).equals(rollups.read(away))
