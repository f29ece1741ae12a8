"""Cloudflare: requests and bytes by day, and how many its cache served, as its GraphQL API answers.

Source: Cloudflare GraphQL Analytics API, dataset `httpRequests1dGroups` (`dimensions.date`, `sum.requests`, `sum.cachedRequests`,
`sum.bytes`, `sum.cachedBytes` below `data.viewer.zones`). The adaptive datasets are sampled and count no cached requests: they are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from greenops.adapters.import_text import documents, plain_number, text_of
from greenops.domain.energy import Method
from greenops.domain.reported import Amount, Kind, Quantity
from greenops.errors import InvalidFile, Location

SUMS: Final = {
    "requests": Quantity.REQUESTS,
    "cachedRequests": Quantity.CACHED_REQUESTS,
    "bytes": Quantity.BYTES,
    "cachedBytes": Quantity.CACHED_BYTES,
}
ASK: Final = "ask `httpRequests1dGroups` for `dimensions {date}` and `sum {requests cachedRequests bytes cachedBytes}`"  # fmt: skip


def read(path: Path) -> list[Amount]:
    """Requests and bytes of each day, all and cached.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is no such answer, a number cannot be, or a day is told twice in two ways.
    """
    at = Location(str(path))
    found: dict[tuple[object, ...], Amount] = {}
    for _, answer in documents(text_of(path), path):
        for amount in _amounts(answer, path, at):
            if found.setdefault(amount.key, amount).value != amount.value:
                what = f"{amount.start:%Y-%m-%d} is told twice, with two numbers of {amount.kind.quantity}"
                raise InvalidFile("GO0445", what, at=at, fix="leave out the one that is outdated")
    if not found:
        raise InvalidFile("GO0440", "no answer of Cloudflare: it has no days", at=at, fix=ASK)
    return list(found.values())


def _amounts(answer: Any, path: Path, at: Location) -> Iterator[Amount]:
    try:
        zones = answer["data"]["viewer"]["zones"]
        for place, zone in enumerate(zones):
            name = str(zone.get("zoneTag") or (path.stem if len(zones) == 1 else place))
            for number, group in enumerate(_groups(zone)):
                where = f"zones[{place}], day {number}"
                day = _day(group["dimensions"]["date"], where, at)
                for each, quantity in SUMS.items():
                    value = _number(group["sum"][each], f"{where}: `{each}`", at)
                    yield _day_amount("cloudflare", quantity, value, day, name)
                _refuse_more(group["sum"], where, at)
    except (KeyError, TypeError, AttributeError) as error:
        what = f"no answer of Cloudflare's GraphQL API with days: it lacks {error}"
        raise InvalidFile("GO0440", what, at=at, fix=ASK) from error


def _groups(zone: Mapping[str, Any]) -> list[Any]:
    return [group for value in zone.values() if isinstance(value, list) for group in value]


def _refuse_more(sums: Mapping[str, float], where: str, at: Location) -> None:
    for part, whole in (("cachedRequests", "requests"), ("cachedBytes", "bytes")):
        if sums[part] > sums[whole]:
            what = f"{where}: `{part}` is more than `{whole}`"
            raise InvalidFile("GO0441", what, at=at)


def _day(told: Any, where: str, at: Location) -> date:
    try:
        return date.fromisoformat(str(told))
    except ValueError as error:
        what = f"{where}: `date` must be a day, not `{str(told)[:40]}`"
        raise InvalidFile("GO0441", what, at=at, fix=ASK) from error


def _number(told: Any, where: str, at: Location) -> float:
    value = plain_number(told)
    if not (math.isfinite(value) and value >= 0):
        what = f"{where} must be a number that is not negative, not `{str(told)[:40]}`"
        raise InvalidFile("GO0441", what, at=at)
    return value


def _day_amount(source: str, quantity: Quantity, value: float, day: date, site: str) -> Amount:
    """Requests or bytes of a day (UTC), of a whole site."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    kind = Kind(source, quantity, Method.REPORTED, "site")
    return Amount(kind, value, start, start + timedelta(days=1), account=site)
