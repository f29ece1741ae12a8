"""Jobs that compete for slots: the exact cheapest placement where all draw the same power.

Each job needs some slots of its own set; a slot serves so many jobs at once, and costs every job the same.
So only the number of jobs in a slot counts for the total. The numbers that can be served are the bases of
a polymatroid, over which it is exact to fill the cheapest slot as far as can be, then the next, and so on.
Filling one more place may need a chain of jobs that each move by a slot: from a dear slot through others to
the cheap one. Chains are paths in a graph of slots alone, so their search does not grow with the jobs.

Sources: the greedy over polymatroids (Edmonds 1970); exchange capacities (Fujishige, Submodular Functions
and Optimization, 2005, chapter 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from greenops.plan.slot_table import Ints

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SharedSlots:
    """A placement of all jobs.

    Attributes:
        used: Does the job run in the slot, shape (job, slot).
        missing: Slots that a job lacks because there is no room for it, shape (job,); as few over all
            jobs as can be. Such a job is run as its baseline, and told.
    """

    used: Bools
    missing: Ints

    def cost(self, slot_cost: Ints) -> int:
        """Sum over all jobs and their slots, in the unit of `slot_cost`."""
        return int(self.used.sum(axis=0) @ slot_cost)


def share_slots(
    may: Bools, need: ArrayLike, slot_cost: ArrayLike, capacity: ArrayLike
) -> SharedSlots:
    """Give every job its slots so that the sum of costs is the least there is.

    First as many slots as can be are given, then at the least cost, then the earlier slots.

    Args:
        may: May the job run in the slot, shape (job, slot): inside its window, and no gap. Slots may be
            pairs of a region and a time where each job needs one.
        need: Slots each job needs, shape (job,); a job runs once in a slot.
        slot_cost: Cost of a slot to each job in it, whole numbers, shape (slot,).
        capacity: Jobs that a slot serves at once, shape (slot,); from a power cap, what `places_for` says.

    Raises:
        ValueError: A need or a capacity is below zero.
    """
    jobs, slots = may.shape
    needs = np.broadcast_to(np.asarray(need, dtype=np.int64), jobs).copy()
    room = np.broadcast_to(np.asarray(capacity, dtype=np.int64), slots)
    if (needs < 0).any() or (room < 0).any():
        raise ValueError("needs and capacities are zero or more")
    costs = np.broadcast_to(np.asarray(slot_cost), slots)
    order = np.lexsort((np.arange(slots), costs))
    state = _first_fill(np.ascontiguousarray(may.T), needs, room, order)
    _fill(state, room, order)
    return SharedSlots(np.ascontiguousarray(state.used.T), state.missing)


def places_for(power_cap_kw: ArrayLike, job_power_kw: float) -> Ints:
    """Jobs of equal power [kW] that fit under a cap [kW]; a hair of rounding does not lose one.

    Raises:
        ValueError: A job draws no power.
    """
    if not job_power_kw > 0:
        raise ValueError(f"a job draws power, not {job_power_kw} kW")
    caps = np.asarray(power_cap_kw, dtype=float)
    return np.floor(caps / job_power_kw * (1 + 1e-12)).astype(np.int64)


class _Exchange:
    """Who runs where, and how many jobs could move from each slot to each other.

    `used` and `free` have shape (slot, job); `moves[s, t]` counts the jobs that run in s and could run
    in t, `wants[t]` those that lack a slot and could run in t. Law: used + missing = need.
    """

    def __init__(self, used: Bools, free: Bools, missing: Ints) -> None:
        self.used, self.free, self.missing = used, free, missing
        self.moves = np.rint(used.astype(np.float32) @ free.T.astype(np.float32)).astype(np.int64)
        self.wants: Ints = free[:, missing > 0].sum(axis=1)

    def move(self, source: int, target: int, count: int) -> None:
        """Move some jobs from one slot to another, the first in their order."""
        some = np.flatnonzero(self.used[source] & self.free[target])[:count]
        used, free = self.used[:, some].sum(axis=1), self.free[:, some].sum(axis=1)
        self.moves[source] -= free
        self.moves[:, target] -= used
        self.moves[source, target] += count
        self.used[source, some], self.free[source, some] = False, True
        self.used[target, some], self.free[target, some] = True, False
        used[source], used[target] = 0, count
        free[target], free[source] = 0, count
        self.moves[target] += free
        self.moves[:, source] += used
        self.moves[target, source] -= count
        lack = int((self.missing[some] > 0).sum())
        self.wants[source] += lack
        self.wants[target] -= lack

    def add(self, target: int, count: int) -> None:
        """Give a slot to some of the jobs that lack one."""
        some = np.flatnonzero((self.missing > 0) & self.free[target])[:count]
        self.moves[:, target] -= self.used[:, some].sum(axis=1)
        self.used[target, some], self.free[target, some] = True, False
        self.moves[target] += self.free[:, some].sum(axis=1)
        self.missing[some] -= 1
        self.wants[target] -= count
        self.wants -= self.free[:, some[self.missing[some] == 0]].sum(axis=1)


def _first_fill(may: Bools, needs: Ints, room: Ints, order: NDArray[np.intp]) -> _Exchange:
    """A start that is near the best: the cheapest slots first, to the jobs with the least slack."""
    used = np.zeros_like(may)
    missing = needs
    left = may.sum(axis=0)
    for slot in order:
        able = np.flatnonzero(may[slot] & (missing > 0))
        if len(able) > room[slot]:
            slack = left[able] - missing[able]
            able = able[np.argsort(slack, kind="stable")[: room[slot]]]
        used[slot, able] = True
        missing[able] -= 1
        left -= may[slot]
    return _Exchange(used, may & ~used, missing)


def _fill(state: _Exchange, room: Ints, order: NDArray[np.intp]) -> None:
    """Fill the cheapest slot as far as can be, by chains from the dearest; then the next."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    for target in order.tolist():
        spare = int(room[target] - state.used[target].sum())
        while spare > 0:
            done = _one_chain(state, place, target, spare)
            if not done:
                break
            spare -= done


