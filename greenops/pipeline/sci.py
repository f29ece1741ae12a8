"""The Software Carbon Intensity of what rows tell, part by part; nothing avoided or bought is in it."""

from __future__ import annotations

from dataclasses import dataclass

from greenops.units import Grams


@dataclass(frozen=True, slots=True)
class Sci:
    """SCI = (E x I + M) / R [gCO2e per functional unit].

    Attributes:
        operational: E x I per unit.
        embodied: M per unit; none where it is not known or left out.
    """

    operational: Grams
    embodied: Grams | None

    @property
    def total(self) -> Grams:
        """The score; without M where M is none, which must then be said beside it."""
        return Grams(self.operational + (self.embodied or 0.0))


def sci(operational: Grams, embodied: Grams | None, units: float) -> Sci:
    """The score from emissions that spans already carry, each at its own time and region.

    Args:
        operational: E x I of all of them [gCO2e], location-based.
        embodied: M of all of them [gCO2e]; none leaves it out.
        units: R, how many functional units they are for [1].

    Raises:
        ValueError: There are no units, or an amount is negative.

    Source: Software Carbon Intensity specification, ISO/IEC 21031:2024.
    """
    if units <= 0:
        raise ValueError("a score needs functional units")
    if operational < 0 or (embodied or 0.0) < 0:
        raise ValueError("emissions must not be negative")
    each = None if embodied is None else Grams(embodied / units)
    return Sci(Grams(operational / units), each)
