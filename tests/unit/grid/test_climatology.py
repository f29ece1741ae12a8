"""The usual course of a zone: as wrong as it says, and silent where it knows too little."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.adapters.shipped_grid import ShippedGrid
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.grid.climatology import climatology
from greenops.grid.past import KEPT

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=False)
AT = datetime(2021, 10, 8, 5, 20, tzinfo=UTC)


HOUR_OF = AT.replace(minute=0)


def past(values, *, end=HOUR_OF, step=HOUR):
    return IntensitySeries("Z", KIND, end - step * len(values), step, tuple(values))


def sun(hours, end=AT):
    """Clean at 12 UTC, dirty at 0."""
    first = end.hour - hours
    return [100.0 + abs(12 - (first + i) % 24) * 10 for i in range(hours)]


@pytest.mark.feature("B12")
def test_a_day_that_never_changes_is_foretold_as_it_is():
    found = climatology(past(sun(42 * 24)), AT, "a test")

    assert found.start == found.issued_at == AT.replace(minute=0)
    assert len(found.values) == 96
    assert found.values == pytest.approx(sun(96, AT + 96 * HOUR))
    assert found.error == pytest.approx(0.0, abs=1e-9)
    assert found.low == pytest.approx(found.values)


@pytest.mark.feature("B12")
def test_it_says_what_it_stands_in_for_and_of_which_kind_it_is():
    found = climatology(past(sun(42 * 24)), AT, "the provider is away")

    assert found.degraded.endswith("in place of a forecast: the provider is away")
    assert (found.kind.signal, found.kind.factors) == (KIND.signal, KIND.factors)
    assert found.kind.source == "usual course of test"
    assert found.id == "climatology/test/Z/2021-10-08T05:00Z"


def test_nothing_from_the_hour_that_runs_on_is_looked_at():
    known = past(sun(42 * 24))
    later = IntensitySeries("Z", KIND, known.start, HOUR, (*known.values, *[9e9] * 48))

    assert climatology(later, AT, "x") == climatology(known, AT, "x")


def test_a_level_that_rose_yesterday_fades():
    values = sun(42 * 24)
    values[-24:] = [each + 100 for each in values[-24:]]
    usual, raised = climatology(past(sun(42 * 24)), AT, "x"), climatology(past(values), AT, "x")

    rise = np.array(raised.values) - np.array(usual.values)

    assert rise[:24].mean() > 1.5 * rise[24:48].mean() > 0
    assert rise[72:].mean() < rise[:24].mean() / 3


def test_weekends_are_foretold_cleaner_where_they_were():
    end = datetime(2021, 10, 8, tzinfo=UTC)
    hours = [end + (i - 42 * 24) * HOUR for i in range(42 * 24)]
    values = [150.0 if each.weekday() >= 5 else 200.0 for each in hours]

    found = climatology(past(values, end=end), end, "x")

    friday, saturday = found.values[:24], found.values[24:48]
    assert np.mean(friday) - np.mean(saturday) > 20


@pytest.mark.parametrize("known", [0, 24, 6 * 24 + 23])
def test_less_than_a_week_of_the_past_says_nothing(known):
    assert climatology(past(sun(known) or [None]), AT, "x") is None


def test_a_past_that_ended_four_weeks_ago_says_nothing():
    assert climatology(past(sun(42 * 24), end=AT.replace(minute=0) - 28 * DAY), AT, "x") is None


def test_a_past_that_never_knows_one_hour_of_the_day_says_nothing():
    values = [None if i % 24 == 3 else v for i, v in enumerate(sun(28 * 24))]

    assert climatology(past(values), AT, "x") is None


def test_a_week_is_enough_for_a_course_and_too_little_for_its_range():
    found = climatology(past(sun(8 * 24)), AT, "x")

    assert found is not None
    assert (found.low, found.high, found.error) == (None, None, None)


def test_quarter_hours_and_gaps_do():
    quarters = [each for each in sun(28 * 24) for _ in range(4)]
    quarters[100:160] = [None] * 60

    found = climatology(past(quarters, step=HOUR / 4), AT, "x")

    assert found.values == pytest.approx(sun(96, AT + 96 * HOUR))


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 2000)), min_size=168, max_size=900),
    st.integers(0, 23),
)
@settings(max_examples=40, deadline=None)
def test_values_are_never_negative_and_lie_in_their_range(values, hour):
    at = AT.replace(hour=hour)
    found = climatology(past(values, end=at.replace(minute=0)), at, "x")

    if found is not None:
        assert all(np.isfinite(found.values))
        assert min(found.values) >= 0
        if found.low is not None:
            assert all(0 <= low <= high for low, high in zip(found.low, found.high, strict=True))


@pytest.mark.feature("B12")
@pytest.mark.slow
def test_on_the_shipped_series_it_is_as_wrong_as_its_page_says():
    grid, wrong, held = ShippedGrid(), [], []
    for zone in grid.zones():
        errors, inside = [], []
        for day in range(0, 177, 4):
            at = datetime(2021, 7, 1, 5, tzinfo=UTC) + timedelta(days=day)
            found = climatology(grid.actual(zone.id, at - KEPT * HOUR, at), at, "x")
            came = np.array(grid.actual(zone.id, at, at + 96 * HOUR).values, dtype=float)
            with np.errstate(divide="ignore"):
                share = np.abs(came - np.array(found.values)) / came
            errors.append(np.where(np.isfinite(share), share, np.nan))
            inside.append((np.array(found.low) <= came) & (came <= np.array(found.high)))
        by_hour = np.nanmean(errors, axis=0)
        wrong.append([by_hour[:24].mean(), by_hour[:48].mean(), by_hour.mean()])
        held.append(np.mean(inside, axis=0).reshape(4, 24).mean(axis=1))

    assert np.mean(wrong, axis=0) == pytest.approx([0.083, 0.094, 0.105], abs=0.002)
    assert np.mean(held, axis=0) == pytest.approx([0.95, 0.93, 0.92, 0.89], abs=0.01)
