"""Amounts that others account for over a period, each with its kind: two kinds are never added."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Final

from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.errors import MixedQuantities


class Quantity(StrEnum):
    """What an amount counts."""

    ENERGY = "energy"
    CARBON = "carbon"
    COST = "cost"
    REQUESTS = "requests"
    CACHED_REQUESTS = "cached_requests"
    BYTES = "bytes"
    CACHED_BYTES = "cached_bytes"


UNITS: Final[Mapping[Quantity, str]] = {
    Quantity.ENERGY: "J",
    Quantity.CARBON: "g",
    Quantity.REQUESTS: "1",
    Quantity.CACHED_REQUESTS: "1",
    Quantity.BYTES: "byte",
    Quantity.CACHED_BYTES: "byte",
}
"""Unit of each quantity; a cost is in its own currency."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an amount is; amounts that differ in any of this are different quantities.

    Attributes:
        source: Who says so: `aws`, `gcp`, `azure`, `opencost`, `kepler` …; two sources count in two ways.
        level: Whose share it is: `node`, `pod`, `container`, `process`, `device`, `account` …; one contains the other.
        boundary: What an energy or its emissions cover; none where that is not what is counted.
        accounting: By location or by market; none where the source does not say, or it is the same by both.
        scope: `1`, `2` or `3` of the GHG Protocol, `total` of all three, or `1+2`; none where the source does not say.
        currency: Of a cost, ISO 4217.
    """

    source: str
    quantity: Quantity
    method: Method
    level: str
    boundary: Boundary | None = None
    accounting: Basis | None = None
    scope: str | None = None
    currency: str | None = None

    @property
    def unit(self) -> str:
        """What its values are counted in."""
        return UNITS.get(self.quantity) or self.currency or "?"

    def differs_in(self, other: Kind) -> str | None:
        """The first thing that keeps two kinds apart; none where they are one."""
        apart = (each.name for each in fields(self) if _differs(self, other, each.name))
        return next(apart, None)


def _differs(one: Kind, other: Kind, name: str) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of one kind, over a period that begins at `start` and ends before `end`.

    Attributes:
        value: In the unit of its kind.
        account: Whose bill it is on: an account, a project, a subscription, a site.
        service: The provider's own name of its service.
        published: When the source made it; none where it does not say.
        version: Of the method that made it.
        more: What else it tells, by name.
    """

    kind: Kind
    value: float
    start: datetime
    end: datetime
    account: str | None = None
    service: str | None = None
    region: str | None = None
    workload: str | None = None
    host: str | None = None
    published: datetime | None = None
    version: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """What it is an amount of; a second one of the same key is a correction of the first."""
        whose = (self.account, self.service, self.region, self.workload, self.host)
        return (self.kind, self.start, self.end, *whose)


def total(amounts: Iterable[Amount]) -> float | None:
    """Sum of amounts of one kind, in its unit; none of nothing.

    Raises:
        MixedQuantities: They are of two kinds; names in what.
    """
    every = list(amounts)
    for each in every[1:]:
        what = each.kind.differs_in(every[0].kind)
        if what is not None:
            ours, theirs = getattr(every[0].kind, what), getattr(each.kind, what)
            raise MixedQuantities(
                "GO0301",
                f"cannot add {each.kind.quantity} of {what} `{ours or 'not said'}` and `{theirs or 'not said'}`",
            )
    return math.fsum(each.value for each in every) if every else None


def by_kind(amounts: Iterable[Amount]) -> Mapping[Kind, list[Amount]]:
    """Amounts apart by kind, in the order in which kinds come."""
    found: defaultdict[Kind, list[Amount]] = defaultdict(list)
    for each in amounts:
        found[each.kind].append(each)
    return found
