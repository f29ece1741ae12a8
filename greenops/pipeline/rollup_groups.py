"""Rows that agree in several columns, as groups numbered from zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST: Final = 2**62
"""Most different combinations that one number tells apart."""
PLACES: Final = 2**16
"""Combinations that always get a place each; more get one where there are at least a quarter as many rows."""


def combined(columns: Sequence[tuple[Any, int]]) -> tuple[Any, int]:
    """One number for each row that tells apart what the columns tell apart, in the order of the columns.

    Args:
        columns: Numbers of each column and how many there may be: 0 to that, exclusive.

    Returns:
        The numbers, and how many there may be.
    """
    codes, size = columns[0][0].astype(np.int64), columns[0][1]
    for more, width in columns[1:]:
        if width == 1:
            continue
        if size * width >= MOST:
            codes, first = ordered(codes, size)
            size = len(first)
        codes *= width
        codes += more
        size *= width
    return codes, size


def grouped(codes: Any, size: int) -> tuple[Any, Any]:
    """Group of each row, and a row of each group; groups come in no order."""
    if size <= max(PLACES, 4 * len(codes)):
        return ordered(codes, size)
    found = pc.dictionary_encode(pa.array(codes))
    groups = found.indices.to_numpy().astype(np.intp)
    return groups, _any_of(groups, len(found.dictionary))


def ordered(codes: Any, size: int) -> tuple[Any, Any]:
    """Group of each row, and a row of each group; groups rise with their number."""
    if size <= max(PLACES, 4 * len(codes)):
        places = _any_of(codes, size)
        there = places >= 0
        return (np.cumsum(there) - 1)[codes], places[there]
    _, first, groups = np.unique(codes, return_index=True, return_inverse=True)
    return groups, first


def _any_of(groups: Any, size: int) -> Any:
    """A row of each group; -1 where it has none."""
    found = np.full(size, -1, np.int64)
    found[groups] = np.arange(len(groups))
    return found
