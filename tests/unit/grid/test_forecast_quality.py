"""What came of forecasts: shares and errors equal to plain sums, and nothing is told that is not known."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,union-attr,operator"

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.grid import Factors, Forecast, IntensitySeries, SeriesKind, Signal
from greenops.grid.forecast_quality import captured, quality_by_source

START = datetime(2021, 10, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def kind(source="said") -> SeriesKind:
    return SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, source, replay=True)


def forecast(values, *, day=0, source="said", error=None, low=None, high=None, step=HOUR):
    at = START + day * DAY
    return Forecast(
        "Z",
        kind(source),
        at,
        step,
        tuple(values),
        issued_at=at,
        id=f"{source}/{day}",
        error=error,
        low=low and tuple(low),
        high=high and tuple(high),
    )


def actual(values, *, start=START, step=HOUR) -> IntensitySeries:
    return IntensitySeries("Z", kind("recorded"), start, step, tuple(values))


def only(found):
    (one,) = found
    return one


def test_the_figures_of_one_forecast_are_those_of_plain_sums():
    said = forecast([100.0, 100, 100, 100], low=[90.0] * 4, high=[120.0] * 4)

    found = only(quality_by_source([said], actual([100, 90, 80, 140])))

    assert (found.zone, found.source, found.issues, found.hours) == ("Z", "said", 1, 4)
    assert (found.since, found.until) == (START, START + 4 * HOUR)
    assert found.coverage == 0.5
    assert found.mae == pytest.approx((0 + 10 + 20 + 40) / 4)
    assert found.mape == pytest.approx((0 + 10 / 90 + 20 / 80 + 40 / 140) / 4)
    # Both misses are twice the half width on their side.
    assert found.widening == found.widened == pytest.approx(2.0)
    assert found.captured == (None, None)


def test_hours_count_as_they_come():
    said = forecast([100.0] * 96, low=[90.0] * 96, high=[110.0] * 96)

    found = only(quality_by_source([said], actual([100.0] * 5 + [None] * 3 + [300.0])))

    assert found.hours == 6
    assert found.coverage == pytest.approx(5 / 6)
    assert quality_by_source([said], actual([None] * 9)) == []
    assert quality_by_source([said], actual([1.0], start=START - 9 * DAY)) == []


def test_an_error_that_the_source_states_is_its_range_and_without_any_there_is_no_coverage():
    came = actual([100, 111, 89, 130])

    stated = only(quality_by_source([forecast([100.0] * 4, error=0.1)], came))
    silent = only(quality_by_source([forecast([100.0] * 4)], came))

    assert stated.coverage == 0.25
    assert (silent.coverage, silent.widening, silent.widened) == (None, None, None)
    assert silent.mae == stated.mae


def test_near_zero_no_relative_error_is_told():
    assert only(quality_by_source([forecast([30.0, 30])], actual([30, 19.9]))).mape is None
    assert only(quality_by_source([forecast([30.0, 30])], actual([30, 20]))).mape == 0.25


def test_ranges_that_held_enough_are_left_as_they_are():
    low, high = [50.0] * 20, [150.0] * 20

    found = only(
        quality_by_source([forecast([100.0] * 20, low=low, high=high)], actual([149.0] * 20))
    )

    assert (found.coverage, found.widened) == (1.0, None)
    assert found.widening == pytest.approx(0.98)


def test_a_range_without_width_cannot_be_widened():
    flat = [100.0] * 20

    found = only(quality_by_source([forecast(flat, low=flat, high=flat)], actual([101.0] * 20)))

    assert (found.coverage, found.widening, found.widened) == (0.0, None, None)


@given(
    st.lists(
        st.tuples(st.floats(0, 500), st.floats(0, 90), st.floats(0, 90), st.floats(0, 500)),
        min_size=10,
        max_size=60,
    )
)
def test_ranges_that_were_widened_by_the_factor_held_nine_of_ten_hours(drawn):
    said, below, above, came = (list(column) for column in zip(*drawn, strict=True))
    low = [value - by for value, by in zip(said, below, strict=True)]
    high = [value + by for value, by in zip(said, above, strict=True)]

    factor = only(quality_by_source([forecast(said, low=low, high=high)], actual(came))).widening

    if factor is not None:
        grown = factor * (1 + 1e-9)
        held = [
            # The half widths as the bounds have them: a small one is rounded when it is added.
            value - grown * (value - least) - 1e-9 <= true <= value + grown * (most - value) + 1e-9
            for value, least, most, true in zip(said, low, high, came, strict=True)
        ]
        assert sum(held) >= 0.9 * len(held)


def test_each_forecast_counts_once_and_each_source_alone():
    ours = [forecast([100.0] * 24, day=day, source="ours") for day in (1, 0, 1)]
    theirs = forecast([90.0] * 24, source="theirs")

    found = quality_by_source([*ours, theirs], actual([90.0] * 48))

    by_source = {each.source: each for each in found}
    assert (by_source["ours"].issues, by_source["ours"].hours) == (2, 48)
    assert (by_source["ours"].mae, by_source["theirs"].mae) == (10, 0)


def test_steps_of_half_an_hour_are_taken_by_the_hour():
    said = forecast([100.0, 120.0, 130.0, 130.0], step=HOUR / 2)

    found = only(quality_by_source([said], actual([100, 140.0])))

    assert (found.hours, found.mae) == (2, 10)


def by_hand(said, came, hours, job_h):
    every = emitted = best = 0.0
    for row, true in zip(said, came, strict=True):
        starts = range(hours - job_h + 1)
        mean = [sum(true[start : start + job_h]) / job_h for start in starts]
        told = [sum(row[start : start + job_h]) / job_h for start in starts]
        every += sum(mean) / len(mean)
        emitted += mean[told.index(min(told))]
        best += min(mean)
    return (every - emitted) / (every - best)


@pytest.mark.parametrize(("hours", "job_h"), [(24, 4), (48, 4), (9, 1)])
def test_the_captured_share_equals_a_search_over_all_starts(hours, job_h):
    draw = np.random.default_rng(3)
    came = draw.integers(0, 500, (6, 96)).astype(float)
    said = came + draw.integers(-90, 90, came.shape)

    assert captured(said, came, hours, job_h) == pytest.approx(by_hand(said, came, hours, job_h))
    assert captured(came, came, hours, job_h) == pytest.approx(1)


def test_windows_that_have_not_come_whole_and_flat_days_capture_nothing_that_could_be_told():
    draw = np.random.default_rng(3)
    came = draw.uniform(0, 500, (2, 96))
    said = draw.uniform(0, 500, (2, 96))
    late = came.copy()
    late[1, 20] = np.nan

    assert captured(said, late, 24) == captured(said[:1], came[:1], 24)
    assert captured(said[1:], late[1:], 24) is None
    assert captured(said, np.full_like(said, 7.0), 24) is None
