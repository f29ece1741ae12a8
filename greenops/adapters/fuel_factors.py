"""Emission factors by fuel: the table in the package, or one of one's own in the same form."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from greenops.adapters.grid_points import Laid
from greenops.domain.fuels import Fuel, FuelFactors, GenerationMix
from greenops.domain.grid import Factors, SeriesKind, Signal
from greenops.domain.record import canonical, restore
from greenops.errors import AdapterUnsupported, InvalidFile, Location
from greenops.units import GramsPerKwh

SHIPPED: Final = Path(__file__).parent.parent / "data" / "fuel_factors.json"
OWN: Final = "GREENOPS_FUEL_FACTORS"
"""Environment variable: a table of one's own."""
UNIT: Final = "gCO2e/kWh"
FUELS: Final = frozenset(fuel.value for fuel in Fuel)
LARGEST: Final = 3_000.0
"""Above this a number is no emission factor [gCO2e/kWh]; the dirtiest plants emit under 2,000."""


@dataclass(frozen=True, slots=True)
class FactorSet:
    """Factors of one kind, with where they are from; `zone` where they hold in that grid zone alone.

    Attributes:
        grams: Fuel → emissions [gCO2e/kWh].
    """

    factors: Factors
    grams: dict[str, float]
    source: str
    date: str
    licence: str
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class FuelFactorTable:
    """All factors: every fuel of both kinds, and exceptions by zone."""

    name: str
    unit: str
    sets: tuple[FactorSet, ...]
    zones: tuple[FactorSet, ...] = ()

    @property
    def id(self) -> str:
        """Name and hash of the content: the same id, the same grams."""
        return f"{self.name}-{hashlib.sha256(canonical(self)).hexdigest()[:8]}"

    def of(self, factors: Factors, zone: str) -> FuelFactors:
        """The factors of a kind as they hold in a zone."""
        grams: dict[Fuel, GramsPerKwh] = {}
        for each in (*self.sets, *self.zones):
            if each.factors is factors and each.zone in {None, zone}:
                grams |= {Fuel(fuel): GramsPerKwh(value) for fuel, value in each.grams.items()}
        return FuelFactors(factors, grams, self.id)


@dataclass(frozen=True, slots=True)
class ChosenFactors:
    """The factors that the settings name."""

    table: FuelFactorTable
    factors: Factors

    def of(self, zone: str) -> FuelFactors:
        """The factors as they hold in a zone."""
        return self.table.of(self.factors, zone)

    def kind(self, source: str) -> SeriesKind:
        """What every series is that a source's generation and these factors give."""
        named = f"{source} x {self.table.id}"
        return SeriesKind(Signal.AVERAGE, self.factors, named, replay=False)

    def lay(self, mix: GenerationMix) -> Laid:
        """Intensity of a mix, from the first step that is known to the last one.

        Raises:
            ValueError: No step is known.
        """
        values = mix.intensities(self.of(mix.zone))
        known = [place for place, value in enumerate(values) if value is not None]
        if not known:
            raise ValueError("no time for which all its fuels are reported")
        first = mix.start + known[0] * mix.step
        return Laid(first, mix.step, values[known[0] : known[-1] + 1], None)


def chosen_factors(environ: Mapping[str, str], variable: str) -> ChosenFactors:
    """The factors that settings name: which kind, and a table of one's own or the shipped one.

    Args:
        environ: The settings.
        variable: The one that says `lifecycle` or `direct`.

    Raises:
        AdapterUnsupported: It says something else.
        InvalidFile: The table of one's own is not what it should be.
    """
    said = environ.get(variable, "").strip() or Factors.LIFECYCLE
    if said not in tuple(Factors):
        words = " or ".join(f"`{each}`" for each in Factors)
        raise AdapterUnsupported("GO0325", f"`{variable}` must be {words}, not `{said}`")
    own = environ.get(OWN, "").strip()
    return ChosenFactors(read_factors(Path(own)) if own else shipped_factors(), Factors(said))


@cache
def shipped_factors() -> FuelFactorTable:
    """The table in the package.

    Raises:
        InvalidFile: It is damaged.
    """
    return read_factors(SHIPPED)


def read_factors(path: Path) -> FuelFactorTable:
    """A table from its file.

    Raises:
        InvalidFile: It cannot be read, or a factor is missing or cannot be.
    """
    try:
        table = restore(FuelFactorTable, json.loads(path.read_text("utf-8")))
        _check(table)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidFile(
            "GO0330",
            f"not a table of emission factors by fuel: {error}",
            at=Location(str(path)),
            fix="write it as `greenops/data/fuel_factors.json` is written",
        ) from error
    return table


def _check(table: FuelFactorTable) -> None:
    if table.unit != UNIT:
        raise ValueError(f"`unit` must be `{UNIT}`, not `{table.unit}`")
    if any(each.zone is not None for each in table.sets):
        raise ValueError("factors of one zone stand under `zones`")
    if any(each.zone is None for each in table.zones):
        raise ValueError("factors under `zones` name their `zone`")
    for each in (*table.sets, *table.zones):
        _check_grams(each)
    for factors in Factors:
        given = {fuel for each in table.sets if each.factors is factors for fuel in each.grams}
        if lacking := FUELS - given:
            raise ValueError(f"no {factors.value} factor for `{min(lacking)}`")


def _check_grams(given: FactorSet) -> None:
    for fuel, grams in given.grams.items():
        if fuel not in FUELS:
            raise ValueError(f"unknown fuel `{fuel}`; known: {', '.join(sorted(FUELS))}")
        if not (math.isfinite(grams) and 0 <= grams <= LARGEST):
            raise ValueError(f"`{fuel}` is 0 to {LARGEST:g} {UNIT}, not {grams:g}")
