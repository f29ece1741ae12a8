"""Rows that agree in several columns, as groups numbered from zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST: Final = 2**62
"""Most different combinations that one number tells apart."""
NARROW: Final = 2**31
"""So many fit in half of it."""
FEW: Final = 4
"""Where at most one row of so many is not the first of its group, those are added one by one."""
PLACES: Final = 2**16
"""Combinations that always get a place each; more get one where there are at least a quarter as many rows."""


def combined(columns: Sequence[tuple[Any, int]]) -> tuple[Any, int]:
    """One number for each row that tells apart what the columns tell apart, in the order of the columns.

    Args:
        columns: Numbers of each column and how many there may be: 0 to that, exclusive.

    Returns:
        The numbers, and how many there may be.
    """
    told = [each for each in columns if each[1] > 1] or columns[:1]
    codes, size = told[0]
    narrow = math.prod(width for _, width in told) < NARROW
    codes = codes.astype(np.int32 if narrow else np.int64)
    for more, width in told[1:]:
        if size * width >= MOST:
            codes, first = ordered(codes, size)
            size = len(first)
        codes *= width
        codes += more
        size *= width
    return codes, size


def room(rows: int) -> int:
    """Most combinations that get a place each among so many rows."""
    return max(PLACES, 4 * rows)


def grouped(codes: Any, size: int) -> tuple[Any, Any]:
    """Group of each row, and a row of each group; groups come in no order."""
    if size <= room(len(codes)):
        return ordered(codes, size)
    found = pc.dictionary_encode(pa.array(codes))
    groups = found.indices.to_numpy().astype(np.intp)
    return groups, _any_of(groups, len(found.dictionary))


def ordered(codes: Any, size: int) -> tuple[Any, Any]:
    """Group of each row, and a row of each group; groups rise with their number."""
    if size <= room(len(codes)):
        places = _any_of(codes, size)
        there = places >= 0
        return (np.cumsum(there) - 1)[codes], places[there]
    _, first, groups = np.unique(codes, return_index=True, return_inverse=True)
    return groups, first


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows that are put together; groups rise with their number.

    Attributes:
        firsts: A row of each group.
        numbers: Group of each row.
        others: The rows that are not the first of their group; none: there are many.
        order: All rows, group after group; none: the others are few.
        begins: Where each group begins in that order.
    """

    firsts: Any
    numbers: Any
    others: Any = None
    order: Any = None
    begins: Any = None

    @classmethod
    def of(cls, codes: Any, size: int) -> Self:
        """Rows that have the same number are a group; numbers are 0 to `size`, exclusive."""
        numbers, firsts = ordered(codes, size)
        if FEW * (len(numbers) - len(firsts)) <= len(numbers):
            other = np.ones(len(numbers), np.bool_)
            other[firsts] = False
            return cls(firsts, numbers, np.flatnonzero(other))
        # Mostly they lie in order already, which this sort is quick for.
        order = np.argsort(numbers, kind="stable")
        ends = np.cumsum(np.bincount(numbers, minlength=len(firsts)))
        return cls(firsts, numbers, None, order, np.concatenate([[0], ends[:-1]]))

    def __len__(self) -> int:
        return len(self.firsts)

    def added(self, values: Any) -> Any:
        """Sum of each group's numbers."""
        if self.others is None:
            return np.add.reduceat(values[self.order], self.begins)
        found = values[self.firsts]
        np.add.at(found, self.numbers[self.others], values[self.others])
        return found


def _any_of(groups: Any, size: int) -> Any:
    """A row of each group; -1 where it has none."""
    found = np.full(size, -1, np.int64)
    found[groups] = np.arange(len(groups))
    return found
