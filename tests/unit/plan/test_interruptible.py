"""Interruptible jobs: the cheapest seconds of a window, held to sorting them all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.interruptible import InterruptiblePlanner
from greenops.plan.slot_ranks import SlotRanks
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable

STEP = 4
value = st.one_of(st.sampled_from([1.0, 1.0, 2.0, np.nan, -3.0]), st.integers(0, 9).map(float))
series = st.lists(value, min_size=1, max_size=12)


@given(st.lists(series, min_size=1, max_size=3), st.data())
@settings(deadline=None, derandomize=True)
def test_a_job_runs_in_the_cheapest_seconds_and_in_no_gap(given_values, data):
    slots = max(map(len, given_values))
    values = np.array([[*row, *[7.0] * (slots - len(row))] for row in given_values])
    end = slots * STEP
    drawn = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, len(values) - 1),
                st.integers(-3, end + 2),
                st.integers(-2, end + 3),
                st.integers(1, end + 1),
            ),
            min_size=1,
            max_size=5,
        )
    )
    planner = InterruptiblePlanner(SlotTable.of(values, STEP))
    jobs = BatchJobs.of(*zip(*drawn, strict=True))

    planned = planner.plan(jobs)

    for at, (zone, earliest, deadline, duration) in enumerate(drawn):
        seconds = np.repeat(values[zone], STEP)[max(earliest, 0) : max(deadline, 0)]
        known = np.sort(seconds[~np.isnan(seconds)])
        pieces = planner.pieces(jobs, planned, at)
        assert planned.found[at] == (len(known) >= duration)
        if not planned.found[at]:
            assert pieces == []
            assert np.isnan(planned.mean[at])
            continue
        assert planned.area[at] / QUANTA == pytest.approx(known[:duration].sum())
        assert planned.mean[at] == pytest.approx(known[:duration].mean())
        runs = np.concatenate([np.arange(*piece) for piece in pieces])
        assert len(runs) == len(set(runs.tolist())) == duration
        assert max(earliest, 0) <= runs.min()
        assert runs.max() < deadline
        assert np.repeat(values[zone], STEP)[runs].sum() == pytest.approx(known[:duration].sum())
        assert all(end < start for (_, end), (start, _) in pairwise(pieces))


@given(st.lists(st.integers(0, 3).map(float), min_size=1, max_size=40), st.data())
@settings(deadline=None, derandomize=True)
def test_the_last_of_the_cheapest_slots_is_the_earliest_that_will_do(values, data):
    ranks = SlotRanks.of(SlotTable.of(values, STEP), 0)
    first = data.draw(st.integers(0, len(values) - 1))
    after = data.draw(st.integers(first + 1, len(values)))
    count = data.draw(st.integers(1, after - first))

    total, last = ranks.cheapest(*(np.array([each]) for each in (first, after, count)))

    inside = sorted(range(first, after), key=lambda slot: (values[slot], slot))[:count]
    assert [slot for slot in range(first, after) if ranks.rank[slot] <= last[0]] == sorted(inside)
    assert total[0] == sum(values[slot] for slot in inside) * QUANTA
    less = ranks.cheaper(np.array([first]), np.array([after]), ranks.rank[first : first + 1])
    assert less[0] == sum(values[slot] < values[first] for slot in range(first, after))


def test_many_windows_of_a_year_get_what_sorting_gives():
    draw = np.random.default_rng(5)
    values = draw.integers(0, 900, (2, 2000)).astype(float)
    first = draw.integers(0, 1700, 40_000)
    length = draw.integers(1, 60, 40_000)
    after = first + length + draw.integers(0, 200, 40_000)
    zone = draw.integers(0, 2, 40_000)
    planner = InterruptiblePlanner(SlotTable.of(values, 3600))

    planned = planner.plan(BatchJobs.of(zone, first * 3600, after * 3600, length * 3600))

    for at in range(0, 40_000, 997):
        cheapest = np.sort(values[zone[at], first[at] : after[at]])[: length[at]]
        assert planned.area[at] == cheapest.sum() * 3600 * QUANTA


def test_an_interruptible_job_is_never_dearer_than_the_same_job_in_one_piece():
    from greenops.plan.windows import Starts, best_windows

    draw = np.random.default_rng(6)
    table = SlotTable.of(draw.integers(0, 50, 300).astype(float), 1800)
    earliest = draw.integers(0, 300_000, 500)
    length = draw.integers(1, 50_000, 500)
    jobs = BatchJobs.of(0, earliest, earliest + length + draw.integers(0, 90_000, 500), length)

    whole = best_windows(table, jobs, Starts.ANY)
    pieces = InterruptiblePlanner(table).plan(jobs)

    assert whole.found.any()
    assert (pieces.area <= whole.area)[whole.found].all()
