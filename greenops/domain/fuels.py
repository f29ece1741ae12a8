"""What a grid burns: fuels, the grams of each, and the intensity that a mix of them has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from greenops.domain.grid import Factors
from greenops.units import GramsPerKwh

DAY: Final = timedelta(days=1)


class Fuel(StrEnum):
    """What electricity is made of, as the factor table names it."""

    BIOMASS = "biomass"
    COAL = "coal"
    GAS = "nat_gas"
    GEOTHERMAL = "geothermal"
    HYDRO = "hydro"
    NUCLEAR = "nuclear"
    OIL = "oil"
    SOLAR = "solar"
    WIND = "wind"
    UNKNOWN = "unknown"
    """Reported as other or unknown, or under a code that is not known."""


WEATHER: Final = frozenset({Fuel.WIND, Fuel.SOLAR})
"""Fuels that are foretold by the weather."""


@dataclass(frozen=True, slots=True)
class FuelFactors:
    """Emissions of each fuel, of one kind.

    Attributes:
        factors: Lifecycle or direct.
        grams: Every fuel's emissions [gCO2e/kWh].
        id: Name and content hash of the table: the same id, the same grams.
    """

    factors: Factors
    grams: Mapping[Fuel, GramsPerKwh]
    id: str


@dataclass(frozen=True, slots=True)
class GenerationMix:
    """Generation by fuel on a regular grid of time, in any one unit.

    Attributes:
        fuels: Generation of each step by fuel; none where the source has a gap.
        unknown_codes: Codes of the source that no fuel is known for; they count as unknown.
    """

    zone: str
    start: datetime
    step: timedelta
    fuels: tuple[Mapping[Fuel, float] | None, ...]
    unknown_codes: tuple[str, ...] = ()

    def intensities(self, factors: FuelFactors) -> tuple[GramsPerKwh | None, ...]:
        """Average intensity of each step [gCO2e/kWh]; none where the mix is not known."""
        return tuple(
            None if fuels is None else mix_intensity(fuels, factors) for fuels in self.fuels
        )

    def part(self, start: datetime, end: datetime) -> GenerationMix:
        """The steps that cover `[start, end)`, of those that there are."""
        first = max(0, (start - self.start) // self.step)
        past = max(first, -((self.start - end) // self.step))
        at = self.start + first * self.step
        return replace(self, start=at, fuels=self.fuels[first:past])

    def unknown_share(self) -> float | None:
        """Share of all generation whose fuel is not known [1]; none of no generation."""
        known = [fuels for fuels in self.fuels if fuels is not None]
        whole = sum(max(0.0, each) for fuels in known for each in fuels.values())
        unknown = sum(max(0.0, fuels.get(Fuel.UNKNOWN, 0.0)) for fuels in known)
        return unknown / whole if whole > 0 else None


def mix_intensity(fuels: Mapping[Fuel, float], factors: FuelFactors) -> GramsPerKwh | None:
    """Mean of the factors, weighed by generation [gCO2e/kWh]; none where nothing was generated.

    A plant that draws more than it makes is reported as negative, and makes nothing.
    """
    made = {fuel: max(0.0, amount) for fuel, amount in fuels.items()}
    whole = sum(made.values())
    if whole <= 0:
        return None
    return GramsPerKwh(sum(amount * factors.grams[fuel] for fuel, amount in made.items()) / whole)


def intensity_of_the_rest(mix: GenerationMix, factors: FuelFactors) -> GramsPerKwh | None:
    """Mean intensity of all that is neither wind nor sun [gCO2e/kWh]; none where nothing else was generated."""
    rest: dict[Fuel, float] = {}
    for fuels in mix.fuels:
        for fuel, amount in (fuels or {}).items():
            if fuel not in WEATHER:
                rest[fuel] = rest.get(fuel, 0.0) + amount
    return mix_intensity(rest, factors)


def foretold_intensity(
    whole: float, weather: Mapping[Fuel, float], rest: GramsPerKwh, factors: FuelFactors
) -> GramsPerKwh | None:
    """Intensity of a step whose whole generation, and wind and sun in it, were foretold [gCO2e/kWh].

    Args:
        whole: All generation; where wind and sun alone are more, they are all of it.
        weather: Generation by wind and sun, in the same unit.
        rest: What all else emits [gCO2e/kWh], for example as it did yesterday.
        factors: Of wind and sun.
    """
    made = {fuel: max(0.0, amount) for fuel, amount in weather.items()}
    other = max(0.0, whole - sum(made.values()))
    total = other + sum(made.values())
    if total <= 0:
        return None
    emitted = other * rest + sum(amount * factors.grams[fuel] for fuel, amount in made.items())
    return GramsPerKwh(emitted / total)


def make_mix(
    zone: str,
    reported: Mapping[str, Mapping[datetime, float]],
    codes: Mapping[str, Fuel | None],
    start: datetime,
    end: datetime,
    step: timedelta,
) -> GenerationMix:
    """The mix of every step of `[start, end)`, from what was reported by code.

    A code that is reported at some time of a UTC day, or of the day before, belongs to all of the day: a
    step that lacks it is a gap, since a mix whose coal is reported late would look clean. So the answer does
    not depend on what was asked for, provided that `reported` holds whole days, and one more before.

    Args:
        zone: Grid zone.
        reported: Code → start of a step → generation.
        codes: Code → fuel; none for storage, whose energy was generated before and counts then.
        start: Start of the first step.
        end: First instant after the last step.
        step: Length of a step.
    """
    made_by = {code: at for code, at in reported.items() if codes.get(code, Fuel.UNKNOWN)}
    of_day: dict[date, set[str]] = {}
    for code, amounts in made_by.items():
        for day in {each.astimezone(UTC).date() for each in amounts}:
            of_day.setdefault(day, set()).add(code)
    found: list[Mapping[Fuel, float] | None] = []
    unknown: set[str] = set()
    for index in range(-((start - end) // step)):
        at = start + index * step
        day = at.astimezone(UTC).date()
        wanted = of_day.get(day, set()) | of_day.get(day - DAY, set())
        whole = bool(wanted) and all(at in made_by[code] for code in wanted)
        found.append(_by_fuel(made_by, codes, wanted, at) if whole else None)
        unknown |= wanted - codes.keys()
    return GenerationMix(zone, start, step, tuple(found), tuple(sorted(unknown)))


def _by_fuel(
    made_by: Mapping[str, Mapping[datetime, float]],
    codes: Mapping[str, Fuel | None],
    wanted: set[str],
    at: datetime,
) -> Mapping[Fuel, float]:
    fuels: dict[Fuel, float] = {}
    for code in sorted(wanted):
        fuel = codes.get(code, Fuel.UNKNOWN)
        if fuel is not None:
            fuels[fuel] = fuels.get(fuel, 0.0) + max(0.0, made_by[code][at])
    return fuels
