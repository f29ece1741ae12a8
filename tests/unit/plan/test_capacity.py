"""Slots that jobs compete for: the least total, held to a min-cost flow and to its own proof."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.capacity import least_possible, places_for, share_slots, slot_prices


def by_flow(may, need, cost, capacity):
    """(slots given, least cost) by successive shortest paths, one unit at a time."""
    jobs, slots = may.shape
    sink = jobs + slots + 1  # 0 is the source; then the jobs, then the slots
    edges = [[0, 1 + job, need[job], 0] for job in range(jobs)]
    edges += [[1 + job, 1 + jobs + slot, 1, 0] for job, slot in np.argwhere(may)]
    edges += [[1 + jobs + slot, sink, capacity[slot], cost[slot]] for slot in range(slots)]
    edges += [[to, at, 0, -price] for at, to, _, price in edges]
    served = total = 0
    while (path := shortest_path(edges, sink)) is not None:
        for edge in path:
            edges[edge][2] -= 1
            edges[(edge + len(edges) // 2) % len(edges)][2] += 1
            total += edges[edge][3]
        served += 1
    return served, total


def shortest_path(edges, sink):
    """Edges of the cheapest way from 0 to the sink with room on it, by Bellman and Ford; or none."""
    cost, came = {0: 0}, {}
    for _ in range(sink):
        for index, (at, to, room, price) in enumerate(edges):
            if room > 0 and at in cost and cost[at] + price < cost.get(to, np.inf):
                cost[to], came[to] = cost[at] + price, index
    if sink not in cost:
        return None
    path = [came[sink]]
    while edges[path[-1]][0] != 0:
        path.append(came[edges[path[-1]][0]])
    return path


@given(st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_placement_gives_as_many_slots_as_can_be_at_the_least_cost(data):
    jobs, slots = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    bits = st.lists(st.booleans(), min_size=slots, max_size=slots)
    may = np.array(data.draw(st.lists(bits, min_size=jobs, max_size=jobs)))
    need = np.array(data.draw(st.lists(st.integers(0, 3), min_size=jobs, max_size=jobs)))
    cost = np.array(data.draw(st.lists(st.integers(-2, 6), min_size=slots, max_size=slots)))
    capacity = np.array(data.draw(st.lists(st.integers(0, 3), min_size=slots, max_size=slots)))

    found = share_slots(may, need, cost, capacity)

    assert not (found.used & ~may).any()
    assert (found.used.sum(axis=0) <= capacity).all()
    assert (found.used.sum(axis=1) + found.missing == need).all()
    assert (int(found.used.sum()), found.cost(cost)) == by_flow(may, need, cost, capacity)
    prices = slot_prices(may, found, cost)
    assert (prices >= 0).all()
    if not found.missing.any():
        assert (prices[found.used.sum(axis=0) < capacity] == 0).all()
        assert least_possible(may, need, cost, capacity, prices) == found.cost(cost)


def test_a_thousand_jobs_are_placed_at_the_cost_that_their_prices_prove():
    draw = np.random.default_rng(4)
    need = draw.integers(1, 9, 1000)
    first = draw.integers(0, 60, 1000)
    slots = np.arange(96)
    after = (first + need + draw.integers(0, 25, 1000))[:, None]
    may = (slots >= first[:, None]) & (slots < after)
    cost = draw.integers(0, 50, 96)
    capacity = np.full(96, 70)

    found = share_slots(may, need, cost, capacity)

    assert not found.missing.any()
    prices = slot_prices(may, found, cost)
    assert (prices > 0).any()
    assert least_possible(may, need, cost, capacity, prices) == found.cost(cost)
    alone = share_slots(may, need, cost, 1000)
    assert alone.cost(cost) <= found.cost(cost)
    assert not slot_prices(may, alone, cost).any()


def test_slots_that_cost_the_same_are_filled_from_the_earliest():
    found = share_slots(np.ones((3, 4), bool), 1, 5, [1, 2, 2, 2])

    assert found.used.sum(axis=0).tolist() == [1, 2, 0, 0]


def test_unit_jobs_choose_among_regions_and_times_at_once():
    # Two regions with two slots each; the third job may only run at home.
    cost = [9, 5, 1, 3]
    may = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]], bool)

    found = share_slots(may, 1, cost, 1)

    assert found.used.argmax(axis=1).tolist()[2] == 1
    assert found.cost(np.array(cost)) == 1 + 3 + 5


def test_a_cap_of_power_is_a_number_of_jobs_and_rounding_loses_none():
    assert places_for([0.0, 0.3, 0.29, 5.0], 0.1).tolist() == [0, 3, 2, 50]
    with pytest.raises(ValueError, match="draws power"):
        places_for(1.0, 0.0)


def test_what_is_below_zero_or_cannot_be_placed_at_all_is_refused():
    with pytest.raises(ValueError, match="zero or more"):
        share_slots(np.ones((1, 1), bool), -1, 1, 1)
    with pytest.raises(ValueError, match="zero or more"):
        share_slots(np.ones((1, 1), bool), 1, 1, -1)
    with pytest.raises(ValueError, match="more slots than"):
        least_possible(np.ones((1, 1), bool), 2, 1, 1, np.zeros(1, np.int64))
