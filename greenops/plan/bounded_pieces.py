"""Interruptible jobs within a bound on cost: the cleanest seconds of each window that stay inside it.

Without the bound a job runs in its cheapest seconds by carbon. A price on cost moves it to others; at each
price the seconds are those with the least carbon plus price x cost. Between the last such plan that is too
dear and the first that is not, the best is a mixture: this is a linear programme with one row more, and the
walk to its price ends after as many steps as there are corners on the way. Then seconds are made whole.

Law: the bound is never broken. The plan is above the programme's optimum by rounding alone, and `bound`
tells that optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from greenops.plan.slot_table import QUANTA, BatchJobs, Floats, Ints, SlotTable
from greenops.plan.window_slots import WindowSlots

CELLS: Final = 60_000
"""Slots of windows that are sorted together."""
STEPS: Final = 60
"""Most corners that are walked; days of hours need under ten."""
TINY: Final = 1e-12
"""Share of a total that is a rounding of the sums."""
TRIES: Final = 4
"""Times that a mixture is made a little cheaper until whole seconds keep the bound."""


@dataclass(frozen=True, slots=True, eq=False)
class BoundedPieces:
    """When each job runs.

    Attributes:
        found: Is there a way within the bound, shape (job,)?
        area: Integral of what is made least over the seconds it runs [unit / QUANTA x s], shape (job,).
        bounded_area: Integral of what is bounded, likewise.
        bound: No way within the bound has less [unit / QUANTA x s]; NaN where there is none.
        first_slot: Slot of the table that a row of `seconds` begins at, shape (job,).
        seconds: Seconds it runs in each slot of its window, shape (job, slot).
    """

    found: NDArray[np.bool_]
    area: Ints
    bounded_area: Ints
    bound: Floats
    first_slot: Ints
    seconds: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Windows of jobs side by side, shape (job, slot): carbon, cost and usable seconds; (job,): the rest."""

    carbon: Floats
    cost: Floats
    room: Floats
    need: Floats
    most: Floats

    def cheapest(self, price: Floats) -> Floats:
        """Seconds in each slot with the least carbon + price x cost; infinite: by cost, then carbon."""
        by_cost = np.isinf(price)[:, None]
        first = np.where(
            by_cost, self.cost, self.carbon + np.where(by_cost, 0, price[:, None]) * self.cost
        )
        # Where they tie the cheaper seconds come first, and by cost alone the cleaner.
        order = np.lexsort((np.where(by_cost, self.carbon, self.cost), first), axis=1)
        room = np.take_along_axis(self.room, order, axis=1)
        before = np.cumsum(room, axis=1) - room
        taken = np.clip(self.need[:, None] - before, 0, room)
        seconds = np.empty_like(taken)
        np.put_along_axis(seconds, order, taken, axis=1)
        return seconds

    def totals(self, seconds: Floats) -> tuple[Floats, Floats]:
        """Carbon and cost of plans [unit / QUANTA x s], shape (job,)."""
        return (self.carbon * seconds).sum(axis=1), (self.cost * seconds).sum(axis=1)


def bounded_pieces(
    table: SlotTable, bounded: SlotTable, jobs: BatchJobs, most: ArrayLike
) -> BoundedPieces:
    """The seconds of each job with the least integral of `table` where that of `bounded` is within `most`.

    Args:
        table: What is made least, for example the intensity [gCO2e/kWh].
        bounded: What is bounded, for example the price, on the same zones and slots.
        jobs: What is to run; a gap of either table is not used.
        most: Most integral of `bounded` [unit / QUANTA x s], shape (job,) or a number.

    Raises:
        ValueError: The tables differ in shape.
    """
    table.same_slots(bounded)
    windows = WindowSlots.of(table, jobs)
    limit = np.broadcast_to(np.asarray(most, dtype=float), len(jobs))
    count = len(jobs)
    seconds = np.zeros((count, windows.widest), np.int64)
    found, bound = np.zeros(count, bool), np.full(count, np.nan)
    for some, slots in windows.alike(CELLS):
        base = windows.base[some]
        block = _Block(
            table.value_rows(base, slots).astype(float),
            bounded.value_rows(base, slots).astype(float),
            windows.room(some, slots, table, bounded),
            jobs.duration_s[some].astype(float),
            limit[some],
        )
        seconds[some, :slots], bound[some] = _solved(block)
        found[some] = ~np.isnan(bound[some])
    first = windows.first
    at = np.minimum(first[:, None] + np.arange(seconds.shape[1]), table.slots)
    cells = jobs.zone[:, None] * (table.slots + 1) + at
    areas = [(each.values[cells] * seconds).sum(axis=1) for each in (table, bounded)]
    return BoundedPieces(found, areas[0], areas[1], bound, first, seconds)


