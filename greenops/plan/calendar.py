"""When a workload may start: not while one of its calendar's blackouts holds, as its wall clock reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from greenops.domain.wall_clock import counts
from greenops.domain.workload import Blackout, Calendar

DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)
MOST_DAYS: Final = 400
"""How far an opening is looked for [days]; a calendar that has none by then closes nothing."""

Span = tuple[datetime, datetime]
"""From an instant up to another, which is not in it; aware UTC."""


def may_start(calendar: Calendar | None, at: datetime) -> bool:
    """Whether no blackout holds at an instant."""
    return closed_by(calendar, at) is None


def closed_by(calendar: Calendar | None, at: datetime) -> Span | None:
    """The part of a day's blackouts that an instant is in; none where it is open."""
    if calendar is None or not calendar.blackouts:
        return None
    day = at.astimezone(ZoneInfo(calendar.time_zone)).date()
    return next((span for span in _closed_on(calendar, day) if span[0] <= at < span[1]), None)


def next_open(calendar: Calendar | None, at: datetime) -> datetime:
    """The first instant from one on at which a run may start."""
    found, end = at, at + MOST_DAYS * DAY
    while (span := closed_by(calendar, found)) is not None:
        found = span[1]
        if found > end:
            return at
    return found


def last_open(calendar: Calendar | None, at: datetime) -> datetime:
    """The last whole second up to an instant at which a run may start; the instant where it is open."""
    found, end = at, at - MOST_DAYS * DAY
    while (span := closed_by(calendar, found)) is not None:
        found = span[0] - SECOND
        if found < end:
            return at
    return found


@lru_cache(maxsize=1024)
def _closed_on(calendar: Calendar, day: date) -> tuple[Span, ...]:
    """Blackouts of a local date, by what its clock reads: an hour that comes twice is closed twice."""
    zone = ZoneInfo(calendar.time_zone)
    pieces = [piece for each in calendar.blackouts for piece in _readings(each, calendar, day)]
    midnight = datetime.combine(day, time())
    found = []
    for begins, ends, offset in _offsets(zone, day):
        for first, past in pieces:
            low = max(begins, (midnight + first - offset).replace(tzinfo=UTC))
            high = min(ends, (midnight + past - offset).replace(tzinfo=UTC))
            if low < high:
                found.append((low, high))
    return tuple(found)


def _readings(
    blackout: Blackout, calendar: Calendar, day: date
) -> Iterator[tuple[timedelta, timedelta]]:
    """What the clock reads on a date while a blackout holds, as time since midnight."""
    begins, ends = _since_midnight(blackout.begins), _since_midnight(blackout.ends)
    today = _falls_on(blackout, calendar, day)
    if begins < ends:
        if today:
            yield begins, ends
        return
    if today:
        yield begins, DAY
    if ends and _falls_on(blackout, calendar, day - DAY):
        yield timedelta(), ends


def _falls_on(blackout: Blackout, calendar: Calendar, day: date) -> bool:
    if blackout.dates is not None:
        return day in blackout.dates
    return counts(day, blackout.days, calendar.holidays)


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)


def _offsets(zone: ZoneInfo, day: date) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """The parts of a local date with one offset from UTC each: two where its clocks change."""
    begins = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    ends = datetime.combine(day + DAY, time(), tzinfo=zone).astimezone(UTC)

    def offset(at: datetime) -> timedelta:
        return at.astimezone(zone).utcoffset() or timedelta()

    first, last = offset(begins), offset(ends - SECOND)
    if first == last:
        yield begins, ends, first
        return
    low, high = 0, int((ends - begins).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset(begins + middle * SECOND) == first else (low, middle)
    change = begins + high * SECOND
    yield begins, change, first
    yield change, ends, last
