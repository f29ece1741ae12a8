"""What the loops know of the grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenops.grid.regions import RegionTable
from greenops.ports import GridProvider
from greenops.units import GramsPerKwh


@dataclass(frozen=True, slots=True)
class GridContext:
    """A provider, the cloud regions, and what holds where no series does.

    Attributes:
        annual: Region → annual mean intensity [gCO2e/kWh] with its source.
    """

    provider: GridProvider
    regions: RegionTable
    annual: Mapping[str, tuple[GramsPerKwh, str]]
