"""Jobs that wait for each other: the cleanest plan by trying them all, the earliest where it ties."""

from __future__ import annotations

from graphlib import CycleError
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.dependencies import plan_workflow
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable
from greenops.plan.windows import best_windows

STEP = 60
value = st.one_of(st.integers(0, 5).map(float), st.just(np.nan))


@given(
    st.lists(st.lists(value, min_size=8, max_size=8), min_size=2, max_size=2),
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(1, 3), st.integers(0, 3)),
        min_size=1,
        max_size=4,
    ),
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3))),
)
@settings(deadline=None, derandomize=True)
def test_no_other_starts_cost_less_and_none_as_good_begin_earlier(values, drawn, pairs):
    values = np.array(values)
    zone, first, slots, weight = (np.array(each) for each in zip(*drawn, strict=True))
    after = [(a, b) for a, b in pairs if a < b < len(drawn)]
    jobs = BatchJobs.of(zone, first * STEP, 8 * STEP, slots * STEP)

    found = plan_workflow(SlotTable.of(values, STEP), jobs, after, weight)

    plans = []
    for starts in product(*(range(first[j], 9 - slots[j]) for j in range(len(drawn)))):
        if all(starts[b] >= starts[a] + slots[a] for a, b in after):
            areas = [values[zone[j], s : s + slots[j]].sum() for j, s in enumerate(starts)]
            if not np.isnan(areas).any():
                plans.append((float(np.array(areas) @ weight), starts))
    assert found.found == bool(plans)
    if not plans:
        assert found.start_s.tolist() == [-1] * len(drawn)
        return
    least = min(plans)[0]
    best = [starts for cost, starts in plans if cost == least]
    assert found.area @ weight == pytest.approx(least * STEP * QUANTA)
    earliest = np.array(best).min(axis=0)
    assert (found.start_s == earliest * STEP).all()


def test_a_night_of_four_steps_keeps_their_order_and_the_deadline():
    draw = np.random.default_rng(1)
    table = SlotTable.of(draw.uniform(50, 500, 96), 1800)
    jobs = BatchJobs.of(0, 0, 96 * 1800, np.array([3, 5, 2, 4]) * 3600)
    diamond = [(0, 1), (0, 2), (1, 3), (2, 3)]

    found = plan_workflow(table, jobs, diamond)

    end = found.start_s + jobs.duration_s
    assert all(end[a] <= found.start_s[b] for a, b in diamond)
    assert end.max() <= 96 * 1800
    alone = plan_workflow(table, jobs, [])
    assert (alone.area == best_windows(table, jobs).area).all()
    assert alone.area.sum() <= found.area.sum()


def test_a_chain_that_fills_its_window_has_one_plan_and_a_longer_one_none():
    table = SlotTable.of([5.0, 1.0, 5.0], STEP)
    chain = [(0, 1), (1, 2)]

    full = plan_workflow(table, BatchJobs.of(0, 0, 3 * STEP, [STEP] * 3), chain)
    over = plan_workflow(table, BatchJobs.of(0, 0, 3 * STEP, [STEP, STEP + 1, STEP]), chain)

    assert full.start_s.tolist() == [0, STEP, 2 * STEP]
    assert not over.found


def test_jobs_that_wait_in_a_circle_are_refused():
    jobs = BatchJobs.of(0, 0, 2 * STEP, [STEP, STEP])

    with pytest.raises(CycleError):
        plan_workflow(SlotTable.of([1.0, 1.0], STEP), jobs, [(0, 1), (1, 0)])
