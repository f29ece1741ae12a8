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
from greenops.pipeline.sci import Sci, sci
from greenops.pipeline.sums import Sum
from greenops.units import Grams, Joules, Usd

SERVER: Final = "SERVER"


@dataclass(slots=True)
class _Requests:
    """Requests, and how many of them have a known number: a mean is over those alone."""

    count: int = 0
    energy: int = 0
    carbon: int = 0

    def extend(self, rows: Sequence[SpanRow]) -> None:
        self.count += len(rows)
        self.energy += len([row for row in rows if row.energy_j is not None])
        self.carbon += len([row for row in rows if row.carbon_g is not None])


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
    with_carbon: int = 0
    with_embodied: int = 0
    embodied: Sum = field(default_factory=Sum)
    network_low: Sum = field(default_factory=Sum)
    network_high: Sum = field(default_factory=Sum)
    items: _Units = field(default_factory=_Units)
    tokens: _Units = field(default_factory=_Units)
    priced: Sum = field(default_factory=Sum)
    """Energy of the spans that have carbon [J]."""

    def extend(self, rows: Sequence[SpanRow]) -> None:
        """Take spans of one workload and region in."""
        self.workload = self.workload or rows[0].workload
        if rows[0].region:
            self.regions.add(rows[0].region)
        self.servers.extend([row for row in rows if row.kind == SERVER])
        self.roots.extend([row for row in rows if row.parent_id is None])
        self.spans += len(rows)
        known = [row for row in rows if row.energy_j is not None]
        self.methods |= {row.method for row in known if row.method}
        self.energy.extend([row.energy_j for row in known])
        self.low.extend([row.energy_low_j for row in rows])
        self.high.extend([row.energy_high_j for row in rows])
        emitted = [row.carbon_g for row in rows if row.carbon_g is not None]
        self.with_carbon += len(emitted)
        self.carbon.extend(emitted)
        self.priced.extend([row.energy_j for row in known if row.carbon_g is not None])
        self.cost.extend([row.cost_usd for row in rows])

    def carried(self, row: SpanRow) -> None:
        """Take in what one of these spans carries besides."""
        embodied = number(row, names.CARBON_EMBODIED)
        self.with_embodied += embodied is not None
        self.embodied.add(embodied)
        self.network_low.add(number(row, names.NETWORK_LOW))
        self.network_high.add(number(row, names.NETWORK_HIGH))
        self.items.add(count(row, names.ITEMS), row.energy_j)
        self.tokens.add(metered_tokens(row), row.energy_j)

    def score(self) -> Sci | None:
        """Its score per request; none before one whose emissions are known.

        Embodied emissions are in it where as many spans tell them as have emissions: part of them
        would pass for the whole.
        """
        requests, carbon = self._requests(), self.carbon.value()
        if carbon is None or not requests.carbon:
            return None
        embodied = self.embodied.value() if self.with_embodied >= self.with_carbon else None
        return sci(Grams(carbon), _grams(embodied), requests.carbon)

    def _requests(self) -> _Requests:
        return self.servers if self.servers.count else self.roots

    def footprint(self, name: str) -> ServiceFootprint:
        """The service so far."""
        requests = self._requests()
        energy, cost, score = self.energy.value(), self.cost.value(), self.score()
        return ServiceFootprint(
            service=name,
            workload=self.workload,
            regions=tuple(sorted(self.regions)),
            requests=requests.count,
            spans=self.spans,
            energy_j=_joules(energy),
            energy_low_j=_joules(self.low.value()),
            energy_high_j=_joules(self.high.value()),
            carbon_g=_grams(self.carbon.value()),
            cost_usd=None if cost is None else Usd(cost),
            energy_j_per_request=Joules(energy / requests.energy)
            if energy is not None and requests.energy
            else None,
            carbon_g_per_request=None if score is None else score.operational,
            method=weakest(list(self.methods)),
            embodied_g=_grams(self.embodied.value()),
            network_low_j=_joules(self.network_low.value()),
            network_high_j=_joules(self.network_high.value()),
            energy_j_per_item=self.items.each(),
            energy_j_per_output_token=self.tokens.each(),
            embodied_g_per_request=None if score is None else score.embodied,
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
