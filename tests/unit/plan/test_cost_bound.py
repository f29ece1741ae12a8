"""Bounds between carbon and cost: kept to the last digit, and the best within them by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.cost_bound import (
    bounded_windows,
    cheaper_unless_dirtier,
    cleaner_within_cost,
    raised,
)
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable
from greenops.plan.windows import best_windows

STEP = 4
pairs = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 5).map(float), st.just(np.nan)),
        st.one_of(st.integers(-3, 5).map(float), st.just(np.nan)),
    ),
    min_size=1,
    max_size=10,
)


def ways(carbon, price, earliest, deadline, duration):
    """(carbon, start, cost) of every start that touches no gap, by the second."""
    by_second = np.repeat(carbon, STEP), np.repeat(price, STEP)
    for at in range(earliest, min(deadline, len(by_second[0])) - duration + 1):
        if at % STEP and at != earliest:
            continue
        emitted, paid = (each[at : at + duration].sum() for each in by_second)
        if not np.isnan(emitted + paid):
            yield emitted, at, paid


@given(pairs, st.data())
@settings(deadline=None, derandomize=True)
def test_the_cleanest_start_within_the_bound_is_found_and_the_bound_is_never_broken(values, data):
    carbon, price = (np.array(each) for each in zip(*values, strict=True))
    end = len(values) * STEP
    earliest = data.draw(st.integers(0, end))
    duration = data.draw(st.integers(1, end))
    deadline = data.draw(st.integers(0, end + 3))
    most = data.draw(st.integers(-20, 60))
    tables = SlotTable.of(carbon, STEP), SlotTable.of(price, STEP)

    found = bounded_windows(*tables, BatchJobs.of(0, earliest, deadline, duration), most * QUANTA)

    possible = [
        each for each in ways(carbon, price, earliest, deadline, duration) if each[2] <= most
    ]
    if not possible:
        assert not found.found[0]
    else:
        assert (found.area[0] / QUANTA, found.start_s[0]) == min(possible)[:2]


@given(pairs, st.floats(0, 2), st.data())
@settings(deadline=None, derandomize=True)
def test_cleaner_within_some_percent_of_the_cheapest_or_of_the_baseline(values, increase, data):
    carbon, price = (np.array(each) for each in zip(*values, strict=True))
    end = len(values) * STEP
    earliest = data.draw(st.integers(0, end - 1))
    duration = data.draw(st.integers(1, end - earliest))
    tables = SlotTable.of(carbon, STEP), SlotTable.of(price, STEP)
    jobs = BatchJobs.of(0, earliest, end, duration)

    by_cheapest = cleaner_within_cost(*tables, jobs, increase=increase)
    by_baseline = cleaner_within_cost(*tables, jobs, baseline_s=jobs.earliest_s, increase=increase)

    cheapest = best_windows(tables[1], jobs)
    possible = list(ways(carbon, price, earliest, end, duration))
    baseline = [paid for _, at, paid in possible if at == earliest]
    for found, reference in (
        (by_cheapest, cheapest.area[0] / QUANTA if cheapest.found[0] else None),
        (by_baseline, baseline[0] if baseline else None),
    ):
        if reference is None:
            # A gap of carbon alone leaves the baseline its price; then a bound can still be kept.
            assert found is by_baseline or not found.found[0]
            continue
        most = int(raised(np.array([round(reference * QUANTA)]), increase)[0])
        kept = [each for each in possible if round(each[2] * QUANTA) <= most]
        assert found.found[0] == bool(kept)
        if kept:
            assert (found.area[0] / QUANTA, found.start_s[0]) == min(kept)[:2]


@given(pairs, st.integers(0, 6))
@settings(deadline=None, derandomize=True)
def test_cheaper_unless_dirtier_is_the_cheapest_of_those_that_are_clean_enough(values, most):
    carbon, price = (np.array(each) for each in zip(*values, strict=True))
    end = len(values) * STEP
    tables = SlotTable.of(carbon, STEP), SlotTable.of(price, STEP)

    found = cheaper_unless_dirtier(tables[1], tables[0], BatchJobs.of(0, 0, end, 6), most)

    possible = [
        (paid, at) for emitted, at, paid in ways(carbon, price, 0, end, 6) if emitted <= most * 6
    ]
    assert found.found[0] == bool(possible)
    if possible:
        assert (found.area[0] / QUANTA, found.start_s[0]) == min(possible)


def test_no_limit_of_intensity_leaves_the_cheapest():
    tables = SlotTable.of([9.0, 9.0], STEP), SlotTable.of([2.0, 1.0], STEP)

    found = cheaper_unless_dirtier(tables[1], tables[0], BatchJobs.of(0, 0, 8, 4), np.inf)

    assert found.start_s.tolist() == [4]


def test_a_negative_cost_may_rise_by_a_share_of_its_size():
    assert raised(np.array([-100, 100, 0, 10**15]), 0.1).tolist() == [
        -90,
        110,
        0,
        11 * 10**14,
    ]
    assert raised(np.array([5]), np.inf)[0] > 10**18
    with pytest.raises(ValueError, match="zero or more"):
        raised(np.array([1]), -0.1)
    with pytest.raises(ValueError, match="zero or more"):
        raised(np.array([1]), np.nan)


def test_tables_of_different_slots_are_not_weighed_together():
    with pytest.raises(ValueError, match="differ"):
        bounded_windows(
            SlotTable.of([1.0], 60), SlotTable.of([1.0], 3600), BatchJobs.of(0, 0, 60, 60), 0
        )
