"""Tables of weights per origin: the best for some traffic, what becomes of a table that is kept, when to change.

A table holds shares of each row's traffic by target, and the order in which a row's gateway goes on where a
target is full: cheapest first. A table that is kept meets other traffic than it was made for; what a target
does not bear moves on in that order, and what nobody bears stays at home.

Why tables are kept: a replay of 1,201 h of regional traffic, where a 2 % band cut dozens of changes to three
and cost less than 0.05 points of the saving (`tests/bench/routing.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from greenops.plan.routing_lp import Bools, Shared, Traffic, share_traffic
from greenops.plan.slot_table import Floats, Ints

NOBODY: Final = -1
"""No target: the order of a row ends here."""
ROUNDING: Final = 1e-9
"""Share of all traffic that may be a rounding of sums."""


@dataclass(frozen=True, slots=True, eq=False)
class RoutingTable:
    """Where the traffic of each row goes.

    Attributes:
        shares: Share of a row's traffic at each target, shape (row, target); rows sum to one.
        order: Targets that a row goes on to where one is full, shape (row, target); `NOBODY` after the last.
    """

    shares: Floats
    order: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """What becomes of traffic by a table.

    Attributes:
        placed: Traffic of each row at each target, shape (row, target).
        over: Traffic of each row at its home beyond what home bears, shape (row,): as it would be today.
        unserved: Traffic of each row that nobody answers, for its home is not there either, shape (row,).
        moved_on: Traffic that did not find room where its weights sent it.
        cost: Emissions of what is answered [g].
    """

    placed: Floats
    over: Floats
    unserved: Floats
    moved_on: float
    cost: float


def at_home(traffic: Traffic) -> RoutingTable:
    """Each row at its home, as without GreenOps."""
    shares = np.zeros(traffic.may.shape)
    shares[np.arange(len(shares)), traffic.home] = 1.0
    return RoutingTable(shares, np.full(traffic.may.shape, NOBODY))


def best_table(traffic: Traffic, kept: RoutingTable, shared: Shared | None = None) -> RoutingTable:
    """The table of least emissions for this traffic.

    Rows without traffic stay as they are kept; what finds no room stays at home.

    Args:
        traffic: What is to be shared.
        kept: The table in force.
        shared: What `share_traffic` says of the traffic, where it was asked already.
    """
    found = share_traffic(traffic) if shared is None else shared
    placed = found.placed.copy()
    placed[np.arange(len(placed)), traffic.home] += found.left
    total = placed.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, placed / np.where(total > 0, total, 1.0), kept.shares)
    return RoutingTable(shares, _by_cost(traffic))


def _by_cost(traffic: Traffic) -> Ints:
    """Targets that each row may go to, cheapest first; home before another that is as cheap."""
    away = np.arange(len(traffic.capacity)) != traffic.home[:, None]
    cost = np.where(traffic.may, traffic.cost, np.inf)
    order = np.lexsort((np.broadcast_to(away, cost.shape), cost), axis=1)
    may = np.take_along_axis(traffic.may, order, axis=1)
    return np.where(may, order, NOBODY)


def served(table: RoutingTable, traffic: Traffic) -> Served:
    """What becomes of the traffic by a table: shares first, then on from what is full, then home.

    Where a target is full those whose home it is keep their place, and the others give way in proportion. What is
    not allowed now (a place that is down, a mask that came since) is as if it were full.
    """
    rows = np.arange(len(traffic.demand))
    home = np.zeros(traffic.may.shape, bool)
    home[rows, traffic.home] = True
    asked = table.shares * traffic.demand[:, None]
    placed = np.zeros_like(asked)
    _admit(placed, np.where(home & traffic.may, asked, 0.0), traffic.capacity)
    _admit(placed, np.where(traffic.may, asked - placed, 0.0), traffic.capacity)
    homeless = np.maximum(traffic.demand - placed.sum(axis=1), 0.0)
    moved_on = float(homeless.sum())
    for choice in table.order.T:
        asks = np.zeros_like(placed)
        there = choice != NOBODY
        asks[rows[there], choice[there]] = homeless[there]
        homeless = homeless - _admit(placed, np.where(traffic.may, asks, 0.0), traffic.capacity)
    homeless = np.where(homeless > ROUNDING * traffic.demand.sum(), homeless, 0.0)
    stays = traffic.may[rows, traffic.home]
    over = np.where(stays, homeless, 0.0)
    placed[rows, traffic.home] += over
    cost = float((np.where(traffic.may, traffic.cost, 0.0) * placed).sum())
    return Served(placed, over, homeless - over, moved_on, cost)


def _admit(placed: Floats, asked: Floats, capacity: Floats) -> Floats:
    """Place what is asked as far as there is room, in proportion; gives what was placed of each row."""
    room = np.maximum(capacity - placed.sum(axis=0), 0.0)
    total = asked.sum(axis=0)
    part = np.where(total > room, room / np.where(total > 0, total, 1.0), 1.0)
    given = asked * part
    placed += given
    return np.asarray(given.sum(axis=1))


def without(traffic: Traffic, target: int) -> Traffic:
    """The same traffic while a target is down."""
    may, capacity = traffic.may.copy(), traffic.capacity.copy()
    may[:, target], capacity[target] = False, 0.0
    return replace(traffic, may=may, capacity=capacity)


def whole_percent(shares: Floats, home: Ints, may: Bools) -> Ints:
    """Shares in whole percent, shape (row, target), each row 100: rounded down, what is left at home.

    Rounding up could fill a place beyond its room. Where home is not allowed the largest remainders take the rest.
    """
    exact = 100 * shares
    # A hair below a whole number is that number.
    low = np.floor(exact + 1e-6).astype(np.int64)
    for row, rest in enumerate(100 - low.sum(axis=1)):
        if may[row, home[row]]:
            low[row, home[row]] += rest
        else:
            first = np.argsort(low[row] - exact[row], kind="stable")[:rest]
            low[row, first] += 1
    return low
