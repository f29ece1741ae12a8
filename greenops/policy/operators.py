"""CEL's operators as the specification has them, put in place of cel-python 0.5's.

cel-python 0.5 mixes up numbers (`1 == 1.0` errs), divides by zero to infinity, lets `"x" && true`
pass and reads `timestamp("now")` from the wall clock. Each function here gives an error as a value.
Source: CEL language definition; cel-spec conformance tests at 508bd98.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final

import celpy.celtypes as cel
import re2  # type: ignore[import-untyped]
from celpy.evaluation import CELEvalError

from greenops.policy import conversions, moments
from greenops.policy.values import (
    KEYS,
    TIMES,
    Uint,
    bare,
    equal,
    holds,
    kind,
    looked_up,
    ordered,
    takes,
    wrapped,
)

Operator = Callable[..., Any]
FAULTS = (TypeError, ValueError, OverflowError, ZeroDivisionError, LookupError)


def _strict(function: Operator) -> Operator:
    """An operator that passes errors on, and turns its own into values."""

    def call(*args: Any) -> Any:
        for each in args:
            if isinstance(each, CELEvalError):
                return each
        try:
            return function(*args)
        except FAULTS as error:
            return CELEvalError(str(error), type(error), error.args)

    call.__name__ = function.__name__
    return call


def _equality(*, same: bool) -> Operator:
    def equality(left: Any, right: Any) -> Any:
        return cel.BoolType(equal(left, right) is same)

    return _strict(equality)


def _order(compare: Callable[[Any, Any], bool]) -> Operator:
    def compared(left: Any, right: Any) -> Any:
        return cel.BoolType(compare(*ordered(left, right)))

    return _strict(compared)


def _arithmetic(sign: str) -> Operator:
    apply = {"+": operator.add, "-": operator.sub, "*": operator.mul}

    def calculated(left: Any, right: Any) -> Any:
        of, other = kind(left), kind(right)
        if (of != other and not {of, other} <= TIMES) or not takes(sign, of):
            raise TypeError(f"no such overload: {of} {sign} {other}")
        if of == "list":
            return cel.ListType([*left, *right])
        x, y = bare(left, of), bare(right, other)
        found = apply[sign](x, y) if sign in apply else _divided(sign, x, y, of)
        return wrapped(Uint(_natural(found)) if of == "uint" else found)

    return _strict(calculated)


def _natural(value: int) -> int:
    if not 0 <= value < 2**64:
        raise OverflowError("unsigned integer overflow")
    return value


def _divided(sign: str, x: Any, y: Any, of: str) -> Any:
    if of == "double":
        return _quotient(x, y)
    if y == 0:
        raise ZeroDivisionError("divide by zero")
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    if of == "int" and quotient >= 2**63:
        raise OverflowError("integer overflow")
    return quotient if sign == "/" else x - quotient * y


def _quotient(x: float, y: float) -> float:
    """Of doubles, as IEEE 754 has it: no error, but infinity or NaN."""
    if y:
        return x / y
    if x == 0 or math.isnan(x) or math.isnan(y):
        return math.nan
    return math.copysign(math.inf, x) * math.copysign(1.0, y)


def _logic(decisive: bool) -> Operator:
    """`||` (true decides) or `&&` (false decides); an error decides nothing."""

    def joined(left: Any, right: Any) -> Any:
        known = [bool(e) if kind(e) == "bool" else None for e in (left, right)]
        if decisive in known:
            return cel.BoolType(decisive)
        if None not in known:
            return cel.BoolType(not decisive)
        errors = [each for each in (left, right) if isinstance(each, CELEvalError)]
        return errors[0] if errors else CELEvalError("no such overload", TypeError, ())

    return joined


def only(value: Any, *kinds: str) -> str:
    """The value's type.

    Raises:
        TypeError: It is none of those.
    """
    found = kind(value)
    if found not in kinds:
        raise TypeError(f"no such overload: {found}")
    return found


def _not(value: Any) -> Any:
    return cel.BoolType(not bare(value, only(value, "bool")))


def _negative(value: Any) -> Any:
    return wrapped(-bare(value, only(value, "int", "double")))


def _in(item: Any, among: Any) -> Any:
    if only(among, "list", "map") == "map":
        only(item, *KEYS, "double")
        return cel.BoolType(holds(among, item))
    return cel.BoolType(any(equal(each, item) for each in among))


def _index(of: Any, key: Any) -> Any:
    if only(of, "list", "map") == "map":
        return looked_up(of, key)
    place = bare(key, only(key, "int", "uint", "double"))
    if place != int(place) or not 0 <= place < len(of):
        raise IndexError("index out of bounds")
    return of[int(place)]


def _size(value: Any) -> Any:
    only(value, "string", "bytes", "list", "map")
    return cel.IntType(len(value))


def _ratio(above: Any, below: Any) -> Any:
    """Quotient of two doubles; an error where the lower is 0 or the result is not finite."""
    x, y = bare(above, only(above, "double")), bare(below, only(below, "double"))
    if y == 0:
        raise ZeroDivisionError("ratio by zero")
    if not math.isfinite(x / y):
        raise ValueError("ratio is not finite")
    return cel.DoubleType(x / y)


def _search(find: Callable[[str, str], bool]) -> Operator:
    def searched(text: Any, part: Any) -> Any:
        for each in (text, part):
            only(each, "string")
        return cel.BoolType(find(str.__str__(text), str.__str__(part)))

    return _strict(searched)


def _matches(text: str, pattern: str) -> bool:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.search(pattern, text, options) is not None
    except re2.error as error:
        raise ValueError("no RE2 pattern") from error


OPERATORS: Final[dict[str, Operator]] = {
    "_==_": _equality(same=True),
    "_!=_": _equality(same=False),
    "_<_": _order(operator.lt),
    "_<=_": _order(operator.le),
    "_>_": _order(operator.gt),
    "_>=_": _order(operator.ge),
    "_+_": _arithmetic("+"),
    "_-_": _arithmetic("-"),
    "_*_": _arithmetic("*"),
    "_/_": _arithmetic("/"),
    "_%_": _arithmetic("%"),
    "_&&_": _logic(False),
    "_||_": _logic(True),
    "!_": _strict(_not),
    "-_": _strict(_negative),
    "_in_": _strict(_in),
    "_[_]": _strict(_index),
    "size": _strict(_size),
    "ratio": _strict(_ratio),
    "startsWith": _search(str.startswith),
    "endsWith": _search(str.endswith),
    "contains": _search(str.__contains__),
    "matches": _search(_matches),
    **{name: _strict(function) for name, function in conversions.CONVERSIONS.items()},
    **{name: _strict(function) for name, function in moments.PARTS.items()},
}
