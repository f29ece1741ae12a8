"""Durations, instants and percentages as people write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time

import pytest

from greenops.policy import quantity


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("8h", timedelta(hours=8)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("-30s", timedelta(seconds=-30)),
        ("250ms", timedelta(milliseconds=250)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_a_number_and_its_unit(text, means):
    assert quantity.duration(text) == means


@pytest.mark.parametrize(
    "text",
    ["", "-", "h", "8", "8 h", "2 hours", "1d", "1h 30m", "8H", "1_0s", "٣h", "9999999999999h"],
)
def test_what_is_no_duration_is_not_guessed(text):
    assert quantity.duration(text) is None


def test_a_hostile_duration_costs_no_time():
    begun = time.thread_time()

    assert quantity.duration("a" * 1_000_000 + "!") is None
    assert quantity.duration("1s" * 19 + "!") is None
    assert time.thread_time() - begun < 0.1


def test_an_instant_needs_its_zone():
    assert quantity.instant("2026-11-23T21:00:00+01:00") == datetime(2026, 11, 23, 20, tzinfo=UTC)
    half = datetime(2026, 11, 23, 20, 0, 0, 500_000, tzinfo=UTC)
    assert quantity.instant("2026-11-23T20:00:00.5Z") == half


@pytest.mark.parametrize(
    "text",
    ["now", "2026-11-23", "2026-W10", "2026-11-23T20:00:00", "2026-13-01T00:00:00Z", "1_000"],
)
def test_what_is_no_instant_is_not_guessed(text):
    assert quantity.instant(text) is None


def test_percentages_and_times_of_day():
    assert quantity.percent("10%") == pytest.approx(0.1)
    assert quantity.percent("10") is None
    assert quantity.percent("10 %") is None
    assert quantity.clock("06:00") == clock_time(6)
    assert quantity.clock("24:00") is None
    assert quantity.clock("6:00") is None
