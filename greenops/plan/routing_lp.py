"""Traffic shared among places at the least emissions: the exact optimum, with prices that prove it.

Each row asks for so much traffic (an origin, or a class of requests at one), each target answers so much of
it, and a unit of one row at one target emits so much. This is a transportation problem. Rows are placed one
after the other by shortest chains: a row goes where it costs least, and where that target is full some of
what runs there moves on to another target, and so forth. Chains are paths in a graph of targets alone, so
their search hardly grows with the rows. Amounts and costs are counted in whole quanta, so that sums are exact and
a chain is shorter or it is not.

What finds no room is left over, as little as can be: whoever asks decides what happens to it.

Source: successive shortest paths (Ahuja, Magnanti and Orlin, Network Flows, 1993, chapter 9); weak duality.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import floor, log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.plan.slot_table import Floats, Ints

Bools = NDArray[np.bool_]

AMOUNTS: Final = 2.0**52
"""Quanta of the whole traffic."""
COSTS: Final = 2.0**40
"""Quanta of the dearest cost: one is less than 1e-12 of it."""
NEVER: Final = np.iinfo(np.int64).max // 4
"""Length of a way that there is not; four of them still fit."""


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """What is to be shared, and among whom.

    Attributes:
        demand: Traffic of each row, such as requests per second, shape (row,).
        capacity: Most traffic of each target in the same unit, shape (target,); infinite: no limit.
        cost: Emissions of a unit of a row's traffic at a target [g], shape (row, target).
        may: May the row's traffic go to the target, shape (row, target).
        home: Target that the row goes to today, shape (row,); preferred where all else is equal.
    """

    demand: Floats
    capacity: Floats
    cost: Floats
    may: Bools
    home: Ints

    def __post_init__(self) -> None:
        """Refuse what is no problem of this kind.

        Raises:
            ValueError: A demand, a capacity or a cost that counts is below zero or not a number, shapes differ, or
                there is no row or no target.
        """
        rows, targets = self.may.shape
        shapes = (self.demand.shape, self.capacity.shape, self.cost.shape, self.home.shape)
        if 0 in (rows, targets) or shapes != ((rows,), (targets,), (rows, targets), (rows,)):
            raise ValueError(
                "demand, capacity, cost and home have one row and target for each of `may`"
            )
        if not (np.isfinite(self.demand).all() and (self.demand >= 0).all()):
            raise ValueError("demands are zero or more")
        if not (self.capacity >= 0).all():
            raise ValueError("capacities are zero or more")
        counts = self.cost[self.may]
        if not (np.isfinite(counts).all() and (counts >= 0).all()):
            raise ValueError("costs of what may be are known and zero or more")


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Traffic shared at the least cost.

    Attributes:
        placed: Traffic of each row at each target, shape (row, target).
        left: Traffic of each row that finds no room, shape (row,); as little over all rows as can be.
        price: What one more unit of each target's room would save [g], shape (target,); infinite where something
            is left over for want of it.
        cost: Emissions of what is placed [g].
        bound: No sharing that places as much emits less [g]; by weak duality from the prices alone.
    """

    placed: Floats
    left: Floats
    price: Floats
    cost: float
    bound: float


def share_traffic(traffic: Traffic) -> Shared:
    """Place as much as there is room for, at the least emissions; where those are equal, at home.

    Rows without any target are left over whole.
    """
    counted = _Counted.of(traffic)
    flow = _Flow(counted)
    for row in np.flatnonzero(counted.demand).tolist():
        flow.place(row)
    return _told(traffic, counted, flow)


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """The problem in whole quanta; the last target takes what is left over, dearer than any chain of others."""

    demand: Ints
    capacity: Ints
    cost: Ints
    left_over: int
    per_unit: float
    per_gram: float

    @classmethod
    def of(cls, traffic: Traffic) -> _Counted:
        rows, targets = traffic.may.shape
        total = float(traffic.demand.sum())
        # A power of two, so that whole amounts and their simple parts stay what they are.
        per_unit = 2.0 ** floor(log2(AMOUNTS / total)) if total else 1.0
        dearest = float(traffic.cost[traffic.may].max(initial=0.0))
        per_gram = COSTS / dearest if dearest else 1.0
        left_over = (targets + 2) * int(COSTS + 1)
        cost = np.full((rows, targets + 1), NEVER, np.int64)
        whole = np.rint(np.where(traffic.may, traffic.cost, 0.0) * per_gram).astype(np.int64)
        # One quantum more away from home: nothing moves for nothing.
        away = np.arange(targets) != traffic.home[:, None]
        cost[:, :targets] = np.where(traffic.may, whole + away, NEVER)
        cost[:, targets] = left_over
        exact = traffic.demand * per_unit
        demand = np.rint(exact).astype(np.int64)
        # A row that was rounded, by up to half a quantum, must not lose its place by that.
        rounded = int((demand != exact).sum())
        most = int(demand.sum()) + rounded
        room = np.floor(np.minimum(traffic.capacity * per_unit, most)).astype(np.int64)
        room += np.where(room > 0, rounded, 0)
        return cls(demand, np.append(room, most), cost, left_over, per_unit, per_gram)


