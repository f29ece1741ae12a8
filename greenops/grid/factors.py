"""The factor table that services read, and what it says of a region at an instant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from greenops.domain.energy import Method
from greenops.domain.factors import FactorTable, RegionFactors
from greenops.domain.grid import IntensitySeries, Region
from greenops.domain.record import canonical
from greenops.grid.series import same_kind, value_at
from greenops.units import GramsPerKwh, Usd

VCPUS: Final = 2
"""vCPUs of the instances whose hourly prices the region table holds. Source: their names there,
`m5.large`, `n2-standard-2`, `D2s_v5`; checked by tests/unit/grid/test_factors.py."""
ON_DEMAND: Final = "ondemand"
"""The pool whose price stands for a vCPU hour."""


def build_factor_table(
    regions: Iterable[Region],
    actual: Mapping[str, IntensitySeries],
    annual: Mapping[str, tuple[GramsPerKwh, str]],
) -> FactorTable:
    """Put together what services need.

    Args:
        regions: Cloud regions.
        actual: Grid zone → recorded intensity around now.
        annual: Region → annual mean [gCO2e/kWh] with its source.

    Raises:
        MixedQuantities: The series are not all of one signal and one kind of factors.
    """
    series = list(actual.values())
    if series:
        same_kind(*series)
    exact = {zone: _floats(each) for zone, each in actual.items()}
    table = {each.id: _factors(each, exact, annual) for each in regions}
    return FactorTable(version=version(table), regions=table)


def _factors(
    region: Region,
    actual: Mapping[str, IntensitySeries],
    annual: Mapping[str, tuple[GramsPerKwh, str]],
) -> RegionFactors:
    hourly = region.usd_per_hour.get(ON_DEMAND)
    mean, source = annual.get(region.id, (None, None))
    return RegionFactors(
        region=region.id,
        zone=region.zone,
        pue=float(region.pue),
        usd_per_vcpu_hour=None if hourly is None else Usd(hourly / VCPUS),
        series=actual.get(region.zone) if region.zone is not None else None,
        annual=None if mean is None else GramsPerKwh(float(mean)),
        annual_source=source,
    )


def _floats(series: IntensitySeries) -> IntensitySeries:
    """Whole numbers as floats: JSON keeps the difference, and the version hashes JSON."""
    values = (None if each is None else GramsPerKwh(float(each)) for each in series.values)
    return replace(series, values=tuple(values))


def version(regions: Mapping[str, RegionFactors]) -> str:
    """SHA-256 of the canonical content, the value of `greenops.factors.version`."""
    return hashlib.sha256(canonical(regions)).hexdigest()


def intensity_at(
    table: FactorTable, region: str | None, at: datetime
) -> tuple[GramsPerKwh | None, Method | None]:
    """Intensity [gCO2e/kWh] and how it came about: reported by a series, estimated by its newest value or a year's mean.

    Both are none where the region is not in the table or no grid zone fits it: carbon is unknown
    then, and energy stands.
    """
    factors = table.regions.get(region) if region is not None else None
    if factors is None or factors.zone is None:
        return None, None
    value = None if factors.series is None else value_at(factors.series, at)
    if value is not None:
        return value, Method.REPORTED
    newest = factors.newest(at)
    if newest is not None:
        return newest[0], Method.ESTIMATED
    if factors.annual is not None:
        return factors.annual, Method.ESTIMATED
    return None, None
