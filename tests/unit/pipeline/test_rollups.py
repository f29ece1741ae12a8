"""Roll-ups say what a plain loop over the spans says, to the bit, whatever came late, twice or broken."""

from __future__ import annotations

import os
import random
import threading
from datetime import timedelta

import pytest
from pyarrow import fs

from greenops.adapters.clock import SystemClock
from greenops.adapters.process_engine import ProcessEngine
from greenops.adapters.rollup_files import LEVELS, RollupFiles
from greenops.adapters.rollup_place import SpanFiles
from greenops.adapters.thread_engine import ThreadEngine
from greenops.errors import Unreachable
from greenops.pipeline.lake_packing import pack
from greenops.pipeline.rollup_work import RollUp
from greenops.pipeline.rollups import refresh
from tests.unit.pipeline.rollup_lakes import DAY_ONE, Lake, random_spans, span

HOUR = timedelta(hours=1)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_every_level_says_what_the_spans_say_one_by_one(lake, seed):
    rng = random.Random(seed)
    rows = random_spans(rng, 400, hours=rng.choice((1, 3, 30)))
    for at in range(0, len(rows), 90):
        lake.write(rows[at : at + 90], f"{at:06d}")

    done = lake.refresh()

    assert (done.spans, done.repeats, done.damaged) == (400, 0, {})
    lake.check(rows)


def test_nothing_is_made_where_nothing_changed(lake):
    lake.write(random_spans(random.Random(1), 50), "a")
    lake.refresh()
    before = lake.files()

    done = lake.refresh()

    assert (done.days, done.hours, done.spans) == (0, 0, 0)
    assert lake.files() == before


def test_a_late_span_changes_its_hour_alone(lake):
    rows = [span(at, DAY_ONE + at * HOUR / 4, energy_j=1.0) for at in range(40)]
    for at in range(0, 40, 4):
        lake.write(rows[at : at + 4], f"{at:06d}")
    lake.refresh()
    before = lake.files()
    late = span(99, DAY_ONE + 2.5 * HOUR, energy_j=3.0)

    lake.write([late], "late")
    done = lake.refresh()

    assert (done.days, done.hours) == (1, 1)
    changed = {name for name, content in lake.files().items() if before.get(name) != content}
    assert {os.path.basename(each) for each in changed} == {  # noqa: PTH119
        "02.parquet", "hours.parquet", "day.parquet",
    }  # fmt: skip
    lake.check([*rows, late])


def test_spans_that_come_again_count_once(lake):
    rows = random_spans(random.Random(2), 200)
    lake.write(rows, "a")
    lake.refresh()

    lake.write(rows[40:90], "again")
    lake.write([*rows[:5], *rows[:5]], "and-again")
    done = lake.refresh()

    assert done.repeats > 0
    lake.check(rows)


def test_of_spans_that_differ_under_one_id_the_first_that_is_read_counts(lake):
    first = span(1, energy_j=1.0)
    lake.write([first], "a")
    lake.write([span(1, energy_j=9.0), span(2)], "b")

    lake.refresh()

    lake.check([first, span(2)])


def test_spans_of_different_traces_count_each_though_their_span_ids_are_one(lake):
    rows = [span(1, trace_id=f"{at + 1:032x}", energy_j=1.0) for at in range(50)]
    lake.write(rows, "a")

    assert lake.refresh().repeats == 0
    lake.check(rows)
    lake.write(rows[:9], "again")
    assert lake.refresh().repeats == 9
    lake.check(rows)


def test_ids_that_are_no_bytes_are_told_apart_as_texts(lake):
    rows = [span(at, trace_id="t", span_id=f"s{at % 3}", energy_j=1.0) for at in range(6)]
    rows.append(span(7))
    lake.write(rows, "a")

    assert lake.refresh().repeats == 3
    lake.check(rows)


def test_a_segment_that_is_written_again_takes_its_place(lake):
    lake.write(random_spans(random.Random(3), 30), "a")
    lake.refresh()
    rows = random_spans(random.Random(4), 60)

    lake.write(rows, "a")
    lake.refresh()

    lake.check(rows)


