"""Elastic jobs: the cleanest mixture of levels and slots, held to a linear programme's corners."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.elastic import ScalingProfile, scale
from greenops.plan.interruptible import InterruptiblePlanner
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable

STEP = 4
PROFILE = ([0, 1, 2, 3], [0.0, 2.0, 3.0, 3.5], [0.0, 1.0, 2.0, 3.0])


@given(
    st.lists(st.one_of(st.integers(0, 9).map(float), st.just(np.nan)), min_size=1, max_size=4),
    st.integers(0, 16),
    st.integers(0, 18),
    st.integers(1, 40),
)
@settings(deadline=None, derandomize=True)
def test_no_choice_of_levels_second_by_second_emits_less(values, earliest, deadline, work):
    table = SlotTable.of(values, STEP)
    profile = ScalingProfile.of(*PROFILE)

    found = scale(table, BatchJobs.of(0, earliest, deadline, 1), work, profile)

    seconds = [
        value
        for at, value in enumerate(np.repeat(values, STEP))
        if earliest <= at < deadline and not np.isnan(value)
    ]
    assert found.found[0] == (len(seconds) * 3.5 >= work)
    if not found.found[0]:
        assert np.isnan(found.carbon_g[0])
        assert not found.seconds.any()
        return
    ran = found.seconds[0]
    assert (ran >= -1e-9).all()
    assert ran.sum(axis=1).max() <= STEP + 1e-9
    assert (ran @ profile.work).sum() == pytest.approx(work)
    assert found.carbon_g[0] * 3600 <= least_by_levels(seconds, work) + 1e-6


def least_by_levels(seconds, work):
    """Least emissions [g x 3600] over whole seconds at whole levels that do at least the work."""
    best = {0.0: 0.0}  # work done -> least emissions
    for value in seconds:
        after: dict[float, float] = {}
        for (done, emitted), (_, more, draws) in product(best.items(), zip(*PROFILE, strict=True)):
            total = min(done + more, float(work))
            after[total] = min(after.get(total, np.inf), emitted + value * draws)
        best = after
    return best[float(work)]


def test_with_one_level_an_elastic_job_is_an_interruptible_one():
    draw = np.random.default_rng(3)
    table = SlotTable.of(draw.integers(1, 90, (2, 200)).astype(float), 3600)
    earliest, need = draw.integers(0, 400_000, 300), draw.integers(600, 40_000, 300)
    zone = draw.integers(0, 2, 300)
    jobs = BatchJobs.of(zone, earliest, earliest + need + draw.integers(0, 90_000, 300), need)

    found = scale(table, jobs, need.astype(float), ScalingProfile.of([1], [1.0], [2.0]))

    pieces = InterruptiblePlanner(table).plan(jobs)
    assert (found.found == pieces.found).all()
    assert found.carbon_g == pytest.approx(pieces.area / QUANTA * 2 / 3600)


def test_levels_that_two_others_beat_together_are_never_run_at():
    profile = ScalingProfile.of(
        [4, 1, 2, 3, 5], [9.0, 3.0, 4.0, 8.0, 9.0], [4.0, 1.0, 2.0, 3.0, 5.0]
    )

    assert profile.machines.tolist() == [0, 1, 3, 4]


def test_a_clean_hour_is_used_with_more_machines_than_a_dirty_one():
    table = SlotTable.of([900.0, 90.0, 500.0], 3600)

    found = scale(table, BatchJobs.of(0, 0, 3 * 3600, 1), 3.2 * 3600, ScalingProfile.of(*PROFILE))

    machines = (found.seconds[0] @ np.array([0, 1, 2, 3])) / 3600
    assert machines[1] == pytest.approx(2.4)
    assert machines[0] == machines[2] == 0


def test_a_profile_without_work_or_an_intensity_below_zero_is_refused():
    with pytest.raises(ValueError, match="does work"):
        ScalingProfile.of([0, 1], [0.0, 0.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="zero or more"):
        scale(SlotTable.of([-1.0], 60), BatchJobs.of(0, 0, 60, 1), 1, ScalingProfile.of(*PROFILE))
