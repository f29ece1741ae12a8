"""CEL values as they run: their types, their equality, and what cel-python has no good form for.

cel-python's maps take `true` and `1` for one key, and its comparisons fail where types differ; here
numbers compare as numbers whatever their type, and anything else of two types is unequal.
Source: CEL language definition, sections "Equality" and "Ordering".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import celpy.celtypes as cel

NUMBERS: Final = frozenset({"int", "uint", "double"})
TIMES: Final = frozenset({"timestamp", "duration"})
KEYS: Final = frozenset({"bool", "string", "int", "uint"})
LONGEST: Final = timedelta(microseconds=(2**63 - 1) // 1_000)
"""Longest duration: 64 bits of nanoseconds. Source: cel-spec conformance, `sub_time_duration_over`."""


@dataclass(frozen=True, slots=True)
class TypeName:
    """A value of type `type`."""

    name: str


class Uint(int):
    """An unsigned int outside of expressions, where plain ints are signed."""


@dataclass(frozen=True, slots=True)
class Entries:
    """A map whose keys are of any key type.

    Attributes:
        pairs: Keys and values in the order they were written.
        index: What a key is known by → its value.
    """

    pairs: tuple[tuple[Any, Any], ...]
    index: dict[tuple[str, object], Any] = field(compare=False)

    @classmethod
    def of(cls, pairs: Iterable[tuple[Any, Any]]) -> Entries:
        """The map.

        Raises:
            TypeError: A key is of a type that is none for keys.
            ValueError: A key comes twice; `1` and `1u` are one.
        """
        made: tuple[tuple[Any, Any], ...] = tuple(pairs)
        index: dict[tuple[str, object], Any] = {}
        for key, value in made:
            if kind(key) not in KEYS:
                raise TypeError(f"unsupported key type: {kind(key)}")
            if index.setdefault(known_by(key), value) is not value:
                raise ValueError("repeated key")
        if len(index) != len(made):
            raise ValueError("repeated key")
        return cls(made, index)

    def __len__(self) -> int:
        return len(self.pairs)


def known_by(key: Any) -> tuple[str, object]:
    """What tells a key from another; Python's numbers of one value are one key whatever their type."""
    of = kind(key)
    return ("number" if of in NUMBERS else of), bare(key, of)


KINDS: Final[tuple[tuple[str, tuple[type, ...]], ...]] = (
    ("bool", (bool, cel.BoolType)),
    ("double", (float,)),
    ("uint", (cel.UintType, Uint)),
    ("int", (int,)),
    ("string", (str,)),
    ("bytes", (bytes,)),
    ("list", (list, tuple)),
    ("map", (dict, Entries)),
    ("timestamp", (datetime,)),
    ("duration", (timedelta,)),
    ("null", (type(None),)),
    ("type", (TypeName,)),
)


def kind(value: object) -> str:
    """CEL type of a run-time value; the class's name where it is none of ours."""
    return _kind_of(type(value))  # type: ignore[arg-type]  # mypy takes a class for its instances


@cache
def _kind_of(of: type) -> str:
    return next((name for name, types in KINDS if issubclass(of, types)), of.__name__)


def bare(value: Any, of: str) -> Any:  # noqa: C901, PLR0911 - one case per type
    """The Python value without cel-python's own operators."""
    match of:
        case "bool":
            return bool(value)
        case "int" | "uint":
            return int(value)
        case "double":
            return float.__float__(value)
        case "string":
            return str.__str__(value)
        case "bytes":
            return bytes(value)
        case "timestamp":
            epoch = datetime.fromtimestamp(0, value.tzinfo)
            return epoch + datetime.__sub__(value, epoch)
        case "duration":
            return timedelta(value.days, value.seconds, value.microseconds)
        case "null":
            return None
        case "type":
            return value.name
        case _:
            raise TypeError(f"no such overload: {of}")


def takes(sign: str, of: str) -> bool:
    """Has a type that operator with itself? What times do with each other is told elsewhere."""
    if of in {"string", "bytes", "list"}:
        return sign == "+"
    if of in TIMES:
        return sign in "+-"
    return of in {"int", "uint"} or (of == "double" and sign != "%")


def wrapped(value: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - one case per type
    """A plain result as cel-python's type, checked for range; unsigned ints are told by `Uint`."""
    match value:
        case float():
            return cel.DoubleType(value)
        case str():
            return cel.StringType(value)
        case bool():
            return cel.BoolType(value)
        case Uint():
            return cel.UintType(int(value))
        case int():
            return cel.IntType(value)
        case bytes():
            return cel.BytesType(value)
        case datetime():
            return cel.TimestampType(value)
        case timedelta():
            if abs(value) > LONGEST:
                raise OverflowError("duration is out of range")
            return cel.DurationType(value)
        case list():
            return cel.ListType(value)
        case _:
            raise TypeError(f"no such overload: {type(value).__name__}")


def equal(left: Any, right: Any) -> bool:
    """Are two values equal? Never an error: what is of two types is unequal, but for numbers."""
    of, other = kind(left), kind(right)
    if of != other:
        return {of, other} <= NUMBERS and _measure(left, of, other) == _measure(right, other, of)
    if of == "list":
        return len(left) == len(right) and all(map(equal, left, right))
    if of == "map":
        mine, other_map = dict(entries(left)), dict(entries(right))
        return len(mine) == len(other_map) and all(
            key in other_map and equal(value, other_map[key]) for key, value in mine.items()
        )
    return bool(bare(left, of) == bare(right, of))


def ordered(left: Any, right: Any) -> tuple[Any, Any]:
    """Two values as Python values that compare alike.

    Raises:
        TypeError: They have no order.
    """
    of, other = kind(left), kind(right)
    if of != other and {of, other} <= NUMBERS:
        return _measure(left, of, other), _measure(right, other, of)
    if of != other or of in {"list", "map", "null", "type"}:
        raise TypeError(f"no such overload: {of} and {other}")
    return bare(left, of), bare(right, of)


def _measure(value: Any, of: str, other: str) -> Any:
    """A number as what it is compared with: ints of both signs exactly, an int and a double as doubles."""
    return float(bare(value, of)) if "double" in (of, other) else bare(value, of)


def entries(of: Any) -> Iterator[tuple[tuple[str, object], Any]]:
    """What each key of a map is known by, and its value."""
    if isinstance(of, Entries):
        yield from of.index.items()
    else:
        for key, value in of.items():
            yield known_by(key), value


def keys(of: Any) -> list[Any]:
    """The keys of a map, in order."""
    return [key for key, _ in of.pairs] if isinstance(of, Entries) else list(of)


def looked_up(of: Any, key: Any) -> Any:
    """What a map holds under a key; a double finds the int of its value.

    Raises:
        LookupError: Nothing.
        TypeError: The key is of a type that no key is of.
    """
    try:
        if isinstance(of, Entries):
            return of.index[known_by(key)]
        if isinstance(key, str):
            return dict.__getitem__(of, key)
    except KeyError:
        pass
    raise LookupError("no such key")


def holds(of: Any, key: Any) -> bool:
    """Has a map that key?"""
    try:
        looked_up(of, key)
    except (LookupError, TypeError):
        return False
    return True
