"""Wall-clock parts of instants in a time zone, on columns: offsets are asked once per quarter hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta, tzinfo
from typing import Final

import numpy as np

from greenops.policy.columns import Column, Values, both
from greenops.policy.kernel_numbers import EPOCH, FIRST, LAST, MICROSECOND, in_range
from greenops.policy.zones import zone

QUARTER: Final = 900_000_000
"""Microseconds in a quarter hour; zones change their offset on one, nearly always."""
HOUR: Final = 3_600_000_000
DAY: Final = 86_400_000_000
WIDEST: Final = 1_000_000
"""Most quarter hours, 28 years, that are marked in a table rather than sorted."""


def _date(local: Values) -> Values:
    found: Values = (local // DAY).astype("datetime64[D]")
    return found


def _since(local: Values, unit: str) -> Values:
    """Days since the month or year began."""
    date = _date(local)
    days: Values = (date - date.astype(f"datetime64[{unit}]").astype(date.dtype)).astype(np.int64)
    return days


def _count(local: Values, unit: str) -> Values:
    """Months or years since 1970."""
    found: Values = _date(local).astype(f"datetime64[{unit}]").astype(np.int64)
    return found


PARTS: Final[dict[str, Callable[[Values], Values]]] = {
    "getFullYear": lambda local: _count(local, "Y") + 1970,
    "getMonth": lambda local: _count(local, "M") % 12,
    "getDate": lambda local: _since(local, "M") + 1,
    "getDayOfMonth": lambda local: _since(local, "M"),
    "getDayOfYear": lambda local: _since(local, "Y"),
    "getDayOfWeek": lambda local: (local // DAY + 4) % 7,
    "getHours": lambda local: local // HOUR % 24,
    "getMinutes": lambda local: local // 60_000_000 % 60,
}


def calendar(name: str, of: Column, zone_name: str) -> Column:
    """A part of the wall clock or calendar, such as `getHours`, in a zone."""
    local = of.values
    if zone_name == "UTC":
        return Column("int", PARTS[name](local), of.ok)
    where = zone(zone_name)
    if where is None:
        raise AssertionError("the checker lets no unknown zone through")
    known = np.clip(local, FIRST, LAST)  # a row without a value may hold any number
    local = known + _offsets(known, where)
    return Column("int", PARTS[name](local), both(of.ok, in_range("timestamp", local)))


def _offsets(instants: Values, place: tzinfo) -> Values:
    quarters = instants // QUARTER
    if not quarters.size:
        return quarters
    low = int(quarters.min())
    if int(quarters.max()) - low < WIDEST:
        marks = np.zeros(int(quarters.max()) - low + 1, np.bool_)
        marks[quarters - low] = True
        places = np.cumsum(marks)[quarters - low] - 1
        found = np.flatnonzero(marks) + low
    else:
        found, places = np.unique(quarters, return_inverse=True)
        places = places.reshape(quarters.shape)
    begins = np.array([_offset(int(each) * QUARTER, place) for each in found], np.int64)
    ends = np.array([_offset(int(each) * QUARTER + QUARTER - 1, place) for each in found], np.int64)
    offsets: Values = begins[places]
    torn = (begins != ends)[places]
    if torn.any():  # a change inside a quarter hour, in the days of local mean time
        offsets[torn] = [_offset(int(each), place) for each in instants[torn]]
    return offsets


def _offset(instant: int, place: tzinfo) -> int:
    """Offset from UTC [us]; at the ends of the calendar, that of a day inside it."""
    inside = min(max(instant, FIRST + DAY), LAST - DAY)
    span = (EPOCH + timedelta(microseconds=inside)).astimezone(place).utcoffset()
    return (span or timedelta()) // MICROSECOND
