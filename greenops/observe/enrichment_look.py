"""Looks names up in the tables of enrichment: models by any spelling, regions by any instant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from greenops.observe.enrichment_tables import (
    Coefficient,
    RegionRow,
    by_region,
    microseconds,
)
from greenops.observe.model_names import LONGEST, Names
from greenops.units import GramsPerKwh, Joules, emissions

REMEMBERED: Final = 4096
"""Spellings and instants that are remembered [1]; more are looked up each time."""
TIME_BITS: Final = 51
"""Bits of an instant in microseconds; the rest of an integer is the region's number."""
LATEST: Final = 2**TIME_BITS - 1
MOST_REGIONS: Final = 2 ** (62 - TIME_BITS)

Codes = npt.NDArray[np.int8]
NO_REGION, NO_ZONE, NO_INTENSITY, STALE = 1, 2, 3, 4
"""Places in `enrichment.CARBON_REASONS`."""


class ModelIndex:
    """Coefficients by spelling of a model's name."""

    UNKNOWN: Final = -1
    """A name that the table does not know; the last place of a row of coefficients."""
    NONE: Final = -2
    """No name at all."""

    def __init__(self, models: Sequence[Coefficient]) -> None:
        self._names = Names({each.name: place for place, each in enumerate(models)})
        self._found: dict[str, int] = {}

    def find(self, names: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
        """Place of each name's coefficient, or `UNKNOWN` or `NONE`."""
        try:
            known = self._found
            return np.array([known[each] for each in names], np.int64)
        except (KeyError, TypeError):
            return np.array([self._one(each) for each in names], np.int64)

    def _one(self, name: object) -> int:
        if not isinstance(name, str) or not name:
            return self.NONE
        found = self._found.get(name)
        if found is None:
            # Bytes, as the Collector counts them; a character takes up to four.
            long = len(name.encode("utf-8", "replace")) > LONGEST
            known = None if long else self._names.find(name)
            found = self.UNKNOWN if known is None else known
            if len(self._found) < REMEMBERED and not long:
                self._found[name] = found
        return found


class RegionIndex:
    """Grams per joule by region and instant, PUE included.

    Raises:
        ValueError: More regions than there is room for.
    """

    def __init__(self, rows: Sequence[RegionRow]) -> None:
        regions = by_region(rows)
        if len(regions) >= MOST_REGIONS:
            raise ValueError(
                f"{len(regions)} regions; at most {MOST_REGIONS - 1} can be told apart"
            )
        keys: list[int] = [0]
        grams: list[float] = [np.nan]
        why: list[int] = [NO_REGION]
        self._number = {region: place for place, region in enumerate(regions, 1)}
        for region, number in self._number.items():
            for since, per_joule, reason in _steps(regions[region]):
                keys.append(number << TIME_BITS | since)
                grams.append(per_joule)
                why.append(reason)
        self._keys = np.array(keys, np.int64)
        self._grams = np.array(grams)
        self._why = np.array(why, np.int8)

    def at(
        self, regions: Sequence[str | None], at_ns: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], Codes]:
        """Emissions of a joule [g] in each region at each instant, NaN where unknown; and why it is."""
        number = self._number
        code = np.array([number.get(each, 0) if each else 0 for each in regions], np.int64)
        at_us = np.clip(at_ns // 1000, 0, LATEST)
        at_us[code == 0] = 0
        place = np.searchsorted(self._keys, (code << TIME_BITS) | at_us, "right") - 1
        return self._grams[place], self._why[place]


def _steps(rows: Sequence[RegionRow]) -> list[tuple[int, float, int]]:
    """When what begins to hold: instant [us], grams per joule, reason."""
    found: list[tuple[int, float, int]] = [(0, np.nan, STALE)]
    for row in rows:
        since, until = microseconds(row.valid_from), microseconds(row.valid_until)
        per_joule, reason = grams_per_joule(row)
        found.append((since, per_joule, reason))
        # What no row holds for is out of date: before the first as after the last.
        found.append((until, np.nan, STALE))
    # Of two that begin at once the later row holds.
    return [(since, grams, reason) for since, (grams, reason) in _last(found).items()]


def _last(steps: Sequence[tuple[int, float, int]]) -> dict[int, tuple[float, int]]:
    found = {since: (grams, reason) for since, grams, reason in steps}
    return dict(sorted(found.items()))


def grams_per_joule(row: RegionRow) -> tuple[float, int]:
    """Emissions of a joule [g], PUE included, and zero; NaN and the code of the reason where they are not known."""
    if row.zone is None:
        return np.nan, NO_ZONE
    if row.intensity is None:
        return np.nan, NO_INTENSITY
    return float(emissions(Joules(1.0), GramsPerKwh(row.intensity), row.pue)), 0
