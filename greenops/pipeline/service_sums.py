"""What the spans of one service add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from greenops.domain.console import ServiceFootprint
from greenops.domain.energy import Method
from greenops.observe import attributes as names
from greenops.pipeline.alike_spans import AlikeSpans, Requests
from greenops.pipeline.sci import Sci, sci
from greenops.pipeline.sums import Sum
from greenops.units import Grams, Joules, Usd


@dataclass(slots=True)
class _Requests:
    """Requests, and how many of them have a known number: a mean is over those alone."""

    count: int = 0
    energy: int = 0
    carbon: int = 0

    def add(self, more: Requests) -> None:
        self.count += more.count
        self.energy += more.energy
        self.carbon += more.carbon


@dataclass(slots=True)
class Units:
    """Tokens or items, and the energy of the spans that tell them."""

    count: int = 0
    energy: Sum = field(default_factory=Sum)

    def add(self, told: int, energy: Sequence[float]) -> None:
        """Take in how many some spans tell, and their energy [J]."""
        self.count += told
        self.energy.extend(energy)

    def each(self) -> Joules | None:
        """Energy of one [J]; none before any."""
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
    items: Units = field(default_factory=Units)
    tokens: Units = field(default_factory=Units)
    priced: Sum = field(default_factory=Sum)
    """Energy of the spans that have carbon [J]."""

    def extend(self, spans: AlikeSpans) -> None:
        """Take spans of one workload and region in."""
        self.workload = self.workload or spans.workload
        if spans.region:
            self.regions.add(spans.region)
        self.servers.add(spans.servers)
        self.roots.add(spans.roots)
        self.spans += spans.count
        self.methods |= spans.methods
        self.energy.extend(spans.energy)
        self.low.extend(spans.low)
        self.high.extend(spans.high)
        self.with_carbon += len(spans.carbon)
        self.carbon.extend(spans.carbon)
        self.priced.extend(spans.priced)
        self.cost.extend(spans.cost)

    def carried(self, name: str, amounts: Sequence[float]) -> None:
        """Take in what some of these spans carry besides [J, g]."""
        match name:
            case names.CARBON_EMBODIED:
                self.with_embodied += len(amounts)
                self.embodied.extend(amounts)
            case names.NETWORK_LOW:
                self.network_low.extend(amounts)
            case names.NETWORK_HIGH:
                self.network_high.extend(amounts)
            case _:
                pass

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
