"""Jobs of different power, in one piece, under a cap of power: a good placement, and how good at least.

Packing such jobs exactly is hard in general (bin packing is a case of it), so this is declared an
approximation. Slots that are asked for too much get a price; at those prices each job's own best start is
found exactly, and what all of them cost, less what the capacity is worth, is a bound that no placement is
below. Jobs are then placed one by one, those with the least slack first, and moved while that helps. The
gap between the placement and the bound is part of the answer.

Source: Lagrangian relaxation with subgradient steps (Fisher, Management Science 27(1), 1981).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from greenops.plan.slot_table import QUANTA, BatchJobs, Floats, Ints, SlotTable
from greenops.plan.windows import NONE, best_windows

ROUNDS: Final = 60
"""Steps of the prices; the bound hardly rises after."""
PASSES: Final = 3
"""Times that every job may move to where it would rather be."""
INSISTENCE: Final = (1.2, 1.5, 2.0, 5.0)
"""Multiples of the prices that jobs are placed at, until all have room: dear slots are kept free longer."""
ROUNDING: Final = 1e-9
"""Share of the largest cap that may be a rounding of sums."""


@dataclass(frozen=True, slots=True, eq=False)
class PowerPlan:
    """A placement of jobs under a cap of power, arrays of shape (job,).

    Attributes:
        zone: Where each job runs; -1 where there was no room for it: it is run as its baseline.
        start_s: Start [s]; -1 likewise.
        cost: Sum over the placed jobs of power x integral [kW x unit x s].
        bound: No placement of all jobs costs less; none where a job cannot run at all.
    """

    zone: Ints
    start_s: Ints
    cost: float
    bound: float | None

    @property
    def gap(self) -> float | None:
        """Most that the best placement could be below this one, as a share; none where jobs are missing."""
        if self.bound is None or (self.start_s == NONE).any() or self.cost <= 0:
            return None
        return max(0.0, 1 - self.bound / self.cost)


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Jobs in whole slots: starts `first..last`, slots to run, power [kW], zones they may run in."""

    first: Ints
    last: Ints
    slots: Ints
    power: Floats
    allowed: NDArray[np.bool_]

    @property
    def order(self) -> NDArray[np.intp]:
        """Least slack first, then the largest."""
        return np.lexsort((-self.power * self.slots, self.last - self.first))


def place_under_caps(
    table: SlotTable,
    jobs: BatchJobs,
    power_kw: Floats,
    cap_kw: Floats,
    allowed: NDArray[np.bool_] | None = None,
) -> PowerPlan:
    """Place jobs in one piece so that no slot of a zone draws more than its cap.

    Jobs are counted in whole slots: run times are rounded up, windows cut to the slots wholly inside.

    Args:
        table: Intensity [gCO2e/kWh], or a price.
        jobs: What is to run; its zones are homes.
        power_kw: Power of each job [kW], shape (job,).
        cap_kw: Most power of each zone and slot [kW], shape (zone, slot).
        allowed: Zones each job may run in, shape (job, zone); none: its home alone.
    """
    if allowed is None:
        allowed = np.arange(table.zones) == jobs.zone[:, None]
    runs = _runs(table, jobs, power_kw, allowed)
    caps = np.broadcast_to(np.asarray(cap_kw, dtype=float), (table.zones, table.slots))
    prices, bound = _prices(table, runs, caps)
    zone, start = _placed(table, runs, caps, prices)
    for multiple in INSISTENCE:
        if not _lacks(start):
            break
        tried = _placed(table, runs, caps, multiple * prices)
        if _lacks(tried[1]) < _lacks(start):
            zone, start = tried
    cost = _cost(table, runs, zone, start)
    return PowerPlan(zone, np.where(start == NONE, NONE, start * table.step_s), cost, bound)


def _lacks(start: Ints) -> int:
    return int((start == NONE).sum())


