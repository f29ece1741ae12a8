"""Rows of the lake: one per span, one per reading of an energy account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from greenops.units import Grams, Joules, Usd


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


@dataclass(frozen=True, slots=True)
class EnergyAccount:
    """Cumulative energy of one category of one device, as one process accounts for it [J].

    Attributes:
        host: Where the device is. Processes of one host each account for the whole host: their own
            energy adds up, its idle energy and that of other processes is seen by each of them.
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