def test_packing_changes_no_roll_up_and_late_spans_of_a_packed_day_still_count(lake):
    rows = random_spans(random.Random(5), 300, hours=20)
    for at in range(0, 300, 60):
        lake.write(rows[at : at + 60], f"{at:06d}")
    lake.refresh()
    before = lake.files()

    assert pack(lake.folder, SystemClock(), lambda: False).days == 1
    assert lake.refresh().days == 0
    assert lake.files() == before
    late = random_spans(random.Random(6), 20, hours=20, first=1000)
    lake.write([*late, *rows[:9]], "late")
    assert lake.refresh().repeats > 0
    lake.check([*rows, *late])


def test_roll_ups_of_packed_spans_are_those_of_loose_ones(lake, tmp_path):
    rows = random_spans(random.Random(7), 300)
    for at in range(0, 300, 60):
        lake.write(rows[at : at + 60], f"{at:06d}")
    other = Lake(tmp_path / "other")
    for at in range(0, 300, 60):
        other.write(rows[at : at + 60], f"{at:06d}")
    pack(other.folder, SystemClock(), lambda: False)

    lake.refresh()
    other.refresh()

    for level in LEVELS:
        assert lake.table(level).equals(other.table(level))


def test_a_damaged_file_is_named_and_left_out_until_it_is_whole(lake):
    rows = random_spans(random.Random(8), 40)
    lake.write(rows[:20], "a")
    lake.write(rows[20:], "b")
    path = next((lake.folder / "v1" / "spans").glob("day=*/b.parquet"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    done = lake.refresh()

    assert "GO0412" in done.damaged[str(path)]
    lake.check(rows[:20])
    assert lake.refresh().days == 0
    path.write_bytes(content)
    lake.refresh()
    lake.check(rows)


def test_a_file_whose_numbers_are_damaged_is_left_out_as_a_whole(lake):
    rows = random_spans(random.Random(9), 4000, hours=1)
    lake.write(rows[:2000], "a")
    lake.write(rows[2000:], "b")
    path = next((lake.folder / "v1" / "spans").glob("day=*/b.parquet"))
    content = bytearray(path.read_bytes())
    content[20_000:60_000] = bytes(40_000)
    path.write_bytes(bytes(content))

    done = lake.refresh()

    assert list(done.damaged) == [str(path)]
    lake.check(rows[:2000])


def test_a_damaged_roll_up_is_made_again(lake):
    rows = random_spans(random.Random(10), 40)
    lake.write(rows, "a")
    lake.refresh()
    whole = lake.files()
    for name in whole:
        if "minute" not in name:
            (lake.folder / name).write_bytes(b"PAR1")
    next(lake.folder.glob("v1/rollups/minute/day=*/*.parquet")).unlink()

    lake.refresh()

    assert lake.files() == whole


def test_a_day_whose_spans_went_keeps_its_roll_ups(lake):
    rows = random_spans(random.Random(11), 40)
    lake.write(rows, "a")
    lake.refresh()

    for each in (lake.folder / "v1" / "spans").glob("day=*/*"):
        each.unlink()

    assert lake.refresh().days == 0
    lake.check(rows)


class Dies(RollupFiles):
    """Roll-ups on a disk that fails at one of the writes."""

    def write(self, path, table, footer):
        if type(self).left == 0:
            raise Unreachable("GO0411", "the disk is full")
        type(self).left -= 1
        super().write(path, table, footer)


@pytest.mark.parametrize("writes", range(5))
def test_a_death_between_two_writes_leaves_what_can_be_read_and_goes_on(lake, writes):
    rows = random_spans(random.Random(12), 60)
    lake.write(rows[:30], "a")
    lake.refresh()
    lake.write(rows[30:], "b")
    whole = lake.rollups
    Dies.left = writes
    lake.rollups = Dies(whole.files, whole.folder)

    with pytest.raises(Unreachable):
        lake.refresh()
    lake.table("minute")
    lake.rollups = whole
    lake.refresh()

    lake.check(rows)


def test_files_that_are_packed_while_they_are_read_are_found_again(lake):
    rows = random_spans(random.Random(13), 120)
    for at in range(0, 120, 30):
        lake.write(rows[at : at + 30], f"{at:06d}")

    class PacksFirst(RollUp):
        def __call__(self, unit):
            pack(lake.folder, SystemClock(), lambda: False)
            return super().__call__(unit)

    done = refresh(lake.spans, lake.rollups, work=PacksFirst())

    assert done.spans == 120
    lake.check(rows)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "engine", [ProcessEngine(2), ThreadEngine(3)], ids=["processes", "threads"]
)
def test_several_workers_make_the_same_roll_ups_as_one(lake, tmp_path, engine):
    rows = random_spans(random.Random(14), 300, hours=6)
    other = Lake(tmp_path / "other")
    for one in (lake, other):
        for at in range(0, 300, 40):
            one.write(rows[at : at + 40], f"{at:06d}")

    lake.refresh()
    other.refresh(engine)

    for level in LEVELS:
        assert other.table(level).equals(lake.table(level))
    lake.check(rows)


class Silent(fs.FileSystemHandler):
    """A store that lists its files and then does not answer."""

    def __init__(self, files, silent=True):
        self.files, self.silent = files, silent

    def open_input_file(self, path):
        if self.silent:
            raise OSError("curlCode: 7, Couldn't connect to server")
        return self.files.open_input_file(path)

    def get_file_info(self, paths):
        return self.files.get_file_info(paths)

    def get_file_info_selector(self, selector):
        return self.files.get_file_info(selector)

    def get_type_name(self):
        return "silent"

    def __getattr__(self, name):
        return getattr(self.files, name)


Silent.__abstractmethods__ = frozenset()


def test_a_store_that_does_not_answer_makes_no_file_damaged(lake):
    rows = random_spans(random.Random(15), 40)
    lake.write(rows, "a")
    (_, folder) = lake.spans.places[0]
    handler = Silent(fs.LocalFileSystem())
    away = SpanFiles(((fs.PyFileSystem(handler), folder),))

    with pytest.raises(Unreachable, match="GO0420"):
        refresh(away, lake.rollups)
    assert lake.files() == {}
    handler.silent = False
    assert refresh(away, lake.rollups).damaged == {}
    lake.check(rows)


def test_spans_that_lie_here_and_away_count_once(lake, tmp_path):
    rows = random_spans(random.Random(16), 200)
    other = Lake(tmp_path / "away")
    for one in (lake, other):
        for at in range(0, 150, 50):
            one.write(rows[at : at + 50], f"{at:06d}")
    other.write(rows[150:], "000150")
    pack(other.folder, SystemClock(), lambda: False)
    whole = SpanFiles((*other.spans.places, *lake.spans.places))

    done = refresh(whole, lake.rollups)

    assert (done.spans, done.repeats) == (200, 0)
    lake.check(rows)


def test_parts_that_are_merged_on_the_way_make_the_same(lake, monkeypatch):
    rows = random_spans(random.Random(17), 300)
    for at in range(0, 300, 30):
        lake.write(rows[at : at + 30], f"{at:06d}")
    monkeypatch.setattr("greenops.pipeline.rollup_work.WAITING", 40)

    lake.refresh()

    lake.check(rows)


def test_whoever_comes_second_waits_until_the_first_has_made_its_roll_ups(lake):
    rows = random_spans(random.Random(18), 60)
    lake.write(rows, "a")
    second = threading.Thread(target=lake.refresh, daemon=True)

    with lake.rollups.alone():
        second.start()
        second.join(0.2)
        assert second.is_alive()
        assert lake.files() == {}
    second.join(20)

    assert not second.is_alive()
    lake.check(rows)


def test_a_day_with_an_hour_of_too_many_spans_stays_as_it_is(lake):
    small = [span(at, energy_j=1.0) for at in range(20)]
    large = [span(at, DAY_ONE + 24 * HOUR, energy_j=1.0) for at in range(100, 140)]
    lake.write(small, "a")
    lake.write(large, "b")

    done = refresh(lake.spans, lake.rollups, most_spans=30)

    assert (done.days, done.too_large) == (1, [(DAY_ONE + 24 * HOUR).date()])
    lake.check(small)
    assert refresh(lake.spans, lake.rollups, most_spans=40).too_large == []
    lake.check([*small, *large])


def test_what_was_left_by_a_death_while_a_file_was_written_is_removed(lake):
    lake.write(random_spans(random.Random(19), 30), "a")
    lake.refresh()
    whole = lake.files()
    left = lake.folder / next(iter(whole))
    left.with_name(f".{left.name}.4711").write_bytes(b"PAR1")

    with lake.rollups.alone():
        lake.rollups.tidy()

    assert lake.files() == whole
