"""What spans of a stretch of time used, summed by workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of simulated time; `ends` is the first instant after it."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """A sum of the spans that have a figure, and the first instant of these."""

    total: float
    first: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """What spans of one workload used; a figure is none where no span has it, never zero.

    Attributes:
        carbon_g: Emissions, location-based [gCO2e].
        cost_usd: Cost [USD].
        energy_j: Energy [J].
        no_carbon: Spans that used energy of ours, or say why it is not known, and lack carbon.
        no_cost: Such spans that lack a cost; `no_either`: that lack one or both.
    """

    carbon_g: Known | None = None
    cost_usd: Known | None = None
    energy_j: Known | None = None
    no_carbon: int = 0
    no_cost: int = 0
    no_either: int = 0


Usage = Mapping[str | None, Used]
"""Workload → what it used; none: spans without a workload."""

Sums = Callable[[Sequence[Window]], Sequence[Usage]]
"""What was used in each of some windows, in their order."""
