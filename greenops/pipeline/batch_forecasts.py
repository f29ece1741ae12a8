"""The newest forecasts of the grid zones that jobs are planned in, as one table of slots."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from greenops.domain.grid import Forecast
from greenops.errors import AdapterUnavailable, DataMissing, UsageError
from greenops.plan.intensity import Mean
from greenops.plan.slot_table import SlotTable
from greenops.ports import GridProvider

SLOT_S: Final = 900
"""Length of a slot where nothing else is asked for and the forecasts' steps are multiples of it [s]."""
FINEST_S: Final = 60
"""A slot is not made shorter than this for odd steps of a forecast; values are then means over slots [s]."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Foretold:
    """What is foretold of the zones.

    Attributes:
        origin: Start of the first slot, a whole number of slots since 1970.
        table: Average intensity [gCO2e/kWh] by row of `rows`; a zone without a forecast is one gap.
        rows: Row of each zone; none is the row of jobs whose region has no zone.
        forecasts: What each row rests on.
        missing: Why a zone has none.
    """

    origin: datetime
    table: SlotTable
    rows: Mapping[str | None, int]
    forecasts: Mapping[str, Forecast]
    missing: Mapping[str | None, str]

    def second(self, at: datetime) -> int:
        """Seconds from the first slot's start, rounded down."""
        return (at - self.origin) // SECOND

    def instant(self, second: int) -> datetime:
        """The instant of a second."""
        return self.origin + second * SECOND


def newest_forecasts(
    provider: GridProvider,
    zones: Iterable[str | None],
    at: datetime,
    known: datetime,
    *,
    max_age_s: float,
    slot_s: int | None = None,
) -> Foretold:
    """What a provider foretells of zones.

    Args:
        provider: Who foretells.
        zones: Grid zones; none for regions without one.
        at: First instant that is planned.
        known: Instant up to which forecasts were issued.
        max_age_s: Oldest forecast that a plan may rest on [s].
        slot_s: Length of a slot [s], a divisor of every forecast's step; none: 15 minutes where they allow it.

    Raises:
        DataMissing: There is none for any of the zones.
        UsageError: The slot does not divide a forecast's step.
    """
    found: dict[str, Forecast] = {}
    missing: dict[str | None, str] = {}
    order = sorted({zone for zone in zones if zone is not None})
    for zone in order:
        told = _newest(provider, zone, known, max_age_s)
        if isinstance(told, str):
            missing[zone] = told
        else:
            found[zone] = told
    missing[None] = "the region has no grid zone that is known"
    if not found:
        raise DataMissing(
            "GO0697",
            f"nothing is foretold of the jobs' grid zones: {missing[order[0] if order else None]}",
            fix="`greenops grid forecast` tells what there is; `--at` plans from another instant",
        )
    step = _slot(found, slot_s)
    origin = EPOCH + (at - EPOCH) // (step * SECOND) * step * SECOND
    slots = max(1, *(-((origin - each.end) // (step * SECOND)) for each in found.values()))
    values = np.full((len(order) + 1, slots), np.nan)
    for row, zone in enumerate(order):
        if zone in found:
            values[row] = _means(found[zone], origin, step, slots)
    rows: dict[str | None, int] = {zone: row for row, zone in enumerate(order)}
    rows[None] = len(order)
    return Foretold(origin, SlotTable.of(values, step), rows, found, missing)


def _newest(provider: GridProvider, zone: str, known: datetime, max_age_s: float) -> Forecast | str:
    try:
        found = provider.forecast(zone, known)
    except (DataMissing, AdapterUnavailable) as error:
        return error.message
    age_s = (known - found.issued_at).total_seconds()
    if age_s > max_age_s:
        return f"the newest forecast of `{zone}` is {age_s / 3600:.0f} h old (`forecast_max_age_s`)"
    return found


def _slot(found: Mapping[str, Forecast], asked: int | None) -> int:
    steps = {zone: math.ceil(each.step.total_seconds()) for zone, each in found.items()}
    if asked is None:
        return max(FINEST_S, math.gcd(SLOT_S, *steps.values()))
    for zone, step in steps.items():
        if step % asked:
            raise UsageError(
                "GO0696",
                f"a slot of {asked} s does not divide the {step} s that the forecast of `{zone}` steps by",
                fix="for example `--slot 900`",
            )
    return asked


def _means(forecast: Forecast, origin: datetime, step: int, slots: int) -> list[float]:
    mean = Mean(forecast.start, forecast.step, forecast.values)
    edges = [origin + k * step * SECOND for k in range(slots + 1)]
    told = [mean.over(start, end) for start, end in pairwise(edges)]
    return [math.nan if each is None else each for each in told]
