"""A column of CEL values in numpy: what they are, and on which rows there is one.

Law: an error is a row that is not `ok`; its value is any value of the type and never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
Mask = NDArray[np.bool_]
TYPES: Final = {
    "bool": np.dtype(np.bool_),
    "int": np.dtype(np.int64),
    "double": np.dtype(np.float64),
    "string": np.dtype(np.int32),
    "timestamp": np.dtype(np.int64),
    "duration": np.dtype(np.int64),
}
"""How each CEL type is kept: texts by their place in a sorted vocabulary, times in microseconds."""


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one CEL type, two-dimensional so that frames of different sizes broadcast.

    Attributes:
        kind: CEL type.
        ok: Rows that have a value; none: all have.
    """

    kind: str
    values: Values
    ok: Mask | None = None

    def at(self, index: Any) -> Column:
        """The rows at an index of the first axis."""
        return Column(self.kind, self.values[index], None if self.ok is None else self.ok[index])

    def holds(self) -> Mask:
        """Rows that are true: an error is not."""
        whole: Mask = self.values if self.ok is None else self.values & self.ok
        return whole


def both(*masks: Mask | None) -> Mask | None:
    """Rows that are ok in every mask."""
    given = [each for each in masks if each is not None]
    return reduce(np.logical_and, given) if given else None


def constant(kind: str, value: object) -> Column:
    """One value for every row."""
    return Column(kind, np.full((1, 1), value, TYPES[kind]))


def absent(kind: str) -> Column:
    """No value on any row."""
    dtype = TYPES.get(kind, np.dtype(np.int64))
    return Column(kind, np.zeros((1, 1), dtype), np.zeros((1, 1), np.bool_))


def conjunction(left: Column, right: Column) -> Column:
    """`left && right`: false decides, whatever the other side is."""
    values = left.values & right.values
    if left.ok is None and right.ok is None:
        return Column("bool", values)
    decided = _known(~left.values, left.ok) | _known(~right.values, right.ok)
    return Column("bool", values, decided | _together(left, right))


def disjunction(left: Column, right: Column) -> Column:
    """`left || right`: true decides, whatever the other side is."""
    values = left.values | right.values
    if left.ok is None and right.ok is None:
        return Column("bool", values)
    decided = _known(left.values, left.ok) | _known(right.values, right.ok)
    return Column("bool", values, decided | _together(left, right))


def chosen(test: Column, then: Column, other: Column) -> Column:
    """`test ? then : other`: an error in the part not chosen is none."""
    values = np.where(test.values, then.values, other.values)
    if then.ok is None and other.ok is None:
        return Column(then.kind, values, test.ok)
    sides = [np.bool_(True) if each.ok is None else each.ok for each in (then, other)]
    return Column(then.kind, values, both(test.ok, np.where(test.values, *sides)))


def _known(values: Mask, ok: Mask | None) -> Mask:
    return values if ok is None else values & ok


def _together(left: Column, right: Column) -> Mask:
    ok = both(left.ok, right.ok)
    return np.ones((1, 1), np.bool_) if ok is None else ok
