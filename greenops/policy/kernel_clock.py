"""Wall-clock parts of instants in a time zone, on columns: offsets are asked once per quarter hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from greenops.policy.columns import Column, Values, both
from greenops.policy.kernel_numbers import EPOCH, FIRST, LAST, MICROSECOND, in_range

QUARTER: Final = 900_000_000
"""Microseconds in a quarter hour; zones change their offset on one, nearly always."""
HOUR: Final = 3_600_000_000
DAY: Final = 86_400_000_000
WIDEST: Final = 1_000_000
"""Most quarter hours, 28 years, that are marked in a table rather than sorted."""
PARTS: Final[dict[str, Callable[[Values], Values]]] = {
    "getHours": lambda local: local // HOUR % 24,
    "getMinutes": lambda local: local // 60_000_000 % 60,
    "getDayOfWeek": lambda local: (local // DAY + 4) % 7,
}


def calendar(name: str, of: Column, zone: str) -> Column:
    """`getHours`, `getMinutes` or `getDayOfWeek` (Sunday is 0) in a zone."""
    local = of.values
    if zone != "UTC":
        known = np.clip(local, FIRST, LAST)  # a row without a value may hold any number
        local = known + _offsets(known, ZoneInfo(zone))
        return Column("int", PARTS[name](local), both(of.ok, in_range("timestamp", local)))
    return Column("int", PARTS[name](local), of.ok)


def _offsets(instants: Values, zone: ZoneInfo) -> Values:
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
    begins = np.array([_offset(int(each) * QUARTER, zone) for each in found], np.int64)
    ends = np.array([_offset(int(each) * QUARTER + QUARTER - 1, zone) for each in found], np.int64)
    offsets: Values = begins[places]
    torn = (begins != ends)[places]
    if torn.any():  # a change inside a quarter hour, in the days of local mean time
        offsets[torn] = [_offset(int(each), zone) for each in instants[torn]]
    return offsets


def _offset(instant: int, zone: ZoneInfo) -> int:
    """Offset from UTC [us]; at the ends of the calendar, that of a day inside it."""
    inside = min(max(instant, FIRST + DAY), LAST - DAY)
    span = (EPOCH + timedelta(microseconds=inside)).astimezone(zone).utcoffset()
    return (span or timedelta()) // MICROSECOND
