"""The k cheapest slots of any window of one zone: a wavelet matrix with sums, asked for many jobs at once.

The slots are ranked by value, the earlier first where values tie and gaps last, so that every rank occurs
once. Each level of the matrix parts the slots by one bit of their ranks, in a stable way; a window stays a
window on every level. Going down takes as many steps as a rank has bits, whatever the window's length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from greenops.plan.slot_table import Ints, SlotTable

BLOCK: Final = 32_768
"""Windows that go down together: their arrays fit the cache of one core."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One bit of the ranks, slots in the order of the levels above.

    Attributes:
        zeros: Slots before a place whose bit is 0, shape (slot + 1,).
        sums: Sum of the values before a place, slots parted by this bit [unit / QUANTA].
        bit: What the bit is worth.
    """

    zeros: Ints
    sums: Ints
    bit: int


@dataclass(frozen=True, slots=True, eq=False)
class SlotRanks:
    """One zone's slots by value.

    Attributes:
        rank: Rank of each slot, shape (slot,); 0 is the cheapest.
        values: Values by rank [unit / QUANTA]; those of gaps, past `known`, mean nothing.
        known: Slots without a gap.
        levels: From the highest bit to the lowest.
    """

    rank: Ints
    values: Ints
    known: int
    levels: tuple[Level, ...]

    @classmethod
    def of(cls, table: SlotTable, zone: int) -> SlotRanks:
        """Rank the slots of one zone of a table."""
        base = zone * (table.slots + 1)
        values = table.values[base : base + table.slots]
        gap = table.gap_rows(np.array([base]), table.slots)[0]
        order = np.lexsort((values, gap))
        rank = np.empty(table.slots, np.int64)
        rank[order] = np.arange(table.slots)
        levels = []
        now, moved = rank, values
        for bit in reversed(range(int(table.slots - 1).bit_length())):
            ones = (now >> bit) & 1
            parted = np.argsort(ones, kind="stable")
            now, moved = now[parted], moved[parted]
            levels.append(Level(_sums(1 - ones), _sums(moved), 1 << bit))
        return cls(rank, values[order], table.slots - int(gap.sum()), tuple(levels))

    def cheapest(self, first: Ints, after: Ints, count: Ints) -> tuple[Ints, Ints]:
        """Sum of the `count` cheapest slots of `[first, after)` [unit / QUANTA], and the last's rank.

        Those slots are the ones of the window whose rank is at most the last's. `count` is at least
        one and at most the number of known slots in the window. Shape (window,).
        """
        total, last = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
        for at in range(0, len(first), BLOCK):
            block = slice(at, at + BLOCK)
            total[block], last[block] = self._down(first[block], after[block], count[block])
        return total, last

    def _down(self, first: Ints, after: Ints, count: Ints) -> tuple[Ints, Ints]:
        low, high, left = first.copy(), after.copy(), count.copy()
        total, rank = np.zeros_like(low), np.zeros_like(low)
        low_zeros, high_zeros, part, other = (np.empty_like(low) for _ in range(4))
        for level in self.levels:
            np.take(level.zeros, low, out=low_zeros, mode="clip")
            np.take(level.zeros, high, out=high_zeros, mode="clip")
            np.subtract(high_zeros, low_zeros, out=part)
            # All slots with bit 0 are taken where more are asked for; products do without branches.
            ones = (left > part).astype(np.int64)
            part *= ones
            left -= part
            np.take(level.sums, high_zeros, out=part, mode="clip")
            np.take(level.sums, low_zeros, out=other, mode="clip")
            part -= other
            part *= ones
            total += part
            zeros = int(level.zeros[-1])
            _move(low, low_zeros, ones, zeros)
            _move(high, high_zeros, ones, zeros)
            ones *= level.bit
            rank += ones
        # One slot is left: every rank occurs once.
        total += self.values[rank]
        return total, rank

    def cheaper(self, first: Ints, after: Ints, rank: Ints) -> Ints:
        """How many slots of `[first, after)` have a rank below `rank`; shape (window,)."""
        low, high, found = first.copy(), after.copy(), np.zeros_like(first)
        for level in self.levels:
            low_zeros, high_zeros = level.zeros[low], level.zeros[high]
            ones = (rank & level.bit) != 0
            found += np.where(ones, high_zeros - low_zeros, 0)
            zeros = int(level.zeros[-1])
            low = np.where(ones, low - low_zeros + zeros, low_zeros)
            high = np.where(ones, high - high_zeros + zeros, high_zeros)
        return found


def _sums(values: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])


def _move(edge: Ints, edge_zeros: Ints, ones: Ints, zeros: int) -> None:
    """An edge of windows on the next level: behind all zeros where the window went to the ones."""
    edge -= edge_zeros
    edge += zeros
    edge -= edge_zeros
    edge *= ones
    edge += edge_zeros
