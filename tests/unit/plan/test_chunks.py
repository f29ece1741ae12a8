"""Jobs that pay for going on: the cheapest slots by trying them all."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.chunks import plan_chunks
from greenops.plan.interruptible import InterruptiblePlanner
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable
from greenops.plan.windows import best_windows

STEP = 10
value = st.one_of(st.integers(0, 6).map(float), st.just(np.nan))


def cost_of(slots, values, resume_s, least):
    """Cost of running in these slots; none where a piece is too short."""
    pieces = np.split(np.array(slots), np.flatnonzero(np.diff(slots) > 1) + 1)
    if min(map(len, pieces)) < min(least, len(slots)):
        return None
    again = sum(values[piece[0]] for piece in pieces[1:]) * resume_s
    return sum(values[slot] for slot in slots) * STEP + again


@given(st.lists(value, min_size=1, max_size=9), st.integers(0, 25), st.integers(1, 4), st.data())
@settings(deadline=None, derandomize=True)
def test_no_other_choice_of_slots_costs_less(values, resume_s, least, data):
    jobs = data.draw(
        st.lists(
            st.tuples(
                st.integers(-STEP, len(values) * STEP),
                st.integers(0, len(values) * STEP + STEP),
                st.integers(1, 5 * STEP),
            ),
            min_size=1,
            max_size=4,
        )
    )
    earliest, deadline, duration = zip(*jobs, strict=True)

    found = plan_chunks(
        SlotTable.of(values, STEP),
        BatchJobs.of(0, earliest, deadline, duration),
        resume_s=resume_s,
        least_slots=least,
    )

    for at, (opens, closes, seconds) in enumerate(jobs):
        window = [
            slot
            for slot in range(len(values))
            if slot * STEP >= opens and (slot + 1) * STEP <= closes and values[slot] == values[slot]
        ]
        ways = (
            cost_of(slots, values, resume_s, least)
            for slots in combinations(window, -(-seconds // STEP))
        )
        best = min((way for way in ways if way is not None), default=None)
        assert found.found[at] == (best is not None)
        if best is None:
            assert found.pieces(at, STEP) == []
            continue
        assert found.cost[at] == best * QUANTA
        slots = [
            slot
            for start, end in found.pieces(at, STEP)
            for slot in range(start // STEP, end // STEP)
        ]
        assert set(slots) <= set(window)
        assert cost_of(slots, values, resume_s, least) == best


def test_stopping_for_nothing_is_the_cheapest_slots_and_at_any_price_one_piece():
    draw = np.random.default_rng(8)
    table = SlotTable.of(draw.integers(0, 40, (3, 60)).astype(float), 3600)
    first, count = draw.integers(0, 20, 40), draw.integers(1, 12, 40)
    after = first + count + draw.integers(0, 25, 40)
    jobs = BatchJobs.of(draw.integers(0, 3, 40), first * 3600, after * 3600, count * 3600)

    free = plan_chunks(table, jobs, resume_s=0, least_slots=1)
    whole = plan_chunks(table, jobs, resume_s=0, least_slots=60)
    between = plan_chunks(table, jobs, resume_s=900, least_slots=2)

    assert (free.cost == InterruptiblePlanner(table).plan(jobs).area).all()
    assert (whole.cost == best_windows(table, jobs).area).all()
    assert ((free.cost <= between.cost) & (between.cost <= whole.cost)).all()


def test_a_cost_below_zero_or_an_empty_chunk_is_refused():
    table, jobs = SlotTable.of([1.0], STEP), BatchJobs.of(0, 0, STEP, STEP)

    with pytest.raises(ValueError, match="going on costs"):
        plan_chunks(table, jobs, resume_s=-1, least_slots=1)
    with pytest.raises(ValueError, match="at least a slot"):
        plan_chunks(table, jobs, resume_s=0, least_slots=0)