class _Flow:
    """Who goes where so far, always at the least cost of what is placed."""

    def __init__(self, counted: _Counted) -> None:
        self.counted = counted
        self.placed = np.zeros(counted.cost.shape, np.int64)
        self.used = np.zeros(len(counted.capacity), np.int64)

    def place(self, row: int) -> None:
        """Place a row's traffic, by one shortest chain after the other."""
        cost, missing = self.counted.cost, int(self.counted.demand[row])
        cheapest = int(cost[row].argmin())
        # Law: no chain to a spare place makes what is placed cheaper, so none is shorter than straight to the cheapest.
        missing -= self._along(row, [cheapest], cost, missing)
        while missing:
            moves, movers = self._moves()
            length, before = _shortest(cost[row], moves)
            spare = self.counted.capacity > self.used
            end = int(np.where(spare, length, NEVER).argmin())
            missing -= self._along(row, _chain(before, end), movers, missing)

    def _moves(self) -> tuple[Ints, Ints]:
        """Least cost of moving a unit from one target to another, and the row that it is of."""
        cost = self.counted.cost
        there = self.placed > 0
        ways = np.where(
            there[:, :, None] & (cost < NEVER)[:, None, :],
            cost[:, None, :] - np.where(there, cost, 0)[:, :, None],
            NEVER,
        )
        movers = ways.argmin(axis=0)
        return np.take_along_axis(ways, movers[None], axis=0)[0], movers

    def _along(self, row: int, chain: list[int], movers: Ints, most: int) -> int:
        """Send traffic along a chain of targets: each takes on a unit and hands on another."""
        steps = list(pairwise(chain))
        spare = int(self.counted.capacity[chain[-1]] - self.used[chain[-1]])
        width = min([most, spare, *(int(self.placed[movers[s], s[0]]) for s in steps)])
        self.placed[row, chain[0]] += width
        for source, to in steps:
            mover = movers[source, to]
            self.placed[mover, source] -= width
            self.placed[mover, to] += width
        self.used[chain[-1]] += width
        return width

    def prices(self) -> Ints:
        """Least price of each target's room at which every row is where it is cheapest, in quanta."""
        moves, _ = self._moves()
        prices = np.zeros(len(moves), np.int64)
        while True:
            raised = np.maximum(prices, (prices[:, None] - moves).max(axis=0))
            # No path is longer than there are targets; what is spare stays without a price.
            if (raised == prices).all():
                return prices
            prices = raised


def _shortest(first: Ints, moves: Ints) -> tuple[Ints, Ints]:
    """Length of the shortest chain to each target, and the target before it; -1: the chain begins there."""
    length, before = first.copy(), np.full(len(first), -1, np.int64)
    for _ in range(len(first)):
        ways = length[:, None] + moves
        source = ways.argmin(axis=0)
        shorter = ways[source, np.arange(len(first))]
        better = shorter < length
        if not better.any():
            break
        length, before = np.where(better, shorter, length), np.where(better, source, before)
    return length, before


def _chain(before: Ints, end: int) -> list[int]:
    chain = [end]
    while (at := int(before[chain[-1]])) >= 0:
        chain.append(at)
    return chain[::-1]


def _told(traffic: Traffic, counted: _Counted, flow: _Flow) -> Shared:
    placed, left = flow.placed[:, :-1] / counted.per_unit, flow.placed[:, -1] / counted.per_unit
    prices = flow.prices()[:-1]
    # What is left over costs more than any chain, so a price beyond the dearest chain is for want of room.
    scarce = prices >= counted.left_over // 2
    cost = np.where(traffic.may, traffic.cost, 0.0)
    return Shared(
        placed,
        left,
        np.where(scarce, np.inf, prices / counted.per_gram),
        float((cost * placed).sum()),
        least_possible(traffic, prices / counted.per_gram, left),
    )


def least_possible(traffic: Traffic, prices: Floats, left: Floats | None = None) -> float:
    """A bound [g] that no sharing of the traffic is below: each row at its cheapest, at costs and prices.

    Less what the room is worth. Weak duality: this holds for any prices of zero or more.

    Args:
        traffic: The problem.
        prices: Price of a unit of each target's room [g], shape (target,).
        left: Traffic of each row that need not be placed, shape (row,); none: all is placed.
    """
    wanted = traffic.demand if left is None else np.maximum(traffic.demand - left, 0.0)
    cheapest = np.where(traffic.may, traffic.cost + prices, np.inf).min(axis=1, initial=np.inf)
    counts = wanted > 0
    priced = prices > 0
    return float(wanted[counts] @ cheapest[counts] - traffic.capacity[priced] @ prices[priced])
