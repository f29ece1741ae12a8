"""Numbers with units as people write them in policy files: `8h`, `10%`, `06:00`.

Parsers are linear in the length of their text; none uses a nested pattern.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

UNIT_US: Final = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
"""Microseconds in each unit a policy may use; CEL durations have no `d`."""
MAX_TEXT: Final = 40
"""Longest text a number, duration or instant is read from."""
PART: Final = re.compile(r"([0-9]{1,18})(\.[0-9]{1,9})?([a-z]{1,2})")
STAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)
PERCENT: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)%")
CLOCK: Final = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")


def duration(text: str, units: str = "h m s ms us") -> timedelta | None:
    """A duration such as `90m` or `1h30m`; none where the text is not one."""
    allowed, at, total = units.split(), 0, 0
    sign = -1 if text[:1] == "-" else 1
    body = text[1:] if sign < 0 else text
    if not body or len(text) > MAX_TEXT:
        return None
    while at < len(body):
        part = PART.match(body, at)
        if part is None or part[3] not in allowed:
            return None
        scale = UNIT_US[part[3]]
        total += int(part[1]) * scale
        if part[2]:
            digits = part[2][1:]
            total += int(digits) * scale // 10 ** len(digits)
        at = part.end()
    if total > 315_576_000_000 * 1_000_000:
        return None
    try:
        return timedelta(microseconds=sign * total)
    except OverflowError:
        return None


def instant(text: str) -> datetime | None:
    """An RFC 3339 instant in UTC, with its zone given; none where the text is not one."""
    found = STAMP.fullmatch(text) if len(text) <= MAX_TEXT else None
    if found is None:
        return None
    fraction = (found[3] or "")[:7]
    zone = "+00:00" if found[4] == "Z" else found[4]
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def finer(text: str) -> bool:
    """Does an instant or a duration tell more than the microseconds that are kept?"""
    fraction = re.search(r"\.[0-9]{6}([0-9]+)(?:Z|[+-]|s)", text)
    return fraction is not None and bool(fraction[1].strip("0"))


def percent(text: str) -> float | None:
    """`10%` as 0.1; none where the text is not a percentage."""
    found = PERCENT.fullmatch(text)
    return float(found[1]) / 100 if found else None


def clock(text: str) -> time | None:
    """`06:00` as a time of day; none where the text is not one."""
    found = CLOCK.fullmatch(text)
    if found is None:
        return None
    try:
        return time(int(found[1]), int(found[2]), int(found[3] or 0))
    except ValueError:
        return None
