"""CEL types as texts: `list(string)`, `map(string, int)`, and `dyn`, which is known only as it runs."""

from __future__ import annotations

from typing import Final

DYN: Final = "dyn"
OPEN: Final = "?"
"""Type of what an empty list holds, until something beside it tells."""
UNKNOWN: Final = frozenset({DYN, OPEN})
TYPE_NAMES: Final = {
    **{name: name for name in ("bool", "int", "uint", "double", "string", "bytes", "list", "map")},
    **{name: name for name in ("null_type", "type")},
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
}
"""What an expression may name as a value of type `type`, and our word for it."""
NULLABLE: Final = frozenset({"timestamp", "duration"})
"""Types whose values may be null. Source: CEL language definition, section "Nullable types"."""


def list_of(kind: str) -> str:
    """The list of a type."""
    return f"list({kind})"


def map_of(key: str, value: str) -> str:
    """The map from one type to another."""
    return f"map({key}, {value})"


def element(kind: str) -> str | None:
    """What one element of a list, or one key of a map, is; none where it is neither."""
    if kind in UNKNOWN:
        return DYN
    if kind.startswith("list("):
        return kind[5:-1]
    found = entry(kind)
    return found[0] if found else None


def entry(kind: str) -> tuple[str, str] | None:
    """Key and value of a map's type; none where it is no map. Keys are plain, so hold no comma."""
    if not kind.startswith("map("):
        return None
    key, _, value = kind[4:-1].partition(",")
    return key.strip(), value.strip()


def fits(left: str, right: str) -> bool:
    """May one value be of both types?"""
    return joined(left, right) is not None


def joined(left: str, right: str) -> str | None:
    """The type of what is of one or of the other; none where they have nothing in common."""
    if right in {left, OPEN}:
        return left
    if left == OPEN:
        return right
    if DYN in (left, right):
        return DYN
    for null, other in ((left, right), (right, left)):
        if null == "null" and other in NULLABLE:
            return other
    if left.startswith("list(") and right.startswith("list("):
        inner = joined(left[5:-1], right[5:-1])
        return None if inner is None else list_of(inner)
    ends = (entry(left), entry(right))
    if ends[0] is None or ends[1] is None:
        return None
    key, value = joined(ends[0][0], ends[1][0]), joined(ends[0][1], ends[1][1])
    return None if key is None or value is None else map_of(key, value)


def common(kinds: list[str]) -> str | None:
    """The type of a list's elements: `?` of none; none where they differ."""
    one = OPEN
    for each in kinds:
        both = joined(one, each)
        if both is None:
            return None
        one = both
    return one


def closed(kind: str) -> str:
    """The type with what stayed open as `dyn`."""
    return kind.replace(OPEN, DYN)
