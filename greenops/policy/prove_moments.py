"""Parts of an instant as whole-number arithmetic; a named zone is a table of offsets for some decades."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any, Final

import z3

from greenops.policy.kernel_numbers import microseconds
from greenops.policy.prove_terms import Cannot, Term, divided
from greenops.policy.zones import zone

FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
UNTIL: Final = datetime(2040, 1, 1, tzinfo=UTC)
"""Between these, named zones have the offsets that their rules give; elsewhere any offset is tried."""
DAY: Final = 86_400_000_000
UNITS: Final = {
    "getHours": (3_600_000_000, 24),
    "getMinutes": (60_000_000, 60),
    "getSeconds": (1_000_000, 60),
    "getMilliseconds": (1_000, 1_000),
}
"""Microseconds in the unit, and how many make the next."""


def part(name: str, of: Term, place: str | None) -> Term:
    """`getHours()` and its like.

    Raises:
        Cannot: A part of the calendar other than the day of the week.
    """
    if of.kind == "duration":
        return Term("int", _of_duration(name, of.value), of.ok)
    local = of.value + _offset(place, of.value)
    if name in UNITS:
        unit, most = UNITS[name]
        return Term("int", (local / unit) % most, of.ok)
    if name == "getDayOfWeek":  # 1970 began on a Thursday, which is 4
        return Term("int", (local / DAY + 4) % 7, of.ok)
    raise Cannot(f"`{name}` is not told to the solver")


def _of_duration(name: str, value: Any) -> Any:
    count = divided(value, z3.IntVal(UNITS[name][0]))
    if name != "getMilliseconds":
        return count
    return z3.If(count < 0, -((-count) % 1_000), count % 1_000)


def _offset(place: str | None, at: Any) -> Any:
    """What to add to UTC [us]."""
    if place is None:
        return z3.IntVal(0)
    found = zone(place)
    if found is None:
        raise Cannot(f"time zone `{place}` is unknown")
    changes = _changes(found)
    offset: Any = z3.IntVal(changes[-1][1])
    for (_, before), (start, _) in zip(reversed(changes[:-1]), reversed(changes[1:]), strict=True):
        offset = z3.If(at < start, z3.IntVal(before), offset)
    if len(changes) == 1 and _is_fixed(found):
        return offset
    elsewhere = z3.Function(f"offset {place}", z3.IntSort(), z3.IntSort())(at)
    inside = z3.And(at >= microseconds(FROM), at < microseconds(UNTIL))
    bounded = z3.If(z3.And(elsewhere > -DAY, elsewhere < DAY), elsewhere, z3.IntVal(0))
    return z3.If(inside, offset, bounded)


def _is_fixed(found: tzinfo) -> bool:
    """Has the zone one offset for ever, as `+05:30` has?"""
    return found.utcoffset(None) is not None


@cache
def _changes(found: tzinfo) -> tuple[tuple[int, int], ...]:
    """(instant [us], offset from then on [us]) of a zone, the first at the beginning."""

    def offset(at: datetime) -> timedelta:
        return at.astimezone(found).utcoffset() or timedelta(0)

    made = [(microseconds(FROM), microseconds(offset(FROM)))]
    day, step = FROM, timedelta(days=1)
    while day < UNTIL:
        if offset(day + step) != offset(day):
            low, high = day, day + step
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if offset(middle) == offset(day) else (low, middle)
            made.append((microseconds(high.replace(microsecond=0)), microseconds(offset(high))))
        day += step
    return tuple(made)
