"""CEL's conversions from one type to another; each errs where the value does not fit.

Source: CEL language definition, section "Standard Definitions"; cel-spec conformance, `conversions`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import celpy.celtypes as cel

from greenops.policy.quantity import duration, finer, instant
from greenops.policy.values import TypeName, Uint, bare, kind, wrapped

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}")
NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)
NO_NUMBERS: Final = frozenset({"NaN", "Infinity", "-Infinity", "inf", "-inf"})
TRUE: Final = frozenset({"1", "t", "true", "TRUE", "True"})
FALSE: Final = frozenset({"0", "f", "false", "FALSE", "False"})
TYPE_OF: Final = {
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}


def _given(value: Any, *kinds: str) -> tuple[str, Any]:
    found = kind(value)
    if found not in kinds:
        raise TypeError(f"no such overload: {found}")
    return found, bare(value, found)


def as_int(value: Any) -> Any:
    """`int()`: whole seconds of an instant, what is before the point of a double."""
    of, plain = _given(value, "int", "uint", "double", "string", "timestamp")
    match of:
        case "double":
            if not -(2.0**63) < plain < 2.0**63:
                raise OverflowError("integer overflow")
            plain = math.trunc(plain)
        case "string":
            plain = _whole(plain)
        case "timestamp":
            plain = (plain - EPOCH) // timedelta(seconds=1)
        case _:
            pass
    if not -(2**63) <= plain < 2**63:
        raise OverflowError("integer overflow")
    return cel.IntType(plain)


def as_uint(value: Any) -> Any:
    """`uint()`."""
    of, plain = _given(value, "uint", "int", "double", "string")
    if of == "double":
        if not 0.0 <= plain < 2.0**64:
            raise OverflowError("unsigned integer overflow")
        plain = math.trunc(plain)
    if of == "string":
        plain = -1 if plain.startswith("-") else _whole(plain)
    if not 0 <= plain < 2**64:
        raise OverflowError("unsigned integer overflow")
    return wrapped(Uint(plain))


def _whole(text: str) -> int:
    if WHOLE.fullmatch(text) is None:
        raise ValueError("no whole number")
    return int(text)


def as_double(value: Any) -> Any:
    """`double()`."""
    of, plain = _given(value, "double", "int", "uint", "string")
    if of == "string" and NUMBER.fullmatch(plain) is None and plain not in NO_NUMBERS:
        raise ValueError("no number")
    return cel.DoubleType(float(plain))


def as_bool(value: Any) -> Any:
    """`bool()`."""
    of, plain = _given(value, "bool", "string")
    if of == "string" and plain not in TRUE | FALSE:
        raise ValueError("neither true nor false")
    return cel.BoolType(plain in TRUE if of == "string" else plain)


def as_bytes(value: Any) -> Any:
    """`bytes()`: a text in UTF-8."""
    of, plain = _given(value, "bytes", "string")
    return cel.BytesType(plain.encode() if of == "string" else plain)


def as_string(value: Any) -> Any:
    """`string()`."""
    plain_kinds = ("string", "bool", "int", "uint", "double", "bytes", "timestamp", "duration")
    of, plain = _given(value, *plain_kinds)
    return cel.StringType(WRITTEN.get(of, str)(plain))


def _double_text(value: float) -> str:
    """The shortest text that reads back; whole numbers without a point, for people read it."""
    return repr(value).removesuffix(".0")


def _instant_text(value: datetime) -> str:
    whole = value.astimezone(UTC)
    fraction = f".{whole.microsecond:06d}".rstrip("0") if whole.microsecond else ""
    return f"{whole.year:04d}-{whole:%m-%dT%H:%M:%S}{fraction}Z"


def _duration_text(value: timedelta) -> str:
    seconds, micro = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    fraction = f".{micro:06d}".rstrip("0") if micro else ""
    return f"{'-' if value < timedelta(0) else ''}{seconds}{fraction}s"


WRITTEN: Final[dict[str, Callable[[Any], str]]] = {
    "bool": lambda value: "true" if value else "false",
    "double": _double_text,
    "bytes": bytes.decode,
    "timestamp": _instant_text,
    "duration": _duration_text,
}


def _exact(read: Callable[[str], Any], text: str) -> Any:
    """What a text says; none where microseconds would not hold it."""
    return None if finer(text) else read(text)


def as_timestamp(value: Any) -> Any:
    """`timestamp()`: of a text, or of seconds since 1970."""
    of, plain = _given(value, "timestamp", "string", "int")
    found = _exact(instant, plain) if of == "string" else plain
    if of == "int":
        found = EPOCH + timedelta(seconds=plain)
    if found is None:
        raise ValueError("no instant")
    return cel.TimestampType(found)


def as_duration(value: Any) -> Any:
    """`duration()`: of a text."""
    of, plain = _given(value, "duration", "string")
    found = _exact(duration, plain) if of == "string" else plain
    if found is None:
        raise ValueError("no duration")
    return cel.DurationType(found)


def type_of(value: Any) -> TypeName:
    """`type()`."""
    of = kind(value)
    return TypeName(TYPE_OF.get(of, of))


CONVERSIONS: Final[dict[str, Callable[..., Any]]] = {
    "int": as_int,
    "uint": as_uint,
    "double": as_double,
    "bool": as_bool,
    "bytes": as_bytes,
    "string": as_string,
    "timestamp": as_timestamp,
    "duration": as_duration,
    "type": type_of,
    "dyn": lambda value: value,
}