def _runs(table: SlotTable, jobs: BatchJobs, power: Floats, allowed: NDArray[np.bool_]) -> _Runs:
    slots = -(-jobs.duration_s // table.step_s)
    first = np.maximum(-(-jobs.earliest_s // table.step_s), 0)
    last = np.minimum(jobs.deadline_s // table.step_s, table.slots) - slots
    return _Runs(first, last, slots, np.asarray(power, dtype=float), allowed)


def _prices(table: SlotTable, runs: _Runs, caps: Floats) -> tuple[Floats, float | None]:
    """Prices [unit], shape (zone, slot), that gave the highest bound, and the bound."""
    step, flat = table.step_s, table.slots + 1
    values = table.values.reshape(-1, flat)[: table.zones, : table.slots] / QUANTA
    gaps = table.gap_rows(np.arange(table.zones) * flat, table.slots)
    prices = best_prices = np.zeros(values.shape)
    best, stride = -np.inf, 1.0
    for _ in range(ROUNDS):
        found = _at_prices(SlotTable.of(np.where(gaps, np.nan, values + prices), step), runs)
        if found is None:
            return best_prices, None
        zone, start, area = found
        bound = float(area @ runs.power - step * (prices * caps).sum())
        excess = _used(table, runs, zone, start) - caps
        if bound > best:
            best, best_prices = bound, prices
        else:
            stride *= 0.85
        over = np.where((excess > 0) | (prices > 0), excess, 0.0)
        size = float((over**2).sum())
        if size == 0:
            break
        # The first stride moves prices by about the spread of the values.
        typical = float(np.sqrt(size / np.count_nonzero(over)))
        unit = float(np.std(values[~gaps])) / typical
        moved = np.maximum(prices + stride * unit * over, 0.0)
        # Whole parts, as the table counts them: else the bound would be off by their rounding.
        prices = np.rint(moved * QUANTA) / QUANTA
    return best_prices, best


def _at_prices(table: SlotTable, runs: _Runs) -> tuple[Ints, Ints, Floats] | None:
    """Zone, first slot and integral [unit x s] of each job's own best run; none where one has none."""
    job, zone = np.nonzero(runs.allowed)
    step = table.step_s
    after = runs.last[job] + runs.slots[job]
    asked = BatchJobs(zone, runs.first[job] * step, after * step, runs.slots[job] * step)
    found = best_windows(table, asked)
    order = np.lexsort((zone, found.start_s, found.area, ~found.found, job))
    present, at = np.unique(job[order], return_index=True)
    best = order[at]
    if len(present) < len(runs.slots) or not found.found[best].all():
        return None
    return zone[best], found.start_s[best] // step, found.area[best] / QUANTA


def _used(table: SlotTable, runs: _Runs, zone: Ints, start: Ints) -> Floats:
    """Power drawn in each slot [kW], shape (zone, slot)."""
    steps = np.zeros((table.zones, table.slots + 1))
    np.add.at(steps, (zone, start), runs.power)
    np.add.at(steps, (zone, start + runs.slots), -runs.power)
    return np.asarray(np.cumsum(steps, axis=1)[:, :-1])


class _Room:
    """What is left of the caps, and where a job fits best."""

    def __init__(self, table: SlotTable, runs: _Runs, caps: Floats) -> None:
        self.runs, self.left = runs, caps.copy()
        self.slack = ROUNDING * caps.max(initial=0.0)
        self.gaps = None
        if table.gaps is not None:
            self.gaps = table.gaps.reshape(-1, table.slots + 1)[: table.zones]

    def take(self, job: int, zone: int, start: int, sign: float) -> None:
        """Take (1) or give back (-1) the power of a run."""
        self.left[zone, start : start + int(self.runs.slots[job])] -= sign * self.runs.power[job]

    def best(self, job: int, sums: Floats) -> tuple[float, int, int] | None:
        """(sum of values, zone, first slot) of the least run that fits; the earliest where it ties."""
        runs = self.runs
        first, last, slots = int(runs.first[job]), int(runs.last[job]), int(runs.slots[job])
        ways = []
        for zone in np.flatnonzero(runs.allowed[job]).tolist() if first <= last else []:
            fits = sliding_window_view(self.left[zone, first : last + slots], slots).min(axis=1)
            open_to = fits >= runs.power[job] - self.slack
            if self.gaps is not None:
                gaps = self.gaps[zone]
                open_to &= gaps[first + slots : last + slots + 1] == gaps[first : last + 1]
            if open_to.any():
                row = sums[zone]
                cost = row[first + slots : last + slots + 1] - row[first : last + 1]
                at = int(np.where(open_to, cost, np.inf).argmin())
                ways.append((float(cost[at]), first + at, zone))
        if not ways:
            return None
        cost_of, start, zone = min(ways)
        return cost_of, zone, start


def _placed(table: SlotTable, runs: _Runs, caps: Floats, prices: Floats) -> tuple[Ints, Ints]:
    """Zone and first slot of each job: placed at costs and prices, then moved at costs alone."""
    sums = table.sums.reshape(-1, table.slots + 1)[: table.zones] / QUANTA
    priced = sums + np.pad(np.cumsum(prices, axis=1), ((0, 0), (1, 0)))
    room = _Room(table, runs, caps)
    zone, start = (np.full(len(runs.slots), NONE, np.int64) for _ in range(2))
    for turn in range(1 + PASSES):
        moved = False
        for job in runs.order.tolist():
            had = int(zone[job]), int(start[job])
            if had[1] != NONE:
                room.take(job, *had, -1.0)
            found = room.best(job, priced if turn == 0 else sums)
            if found is not None:
                zone[job], start[job] = found[1:]
                room.take(job, *found[1:], 1.0)
                moved |= found[1:] != had
        if not moved:
            break
    return zone, start


def _cost(table: SlotTable, runs: _Runs, zone: Ints, start: Ints) -> float:
    ran = start != NONE
    begins, step = np.where(ran, start, 0) * table.step_s, table.step_s
    ends = np.where(ran, begins + runs.slots * step, 0)
    area = table.area(np.where(ran, zone, 0), begins, ends)
    return float((area * ran / QUANTA) @ runs.power)
