"""Comparison and arithmetic on columns, with CEL's ranges: what goes over one is an error there."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from greenops.policy.columns import Column, Mask, Values, both
from greenops.policy.values import LONGEST

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
FIRST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
"""First and last instant of CEL, microseconds: the years 1 to 9999."""
SPAN: Final = LONGEST // MICROSECOND
"""Longest duration [us]."""
LEAST: Final = -(2**63)
COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
PLAIN: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def microseconds(value: datetime | timedelta) -> int:
    """An instant since 1970, or a duration, as columns hold it [us]."""
    return (value - EPOCH if isinstance(value, datetime) else value) // MICROSECOND


def compare(sign: str, left: Column, right: Column) -> Column:
    """A comparison of two columns of one type."""
    values = COMPARE[sign](left.values, right.values)
    return Column("bool", values, both(left.ok, right.ok))


def arithmetic(sign: str, left: Column, right: Column) -> Column:
    """`+ - * / %` as the checker lets them through."""
    ok = both(left.ok, right.ok)
    x, y = left.values, right.values
    if left.kind == right.kind == "double":
        return Column("double", PLAIN[sign](x, y), ok)
    if left.kind == right.kind == "int":
        values, good = INTEGERS[sign](x, y)
        return Column("int", values, both(ok, good))
    return _times(sign, left, right, ok)


def _times(sign: str, left: Column, right: Column, ok: Mask | None) -> Column:
    values = PLAIN[sign](left.values, right.values)
    kinds = {left.kind, right.kind}
    kind = "timestamp" if kinds == {"timestamp", "duration"} else "duration"
    return Column(kind, values, both(ok, in_range(kind, values)))


def in_range(kind: str, values: Values) -> Mask:
    """Instants of the years 1 to 9999; durations of 64 bits of nanoseconds."""
    low, high = (FIRST, LAST) if kind == "timestamp" else (-SPAN, SPAN)
    inside: Mask = (values >= low) & (values <= high)
    return inside


def _added(x: Values, y: Values) -> tuple[Values, Mask]:
    total = x + y
    return total, ((x ^ total) & (y ^ total)) >= 0


def _subtracted(x: Values, y: Values) -> tuple[Values, Mask]:
    rest = x - y
    return rest, ((x ^ y) & (x ^ rest)) >= 0


def _multiplied(x: Values, y: Values) -> tuple[Values, Mask]:
    """The product, ok where dividing it gives the factor back: only an exact one does."""
    product = x * y
    divisor = np.where(y == 0, 1, y)
    exact = (product // divisor == x) & ~((y == -1) & (x == LEAST))
    return product, (y == 0) | exact


def _divided(x: Values, y: Values) -> tuple[Values, Mask]:
    """The quotient towards zero; the rest of a division by zero or out of range is an error."""
    good = (y != 0) & ~((x == LEAST) & (y == -1))
    divisor = np.where(good, y, 1)
    quotient = x // divisor
    quotient = quotient + ((quotient < 0) & (quotient * divisor != x))
    return quotient, good


def _remainder(x: Values, y: Values) -> tuple[Values, Mask]:
    quotient, good = _divided(x, y)
    return x - quotient * np.where(good, y, 1), good


INTEGERS: Final = {
    "+": _added,
    "-": _subtracted,
    "*": _multiplied,
    "/": _divided,
    "%": _remainder,
}


def negative(of: Column) -> Column:
    """`-x`; the least int has no opposite."""
    good = of.values != LEAST if of.kind == "int" else None
    return Column(of.kind, -of.values, both(of.ok, good))


def ratio(above: Column, below: Column) -> Column:
    """Quotient of doubles; an error where the lower is 0 or the result is not finite."""
    values = above.values / below.values
    good = (below.values != 0) & np.isfinite(values)
    return Column("double", values, both(above.ok, below.ok, good))


def as_double(of: Column) -> Column:
    """`double(x)`."""
    return Column("double", of.values.astype(np.float64), of.ok)


def whole_seconds(of: Column) -> Column:
    """`getSeconds()` of a duration, towards zero."""
    seconds, _ = _divided(of.values, np.full((1, 1), 1_000_000, np.int64))
    return Column("int", seconds, of.ok)
