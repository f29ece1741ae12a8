"""The small table a service reads: what a joule emits and a vCPU hour costs, by cloud region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from greenops.domain.grid import IntensitySeries
from greenops.units import GramsPerKwh, Usd

LATE: Final = timedelta(hours=3)
"""How long the newest value of a series stands for hours that are not reported yet, as an estimate. Ours: EIA-930 is one to two late."""


@dataclass(frozen=True, slots=True)
class RegionFactors:
    """What holds in one region.

    Attributes:
        region: Cloud region id.
        zone: Grid zone that feeds it; none where no zone fits: carbon is then unknown.
        pue: Power usage effectiveness.
        usd_per_vcpu_hour: Price of one vCPU for an hour [USD]; none where unknown.
        series: Hourly intensity; used where it covers the instant.
        annual: Annual mean [gCO2e/kWh]; used, as an estimate, where no series covers the instant nor ended just before.
        annual_source: Where `annual` is from, with its year.
    """

    region: str
    zone: str | None
    pue: float
    usd_per_vcpu_hour: Usd | None = None
    series: IntensitySeries | None = None
    annual: GramsPerKwh | None = None
    annual_source: str | None = None

    def newest(self, at: datetime) -> tuple[GramsPerKwh, timedelta] | None:
        """The series' newest value where it ended at most `LATE` before an instant, and how long before; else none."""
        series = self.series
        if series is None:
            return None
        for place in range(len(series.values) - 1, -1, -1):
            value = series.values[place]
            if value is not None:
                age = at - (series.start + (place + 1) * series.step)
                return (value, age) if timedelta() <= age <= LATE else None
        return None


@dataclass(frozen=True, slots=True)
class FactorTable:
    """All regions; `version` is the content hash, the value of `greenops.factors.version`."""

    version: str
    regions: Mapping[str, RegionFactors]
