"""A day of refreshes: best times equal a search over all choices, sums equal those by hand, absent stays absent."""

# Plain numbers stand for grams and dollars here.
# mypy: disable-error-code="arg-type,union-attr,operator"

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.plan.cadence import CADENCES, SLOT, Refresh, cadences

START = datetime(2021, 10, 8, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
REGION = Region("r", "aws", "EU", "Z", 1.2, "test", {"ondemand": 3.0}, 0.0, "test")
HALF_HOUR = Refresh(HOUR / 2, 2.0)


def forecast(values, error=None, low=None, high=None, start=START) -> Forecast:
    return Forecast(
        "Z",
        KIND,
        start,
        HOUR,
        tuple(values),
        issued_at=start,
        id="f",
        error=error,
        low=low and tuple(low),
        high=high and tuple(high),
    )


@pytest.mark.feature("B13")
def test_a_day_at_each_cadence_is_the_sum_of_its_runs():
    told = forecast(range(100, 124), error=0.1)

    found = {each.every_s / 3600: each for each in cadences(HALF_HOUR, REGION, told, START)}

    assert {every: each.refreshes for every, each in found.items()} == {1: 24, 2: 12, 6: 4, 24: 1}
    for every, each in found.items():
        fixed = [100 + hour for hour in range(0, 24, int(every))]
        assert each.fixed.carbon_g == pytest.approx(2 * 1.2 * sum(fixed))
        assert each.fixed.carbon_low_g == pytest.approx(0.9 * each.fixed.carbon_g)
        assert each.fixed.carbon_high_g == pytest.approx(1.1 * each.fixed.carbon_g)
        assert each.fixed.cost_usd == pytest.approx(3.0 * 0.5 * each.refreshes)
        assert each.fixed.longest_gap_s == each.every_s


@pytest.mark.feature("B13")
@given(
    st.lists(st.integers(0, 500), min_size=24, max_size=24),
    st.integers(1, 12).map(lambda quarters: quarters * HOUR / 4),
)
def test_the_best_time_in_a_period_equals_a_search_over_its_slots(values, duration):
    halves = [value for value in values for _ in range(4)]  # quarters of an hour

    for found in cadences(
        Refresh(duration, 1.0), replace(REGION, pue=1.0), forecast(values), START
    ):
        every, quarters = timedelta(seconds=found.every_s), duration // (HOUR / 4)
        if duration > every:
            assert (found.fixed, found.best) == (None, None)
            continue
        starts, total = [], 0.0
        for period in range(found.refreshes):
            opens = period * every // (HOUR / 4)
            last = opens + every // (HOUR / 4) - quarters
            runs = {at: sum(halves[at : at + quarters]) for at in range(opens, last + 1, 2)}
            at = min(runs, key=lambda each: (runs[each], each))
            starts.append(START + at * HOUR / 4)
            total += runs[at] / quarters
        assert found.best.starts == tuple(starts)
        assert found.best.carbon_g == pytest.approx(total)
        assert found.best.carbon_g <= found.fixed.carbon_g + 1e-9
        assert every <= timedelta(seconds=found.best.longest_gap_s) < 2 * every
        assert found.best.cost_usd == found.fixed.cost_usd


def test_the_range_of_each_hour_counts_where_the_forecast_has_one():
    told = forecast([100] * 24, error=0.5, low=[90] * 24, high=[130] * 24)

    (found,) = cadences(HALF_HOUR, REGION, told, START, [6 * HOUR])

    assert found.best.carbon_low_g == pytest.approx(4 * 2.4 * 90)
    assert found.best.carbon_high_g == pytest.approx(4 * 2.4 * 130)


def test_what_is_not_known_is_absent_and_the_rest_stands():
    bare = replace(REGION, usd_per_hour={})
    short = forecast(range(23))

    blind = cadences(HALF_HOUR, REGION, None, START)
    late = cadences(Refresh(HOUR, 2.0), REGION, short, START)
    unweighed = cadences(Refresh(HOUR / 2, None), REGION, forecast(range(24)), START)
    unpriced = cadences(HALF_HOUR, bare, forecast(range(24)), START)

    assert {(each.fixed.carbon_g, each.best) for each in blind} == {(None, None)}
    assert all(each.fixed.cost_usd for each in blind)
    assert late[0].fixed.carbon_g is None
    assert late[3].fixed.carbon_g == 0
    assert late[3].best is None
    assert {each.best.carbon_g for each in unweighed} == {None}
    assert {each.best.cost_usd for each in unpriced} == {None}
    assert all(each.best.carbon_g is not None for each in unpriced)
    assert {each.best.carbon_low_g for each in unpriced} == {None}


@pytest.mark.parametrize("every", [5 * HOUR, 0 * HOUR, -HOUR, 48 * HOUR], ids=str)
def test_a_cadence_that_does_not_divide_a_day_is_refused(every):
    with pytest.raises(ValueError, match="no whole part of a day"):
        cadences(HALF_HOUR, REGION, None, START, [every])


def test_every_compared_cadence_has_whole_slots():
    assert all(each % SLOT == timedelta(0) for each in CADENCES)
