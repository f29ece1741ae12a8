"""Time zones as CEL names them, and the parts of an instant that depend on one."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

CALENDAR: Final = frozenset(
    {
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes"),
    }
)
"""Month, day of month, week and year count from 0; `getDate` is the day of the month from 1."""
OFFSET: Final = re.compile(r"([+-]?)([01][0-9]|2[0-3]):([0-5][0-9])")


def zone(name: str) -> tzinfo | None:
    """A zone such as `Europe/Paris` or `+05:30`; none where there is none of that name."""
    if (offset := OFFSET.fullmatch(name)) is not None:
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-span if offset[1] == "-" else span)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
