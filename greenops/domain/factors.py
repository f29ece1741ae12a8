"""The small table a service reads: what a joule emits and a vCPU hour costs, by cloud region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenops.domain.grid import IntensitySeries
from greenops.units import GramsPerKwh, Usd


@dataclass(frozen=True, slots=True)
class RegionFactors:
    """What holds in one region.

    Attributes:
        region: Cloud region id.
        zone: Grid zone that feeds it; none where no zone fits: carbon is then unknown.
        pue: Power usage effectiveness.
        usd_per_vcpu_hour: Price of one vCPU for an hour [USD]; none where unknown.
        series: Hourly intensity; used where it covers the instant.
        annual: Annual mean [gCO2e/kWh]; used, as an estimate, where no series covers the instant.
        annual_source: Where `annual` is from, with its year.
    """

    region: str
    zone: str | None
    pue: float
    usd_per_vcpu_hour: Usd | None = None
    series: IntensitySeries | None = None
    annual: GramsPerKwh | None = None
    annual_source: str | None = None


@dataclass(frozen=True, slots=True)
class FactorTable:
    """All regions; `version` is the content hash, the value of `greenops.factors.version`."""

    version: str
    regions: Mapping[str, RegionFactors]
