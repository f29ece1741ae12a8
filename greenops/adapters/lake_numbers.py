"""Numbers that follow from another one: a factor that many rows share, and what is left, exactly."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SHARED: Final = 8
"""Rows of each factor [1], on average, above which factors are kept in place of the numbers."""
ALIKE: Final = 6
"""Last bits in which two factors that are the same may differ: each comes of a rounded division."""


def split_number(value: pa.Array, base: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """A column as the number itself, its factor to a base, and the rest.

    Law: a row has the number, or factor and rest with `base * factor + rest` equal to it in every bit; an absent
    number has neither.

    Args:
        value: What is kept, of type double.
        base: What it may follow from.
    """
    numbers = value.to_numpy(zero_copy_only=False)
    bases = base.to_numpy(zero_copy_only=False)
    with np.errstate(all="ignore"):
        factors = numbers / bases
        rows = np.flatnonzero(np.isfinite(factors) & (factors != 0.0))
        keys = (factors[rows].view(np.int64) + (1 << ALIKE - 1)) >> ALIKE
        kinds, first, place = np.unique(keys, return_index=True, return_inverse=True)
        if len(kinds) * SHARED > len(rows):
            rows = rows[:0]
        else:
            factors[rows] = factors[rows][first][place]
        rest = numbers - bases * factors
        again = bases * factors + rest
    exact = np.zeros(len(value), np.bool_)
    exact[rows] = again[rows].view(np.int64) == numbers[rows].view(np.int64)
    itself = pc.if_else(pa.array(exact), pa.scalar(None, pa.float64()), value)
    return itself, pa.array(factors, mask=~exact), pa.array(rest, mask=~exact)


def joined_number(value: Any, base: Any, factor: Any, rest: Any) -> Any:
    """The column again; factor and rest may each be one number for all rows that have a base."""
    if not isinstance(factor, pa.Scalar) and factor.null_count == len(factor):
        return value
    found = pc.multiply(base, factor)
    if not isinstance(rest, pa.Scalar) or rest.as_py():
        found = pc.add(found, rest)
    return found if value.null_count == len(value) else pc.coalesce(value, found)
