"""Points as sources give them: unsorted, with gaps, twice, in wrong units, without offsets."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.adapters.grid_points import (
    Point,
    as_forecast,
    as_series,
    covering,
    grams,
    instant,
    lay,
    number,
    pieces,
)
from greenops.domain.grid import Factors, SeriesKind, Signal
from greenops.errors import DataMissing

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "made-up", replay=False)


def points(*values, start=NOON, step=HOUR):
    return [Point(start + index * step, value) for index, value in enumerate(values)]


def test_unsorted_points_are_laid_in_order():
    laid = lay(reversed(points(1.0, 2.0, 3.0)))

    assert (laid.start, laid.step, laid.values) == (NOON, HOUR, (1.0, 2.0, 3.0))
    assert laid.end == NOON + 3 * HOUR


def test_where_no_point_lies_there_is_a_gap_and_never_a_zero():
    first, _, third, fourth = points(1.0, 2.0, 3.0, 4.0)

    assert lay([first, third, fourth]).values == (1.0, None, 3.0, 4.0)


def test_the_same_value_twice_is_one_and_two_that_differ_are_refused():
    twice = [*points(1.0, 2.0), Point(NOON, 1.0)]
    torn = [*points(1.0, 2.0), Point(NOON, 1.5)]

    assert lay(twice).values == (1.0, 2.0)
    with pytest.raises(ValueError, match=r"two values for 2026-03-29T12:00Z: 1 and 1.5"):
        lay(torn)


@pytest.mark.parametrize("order", [1, -1])
def test_a_value_stands_before_a_gap_of_the_same_hour(order):
    both = [Point(NOON, None), Point(NOON, 7.0)][::order]

    assert lay(both, HOUR).values == (7.0,)


def test_a_point_off_the_grid_is_refused():
    with pytest.raises(ValueError, match=r"off the grid"):
        lay([*points(1.0, 2.0), Point(NOON + timedelta(minutes=130), 3.0)], HOUR)


@pytest.mark.parametrize("found", [[], points(1.0)])
def test_too_few_points_tell_no_step(found):
    with pytest.raises(ValueError, match=r"no values|one value alone"):
        lay(found)


def test_a_century_of_minutes_is_refused_before_it_is_made():
    far = [*points(1.0, 2.0, step=timedelta(minutes=1)), Point(NOON + timedelta(days=36_525), 3.0)]

    with pytest.raises(ValueError, match=r"too many"):
        lay(far)


def test_what_was_estimated_is_told_where_every_point_tells_it():
    told = [Point(NOON, 1.0, True), Point(NOON + 2 * HOUR, 2.0, False)]
    untold = [Point(NOON, 1.0, True), Point(NOON + 2 * HOUR, 2.0)]

    assert lay(told, HOUR).estimated == (True, False, False)
    assert lay(untold, HOUR).estimated is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-03-29T12:00", "has no offset"),
        ("29/03/2026", "is no time"),
        (12, "is no time"),
        (None, "is no time"),
    ],
)
def test_a_time_without_an_offset_or_sense_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        instant(text)


@pytest.mark.parametrize(
    "text",
    ["2026-03-29T12:00Z", "2026-03-29T14:00:00+02:00", "2026-03-29T12:00:00.0000000+00:00"],
)
def test_times_are_read_as_sources_write_them(text):
    assert instant(text) == NOON
    assert instant(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize("value", [None, math.nan])
def test_null_and_nan_are_gaps(value):
    assert grams(value, NOON) is None


@pytest.mark.parametrize("value", [-1, 5000.1, math.inf, 10**400, "12", True, [], {}])
def test_what_cannot_be_an_intensity_is_refused(value):
    with pytest.raises(ValueError, match=r"cannot be|is no number|infinite"):
        grams(value, NOON)


def test_zero_is_a_value():
    assert grams(0, NOON) == 0
    assert number(0) == 0


@given(st.integers(0, 30), st.integers(0, 200), st.integers(1, 200))
def test_the_steps_that_cover_a_time_are_those_that_overlap_it(phase, begin, length):
    minute = timedelta(minutes=1)
    laid = lay(points(*range(12), start=NOON + phase * minute, step=30 * minute))
    start = laid.start + begin * minute
    end = min(start + length * minute, laid.end)

    part = covering(laid, start, end, "it has none")

    starts = [laid.start + i * laid.step for i in range(len(laid.values))]
    wanted = [i for i, at in enumerate(starts) if at < end and at + laid.step > start]
    assert part.values == tuple(wanted)
    assert part.start == starts[wanted[0]]


@pytest.mark.parametrize(("first", "past"), [(-1, 2), (1, 5), (2, 2), (3, 2)])
def test_a_time_that_is_not_covered_is_missing_and_not_shortened(first, past):
    laid = lay(points(1.0, 2.0, 3.0, 4.0))

    with pytest.raises(DataMissing, match=r"it has none for .* it gives 2026-03-29T12:00Z to"):
        covering(laid, NOON + first * HOUR, NOON + past * HOUR, "it has none")


def test_a_series_keeps_gaps_estimates_and_when_it_was_published():
    laid = lay([Point(NOON, None, False), Point(NOON + HOUR, 2.0, True)])

    series = as_series(laid, "Z", KIND, NOON)

    assert series.values == (None, 2.0)
    assert series.estimated == (False, True)
    assert series.published_at == NOON


def test_yesterdays_forecast_keeps_its_true_issue():
    laid = lay(points(*map(float, range(48))))

    said = as_forecast(laid, "Z", KIND, issued_at=NOON, at=NOON + 24 * HOUR)

    assert said.issued_at == NOON
    assert said.id == "made-up/Z/2026-03-29T12:00:00Z"


def test_a_clock_a_little_ahead_is_forgiven_and_a_forecast_of_the_future_is_not():
    laid = lay(points(1.0, 2.0))
    second = timedelta(seconds=1)

    said = as_forecast(laid, "Z", KIND, issued_at=NOON + second, at=NOON)

    assert said.issued_at == NOON
    with pytest.raises(DataMissing, match=r"no forecast of `Z` known at"):
        as_forecast(laid, "Z", KIND, issued_at=NOON + HOUR, at=NOON)


def test_a_forecast_that_ended_is_missing():
    laid = lay(points(1.0, 2.0))

    with pytest.raises(DataMissing, match=r"ended at 2026-03-29T14:00Z"):
        as_forecast(laid, "Z", KIND, issued_at=NOON, at=NOON + 2 * HOUR)


def test_a_time_is_asked_in_whole_steps_outward_and_in_pieces():
    start, end = NOON + timedelta(minutes=59), NOON + 5 * HOUR + timedelta(seconds=1)

    found = list(pieces(start, end, HOUR, 4 * HOUR))

    assert found == [(NOON, NOON + 4 * HOUR), (NOON + 4 * HOUR, NOON + 6 * HOUR)]


def test_a_time_that_is_none_has_no_pieces():
    assert list(pieces(NOON, NOON, HOUR, HOUR)) == []
