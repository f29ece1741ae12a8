"""The parts of an instant in a time zone, and of a duration in one unit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import celpy.celtypes as cel

from greenops.policy.values import bare, kind
from greenops.policy.zones import zone

INSTANT: Final[dict[str, Callable[[datetime], int]]] = {
    "getFullYear": lambda when: when.year,
    "getMonth": lambda when: when.month - 1,
    "getDate": lambda when: when.day,
    "getDayOfMonth": lambda when: when.day - 1,
    "getDayOfWeek": lambda when: when.isoweekday() % 7,
    "getDayOfYear": lambda when: when.timetuple().tm_yday - 1,
    "getHours": lambda when: when.hour,
    "getMinutes": lambda when: when.minute,
    "getSeconds": lambda when: when.second,
    "getMilliseconds": lambda when: when.microsecond // 1_000,
}
UNIT: Final = {
    "getHours": timedelta(hours=1),
    "getMinutes": timedelta(minutes=1),
    "getSeconds": timedelta(seconds=1),
    "getMilliseconds": timedelta(milliseconds=1),
}
"""What a duration is counted in, towards zero; milliseconds are those past the last whole second."""


def _part(name: str) -> Callable[..., Any]:
    def part(value: Any, *place: Any) -> Any:
        of = kind(value)
        if of == "duration" and name in UNIT and not place:
            return cel.IntType(_whole(name, bare(value, of)))
        if of != "timestamp" or [kind(each) for each in place] not in ([], ["string"]):
            raise TypeError(f"no such overload: {of}.{name}")
        where = zone(str.__str__(place[0])) if place else UTC
        if where is None:
            raise ValueError(f"unknown time zone `{place[0]}`")
        return cel.IntType(INSTANT[name](bare(value, of).astimezone(where)))

    return part


def _whole(name: str, span: timedelta) -> int:
    whole = abs(span) // UNIT[name]
    if name == "getMilliseconds":
        whole %= 1_000
    return whole if span >= timedelta(0) else -whole


PARTS: Final[dict[str, Callable[..., Any]]] = {name: _part(name) for name in INSTANT}