def _solved(block: _Block) -> tuple[Ints, Floats]:
    """Whole seconds of each job and the optimum's carbon; NaN and no seconds where there is no way."""
    zero = np.zeros(len(block.need))
    clean, cheap = block.cheapest(zero), block.cheapest(zero + np.inf)
    able = (block.room.sum(axis=1) >= block.need) & (block.totals(cheap)[1] <= block.most)
    bound = np.where(able, block.totals(clean)[0], np.nan)
    seconds = np.where(able[:, None], clean, 0).astype(np.int64)
    over = np.flatnonzero(able & (block.totals(clean)[1] > block.most))
    if len(over):
        part = _Block(*(getattr(block, name)[over] for name in _Block.__slots__))
        seconds[over], bound[over] = _mixed(part, *_walked(part, clean[over], cheap[over]))
    return seconds, bound


def _walked(block: _Block, dear: Floats, cheap: Floats) -> tuple[Floats, Floats]:
    """The two corners around the bound: plans just too dear and just within it."""
    dear, cheap = dear.copy(), cheap.copy()
    going = np.arange(len(dear))
    for _ in range(STEPS):
        part = _Block(*(getattr(block, name)[going] for name in _Block.__slots__))
        (dirty_dear, paid_dear), (dirty, paid) = part.totals(dear[going]), part.totals(cheap[going])
        price = (dirty - dirty_dear) / np.maximum(paid_dear - paid, 1)
        tried = part.cheapest(np.maximum(price, 0))
        carbon, cost = part.totals(tried)
        line = dirty + price * paid
        better = carbon + price * cost < line - TINY * np.abs(line) - TINY
        within = cost <= part.most
        cheap[going[better & within]] = tried[better & within]
        dear[going[better & ~within]] = tried[better & ~within]
        going = going[better]
        if not len(going):
            break
    return dear, cheap


def _mixed(block: _Block, dear: Floats, cheap: Floats) -> tuple[Ints, Floats]:
    """As much of the dear plan as the bound allows, in whole seconds; and what it would be in parts."""
    (dirty_dear, paid_dear), (dirty, paid) = block.totals(dear), block.totals(cheap)
    share = (block.most - paid) / (paid_dear - paid)
    bound = dirty + share * (dirty_dear - dirty)
    best = np.rint(cheap).astype(np.int64)
    half = 0.5 / np.abs(dear - cheap).max(axis=1)  # half a second of what moves most
    for _ in range(TRIES):
        parts = cheap + np.maximum(share, 0)[:, None] * (dear - cheap)
        # Rounding the running sum keeps the total, and each slot within a second.
        sums = np.floor(np.cumsum(parts, axis=1) + 0.5)
        whole = np.diff(sums, axis=1, prepend=0.0)
        carbon, cost = block.totals(whole)
        fits = (cost <= block.most) & (whole <= block.room).all(axis=1) & (whole >= 0).all(axis=1)
        better = fits & (carbon < block.totals(best.astype(float))[0])
        best[better] = whole[better].astype(np.int64)
        over = np.maximum(cost - block.most, 0)
        share = share - np.where(fits, 0, over / (paid_dear - paid) + half)
    return best, bound


def mean_of(planned: BoundedPieces, jobs: BatchJobs) -> Floats:
    """Mean over the seconds each job runs [unit]; NaN where there is no way within the bound."""
    mean = planned.area / (jobs.duration_s * float(QUANTA))
    return np.where(planned.found, mean, np.nan)
