"""Power of a processor that has no meter: from its family's coefficients, else from its thermal design power."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from greenops.units import Watts

KNOWN: Final = 0.20
"""Relative 90 % half width where the family is known. Source: p90 error of the shape, 619 SPECpower servers."""
UNKNOWN: Final = 0.36
"""The same where only the full power is known, or only a typical processor can be assumed. Source: the same."""
FARTHEST: Final = 2.5
"""A coefficient so many times off the median of its vendor's is taken for an error of the table."""


@dataclass(frozen=True, slots=True)
class CpuPower:
    """Power of one vCPU [W] at rest and at full load.

    Attributes:
        name: Family or model; none where only a typical processor can be assumed.
        idle: At rest [W].
        full: At full load [W].
        shape: Height between both at evenly spaced utilisations, 0 to 1.
        source: `spec_model` or `tdp_model`.
        uncertainty: Relative half width of the 90 % range.
    """

    name: str | None
    idle: Watts
    full: Watts
    shape: tuple[float, ...]
    source: str = "spec_model"
    uncertainty: float = KNOWN

    def power(self, utilisation: float) -> Watts:
        """Power of one vCPU at a utilisation of 0 to 1 [W], between the points of the shape."""
        place = min(max(utilisation, 0.0), 1.0) * (len(self.shape) - 1)
        lower = min(int(place), len(self.shape) - 2)
        part = place - lower
        height = self.shape[lower] * (1 - part) + self.shape[lower + 1] * part
        return Watts(self.idle + (self.full - self.idle) * height)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One row of a published table: a vendor's family or model with its power per vCPU [W]."""

    name: str
    vendor: str
    least: float
    most: float

    @classmethod
    def of_family(cls, row: Mapping[str, Any]) -> Coefficient:
        """A row with watts per vCPU."""
        return cls(row["name"], row["vendor"], row["min_w"], row["max_w"])

    @classmethod
    def of_tdp(cls, row: Mapping[str, Any]) -> Coefficient:
        """A row with the watts and the hardware threads of one socket."""
        each = row["tdp_w"] / row["threads"]
        return cls(row["name"], row["vendor"], each, each)


def refused(rows: Sequence[Coefficient]) -> dict[str, str]:
    """Rows that cannot be believed, by name, and why: no power at all, far off their vendor's, or another vendor's."""
    found = {row.name: "not a power" for row in rows if not _is_power(row)}
    rest = [row for row in rows if row.name not in found]
    found |= {row.name: why for row in rest if (why := _copied(row, rest))}
    by_vendor: defaultdict[str, list[Coefficient]] = defaultdict(list)
    for row in rest:
        by_vendor[row.vendor].append(row)
    for each in by_vendor.values():
        found |= {row.name: why for row in each if (why := _far(row, each))}
    return found


def _is_power(row: Coefficient) -> bool:
    return math.isfinite(row.most) and 0 < row.least <= row.most


def _copied(row: Coefficient, rows: Iterable[Coefficient]) -> str | None:
    # One number may well be the same twice; a pair of measured ones is not.
    if row.least == row.most:
        return None
    for other in rows:
        if other is row:
            return None
        if other.vendor != row.vendor and (other.least, other.most) == (row.least, row.most):
            return f"a copy of {other.name}, of another vendor"
    return None


def _far(row: Coefficient, rows: Sequence[Coefficient]) -> str | None:
    for value, typical in (
        (row.most, median(each.most for each in rows)),
        (row.least, median(each.least for each in rows)),
    ):
        if not typical / FARTHEST <= value <= typical * FARTHEST:
            return f"{value:.2f} W is {value / typical:.1f} times its vendor's median"
    return None


def plain_name(model_name: str) -> str:
    """A processor's name without marks and filling, so that tables can be searched for it."""
    return " ".join(re.sub(r"\((?:R|TM)\)|\bCPU\b", " ", model_name).split())


def tdp_power(
    name: str, tdp: Watts, threads: float, shape: Sequence[float], *, source: str = "tdp_model"
) -> CpuPower:
    """Power of one of `threads` hardware threads that share a thermal design power; `shape` is P/Pmax by load."""
    full, rest = tdp / threads, shape[0]
    return CpuPower(
        name=name,
        idle=Watts(full * rest),
        full=Watts(full),
        shape=tuple((each - rest) / (1 - rest) for each in shape),
        source=source,
        uncertainty=UNKNOWN,
    )
