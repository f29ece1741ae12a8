"""Units and the only places where one turns into another."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NewType

Joules = NewType("Joules", float)
Watts = NewType("Watts", float)
Seconds = NewType("Seconds", float)
Kwh = NewType("Kwh", float)
Grams = NewType("Grams", float)
"""Grams of CO2 equivalent."""
GramsPerKwh = NewType("GramsPerKwh", float)
"""Carbon intensity [gCO2e/kWh]."""
Usd = NewType("Usd", float)

JOULES_PER_KWH: Final = 3.6e6
"""1 kWh = 1000 W x 3600 s. Source: SI brochure, 9th edition, table 8."""
KWH_PER_MWH: Final = 1000.0
NS_PER_S: Final = 1_000_000_000


def to_kwh(energy: Joules) -> Kwh:
    """Energy [J] as [kWh]."""
    return Kwh(energy / JOULES_PER_KWH)


def to_joules(energy: Kwh) -> Joules:
    """Energy [kWh] as [J]."""
    return Joules(energy * JOULES_PER_KWH)


def energy(power: Watts, duration: Seconds) -> Joules:
    """Energy of a constant power over a duration [J]."""
    return Joules(power * duration)


def emissions(energy: Joules, intensity: GramsPerKwh, pue: float = 1.0) -> Grams:
    """Operational emissions [gCO2e] of energy [J]; `pue` is applied here and in `electricity_cost` alone.

    Source: Software Carbon Intensity specification (ISO/IEC 21031:2024), operational term O = E x I.
    """
    return Grams(energy / JOULES_PER_KWH * pue * intensity)


def electricity_cost(energy: Joules, usd_per_mwh: float, pue: float = 1.0) -> Usd:
    """Cost of energy [J] at a price [USD/MWh], which may be negative; at the meter of the site, so with its `pue`."""
    return Usd(energy / JOULES_PER_KWH / KWH_PER_MWH * pue * usd_per_mwh)


def total_joules(parts: Iterable[Joules]) -> Joules:
    """Exactly rounded sum [J]."""
    return Joules(math.fsum(parts))


def total_grams(parts: Iterable[Grams]) -> Grams:
    """Exactly rounded sum [gCO2e]."""
    return Grams(math.fsum(parts))


def grams(kilograms: float) -> Grams:
    """Kilograms of CO2 equivalent as [gCO2e]."""
    return Grams(kilograms * 1000.0)


def seconds(nanoseconds: int) -> Seconds:
    """Nanoseconds as [s]."""
    return Seconds(nanoseconds / NS_PER_S)