def _one_chain(state: _Exchange, place: Ints, target: int, spare: int) -> int:
    """Lengthen one slot's jobs by a shortest chain from the dearest source; how many, 0: there is none."""
    layers = _layers(state.moves, target)
    reached = layers >= 0
    lacking = reached & (state.wants > 0)
    dearer = reached & (place > place[target])
    if lacking.any():
        # Law: a job without its slots is dearer than any slot.
        chain = _chain(state.moves, layers, int(np.where(lacking, layers, len(layers)).argmin()))
        count = min(spare, int(state.wants[chain[0]]), _width(state.moves, chain))
        state.add(chain[0], count)
    elif dearer.any():
        chain = _chain(state.moves, layers, int(np.where(dearer, place, -1).argmax()))
        count = min(spare, _width(state.moves, chain))
    else:
        return 0
    for source, to in pairwise(chain):
        state.move(source, to, count)
    return count


def _layers(moves: Ints, target: int) -> Ints:
    """Fewest moves from each slot to the target, shape (slot,); -1 where there is no way."""
    layers = np.full(len(moves), -1, np.int64)
    layers[target] = 0
    able = moves > 0
    front = np.array([target])
    depth = 0
    while len(front):
        depth += 1
        front = np.flatnonzero(able[:, front].any(axis=1) & (layers < 0))
        layers[front] = depth
    return layers


def _chain(moves: Ints, layers: Ints, source: int) -> list[int]:
    """A shortest chain of slots to the target, by the moves that most jobs can make."""
    chain = [source]
    while layers[chain[-1]] > 0:
        nearer = layers == layers[chain[-1]] - 1
        chain.append(int(np.argmax(np.where(nearer, moves[chain[-1]], 0))))
    return chain


def _width(moves: Ints, chain: list[int]) -> int:
    """Jobs that can make each move of a chain; as many can make all of them."""
    steps = pairwise(chain)
    return min((int(moves[step]) for step in steps), default=2**62)


def slot_prices(may: Bools, shared: SharedSlots, slot_cost: ArrayLike) -> Ints:
    """What one more place in each slot would save, shape (slot,), in the unit of `slot_cost`.

    They prove the placement: no job can do better at costs plus prices than it does, and a slot with
    room to spare has the price 0 (see `least_possible`).
    """
    costs = np.broadcast_to(np.asarray(slot_cost, dtype=np.int64), may.shape[1])
    used = np.ascontiguousarray(shared.used.T)
    state = _Exchange(used, np.ascontiguousarray(may.T) & ~used, shared.missing)
    able = state.moves > 0
    dearest = costs.copy()
    while True:
        # A chain of moves carries the cost of its dearest slot to the end.
        raised = np.maximum(dearest, np.where(able, dearest[:, None], dearest.min()).max(axis=0))
        if (raised == dearest).all():
            return np.asarray(dearest - costs)
        dearest = raised


def least_possible(
    may: Bools, need: ArrayLike, slot_cost: ArrayLike, capacity: ArrayLike, prices: Ints
) -> int:
    """A bound that no placement of all jobs is below: each job's cheapest slots at costs and prices.

    Less what the places are worth. Weak duality: this holds for any prices of zero or more.

    Raises:
        ValueError: A job may run in fewer slots than it needs.
    """
    jobs, slots = may.shape
    needs = np.broadcast_to(np.asarray(need, dtype=np.int64), jobs)
    if (may.sum(axis=1) < needs).any():
        raise ValueError("a job needs more slots than it may run in")
    order = np.argsort(np.asarray(slot_cost) + prices, kind="stable")
    sorted_may = may[:, order]
    cheapest = sorted_may & (np.cumsum(sorted_may, axis=1) <= needs[:, None])
    full = np.broadcast_to(np.asarray(slot_cost, dtype=np.int64), slots) + prices
    room = np.broadcast_to(np.asarray(capacity, dtype=np.int64), slots)
    return int(cheapest.sum(axis=0) @ full[order] - room @ prices)
