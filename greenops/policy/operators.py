"""CEL's operators as the specification has them, put in place of cel-python 0.5's.

cel-python 0.5 mixes up numbers (`1 == 1.0` errs), divides by zero to infinity, lets `"x" && true`
pass and reads `timestamp("now")` from the wall clock. Each function here gives an error as a value.
Source: CEL language definition; cel-spec conformance tests at 508bd98.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import celpy.celtypes as cel
from celpy.evaluation import CELEvalError

from greenops.policy.quantity import duration, instant

Operator = Callable[..., Any]
FAULTS = (TypeError, ValueError, OverflowError, ZeroDivisionError, KeyError, IndexError)
LONGEST: Final = timedelta(microseconds=(2**63 - 1) // 1_000)
"""Longest duration: 64 bits of nanoseconds. Source: cel-spec conformance, `sub_time_duration_over`."""
KINDS: Final = (
    ("bool", (bool, cel.BoolType)),
    ("double", (float,)),
    ("int", (int,)),
    ("string", (str,)),
    ("list", (list,)),
    ("map", (dict,)),
    ("timestamp", (datetime,)),
    ("duration", (timedelta,)),
)


def kind(value: object) -> str:
    """CEL type of a run-time value; the class's name where it is none of ours."""
    if isinstance(value, cel.UintType):
        return "uint"
    return next((name for name, types in KINDS if isinstance(value, types)), type(value).__name__)


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


def _same(left: Any, right: Any) -> str:
    found = kind(left)
    if found != kind(right):
        raise TypeError(f"no such overload: {found} and {kind(right)}")
    return found


def _bare(value: Any, of: str) -> Any:
    """The Python value without cel-python's own operators."""
    match of:
        case "bool":
            return bool(value)
        case "int":
            return int(value)
        case "double":
            return float.__float__(value)
        case "string":
            return str.__str__(value)
        case "timestamp":
            return datetime.fromtimestamp(0, value.tzinfo) + (
                datetime.__sub__(value, datetime.fromtimestamp(0, value.tzinfo))
            )
        case "duration":
            return timedelta(value.days, value.seconds, value.microseconds)
        case _:
            raise TypeError(f"no such overload: {of}")


def _compare(compare: Callable[[Any, Any], bool]) -> Operator:
    def compared(left: Any, right: Any) -> Any:
        of = _same(left, right)
        return cel.BoolType(compare(_bare(left, of), _bare(right, of)))

    return _strict(compared)


def _wrap(value: Any) -> Any:
    """A result as cel-python's type, checked for range."""
    match value:
        case bool():
            return cel.BoolType(value)
        case int():
            return cel.IntType(value)
        case float():
            return cel.DoubleType(value)
        case str():
            return cel.StringType(value)
        case datetime():
            return cel.TimestampType(value)
        case timedelta():
            if abs(value) > LONGEST:
                raise OverflowError("duration is out of range")
            return cel.DurationType(value)
        case _:
            raise TypeError(f"no such overload: {type(value).__name__}")


def _arithmetic(sign: str) -> Operator:
    apply = {"+": operator.add, "-": operator.sub, "*": operator.mul}

    def calculated(left: Any, right: Any) -> Any:
        kinds = (kind(left), kind(right))
        times = {"timestamp", "duration"}
        if kinds[0] != kinds[1] and not set(kinds) <= times:
            raise TypeError(f"no such overload: {kinds[0]} {sign} {kinds[1]}")
        x, y = _bare(left, kinds[0]), _bare(right, kinds[1])
        if kinds[0] == "bool" or (kinds[0] == "string" and sign != "+"):
            raise TypeError(f"no such overload: {kinds[0]} {sign} {kinds[1]}")
        if sign in apply:
            return _wrap(apply[sign](x, y))
        return _wrap(_divided(sign, x, y, kinds[0]))

    return _strict(calculated)


def _divided(sign: str, x: Any, y: Any, of: str) -> Any:
    if of != "int":
        raise TypeError(f"no such overload: {of} {sign} {of}")
    if y == 0:
        raise ZeroDivisionError("divide by zero")
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    if quotient >= 2**63:
        raise OverflowError("integer overflow")
    return quotient if sign == "/" else x - quotient * y


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


def _not(value: Any) -> Any:
    return cel.BoolType(not _bare(value, _only(value, "bool")))


def _negative(value: Any) -> Any:
    return _wrap(-_bare(value, _only(value, "int", "double")))


def _only(value: Any, *kinds: str) -> str:
    found = kind(value)
    if found not in kinds:
        raise TypeError(f"no such overload: {found}")
    return found


def _in(item: Any, among: Any) -> Any:
    of = kind(item)
    if _only(among, "list", "map") == "map":
        return cel.BoolType(of == "string" and item in among)
    bare = _bare(item, of)
    return cel.BoolType(any(kind(each) == of and _bare(each, of) == bare for each in among))


def _size(value: Any) -> Any:
    _only(value, "string", "list")
    return cel.IntType(len(value))


def _ratio(above: Any, below: Any) -> Any:
    """Quotient of two doubles; an error where the lower is 0 or the result is not finite."""
    x, y = _bare(above, _only(above, "double")), _bare(below, _only(below, "double"))
    if y == 0:
        raise ZeroDivisionError("ratio by zero")
    if not math.isfinite(x / y):
        raise ValueError("ratio is not finite")
    return cel.DoubleType(x / y)


def _string(value: Any) -> Any:
    of = _only(value, "string", "bool", "int", "double")
    bare = _bare(value, of)
    if of == "bool":
        return cel.StringType("true" if bare else "false")
    if of == "double" and math.isfinite(bare) and bare == int(bare) and abs(bare) < 1e15:  # noqa: PLR2004
        return cel.StringType(str(int(bare)))
    return cel.StringType(str(bare))


def _double(value: Any) -> Any:
    return cel.DoubleType(float(_bare(value, _only(value, "int", "double"))))


def _whole_seconds(value: Any) -> Any:
    """All of a duration in whole seconds, towards zero."""
    span = _bare(value, _only(value, "duration"))
    whole = abs(span) // timedelta(seconds=1)
    return cel.IntType(whole if span >= timedelta(0) else -whole)


def _timestamp(value: Any) -> Any:
    found = instant(str(value))
    if found is None:
        raise ValueError("no instant")
    return cel.TimestampType(found)


def _duration(value: Any) -> Any:
    found = duration(str(value))
    if found is None:
        raise ValueError("no duration")
    return cel.DurationType(found)


OPERATORS: Final[dict[str, Operator]] = {
    "_==_": _compare(operator.eq),
    "_!=_": _compare(operator.ne),
    "_<_": _compare(operator.lt),
    "_<=_": _compare(operator.le),
    "_>_": _compare(operator.gt),
    "_>=_": _compare(operator.ge),
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
    "size": _strict(_size),
    "ratio": _strict(_ratio),
    "string": _strict(_string),
    "double": _strict(_double),
    "getSeconds": _strict(_whole_seconds),
    "timestamp": _strict(_timestamp),
    "duration": _strict(_duration),
}
