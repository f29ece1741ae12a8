"""`days`, and the `calendar` of a workload: dates that do not count, and when nothing may start."""

from __future__ import annotations

from datetime import date, time
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from greenops.domain.workload import Blackout, Calendar
from greenops.policy.fields import Fields
from greenops.policy.quantity import clock

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GROUPS: Final = {"weekdays": (0, 1, 2, 3, 4), "weekends": (5, 6)}
MOST_BLACKOUTS: Final = 50
"""Most blackouts of one calendar."""
DAYS_FORM: Final = "days such as `[mon-fri]`, `[weekdays, sun]` or `[fri-mon]`"


def read_days(fields: Fields, name: str = "days") -> tuple[int, ...] | None:
    """Days of the week, Monday is 0; none where the field is absent, or wrong with a problem noted."""
    node = fields.get(name)
    if node is None:
        return None
    if node.items == ():
        fields.is_empty(name, f"name {DAYS_FORM}, or remove the key: then every day counts")
        return None
    found = {text: _days(text) for text in fields.texts(name)}
    strange = [text for text, days in found.items() if not days]
    if strange:
        fields.bad(name, f"`{fields.path(name)}` has `{strange[0]}`", f"write {DAYS_FORM}")
    return tuple(sorted({day for each in found.values() for day in each})) or None


def _days(text: str) -> tuple[int, ...]:
    """`mon`, `fri-mon`, `weekdays`; empty where the text is none of these."""
    first, dash, last = text.partition("-")
    if text in GROUPS:
        return GROUPS[text]
    if first not in DAYS or (dash and last not in DAYS):
        return ()
    begins = DAYS.index(first)
    length = (DAYS.index(last) - begins) % 7 if dash else 0
    return tuple((begins + step) % 7 for step in range(length + 1))


def read_zone(fields: Fields, name: str = "timeZone") -> str | None:
    """A time zone's name that is known here; none with a problem noted where it is not."""
    zone = fields.text(name, required=True)
    if zone is None:
        return None
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fields.wrong(name, "a time zone's name, such as Europe/Paris")
        return None
    return zone


def read_calendar(spec: Fields) -> Calendar | None:
    """The `calendar` of a workload; none where it has none, or with a problem noted where it is wrong."""
    fields = spec.map("calendar")
    if fields is None:
        return None
    zone, name = read_zone(fields), fields.text("name")
    holidays = _dates(fields, "holidays")
    blackouts = [_blackout(each) for each in fields.maps("blackouts")]
    fields.done()
    if len(blackouts) > MOST_BLACKOUTS:
        given = f"`{fields.path('blackouts')}` has {len(blackouts)} entries"
        fields.bad("blackouts", f"{given}, at most {MOST_BLACKOUTS} are read", "join some")
    elif not holidays and not blackouts:
        fields.bad(
            "holidays", f"`{fields.what}` says nothing", "give `holidays` or `blackouts`", "11"
        )
    return None if zone is None else Calendar(zone, holidays, tuple(blackouts), name)


def _blackout(fields: Fields) -> Blackout:
    name, days, dates = fields.text("name"), read_days(fields), _dates(fields, "dates")
    begins, ends = _time(fields, "from"), _time(fields, "to")
    fields.done()
    if days is not None and dates is not None:
        fields.bad("dates", f"`{fields.what}` has both `days` and `dates`", "make two of it")
    if not {"from", "to", "days", "dates"} & set(fields.node.entries or {}):
        fields.bad(
            "from", f"`{fields.what}` never ends", "give `from` and `to`, `days` or `dates`", "11"
        )
    elif begins == ends and begins is not None:
        fields.wrong("to", "another time than `from`; leave both out for whole days")
    elif (begins is None) != (ends is None):
        missing = "from" if begins is None else "to"
        fields.get(missing, required=True)
    return Blackout(begins or time(), ends or time(), days, dates, name)


def _time(fields: Fields, name: str) -> time | None:
    node = fields.get(name)
    found = clock(node.text or "") if node is not None else None
    if node is not None and found is None:
        fields.wrong(name, 'a time of day, such as "17:00"')
    return found


def _dates(fields: Fields, name: str) -> tuple[date, ...] | None:
    """Dates, in order; none where the field is absent, or wrong with a problem noted."""
    node = fields.get(name)
    if node is None:
        return None
    if not node.items:
        fields.wrong(name, 'a list of dates, such as ["2026-12-25"]')
        return None
    found = {text: _date(text) for text in fields.texts(name)}
    strange = [text for text, day in found.items() if day is None]
    if strange:
        given = f"`{fields.path(name)}` has `{strange[0]}`, which is no date"
        fields.bad(name, given, 'write it as "2026-12-25"')
    return tuple(sorted(each for each in found.values() if each is not None)) or None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-12-25") else None
    except ValueError:
        return None
