"""Tables of weights that are kept: what becomes of traffic by them, and when another takes their place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.plan.routing_lp import Traffic, share_traffic
from greenops.plan.routing_table import (
    NOBODY,
    RoutingTable,
    at_home,
    best_table,
    served,
    whole_percent,
    without,
)

RTT = np.array([[5, 80, 200], [80, 5, 90], [200, 90, 5]])
"""Round trips between west, middle and east [ms]."""


def traffic(
    demand=(10, 10, 10), capacity=(20, 20, 20), grams=(400, 100, 50), most_ms=100, home=(0, 1, 2)
):
    return Traffic(
        demand=np.array(demand, float),
        capacity=np.array(capacity, float),
        cost=np.broadcast_to(np.array(grams, float), (3, 3)),
        may=most_ms >= RTT,
        home=np.array(home),
    )


def best(asked):
    return best_table(asked, at_home(asked))


def test_each_row_goes_on_by_cost_home_first_where_it_ties_and_never_where_it_may_not():
    order = best(traffic(grams=(100, 100, 50))).order

    assert order.tolist() == [[0, 1, NOBODY], [2, 1, 0], [2, 1, NOBODY]]


def test_a_table_made_for_less_sends_the_rest_on_to_the_next_cleanest_with_room():
    table = best(traffic(demand=(10, 0, 0)))
    assert table.shares.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]

    found = served(table, traffic(demand=(30, 0, 0)))

    assert found.placed.tolist() == [[10, 20, 0], [0, 0, 0], [0, 0, 0]]
    assert (found.moved_on, found.over.sum(), found.unserved.sum()) == (10, 0, 0)
    assert found.cost == 10 * 400 + 20 * 100


def test_those_who_are_at_home_keep_their_place_where_guests_come():
    table = RoutingTable(np.array([[0, 1.0, 0], [0, 1, 0], [0, 1, 0]]), best(traffic()).order)

    found = served(table, traffic(demand=(30, 15, 10)))

    assert found.placed[1].tolist() == [0, 15, 0]
    # What room is left is shared in proportion to what is asked.
    assert found.placed[:, 1].tolist() == pytest.approx([3.75, 15, 1.25])


def test_what_nobody_bears_stays_at_home_and_is_told():
    asked = traffic(demand=(90, 0, 0))

    found = served(best(asked), asked)

    assert found.placed[0].tolist() == [70, 20, 0]
    assert found.over.tolist() == [50, 0, 0]
    assert found.unserved.sum() == 0


@pytest.mark.feature("B16")
def test_a_place_that_dies_is_answered_for_by_the_others_where_they_have_room():
    asked = traffic(demand=(10, 10, 10), capacity=(30, 30, 30))
    table = best(asked)

    found = served(table, without(asked, 1))

    assert found.unserved.sum() == found.over.sum() == 0
    assert found.placed.sum(axis=0)[1] == 0


@pytest.mark.feature("B16")
def test_a_place_that_dies_where_others_lack_room_or_reach_leaves_what_is_told():
    asked = traffic(demand=(10, 10, 10), capacity=(30, 15, 30), most_ms=85)

    found = served(best(asked), without(asked, 2))
    cramped = served(best(asked), without(asked, 0))

    # East alone is out of everybody's reach; west's 10 find 5 in the middle.
    assert found.unserved.tolist() == [0, 0, 10]
    assert cramped.unserved.tolist() == pytest.approx([5, 0, 0])


@st.composite
def moments(draw):
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, targets = int(random.integers(1, 8)), int(random.integers(1, 7))

    def one(may):
        return Traffic(
            demand=random.uniform(0, 10, rows) * (random.random(rows) < 0.8),
            capacity=np.where(random.random(targets) < 0.2, 0.0, random.uniform(0, 30, targets)),
            cost=random.uniform(0, 900, (rows, targets)),
            may=may,
            home=home,
        )

    home = random.integers(0, targets, rows)
    may = random.random((rows, targets)) < 0.6
    # A mask may come between a table and its use.
    return one(may), one(may & (random.random((rows, targets)) < 0.9))


@pytest.mark.untraced
@pytest.mark.feature("B2", "B16")
@settings(max_examples=300, deadline=None)
@given(moments())
def test_whatever_comes_no_mask_and_no_capacity_is_broken_and_all_of_it_is_accounted_for(pair):
    made_for, comes = pair
    table = best(made_for)

    found = served(table, comes)

    beyond = np.zeros_like(found.placed)
    beyond[np.arange(len(comes.home)), comes.home] = found.over
    assert (found.placed[~comes.may] == 0).all()
    assert ((found.placed - beyond).sum(axis=0) <= comes.capacity + 1e-9).all()
    assert found.placed.sum(axis=1) + found.unserved == pytest.approx(comes.demand, abs=1e-6)
    assert table.shares.sum(axis=1) == pytest.approx(np.ones(len(table.shares)))
    percent = whole_percent(table.shares, comes.home, comes.may)
    assert (percent.sum(axis=1) == 100).all()
    assert (percent >= 0).all()


@pytest.mark.untraced
@settings(max_examples=100, deadline=None)
@given(moments())
def test_the_best_table_serves_its_own_traffic_as_its_optimum_says(pair):
    asked, _ = pair
    table = best(asked)

    found = served(table, asked)

    # Homes that bear more than they should are those whose traffic found no room.
    if found.over.sum() + found.unserved.sum() < 1e-9:
        assert found.moved_on == pytest.approx(0, abs=1e-6)
        assert found.cost == pytest.approx(share_traffic(asked).cost)


def test_percents_round_down_away_from_home_and_the_rest_stays_at_home():
    may = np.ones((2, 3), bool)
    may[1, 0] = False

    found = whole_percent(np.array([[0, 2 / 3, 1 / 3], [0, 2 / 3, 1 / 3]]), np.array([0, 0]), may)

    assert found.tolist() == [[1, 66, 33], [0, 67, 33]]


def test_a_share_that_is_a_hair_below_a_percent_is_that_percent():
    found = whole_percent(np.array([[0.3, 0.7 - 1e-12]]), np.array([0]), np.ones((1, 2), bool))

    assert found.tolist() == [[30, 70]]
