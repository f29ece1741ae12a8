"""An amount of carbon that knows what it is, so that two kinds are never added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce

from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Signal
from greenops.errors import MixedQuantities
from greenops.units import Grams


class Account(StrEnum):
    """Which statement a number belongs to; avoided is never netted against the inventory."""

    LOCATION = "location-based"
    MARKET = "market-based"
    AVOIDED = "avoided"


@dataclass(frozen=True, slots=True)
class Carbon:
    """Emissions [gCO2e] of one signal, account and boundary, with their 90 % range."""

    grams: Grams
    low: Grams
    high: Grams
    signal: Signal
    account: Account
    boundary: Boundary
    method: Method

    def __add__(self, other: Carbon) -> Carbon:
        """Add an amount of the same kind; ranges add as fully dependent (the wide way).

        Raises:
            MixedQuantities: Signal, account or boundary differ.
        """
        for what in ("signal", "account", "boundary"):
            ours, theirs = getattr(self, what), getattr(other, what)
            if ours != theirs:
                raise MixedQuantities(
                    "GO0301", f"cannot add a `{ours}` and a `{theirs}` amount: {what} differs"
                )
        weakest = max((self.method, other.method), key=list(Method).index)
        return replace(
            self,
            grams=Grams(self.grams + other.grams),
            low=Grams(self.low + other.low),
            high=Grams(self.high + other.high),
            method=weakest,
        )


def total(parts: Iterable[Carbon]) -> Carbon | None:
    """Sum of one kind, or none of nothing.

    Raises:
        MixedQuantities: The parts are not of one kind.
    """
    amounts = list(parts)
    return reduce(Carbon.__add__, amounts) if amounts else None
