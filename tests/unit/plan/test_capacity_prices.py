"""Jobs of different power under caps: never over a cap, and the gap that is told is no less than the true one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.capacity_prices import place_under_caps
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable
from greenops.plan.windows import best_windows

STEP = 60
SLOTS = 5
value = st.one_of(st.integers(0, 6).map(float), st.just(np.nan))


@given(
    st.lists(st.lists(value, min_size=SLOTS, max_size=SLOTS), min_size=2, max_size=2),
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.booleans(),
            st.integers(0, SLOTS - 1),
            st.integers(1, 3),
            st.sampled_from([1.0, 2.0, 2.5]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.integers(0, 5).map(float), min_size=2 * SLOTS, max_size=2 * SLOTS),
)
@settings(deadline=None, derandomize=True)
def test_no_cap_is_broken_and_no_placement_of_all_jobs_is_below_the_bound(values, drawn, caps):
    values, caps = np.array(values), np.array(caps).reshape(2, SLOTS)
    home, roams, first, slots, power = (np.array(each) for each in zip(*drawn, strict=True))
    allowed = (np.arange(2) == home[:, None]) | roams[:, None]
    jobs = BatchJobs.of(home, first * STEP, SLOTS * STEP, slots * STEP)

    found = place_under_caps(SlotTable.of(values, STEP), jobs, power, caps, allowed)

    drawn_kw, cost = np.zeros_like(caps), 0.0
    for job in range(len(drawn)):
        if found.start_s[job] < 0:
            assert found.zone[job] == -1
            continue
        at, zone = int(found.start_s[job]) // STEP, int(found.zone[job])
        assert allowed[job, zone]
        assert first[job] <= at <= SLOTS - slots[job]
        drawn_kw[zone, at : at + slots[job]] += power[job]
        cost += values[zone, at : at + slots[job]].sum() * STEP * power[job]
    assert (drawn_kw <= caps + 1e-9).all()
    assert found.cost == pytest.approx(cost)
    best = best_of_all(values, drawn, allowed, caps)
    if best is not None:
        assert found.bound is not None
        assert found.bound <= best + 1e-6
        if found.gap is not None:
            assert found.gap >= 1 - best / found.cost - 1e-9


def best_of_all(values, drawn, allowed, caps):
    """Least cost of placing every job, by trying all ways; none where that cannot be."""
    ways = [
        [
            (zone, at)
            for zone in np.flatnonzero(allowed[job])
            for at in range(first, SLOTS - slots + 1)
            if not np.isnan(values[zone, at : at + slots]).any()
        ]
        for job, (_, _, first, slots, _) in enumerate(drawn)
    ]
    costs = []
    for chosen in product(*ways):
        used, cost = np.zeros_like(caps), 0.0
        for (zone, at), (_, _, _, slots, power) in zip(chosen, drawn, strict=True):
            used[zone, at : at + slots] += power
            cost += values[zone, at : at + slots].sum() * STEP * power
        if (used <= caps + 1e-9).all():
            costs.append(cost)
    return min(costs, default=None)


def test_without_a_cap_that_binds_every_job_has_its_own_best_and_the_gap_is_nothing():
    draw = np.random.default_rng(2)
    table = SlotTable.of(draw.integers(1, 50, (1, 48)).astype(float), 3600)
    first, slots = draw.integers(0, 20, 60), draw.integers(1, 8, 60)
    jobs = BatchJobs.of(0, first * 3600, (first + slots + 12) * 3600, slots * 3600)
    power = draw.uniform(1, 3, 60)

    found = place_under_caps(table, jobs, power, 1e6)

    alone = best_windows(table, jobs)
    assert found.cost == pytest.approx(float(alone.area / QUANTA @ power))
    assert found.gap == pytest.approx(0, abs=1e-12)


def test_a_few_hundred_jobs_under_a_cap_come_within_some_percent_of_the_bound():
    draw = np.random.default_rng(0)
    hours = np.arange(168)
    table = SlotTable.of(
        300 + 150 * np.cos(hours / 24 * 2 * np.pi) + draw.uniform(0, 30, 168), 3600
    )
    slots, slack = draw.integers(1, 13, 300), draw.integers(0, 49, 300)
    first = (draw.random(300) * (168 - slots - slack)).astype(int)
    power = draw.uniform(0.2, 5, 300)
    jobs = BatchJobs.of(0, first * 3600, (first + slots + slack) * 3600, slots * 3600)
    cap = float(power @ slots) / 168 / 0.6

    found = place_under_caps(table, jobs, power, cap)

    usual = table.area(jobs.zone, jobs.earliest_s, jobs.earliest_s + jobs.duration_s) / QUANTA
    assert found.gap is not None
    assert found.gap < 0.05
    assert found.cost < 0.9 * float(usual @ power)


def test_a_job_for_which_there_is_no_room_is_told_and_no_gap_is_claimed():
    table = SlotTable.of([1.0, 2.0], STEP)

    found = place_under_caps(table, BatchJobs.of(0, 0, 2 * STEP, [STEP, STEP]), [1.0, 9.0], 2.0)

    assert found.start_s.tolist() == [0, -1]
    assert found.gap is None
