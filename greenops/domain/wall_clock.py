"""The next time that a wall clock shows a time of day, on a day that counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from greenops.domain.workload import ClockTime


def next_local(clock: ClockTime, after: datetime) -> datetime:
    """First instant after `after` at which a wall clock shows a time of day, on a day that counts; aware UTC.

    A time that a change to daylight saving skips is read with the offset before the change (02:30
    becomes 03:30); a time that happens twice counts the first time. Source: RFC 5545, 3.3.5.
    """
    zone = ZoneInfo(clock.time_zone)
    day = after.astimezone(zone).date()
    while True:
        instant = datetime.combine(day, clock.at, tzinfo=zone).astimezone(UTC)
        if instant > after and counts(day, clock.days, clock.closed):
            return instant
        day += timedelta(days=1)


def counts(day: date, days: tuple[int, ...] | None, closed: tuple[date, ...] | None) -> bool:
    """Whether a date is one of these days of the week (Monday is 0; none: any) and none that is closed."""
    return (days is None or day.weekday() in days) and (closed is None or day not in closed)


def longest_wait(clock: ClockTime) -> timedelta:
    """More than it ever takes until a wall clock shows this on a day that counts."""
    if clock.days is None and clock.closed is None:
        return timedelta(hours=26)
    # One day a week counts at least, and a date that is closed takes at most one of these out.
    return timedelta(days=7 * (1 + len(clock.closed or ())), hours=26)
