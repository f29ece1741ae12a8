"""Rows of the lake: one per span, one per reading of an energy account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from greenops.units import Grams, Joules, Usd

MOST: Final = 1e12
"""Most that a number of a row may say [J, g, USD]: 1 kW for thirty years, beyond any one span or device."""
OUT_OF_RANGE: Final = "out_of_range"
"""Why a span has no energy though its sender gave a number: it was negative, not finite, or above `MOST`."""

IDLE_TAKEN: Final = "idle_taken"
"""Category of a reading that tells how much idle energy fell to a process: it stands in the process's own
categories, so it is no part of any sum."""


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span as the lake keeps it; key (trace_id, span_id). None means absent, never zero.

    Attributes:
        start: Wall time; `time` is the simulated instant of the end.
        instance: `service.instance.id` of the process that sent it.
        attributes: What else the span carried, values as JSON text.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    service: str
    instance: str | None
    workload: str | None
    name: str
    kind: str
    start: datetime
    end: datetime
    time: datetime
    energy_j: Joules | None
    energy_low_j: Joules | None
    energy_high_j: Joules | None
    carbon_g: Grams | None
    cost_usd: Usd | None
    method: str | None
    unknown: str | None
    region: str | None
    grid_zone: str | None
    decision_id: str | None
    attributes: Mapping[str, str]


def credible(value: float) -> bool:
    """Whether a row may carry a number [J, g, USD]; one that is not finite never is."""
    return 0.0 <= value <= MOST


def sound(row: SpanRow) -> SpanRow:
    """The span without numbers that cannot be; with its energy goes what was derived from it."""
    numbers = {
        name: getattr(row, name)
        for name in ("energy_j", "energy_low_j", "energy_high_j", "carbon_g", "cost_usd")
    }
    bad = [name for name, value in numbers.items() if value is not None and not credible(value)]
    if not bad:
        return row
    if "energy_j" in bad:
        bad += ["energy_low_j", "energy_high_j", "carbon_g"]
        row = replace(row, method=None, unknown=OUT_OF_RANGE)
    absent: dict[str, Any] = dict.fromkeys(bad)
    return replace(row, **absent)


@dataclass(frozen=True, slots=True)
class EnergyAccount:
    """Cumulative energy of one category of one device, as one process accounts for it [J].

    Attributes:
        at: Simulated instant of the reading.
        host: Where the device is. Processes of one host each account for the whole host: their own
            energy adds up, its idle energy and that of other processes is seen by each of them.
        start: Simulated instant since when it counts; another one is another process, or the same
            one begun anew.
    """

    service: str
    instance: str
    workload: str | None
    device: str
    category: str
    at: datetime
    joules: Joules
    method: str | None
    source: str | None
    host: str | None = None
    start: datetime | None = None
