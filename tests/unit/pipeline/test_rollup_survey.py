"""Hours of a day are made apart where that reads little twice, and together where it would read all of it again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from greenops.adapters.clock import SystemClock
from greenops.pipeline import rollup_survey
from greenops.pipeline.lake_packing import pack
from greenops.pipeline.rollup_sources import Source, affected, hours_in, kept, of_text, text_of
from greenops.pipeline.rollup_survey import Survey, units
from tests.unit.pipeline.rollup_lakes import Lake, span

DAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVERY_HOUR = 2**24 - 1


def files(*hours, rows=1_000):
    return [
        (SimpleNamespace(path=f"{at}"), sum(1 << hour for hour in each), rows)
        for at, each in enumerate(hours)
    ]


def made(mask, listed):
    return [
        (hours_in(each.hours), [int(file.path) for file, _ in each.files])
        for each in units(DAY, mask, listed)
    ]


def test_hours_of_files_of_their_own_are_apart():
    assert made(0b111, files([0], [1], [2])) == [([0], [0]), ([1], [1]), ([2], [2])]


def test_a_file_of_two_hours_is_read_for_both():
    listed = files([0], [0, 1], [1], [1, 2], [2])

    assert made(0b111, listed) == [([0], [0, 1]), ([1], [1, 2, 3]), ([2], [3, 4])]


def test_hours_of_a_file_of_the_whole_day_are_together():
    assert made(EVERY_HOUR, files(range(24))) == [(list(range(24)), [0])]


def test_a_late_span_in_every_hour_does_not_bind_them():
    hours = [[hour] for hour in range(24)]
    listed = [*files(*hours, rows=100_000), *files(range(24), rows=24)]

    assert [hours for hours, _ in made(EVERY_HOUR, listed)] == hours


def test_only_hours_that_are_asked_for_are_made_of_the_files_that_have_them():
    assert made(0b010, files([0], [0, 1], [2])) == [([1], [1])]
    assert made(0, files([0])) == []


def test_an_hour_without_files_is_still_made_so_that_it_empties():
    assert made(0b10, []) == [([1], [])]


A, B = Source(10, 0b1, "a"), Source(5, 0b110, "b")


@pytest.mark.parametrize(
    ("before", "now", "hours"),
    [
        ({}, {}, 0),
        ({}, {"x": A}, 0b1),
        ({"x": A}, {}, 0b1),
        ({"x": A}, {"x": A}, 0),
        ({"x": A}, {"x": Source(10, 0b1, None)}, 0),
        ({"x": A}, {"x": Source(9, 0b1, None)}, 0b1),
        ({"x": A}, {"x": Source(10, 0b1000, "other")}, 0b1001),
        ({"x": Source(10, 0b1, None)}, {"x": A}, 0b1),
        ({"x": A}, {"x": A, "y": B}, 0b110),
    ],
)
def test_hours_are_affected_by_files_that_came_went_or_are_others(before, now, hours):
    assert affected(before, now) == hours


def test_a_packed_file_keeps_the_stamp_that_it_had():
    now = kept({"x": A}, {"x": Source(10, 0b1, None), "y": B})

    assert now == {"x": A, "y": B}
    assert of_text(text_of(now)) == now


@pytest.mark.parametrize("text", [None, b"", b"not one", text_of({"x": A})[:-3]])
def test_a_footer_that_tells_nothing_is_none(text):
    assert of_text(text) is None


def spans_at(*minutes):
    return [span(at, NOON + timedelta(minutes=minute)) for at, minute in enumerate(minutes)]


@pytest.mark.parametrize("last", [59, 60], ids=["one hour", "two hours"])
def test_footers_tell_what_reading_tells(tmp_path, monkeypatch, last):
    lake = Lake(tmp_path)
    lake.write(spans_at(0, 7, 30), "1-run")
    lake.write(spans_at(last, 31), "2-run")
    pack(lake.folder, SystemClock(), lambda: False)
    (file,) = lake.spans.of_day(NOON.date())
    told = Survey()([file]).sources

    monkeypatch.setattr(rollup_survey, "_by_footer", lambda _part: None)
    assert Survey()([file]).sources == told
    assert sorted(each.rows for each in told.values()) == [2, 3]
    assert {each.hours for each in told.values()} == (
        {1 << 12} if last < 60 else {1 << 12, 1 << 12 | 1 << 13}
    )
