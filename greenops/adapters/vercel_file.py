"""Vercel: how its cache answered each request, off a log drain (JSON, JSON lines) or a CSV of the same fields; or days summed up.

Source: Vercel, "Log Drains Reference" (`timestamp` or `proxy.timestamp` in milliseconds, `proxy.vercelCache`, `proxy.responseByteSize`,
`host`) and "Cache Status and Reasons" (`HIT`, `STALE`, `PRERENDER` are answered out of the cache; `MISS`, `BYPASS`, `REVALIDATED` are
not; a request without a status cannot be cached). A `STALE` answer is made anew behind it, so it spares the server nothing: it
counts as not cached.

A CSV with `date`, `requests`, `cached_requests`, `bytes`, `cached_bytes` is read too, whichever CDN it is of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Final

from greenops.adapters.import_row import Row
from greenops.adapters.import_rows import rows_of
from greenops.domain.energy import Method
from greenops.domain.reported import Amount, Kind, Quantity
from greenops.errors import InvalidFile, Location

TITLE: Final = "Vercel's log drains, or of days of a CDN"
STATUS: Final = "vercelCache"
CACHED: Final = ("HIT", "PRERENDER")
KNOWN: Final = (*CACHED, "STALE", "MISS", "BYPASS", "REVALIDATED")
DAYS: Final = ("date", *(Quantity.REQUESTS, Quantity.CACHED_REQUESTS, Quantity.BYTES, Quantity.CACHED_BYTES))  # fmt: skip
SINCE_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Day:
    requests: float = 0.0
    cached_requests: float = 0.0
    bytes: float = 0.0
    cached_bytes: float = 0.0


def read(path: Path) -> list[Amount]:
    """Requests and bytes of each day and site, all and cached.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is neither, or a cell cannot be.
    """
    rows = rows_of(path, TITLE, (), _name)
    first = next(rows, None)
    if first is None:
        raise InvalidFile("GO0440", f"no file of {TITLE}: it has no rows", at=Location(str(path)))
    every = chain((first,), rows)
    is_days = "date" in first.cells
    days = _summed(every, path) if is_days else _logged(every, path)
    source = "cdn" if is_days else "vercel"
    return [
        Amount(
            Kind(source, each, Method.REPORTED, "site"),
            getattr(sums, each),
            *_period(day),
            account=site,
        )
        for (site, day), sums in sorted(days.items())
        for each in map(Quantity, DAYS[1:])
    ]


def _name(column: str) -> str:
    return column.strip().removeprefix("proxy.").removeprefix("proxy_")


def _period(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1)


def _summed(rows: Iterator[Row], path: Path) -> dict[tuple[str, date], _Day]:
    found: dict[tuple[str, date], _Day] = {}
    for row in rows:
        missing = [each for each in DAYS if each not in row.cells]
        if missing:
            what = f"no file of {TITLE}: it lacks `{'`, `'.join(missing)}`"
            raise InvalidFile("GO0440", what, at=Location(str(path), 1))
        day = row.instant("date").date()
        sums = _Day(*(_count(row, each) for each in DAYS[1:]))
        for part, whole in ((Quantity.CACHED_REQUESTS, Quantity.REQUESTS), (Quantity.CACHED_BYTES, Quantity.BYTES)):  # fmt: skip
            if getattr(sums, part) > getattr(sums, whole):
                raise row.wrong(part, f"is more than `{whole}`")
        key = (row.text("site") or row.text("host") or path.stem, day)
        if found.setdefault(key, sums) != sums:
            wrong = row.wrong("date", f"has {day} twice, with other numbers")
            fix = "leave out the one that is outdated"
            raise InvalidFile("GO0445", wrong.message, at=wrong.at, fix=fix)
    return found


def _count(row: Row, name: str) -> float:
    found = row.number(name)
    if found is None:
        raise row.wrong(name, "must not be empty")
    return found


def _logged(rows: Iterator[Row], path: Path) -> dict[tuple[str, date], _Day]:
    found: defaultdict[tuple[str, date], _Day] = defaultdict(_Day)
    asked = False
    for row in rows:
        asked = asked or STATUS in row.cells
        # Lines that functions print have no request of their own: that is another line.
        if row.text("statusCode") is None and row.text(STATUS) is None:
            continue
        status = (row.text(STATUS) or "").upper()
        if status and status not in KNOWN:
            raise row.wrong(STATUS, f"must be one of {', '.join(KNOWN)}, not `{status[:40]}`")
        sums = found[row.text("host") or path.stem, _day(row)]
        size = row.number("responseByteSize") or 0.0
        sums.requests += 1
        sums.bytes += size
        if status in CACHED:
            sums.cached_requests += 1
            sums.cached_bytes += size
    if not asked:
        what = f"no file of {TITLE}: it lacks `proxy.{STATUS}`"
        raise InvalidFile("GO0440", what, at=Location(str(path)))
    return dict(found)


def _day(row: Row) -> date:
    told = row.number("timestamp")
    if told is None:
        raise row.wrong("timestamp", "must not be empty")
    try:
        return (SINCE_1970 + timedelta(milliseconds=told)).date()
    except OverflowError as error:
        raise row.wrong("timestamp", "must be milliseconds since 1970") from error
