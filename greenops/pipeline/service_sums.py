"""What the spans of one service add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from greenops.domain.console import ServiceFootprint
from greenops.domain.energy import Method
from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.pipeline.carried import count, metered_tokens, number
from greenops.pipeline.sums import Sum
from greenops.units import Grams, Joules, Usd

SERVER: Final = "SERVER"


@dataclass(slots=True)
class _Requests:
    """Requests, and how many of them have a known number: a mean is over those alone."""

    count: int = 0
    energy: int = 0
    carbon: int = 0

    def add(self, row: SpanRow) -> None:
        self.count += 1
        self.energy += row.energy_j is not None
        self.carbon += row.carbon_g is not None


@dataclass(slots=True)
class _Units:
    """Tokens or items, and the energy of the spans that tell them."""

    count: int = 0
    energy: Sum = field(default_factory=Sum)

    def add(self, told: int | None, energy: Joules | None) -> None:
        if told is not None and energy is not None:
            self.count += told
            self.energy.add(energy)

    def each(self) -> Joules | None:
        return Joules(self.energy.total() / self.count) if self.count else None


@dataclass(slots=True)
class ServiceSums:
    """Sums of one service over rows as they come."""

    workload: str | None = None
    regions: set[str] = field(default_factory=set)
    servers: _Requests = field(default_factory=_Requests)
    roots: _Requests = field(default_factory=_Requests)
    spans: int = 0
    energy: Sum = field(default_factory=Sum)
    low: Sum = field(default_factory=Sum)
    high: Sum = field(default_factory=Sum)
    carbon: Sum = field(default_factory=Sum)
    cost: Sum = field(default_factory=Sum)
    methods: set[str] = field(default_factory=set)
    embodied: Sum = field(default_factory=Sum)
    network_low: Sum = field(default_factory=Sum)
    network_high: Sum = field(default_factory=Sum)
    items: _Units = field(default_factory=_Units)
    tokens: _Units = field(default_factory=_Units)
    priced: Sum = field(default_factory=Sum)
    """Energy of the spans that have carbon [J]."""

    def add(self, row: SpanRow) -> None:
        """Take one span in."""
        self.workload = self.workload or row.workload
        self.regions.update([row.region] if row.region else [])
        if row.kind == SERVER:
            self.servers.add(row)
        if row.parent_id is None:
            self.roots.add(row)
        self.spans += 1
        self.methods.update([row.method] if row.method and row.energy_j is not None else [])
        self.energy.add(row.energy_j)
        self.low.add(row.energy_low_j)
        self.high.add(row.energy_high_j)
        self.carbon.add(row.carbon_g)
        self.priced.add(row.energy_j if row.carbon_g is not None else None)
        self.cost.add(row.cost_usd)
        self._more(row)

    def _more(self, row: SpanRow) -> None:
        if not row.attributes:
            return
        self.embodied.add(number(row, names.CARBON_EMBODIED))
        self.network_low.add(number(row, names.NETWORK_LOW))
        self.network_high.add(number(row, names.NETWORK_HIGH))
        self.items.add(count(row, names.ITEMS), row.energy_j)
        self.tokens.add(metered_tokens(row), row.energy_j)

    def footprint(self, name: str) -> ServiceFootprint:
        """The service so far."""
        requests = self.servers if self.servers.count else self.roots
        energy, carbon, cost = self.energy.value(), self.carbon.value(), self.cost.value()
        return ServiceFootprint(
            service=name,
            workload=self.workload,
            regions=tuple(sorted(self.regions)),
            requests=requests.count,
            spans=self.spans,
            energy_j=_joules(energy),
            energy_low_j=_joules(self.low.value()),
            energy_high_j=_joules(self.high.value()),
            carbon_g=_grams(carbon),
            cost_usd=None if cost is None else Usd(cost),
            energy_j_per_request=Joules(energy / requests.energy)
            if energy is not None and requests.energy
            else None,
            carbon_g_per_request=Grams(carbon / requests.carbon)
            if carbon is not None and requests.carbon
            else None,
            method=weakest(list(self.methods)),
            embodied_g=_grams(self.embodied.value()),
            network_low_j=_joules(self.network_low.value()),
            network_high_j=_joules(self.network_high.value()),
            energy_j_per_item=self.items.each(),
            energy_j_per_output_token=self.tokens.each(),
        )


def weakest(methods: Sequence[str]) -> str | None:
    """The least sure of some methods; none of none."""
    order = [each.value for each in Method]
    known = [each for each in methods if each in order]
    return max(known, key=order.index, default=None)


def _joules(value: float | None) -> Joules | None:
    return None if value is None else Joules(value)


def _grams(value: float | None) -> Grams | None:
    return None if value is None else Grams(value)
