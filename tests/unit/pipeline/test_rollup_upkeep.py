"""Roll-ups are refreshed where spans changed, seldom where that takes long, later and later where it fails."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.side_process import Ended
from greenops.errors import Unreachable
from greenops.pipeline import rollup_upkeep
from greenops.pipeline.rollup_upkeep import ALL_S, RollingUp, lines_of
from greenops.testing.clock import FakeClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class House:
    """A lake's folders, whose times are the test's; refreshes that say and take what the test wants."""

    def __init__(self, folder, every_s=300.0):
        self.spans = folder / "v1" / "spans"
        self.clock = FakeClock(NOON)
        self.asked, self.ends = [], Ended(0, "")
        self.takes = timedelta(seconds=1)
        self.work = RollingUp(folder, self.clock, every_s, self.run)

    def run(self, days, _stopped):
        self.asked.append(list(days))
        self.clock.advance(self.takes)
        if isinstance(self.ends, Exception):
            raise self.ends
        return self.ends

    def change(self, day, ago_s=60.0):
        folder = self.spans / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        at = self.clock.wall().timestamp() - ago_s
        os.utime(folder, (at, at))

    def look(self):
        """What the next look refreshes; none where it is nothing."""
        before = len(self.asked)
        self.clock.advance(timedelta(seconds=self.work.wait_s()))
        self.work.once()
        assert len(self.asked) <= before + 1
        return self.asked[-1] if len(self.asked) > before else None


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_the_first_look_comes_soon_and_is_at_every_day(house):
    house.change("2026-11-22")

    assert house.work.wait_s() == 30
    assert house.look() == []
    assert house.work.wait_s() == 300


def test_an_interval_next_to_nothing_keeps_no_core_busy(tmp_path):
    house = House(tmp_path, every_s=1e-9)

    assert house.work.wait_s() == 0.1
    assert house.look() is None
    assert house.work.wait_s() == 0.1


def test_where_nothing_changed_nothing_is_started(house):
    house.change("2026-11-22")
    house.look()

    assert [house.look() for _ in range(3)] == [None, None, None]


def test_days_that_changed_are_refreshed_and_no_others(house):
    house.change("2026-11-21")
    house.change("2026-11-22")
    house.look()

    house.change("2026-11-21")
    house.change("2026-11-23")

    assert house.look() == ["2026-11-21", "2026-11-23"]
    assert house.look() is None


def test_a_lake_that_nobody_sent_a_span_to_starts_nothing(house):
    assert [house.look(), house.look()] == [None, None]
    assert house.work.wait_s() == 300

    house.change("2026-11-22")

    assert house.look() == []


def test_days_that_lie_in_object_storage_alone_are_looked_at(house, tmp_path):
    (tmp_path / "store.json").write_text("{}")

    assert [house.look(), house.look()] == [[], None]


def test_a_day_that_changed_just_then_is_looked_at_once_more(house):
    house.change("2026-11-22")
    house.look()
    house.change("2026-11-23", ago_s=-299.5)

    assert house.look() == ["2026-11-23"]
    assert house.look() == ["2026-11-23"]
    assert house.look() is None


def test_every_day_is_looked_at_again_now_and_then(house):
    house.change("2026-11-21")
    house.look()
    house.change("2026-11-22")
    house.look()

    house.clock.advance(timedelta(seconds=ALL_S))

    assert house.look() == []
    assert house.look() is None


def test_a_refresh_that_takes_long_is_followed_by_nine_times_as_much_rest(house):
    house.takes = timedelta(seconds=60)
    house.change("2026-11-22")

    house.look()

    assert house.work.wait_s() == 540


def test_what_failed_is_tried_again_later_and_later_and_told_once(house, caplog):
    house.change("2026-11-22")
    house.ends = Ended(4, "GO0411 cannot write 07.parquet: No space left on device\n")

    waits = []
    for _ in range(5):
        assert house.look() == []
        waits.append(house.work.wait_s())

    assert waits == [600, 1200, 1800, 1800, 1800]
    assert [each.message.partition(" ")[0] for each in caplog.records] == ["GO0411"]
    house.ends = Ended(0, "")
    assert house.look() == []
    assert house.work.wait_s() == 300
    assert house.look() is None


def test_what_is_damaged_is_told_and_not_tried_again_until_it_changes(house, caplog):
    house.change("2026-11-22")
    house.ends = Ended(3, "GO0412 /lake/b.parquet: this file is damaged\n")

    assert [house.look(), house.look()] == [[], None]
    assert house.work.wait_s() == 300
    house.change("2026-11-22", ago_s=3)
    assert house.look() == ["2026-11-22"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("fault", [Unreachable("GO0425", "no process"), ValueError("two\nlines")])
def test_a_fault_of_the_start_is_one_line_and_ends_nothing(house, caplog, fault):
    house.change("2026-11-22")
    house.ends = fault

    assert house.look() == []
    assert house.work.wait_s() == 600

    assert [each.message[:7] for each in caplog.records] == ["GO0425 "]
    assert "\n" not in caplog.records[0].message


@pytest.mark.parametrize(
    ("ended", "lines"),
    [
        (Ended(0, ""), []),
        (Ended(0, "GO0412 a\nnoise of a library\n"), ["GO0412 a"]),
        (Ended(-9, ""), ["was ended by a signal (Killed), and is tried again"]),
        (
            Ended(1, "Traceback\n  …\nMemoryError: 8 GiB\n"),
            ["ended with 1, and is", "MemoryError: 8"],
        ),
        (Ended(4, ""), ["ended with 4"]),
        (Ended(-11, "GO0412 a\n"), ["GO0412 a", "Segmentation fault"]),
    ],
)
def test_whatever_ends_a_refresh_is_told_in_lines_with_codes(ended, lines):
    found = lines_of(ended)

    assert all(line.startswith("GO") and "\n" not in line for line in found)
    assert all(any(part in line for line in found) for part in lines)
    assert bool(found) == bool(lines)


def test_the_process_takes_memory_from_the_c_library_alone(tmp_path, monkeypatch, caplog):
    (tmp_path / "names_pool.py").write_text(
        "import pyarrow, sys\n"
        "def main(given):\n"
        "    sys.stderr.write('GO0425 ' + pyarrow.default_memory_pool().backend_name)\n"
        "    return 0\n"
    )
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setattr(rollup_upkeep, "WORK", "names_pool:main")
    house = House(tmp_path)
    work = RollingUp(tmp_path, house.clock, 300.0)
    house.change("2026-11-22")
    house.clock.advance(timedelta(seconds=work.wait_s()))

    work.once()

    assert caplog.messages == ["GO0425 system"]


def test_the_thread_ends_in_the_middle_of_a_refresh(tmp_path):
    (tmp_path / "v1" / "spans" / "day=2026-11-23").mkdir(parents=True)
    begun = threading.Event()

    def run(_days, stopped):
        begun.set()
        while not stopped():
            pass

    work = RollingUp(tmp_path, FakeClock(), 0.001, run)
    work.start()
    assert begun.wait(20)
    work.close()

    assert not work._thread.is_alive()
    work.close()


def test_without_an_interval_there_is_no_thread(tmp_path):
    work = RollingUp(tmp_path, FakeClock(), 0.0, None)

    work.start()

    assert not work._thread.is_alive()
    work.close()
