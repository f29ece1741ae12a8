from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.grid import Factors, Forecast, IntensitySeries, SeriesKind, Signal
from greenops.plan.intensity import MeanIntensity, MeanRange

START = datetime(2021, 10, 8, tzinfo=UTC)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=False)


def series(values) -> IntensitySeries:
    return IntensitySeries("Z", KIND, START, timedelta(hours=1), tuple(values))


values = st.lists(st.floats(0, 1000), min_size=1, max_size=24)


@given(values, st.data())
def test_a_mean_equals_the_mean_of_its_minutes_and_lies_between_the_extremes(given_values, data):
    minutes = 60 * len(given_values)
    first = data.draw(st.integers(0, minutes - 1))
    last = data.draw(st.integers(first + 1, minutes))

    mean = MeanIntensity(series(given_values))(
        START + timedelta(minutes=first), START + timedelta(minutes=last)
    )

    met = [given_values[minute // 60] for minute in range(first, last)]
    assert mean == pytest.approx(sum(met) / len(met), rel=1e-9, abs=1e-6)
    assert min(met) - 1e-6 <= mean <= max(met) + 1e-6


@given(
    st.lists(st.floats(0, 1000), min_size=2, max_size=5),
    st.integers(1, 20),
    st.integers(0, 10**10),
    st.data(),
)
def test_windows_of_the_same_values_have_the_same_mean_to_the_bit(pattern, repeats, shift, data):
    # A day that comes again and again, cut at any microsecond.
    mean = MeanIntensity(series(pattern * (repeats + 1)))
    day = timedelta(hours=len(pattern))
    start = START + timedelta(microseconds=shift % (day // timedelta(microseconds=1)))
    length = timedelta(microseconds=data.draw(st.integers(1, day // timedelta(microseconds=1))))
    end = START + day * (repeats + 1)
    last = max(0, (end - start - length) // day)

    found = {mean(start + n * day, start + n * day + length) for n in range(last + 1)}

    assert len(found) == 1


@given(st.floats(0, 1000), st.floats(-1e-10, 1e-10), st.integers(1, 48))
def test_a_flat_series_has_one_mean_however_it_was_computed(level, noise, hours):
    values = [round(level, 3) + noise * (n % 2) for n in range(72)]
    mean = MeanIntensity(series(values))

    starts = (START + timedelta(minutes=10 * n) for n in range((72 - hours) * 6))
    found = {mean(start, start + timedelta(hours=hours)) for start in starts}

    assert found == {round(level, 3)}


@pytest.mark.parametrize(("first", "last"), [(-1, 1), (2, 4), (1, 1), (2, 1), (0, 2)], ids=str)
def test_a_window_outside_or_over_a_gap_has_no_mean(first, last):
    mean = MeanIntensity(series([1.0, None, 3.0]))

    assert mean(START + timedelta(hours=first), START + timedelta(hours=last)) is None


def test_a_window_that_only_touches_a_gap_has_a_mean():
    mean = MeanIntensity(series([1.0, None, 3.0]))

    assert mean(START, START + timedelta(hours=1)) == 1.0
    assert mean(START + timedelta(hours=2), START + timedelta(hours=3)) == 3.0


def ranged(values, low, high) -> Forecast:
    made = series(values)
    return Forecast(
        made.zone, KIND, START, made.step, made.values, issued_at=START, id="f", low=low, high=high
    )


@given(
    st.lists(st.tuples(*[st.floats(0, 300)] * 3), min_size=1, max_size=24),
    st.data(),
)
def test_a_range_equals_the_means_of_lows_and_highs_minute_by_minute(drawn, data):
    hours = [sorted(each) for each in drawn]
    low, mean, high = (tuple(column) for column in zip(*hours, strict=True))
    first = data.draw(st.integers(0, 60 * len(hours) - 1))
    last = data.draw(st.integers(first + 1, 60 * len(hours)))
    window = START + timedelta(minutes=first), START + timedelta(minutes=last)

    found = MeanRange(ranged(mean, low, high))(*window)

    met = [hours[minute // 60] for minute in range(first, last)]
    assert found is not None
    assert found[0] == pytest.approx(sum(each[0] for each in met) / len(met), abs=1e-6)
    assert found[1] == pytest.approx(sum(each[2] for each in met) / len(met), abs=1e-6)
    assert found[0] <= MeanIntensity(ranged(mean, low, high))(*window) <= found[1]


@pytest.mark.parametrize(
    ("low", "high"),
    [(None, None), (None, (9.0, 9.0)), ((1.0, None), (9.0, 9.0)), ((1.0, 1.0), (9.0, None))],
)
def test_a_range_without_both_ends_of_every_hour_is_none(low, high):
    found = MeanRange(ranged([5.0, 5.0], low, high))

    assert found(START, START + timedelta(hours=2)) is None
    assert found(START, START + timedelta(hours=3)) is None
