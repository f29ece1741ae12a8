"""Sums that no order of adding changes: numbers as whole quanta of 2^-72, counted in three integers.

A number of at least 2^-20 keeps all its bits; a smaller one is rounded to a quantum (2e-22 J or g), alone and
so always alike. A sum holds up to `MOST_UNITS` and stays there: such sums, too, are the same in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.domain.grouping import Groups, room

BITS: Final = 36
"""Bits of the middle and of the last integer: they count in 2^-36 and 2^-72, the first counts whole units."""
ONE: Final = float(2**BITS)
MASK: Final = np.int64(2**BITS - 1)
AT_ONCE: Final = 2**17
"""Most numbers that are split and added at once: so many middle parts still fit in 64 bits."""
SMALL: Final = 1024.0
"""Below it whole units and the middle part fit in one integer while `AT_ONCE` of them are added."""
QUANTA: Final = pa.decimal128(38, 0)
"""A sum as it is kept, in quanta of 2^-72."""
MOST_UNITS: Final = 10**38 // 2 ** (2 * BITS)
"""Where a sum stays [units]: the most that 38 digits of quanta hold, 21,175 times the most that a span may say."""
WHOLE: Final = 2.0**53
"""Below it a double holds every whole number."""
EXACT: Final = 2.0**34
"""Below it two roundings to a double are one."""
BEYOND: Final = 2.0**62


def sums_by_group(values: Any, groups: Any, size: int) -> Any:
    """The exact sum of each group's numbers, shape (3, size).

    Args:
        values: Numbers of 0 to 1e12, at most `AT_ONCE`.
        groups: Group of each, from 0 to `size`, exclusive.
        size: How many groups there are.
    """
    found = np.zeros((3, size), np.int64)
    most = values.max(initial=0.0)
    if most == 0.0:
        return found
    if most < SMALL:
        scaled = values * ONE
    else:
        units = np.floor(values)
        found[0] = whole_sums(units, groups, size)
        scaled = values - units
        scaled *= ONE
    whole = np.floor(scaled)
    found[1] = whole_sums(whole, groups, size)
    scaled -= whole
    if scaled.any():
        scaled *= ONE
        found[2] = whole_sums(np.rint(scaled, out=scaled), groups, size)
    return carried(found)


def whole_sums(values: Any, groups: Any, size: int) -> Any:
    """Sums of whole numbers by group, none of them below zero."""
    sums = np.bincount(groups, weights=values, minlength=size)
    # None of what was added up was rounded where the sum itself is this small: they are not negative.
    if sums.max(initial=0.0) < WHOLE:
        return sums.astype(np.int64)
    found = np.zeros(size, np.int64)
    np.add.at(found, groups, values.astype(np.int64))
    return found


def totals(codes: Any, size: int, counts: Any = None) -> tuple[Any, Any]:
    """The numbers that occur, rising, and how many rows have each, or what counts of one or more they have.

    Args:
        codes: Number of each row, 0 to `size`, exclusive.
        size: How many numbers there may be.
        counts: Of each row; none: one.
    """
    if size <= room(len(codes)):
        found = (
            np.bincount(codes, minlength=size)
            if counts is None
            else whole_sums(counts, codes, size)
        )
        there = np.flatnonzero(found)
        return there, found[there]
    if counts is None:
        return np.unique(codes, return_counts=True)
    groups = Groups.of(codes, size)
    return codes[groups.firsts], groups.added(counts)


def sums_of(values: Any, groups: Any, size: int) -> Any:
    """As `sums_by_group`, of any number of numbers."""
    found = np.zeros((3, size), np.int64)
    both = Groups.of(np.tile(np.arange(size), 2), size)
    for first in range(0, len(values), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        more = sums_by_group(values[some], groups[some], size)
        found = added([found, more], both)
    return found


def added(parts: Sequence[Any], groups: Groups) -> Any:
    """Sums of sums by group: those of parts, each of shape (3, n), one part after the other."""
    found = np.zeros((3, len(groups)), np.int64)
    rows = sum(each.shape[1] for each in parts)
    for place in range(3):
        if any(each[place].any() for each in parts):
            found[place] = groups.added(np.concatenate([each[place] for each in parts]))
    beyond: Any = ()
    if max((each[0].max(initial=0) for each in parts), default=0) >= BEYOND / max(rows, 1):
        units = np.concatenate([each[0] for each in parts])
        beyond = groups.added(units.astype(np.float64)) >= BEYOND
    found = carried(found)
    found[:, beyond] = [[MOST_UNITS], [0], [0]]
    return found


def carried(sums: Any) -> Any:
    """The same sums with 36 bits in the middle and in the last integer; those beyond the most stay at it."""
    found = np.empty_like(sums)
    middle = sums[1] + (sums[2] >> BITS)
    units = np.add(sums[0], middle >> BITS, out=found[0])
    np.bitwise_and(middle, MASK, out=found[1])
    np.bitwise_and(sums[2], MASK, out=found[2])
    found[:, units >= MOST_UNITS] = [[MOST_UNITS], [0], [0]]
    return found


def doubles(sums: Any) -> Any:
    """The double next to each sum."""
    with_units = sums[0].astype(np.float64)
    middle = sums[1] / ONE
    near = with_units + middle
    # What the addition lost, exactly (Knuth's two-sum); with the last part it fits in a double.
    back = near - with_units
    lost = (with_units - (near - back)) + (middle - back)
    found = near + (lost + sums[2] / ONE / ONE)
    for at in np.flatnonzero(near >= EXACT).tolist():
        found[at] = whole(sums[:, at]) / 2 ** (2 * BITS)
    return found


def whole(parts: Any) -> int:
    """One sum as an integer of quanta."""
    units, middle, last = (int(each) for each in parts)
    return (((units << BITS) + middle) << BITS) + last


def decimals(sums: Any, known: Any) -> pa.Array:
    """Sums as they are kept; null where nothing is known."""
    words = np.empty((sums.shape[1], 2), np.int64)
    spare = 64 - BITS
    words[:, 0] = (sums[1] << BITS) | sums[
        2
    ]  # the upper bits fall off; they stand in the other word
    words[:, 1] = (sums[0] << (2 * BITS - 64)) | (sums[1] >> spare)
    valid = np.packbits(known, bitorder="little")
    return pa.Array.from_buffers(QUANTA, len(words), [pa.py_buffer(valid), pa.py_buffer(words)])


def of_decimals(column: pa.Array) -> Any:
    """Sums from what `decimals` gave, shape (3, n); zero where it is null."""
    words = np.frombuffer(column.buffers()[1], np.int64)
    words = words[2 * column.offset : 2 * (column.offset + len(column))].reshape(-1, 2)
    low, high = words[:, 0], words[:, 1]
    spare = 64 - BITS
    upper = (low >> BITS) & np.int64(2**spare - 1)
    sums = np.stack(
        [
            high >> (2 * BITS - 64),
            ((high & np.int64(2 ** (BITS - spare) - 1)) << spare) | upper,
            low & MASK,
        ]
    )
    if column.null_count:
        sums[:, column.is_null().to_numpy(zero_copy_only=False)] = 0
    return sums
