from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.plan.intensity import MeanIntensity

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


@pytest.mark.parametrize(("first", "last"), [(-1, 1), (2, 4), (1, 1), (2, 1), (0, 2)], ids=str)
def test_a_window_outside_or_over_a_gap_has_no_mean(first, last):
    mean = MeanIntensity(series([1.0, None, 3.0]))

    assert mean(START + timedelta(hours=first), START + timedelta(hours=last)) is None


def test_a_window_that_only_touches_a_gap_has_a_mean():
    mean = MeanIntensity(series([1.0, None, 3.0]))

    assert mean(START, START + timedelta(hours=1)) == 1.0
    assert mean(START + timedelta(hours=2), START + timedelta(hours=3)) == 3.0
