"""What OpenCost's allocation API answers: costs by workload, saved as JSON.

Sources: OpenCost API, `docs/swagger.json` and `core/pkg/opencost/allocation_json.go` of 2026 (`/allocation`, `/allocation/compute`:
`code`, and in `data` one object for each step, of allocations by name). Its answer does not name its currency: that is a setting of
OpenCost (`currencyCode`), US dollars unless changed. Costs are list prices times what was reserved or used: modeled.

Carbon: OpenCost's allocations have none. Kubecost's add `carbonCost`, estimated from coefficients of Cloud Carbon Footprint, in
kilograms by its page on carbon costs; it is read where it is there. `/assets/carbon` answers without a period, and is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from greenops.adapters.import_text import documents, plain_number, text_of
from greenops.domain.energy import Boundary, Method
from greenops.domain.reported import Amount, Kind, Quantity
from greenops.errors import InvalidFile, Location
from greenops.units import grams

LEVELS: Final = ("container", "pod", "controller", "namespace", "node", "cluster")
"""What an allocation may be of, the part before the whole."""
PARTS: Final = ("cpuCost", "gpuCost", "ramCost", "pvCost", "networkCost", "loadBalancerCost", "sharedCost", "externalCost")  # fmt: skip
OUTSIDE: Final = "__"
"""How names of what is no workload begin: `__idle__`, `__unallocated__`, `__unmounted__`."""
CURRENCY: Final = "USD"


def read(path: Path, currency: str | None) -> list[Amount]:
    """Cost, and carbon where it is told, of every allocation.

    Args:
        path: The file.
        currency: ISO 4217 code of what costs are in; none: as the file says, else US dollars.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is no such answer, a number cannot be, or costs are in two currencies.
    """
    at = Location(str(path))
    found: list[Amount] = []
    for _, answer in documents(text_of(path), path):
        for where, row in _allocations(answer, at):
            found += _amounts(row, where, currency, at)
    said = {each.kind.currency for each in found if each.kind.quantity is Quantity.COST}
    if len(said) > 1:
        fix = "export each currency by itself"
        raise InvalidFile(
            "GO0446", f"costs are in {' and '.join(sorted(map(str, said)))}", at=at, fix=fix
        )
    return found


def _allocations(answer: Any, at: Location) -> Iterator[tuple[str, Mapping[str, Any]]]:
    steps = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(steps, list) or not all(
        each is None or isinstance(each, dict) for each in steps
    ):
        fix = "save what `/allocation/compute?window=…&aggregate=…` answers"
        raise InvalidFile("GO0440", "no answer of OpenCost's allocation API", at=at, fix=fix)
    for place, step in enumerate(steps):
        for name, row in (step or {}).items():
            where = f"data[{place}].{name}"
            if not isinstance(row, dict) or "totalCost" not in row or "window" not in row:
                what = f"no answer of OpenCost: `{where}` lacks `totalCost` or `window`"
                raise InvalidFile("GO0440", what, at=at)
            yield where, {"name": name, **row}


def _amounts(
    row: Mapping[str, Any], where: str, currency: str | None, at: Location
) -> Iterator[Amount]:
    name = str(row["name"])
    owned: Mapping[str, Any] = row.get("properties") or {}
    level = next((each for each in LEVELS if owned.get(each)), "allocation")
    if name.startswith(OUTSIDE):
        level = name.strip("_")
    said = currency or row.get("currency") or CURRENCY
    window = row["window"] or {}
    start, end = (_instant(window, each, where, at) for each in ("start", "end"))
    if end <= start:
        raise InvalidFile("GO0441", f"`{where}.window` ends before it starts", at=at)
    money = Kind("opencost", Quantity.COST, Method.MODELED, level, currency=str(said).upper())
    base = Amount(
        money,
        0.0,
        start,
        end,
        account=owned.get("cluster"),
        region=owned.get("region"),
        workload=name,
        host=owned.get("node"),
        more={each: str(row[each]) for each in PARTS if row.get(each)},
    )
    cost = _number(row, "totalCost", where, at, least=-math.inf)
    if cost is not None:
        yield replace(base, value=cost)
    carbon = _number(row, "carbonCost", where, at)
    if carbon is not None:
        kind = Kind("opencost", Quantity.CARBON, Method.ESTIMATED, level, Boundary.SITE)
        yield replace(base, kind=kind, value=grams(carbon))


def _number(
    row: Mapping[str, Any], name: str, where: str, at: Location, least: float = 0.0
) -> float | None:
    told = row.get(name)
    if told is None:
        return None
    value = plain_number(told)
    if not math.isfinite(value) or value < least:
        what = f"`{where}.{name}` must be a number{'' if least < 0 else ' that is not negative'}, not `{str(told)[:40]}`"
        raise InvalidFile("GO0441", what, at=at)
    return value


def _instant(window: Mapping[str, Any], name: str, where: str, at: Location) -> datetime:
    told = str(window.get(name))
    try:
        found = datetime.fromisoformat(told)
    except ValueError as error:
        what = f"`{where}.window.{name}` must be a date and time, not `{told[:40]}`"
        raise InvalidFile("GO0441", what, at=at) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
