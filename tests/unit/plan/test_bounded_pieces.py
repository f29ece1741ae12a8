"""Pieces within a bound on cost: never over it, and the cleanest that a search by the second finds."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.bounded_pieces import bounded_pieces, mean_of
from greenops.plan.interruptible import InterruptiblePlanner
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable

STEP = 4
pairs = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 9).map(float), st.just(np.nan)),
        st.one_of(st.integers(-3, 9).map(float), st.just(np.nan)),
    ),
    min_size=1,
    max_size=7,
)


def by_the_second(carbon, cost, room, need, most):
    """Least carbon of `need` whole seconds within `most`; none where there is no way."""

    @cache
    def least(slot, left, money):
        if slot == len(room):
            return 0.0 if left == 0 and money >= 0 else np.inf
        ways = (
            carbon[slot] * each + least(slot + 1, left - each, money - cost[slot] * each)
            for each in range(min(room[slot], left) + 1)
        )
        return float(min(ways))

    found = least(0, need, most)
    return None if np.isinf(found) else found


@given(pairs, st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_bound_is_kept_and_nothing_cleaner_by_more_than_some_seconds_is_missed(values, data):
    carbon, cost = (np.array(each) for each in zip(*values, strict=True))
    end = len(values) * STEP
    earliest, deadline = data.draw(st.integers(0, end)), data.draw(st.integers(0, end + 2))
    need, most = data.draw(st.integers(1, end)), data.draw(st.integers(-20, 120))
    jobs = BatchJobs.of(0, earliest, deadline, need)

    found = bounded_pieces(
        SlotTable.of(carbon, STEP), SlotTable.of(cost, STEP), jobs, most * QUANTA
    )

    opens = np.arange(len(values)) * STEP
    room = np.clip(np.minimum(opens + STEP, deadline) - np.maximum(opens, earliest), 0, STEP)
    room[np.isnan(carbon + cost)] = 0
    best = by_the_second(
        np.nan_to_num(carbon).tolist(), np.nan_to_num(cost).tolist(), room.tolist(), need, most
    )
    assert found.found[0] == (best is not None)
    if best is None:
        assert not found.seconds.any()
        assert np.isnan(mean_of(found, jobs)[0])
        return
    first = int(found.first_slot[0])
    ran = np.zeros(len(values), int)
    ran[first : first + found.seconds.shape[1]] = found.seconds[0, : len(values) - first]
    assert ran.sum() == need
    assert (ran <= room).all()
    assert found.bounded_area[0] == round((np.nan_to_num(cost) * ran).sum() * QUANTA)
    assert found.bounded_area[0] <= most * QUANTA
    assert found.area[0] == round((np.nan_to_num(carbon) * ran).sum() * QUANTA)
    assert found.bound[0] / QUANTA <= best + 1e-6
    # A mixture of two corners rounds at most a second a slot.
    assert found.area[0] / QUANTA <= best + 9 * len(values)
    assert mean_of(found, jobs)[0] == pytest.approx(found.area[0] / QUANTA / need)


def test_tables_of_different_slots_are_not_weighed_together():
    with pytest.raises(ValueError, match="differ"):
        bounded_pieces(
            SlotTable.of([1.0, 2.0], 60), SlotTable.of([1.0], 60), BatchJobs.of(0, 0, 60, 60), 0
        )


def market(count: int = 400):
    draw = np.random.default_rng(7)
    carbon = draw.uniform(50, 500, 400).round(2)
    price = (0.2 - carbon / 4000 + draw.uniform(0, 0.1, 400)).round(4)
    tables = SlotTable.of(carbon, 3600), SlotTable.of(price, 3600)
    earliest = draw.integers(0, 300 * 3600, count)
    need = draw.integers(600, 12 * 3600, count)
    jobs = BatchJobs.of(0, earliest, earliest + need + 24 * 3600, need)
    return *tables, jobs


def test_hundreds_of_jobs_come_within_two_seconds_of_what_is_possible():
    carbon, price, jobs = market()
    usual = price.area(jobs.zone, jobs.earliest_s, jobs.earliest_s + jobs.duration_s)

    found = bounded_pieces(carbon, price, jobs, usual)

    assert found.found.all()
    assert (found.bounded_area <= usual).all()
    assert (found.seconds.sum(axis=1) == jobs.duration_s).all()
    assert (found.area >= found.bound * (1 - 1e-12)).all()
    assert (found.area - found.bound).max() < 2 * 500 * QUANTA
    assert found.area.sum() / found.bound.sum() < 1.0001
    free = InterruptiblePlanner(carbon).plan(jobs)
    assert (found.area > free.area).mean() > 0.3  # the bound binds


def test_without_a_bound_that_binds_the_pieces_are_the_cheapest_seconds():
    carbon, price, jobs = market(50)

    found = bounded_pieces(carbon, price, jobs, np.inf)

    assert (found.area == InterruptiblePlanner(carbon).plan(jobs).area).all()
    dearer = bounded_pieces(carbon, price, jobs, -1e18)
    assert not dearer.found.any()
