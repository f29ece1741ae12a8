"""What a service lets another process roll up: day by day, a fault of one day being a line, and a kill no loss."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta

import pytest

from greenops.adapters.lake_shipping import GRACE
from greenops.adapters.rollup_files import HOUR, MINUTE
from greenops.adapters.side_process import run_aside
from greenops.config import Settings
from greenops.pipeline import rollup_worker
from greenops.pipeline.lake_packing import Packing, pack
from greenops.pipeline.lake_upkeep import upkeep_of
from greenops.pipeline.rollup_upkeep import WORK
from greenops.pipeline.rollup_worker import MOST_LINES, SPAN_BYTES, Refreshing
from greenops.testing.clock import FakeClock
from tests.unit.pipeline.rollup_lakes import DAY_ONE, Lake, random_spans, span

ONE_DAY = timedelta(days=1)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def refreshed(lake, days, tell, most_bytes=None):
    return Refreshing(lake, most_bytes, tell).run(days)


def of_days(count):
    return [[span(day * 10 + at, DAY_ONE + day * ONE_DAY, energy_j=1.0) for at in range(4)]
            for day in range(count)]  # fmt: skip


def test_all_days_or_those_that_are_named_are_refreshed(lake):
    first, second = of_days(2)
    lake.write(first, "a")
    lake.write(second, "b")
    said = []

    assert refreshed(lake.folder, [DAY_ONE.date()], said.append) == 0
    lake.check(first)
    assert refreshed(lake.folder, [], said.append) == 0

    lake.check([*first, *second])
    assert said == []


def test_a_lake_without_spans_is_left_as_it_is(lake):
    assert refreshed(lake.folder, [], print) == 0
    assert not lake.folder.exists()


def test_a_damaged_roll_up_stops_its_own_day_alone_and_is_named(lake):
    first, second = of_days(2)
    lake.write(first, "a")
    lake.write(second, "b")
    lake.refresh()
    path = lake.rollups.path(HOUR, DAY_ONE.date() + ONE_DAY)
    whole = lake.files()
    with open(path, "r+b") as file:  # noqa: PTH123
        file.seek(4)
        file.write(bytes(200))
    lake.write([span(90, DAY_ONE + ONE_DAY)], "late-b")
    lake.write([span(91, DAY_ONE)], "late-a")
    said = []

    assert refreshed(lake.folder, [], said.append) == 3

    assert [line[:7] for line in said] == ["GO0412 "]
    assert path in said[0]
    assert lake.files() != whole
    minutes = lake.rollups.read(lake.rollups.path(MINUTE, DAY_ONE.date(), "00"))
    assert sum(minutes["spans"].to_pylist()) == 5


def test_a_damaged_file_of_spans_is_told_and_the_rest_counted(lake):
    rows = of_days(1)[0]
    lake.write(rows, "a")
    lake.write([span(50)], "b")
    damaged = next((lake.folder / "v1" / "spans").glob("day=*/b.parquet"))
    damaged.write_bytes(b"PAR1")
    said = []

    assert refreshed(lake.folder, [], said.append) == 3

    assert [line[:7] for line in said] == ["GO0412 "]
    lake.check(rows)


def test_a_disk_that_cannot_be_written_asks_for_another_try(lake):
    lake.write(of_days(1)[0], "a")
    (lake.folder / "v1" / "rollups").write_text("no folder")
    said = []

    assert refreshed(lake.folder, [], said.append) == 4
    assert [line[:7] for line in said] == ["GO0411 "]


def test_a_day_that_lies_away_alone_counts_and_stands_while_the_store_is_gone(lake, tmp_path):
    rows = of_days(1)[0]
    lake.write(rows, "a")
    settings = Settings(state=tmp_path, lake_url=f"file://{tmp_path}/away", lake_keep_local_days=0)
    clock = FakeClock(DAY_ONE + 2 * ONE_DAY)
    packing = Packing(lake.folder, clock, upkeep=upkeep_of(settings, clock))
    packing.once()
    clock.sleep(GRACE)
    packing.once()
    assert not list((lake.folder / "v1" / "spans").rglob("*.parquet"))
    said = []

    assert refreshed(lake.folder, [], said.append) == 0
    lake.check(rows)
    late = span(50)
    lake.write([late], "late")
    (tmp_path / "away").rename(tmp_path / "gone")
    assert refreshed(lake.folder, [], said.append) == 4
    lake.check(rows)
    (tmp_path / "gone").rename(tmp_path / "away")
    assert refreshed(lake.folder, [], said.append) == 0

    lake.check([*rows, late])
    assert [line[:7] for line in said] == ["GO0420 "]


def test_an_hour_of_more_spans_than_there_is_memory_for_is_told(lake, monkeypatch):
    lake.write(of_days(1)[0], "a")
    monkeypatch.setattr(rollup_worker, "ALWAYS", 3)
    said = []

    assert refreshed(lake.folder, [], said.append, most_bytes=3 * SPAN_BYTES) == 3

    assert [line[:7] for line in said] == ["GO0426 "]
    assert lake.files() == {}
    assert refreshed(lake.folder, [], said.append, most_bytes=4 * SPAN_BYTES) == 0


@pytest.mark.slow
def test_a_day_that_takes_too_much_memory_stops_itself_alone(lake):
    """The middle one of three days has a cell for each of its spans."""
    few, _, others = of_days(3)
    lake.write(few, "a")
    lake.write(others, "c")
    many = [
        span(1000 + at, DAY_ONE + ONE_DAY, name=f"order {at}", energy_j=1.0)
        for at in range(100_000)
    ]
    lake.write(many, "b")

    ended = run_aside(WORK, [str(lake.folder), "60000000"], lambda: False, 60)

    assert (ended.code, ended.said.count("GO0426"), ended.said.count("\n")) == (3, 1, 1)
    assert str((DAY_ONE + ONE_DAY).date()) in ended.said
    lake.check([*few, *others])


def test_many_faults_of_one_kind_are_some_lines(caplog):
    tell = rollup_worker._first(MOST_LINES)

    for at in range(MOST_LINES + 9):
        tell(f"GO0412 file {at} is damaged")
    tell("GO0420 no answer")

    assert len(caplog.records) == MOST_LINES + 2


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.timeout(120)
def test_refreshes_at_once_and_killed_while_spans_come_make_what_one_makes(lake):
    dice = random.Random(20)
    rows = random_spans(dice, 3000, hours=30)
    done = threading.Event()

    def refresh_and_kill():
        while not done.is_set():
            until = time.monotonic() + dice.uniform(0.4, 1.2)
            run_aside(
                WORK, [str(lake.folder), "-"], lambda until=until: time.monotonic() > until, 60
            )

    threads = [threading.Thread(target=refresh_and_kill) for _ in range(2)]
    for each in threads:
        each.start()
    for at in range(0, 3000, 100):
        lake.write(rows[at : at + 100], f"{at:06d}")
        if at == 1500:
            pack(lake.folder, FakeClock(DAY_ONE + 9 * ONE_DAY))
        time.sleep(0.08)
    done.set()
    for each in threads:
        each.join(60)

    ended = run_aside(WORK, [str(lake.folder), "-"], lambda: False, 60)
    assert (ended.code, ended.said) == (0, "")
    lake.check(rows)
    assert not list(lake.folder.rglob(".*.parquet.*"))
