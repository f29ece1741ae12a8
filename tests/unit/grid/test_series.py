"""Means over half-open steps, against brute force by the minute."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.grid import Basis, Factors, IntensitySeries, SeriesKind, Signal
from greenops.errors import MixedQuantities
from greenops.grid.series import mean_intensity, same_kind, value_at

START = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=False)


def series(*values, step=HOUR, start=START, kind=KIND):
    return IntensitySeries("Z", kind, start, step, values)


@pytest.mark.parametrize(
    ("start", "end", "mean"),
    [
        (0, 60, 100.0),
        (0, 120, 150.0),
        (30, 90, 150.0),
        (45, 90, (100 * 15 + 200 * 30) / 45),
        (60, 120, 200.0),
        (59, 61, 150.0),
        (0, 180, 200.0),
    ],
)
def test_a_step_that_is_touched_in_part_counts_in_part(start, end, mean):
    found = mean_intensity(series(100, 200, 300), START + start * MINUTE, START + end * MINUTE)

    assert found == pytest.approx(mean)


def test_the_end_of_a_run_is_not_part_of_it():
    one = series(100, 900)

    assert mean_intensity(one, START, START + HOUR) == 100
    assert value_at(one, START + HOUR) == 900


def test_a_run_may_end_with_the_series_but_not_after():
    one = series(100, 300)

    assert mean_intensity(one, START, one.end) == 200
    assert mean_intensity(one, START, one.end + timedelta(microseconds=1)) is None
    assert mean_intensity(one, START - timedelta(microseconds=1), one.end) is None


def test_a_gap_in_the_run_leaves_no_mean_and_one_beside_it_does():
    one = series(100, None, 300)

    assert mean_intensity(one, START, START + 2 * HOUR) is None
    assert mean_intensity(one, START + HOUR, START + HOUR) is None
    assert mean_intensity(one, START, START + HOUR) == 100
    assert mean_intensity(one, START + 2 * HOUR, START + 3 * HOUR) == 300


def test_a_run_without_length_asks_for_its_instant():
    one = series(100, 200)

    assert mean_intensity(one, START + HOUR, START + HOUR) == 200
    assert mean_intensity(one, one.end, one.end) is None
    assert mean_intensity(one, START + HOUR, START) is None


values = st.lists(
    st.one_of(st.none(), st.floats(min_value=0, max_value=1000)), min_size=1, max_size=8
)
steps = st.sampled_from([5, 15, 30, 60])


@given(values, steps, st.integers(-30, 500), st.integers(1, 300))
def test_the_mean_equals_brute_force_by_the_minute(given_values, step, offset, length):
    one = series(*given_values, step=step * MINUTE)
    start, end = START + offset * MINUTE, START + (offset + length) * MINUTE

    found = mean_intensity(one, start, end)

    by_minute = [value_at(one, start + i * MINUTE) for i in range(length)]
    if None in by_minute:
        assert found is None
    else:
        assert found == pytest.approx(sum(by_minute) / length, abs=1e-9)


@given(
    st.lists(st.floats(min_value=0, max_value=1000), min_size=2, max_size=8),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_the_mean_lies_between_the_extremes(given_values, one_end, other_end):
    one = series(*given_values)
    start, end = (one.start + f * (one.end - one.start) for f in sorted((one_end, other_end)))

    found = mean_intensity(one, start, end)

    if start < one.end:
        assert found is not None
        assert min(given_values) - 1e-9 <= found <= max(given_values) + 1e-9


@pytest.mark.feature("B5")
@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/Los_Angeles", (2021, 3, 14), 23),
        ("America/Los_Angeles", (2021, 11, 7), 25),
        ("Europe/Berlin", (2021, 3, 28), 23),
        ("Europe/Berlin", (2021, 10, 31), 25),
    ],
)
def test_a_local_day_has_as_many_hours_as_its_clock_gives_it(zone, day, hours):
    local = ZoneInfo(zone)
    start = datetime(*day, tzinfo=local).astimezone(UTC)
    end = (datetime(*day, tzinfo=local) + timedelta(days=1)).astimezone(UTC)
    one = series(*range(48), start=start)

    found = mean_intensity(one, start, end)

    assert found == pytest.approx(sum(range(hours)) / hours)


@pytest.mark.feature("B5")
def test_utc_and_local_instants_of_one_moment_give_one_mean():
    berlin = ZoneInfo("Europe/Berlin")
    one = series(10, 20, 30, start=datetime(2021, 10, 31, 0, tzinfo=UTC))
    first = datetime(2021, 10, 31, 2, fold=0, tzinfo=berlin)
    second = datetime(2021, 10, 31, 2, fold=1, tzinfo=berlin)

    assert value_at(one, first.astimezone(UTC)) == 10
    assert value_at(one, second.astimezone(UTC)) == 20
    assert mean_intensity(one, first.astimezone(UTC), second.astimezone(UTC)) == 10


@pytest.mark.feature("A4")
@pytest.mark.parametrize(
    "other",
    [
        SeriesKind(Signal.MARGINAL, Factors.LIFECYCLE, "test", replay=False),
        SeriesKind(Signal.AVERAGE, Factors.DIRECT, "test", replay=False),
        SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=False, basis=Basis.MARKET),
    ],
)
def test_average_and_marginal_or_lifecycle_and_direct_are_never_compared(other):
    with pytest.raises(MixedQuantities, match="GO0301 cannot compare"):
        same_kind(series(1), series(2), series(3, kind=other))


def test_series_of_two_sources_and_one_kind_are_compared():
    other = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "else", replay=True)

    assert same_kind(series(1), series(2, kind=other)) == KIND
