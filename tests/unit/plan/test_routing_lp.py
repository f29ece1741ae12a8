"""Traffic shared at the least emissions: held to every way there is, and to its own proof."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.routing_lp import Traffic, least_possible, share_traffic


def traffic(demand, capacity, cost, may=None, home=None):
    cost = np.array(cost, dtype=float)
    return Traffic(
        demand=np.array(demand, dtype=float),
        capacity=np.array(capacity, dtype=float),
        cost=cost,
        may=np.ones(cost.shape, bool) if may is None else np.array(may, dtype=bool),
        home=np.zeros(len(demand), int) if home is None else np.array(home),
    )


@st.composite
def problems(draw, rows=3, targets=3, most=3):
    count, places = draw(st.integers(1, rows)), draw(st.integers(1, targets))
    numbers = st.integers(0, most)
    return traffic(
        draw(st.lists(numbers, min_size=count, max_size=count)),
        draw(st.lists(numbers, min_size=places, max_size=places)),
        [draw(st.lists(numbers, min_size=places, max_size=places)) for _ in range(count)],
        [draw(st.lists(st.booleans(), min_size=places, max_size=places)) for _ in range(count)],
        draw(st.lists(st.integers(0, places - 1), min_size=count, max_size=count)),
    )


def every_way(problem):
    """(least left over, least cost) over all whole ways to place whole traffic; whole ones suffice."""
    targets = len(problem.capacity)

    def ways(row):
        amount = int(problem.demand[row])
        for each in product(range(amount + 1), repeat=targets):
            if sum(each) <= amount and not any(
                part and not problem.may[row, at] for at, part in enumerate(each)
            ):
                yield np.array(each)

    found = []
    for way in product(*(list(ways(row)) for row in range(len(problem.demand)))):
        placed = np.array(way)
        if (placed.sum(axis=0) <= problem.capacity).all():
            left = problem.demand.sum() - placed.sum()
            found.append((left, float((placed * problem.cost).sum())))
    return min(found)


@pytest.mark.untraced
@pytest.mark.feature("B2", "B16")
@settings(max_examples=300, deadline=None)
@given(problems())
def test_no_way_places_more_or_emits_less(problem):
    found = share_traffic(problem)

    left, cost = every_way(problem)
    assert found.left.sum() == pytest.approx(left, abs=1e-9)
    assert found.cost == pytest.approx(cost, abs=1e-9)


@st.composite
def large(draw):
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, targets = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    capacity = random.uniform(0, 20, targets) * draw(st.sampled_from([0.2, 1.0, 5.0]))
    capacity[random.random(targets) < 0.2] = 0.0
    capacity[random.random(targets) < 0.1] = np.inf
    demand = random.uniform(0, 10, rows) * (random.random(rows) < 0.9)
    cost = np.where(
        random.random((rows, targets)) < 0.2, 7.0, random.uniform(0, 900, (rows, targets))
    )
    may = random.random((rows, targets)) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    return traffic(demand, capacity, cost, may, random.integers(0, targets, rows))


@pytest.mark.untraced
@pytest.mark.feature("B2", "B16")
@settings(max_examples=300, deadline=None)
@given(large())
def test_prices_prove_the_optimum_and_no_mask_or_capacity_breaks(problem):
    found = share_traffic(problem)

    assert (found.placed >= 0).all()
    assert (found.placed[~problem.may] == 0).all()
    assert (found.placed.sum(axis=0) <= problem.capacity * (1 + 1e-12) + 1e-9).all()
    placed = found.placed.sum(axis=1) + found.left
    assert placed == pytest.approx(problem.demand, abs=1e-9)
    assert (found.price >= 0).all()
    # Something is left over only where every place that its rows may go to is full.
    for row in np.flatnonzero(found.left > 1e-9):
        full = found.placed.sum(axis=0) >= problem.capacity - 1e-6
        assert full[problem.may[row]].all()
    if found.left.sum() < 1e-9:
        assert np.isfinite(found.price).all()
        assert found.cost == pytest.approx(found.bound, rel=1e-9, abs=1e-6)


@given(large(), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_any_prices_give_a_bound_that_holds(problem, seed):
    prices = np.random.default_rng(seed).uniform(0, 300, len(problem.capacity))
    prices[np.isinf(problem.capacity)] = 0.0
    found = share_traffic(problem)

    if found.left.sum() < 1e-9:
        assert least_possible(problem, prices) <= found.cost * (1 + 1e-9) + 1e-6


def test_a_chain_of_moves_makes_room_where_a_greedy_rule_would_not():
    # The first row alone would take the clean place, which only the second can reach.
    found = share_traffic(traffic([1, 1], [1, 1, 1], [[10, 20, 90], [10, 80, 90]], None, [2, 2]))

    assert found.placed.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert found.cost == 30


def test_a_price_is_what_one_more_unit_of_room_would_save():
    asked = traffic([10], [4, np.inf], [[100, 350]], None, [1])

    found = share_traffic(asked)

    assert found.price.tolist() == pytest.approx([250, 0])
    more = share_traffic(traffic([10], [5, np.inf], [[100, 350]], None, [1]))
    assert found.cost - more.cost == pytest.approx(250)


def test_nothing_moves_for_nothing():
    found = share_traffic(traffic([5, 5], [20, 20], [[7, 7], [7, 7]], None, [1, 0]))

    assert found.placed.tolist() == [[0, 5], [5, 0]]


def test_a_place_without_room_takes_nothing():
    found = share_traffic(traffic([5], [0, 9], [[1, 50]], None, [1]))

    assert found.placed.tolist() == [[0, 5]]
    assert found.price[0] == pytest.approx(49)


def test_a_row_that_may_go_nowhere_is_left_over_whole_and_takes_no_room():
    found = share_traffic(traffic([5, 3], [3, 9], [[1, 2], [1, 2]], [[0, 0], [1, 1]], [1, 1]))

    assert found.left.tolist() == [5, 0]
    assert found.placed.tolist() == [[0, 0], [3, 0]]


def test_where_room_is_scarce_as_little_as_can_be_is_left_over_and_its_price_has_no_bound():
    found = share_traffic(traffic([6, 6], [4, 5], [[1, 900], [1, 900]], [[1, 1], [1, 0]], [0, 0]))

    assert found.left.sum() == pytest.approx(3)
    assert np.isinf(found.price).all()


def test_no_traffic_at_all_is_placed_at_no_cost():
    found = share_traffic(traffic([0, 0], [1], [[3], [4]]))

    assert (found.cost, found.bound, found.left.sum()) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"demand": [-1.0]}, "demands"),
        ({"demand": [np.inf]}, "demands"),
        ({"demand": [np.nan]}, "demands"),
        ({"capacity": [-1.0, 2.0]}, "capacities"),
        ({"capacity": [np.nan, 2.0]}, "capacities"),
        ({"cost": [[np.nan, 1.0]]}, "costs"),
        ({"cost": [[-1.0, 1.0]]}, "costs"),
        ({"capacity": [1.0]}, "one row and target"),
    ],
)
def test_what_is_no_traffic_is_refused(change, why):
    given_ = {"demand": [1.0], "capacity": [1.0, 1.0], "cost": [[1.0, 1.0]]} | change

    with pytest.raises(ValueError, match=why):
        traffic(**given_, may=[[1, 1]])


def test_a_cost_that_is_not_known_does_not_matter_where_nothing_may_go():
    found = share_traffic(traffic([1], [1, 1], [[np.nan, 5.0]], [[0, 1]], [1]))

    assert found.cost == 5
