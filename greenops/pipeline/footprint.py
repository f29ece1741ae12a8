"""What the lake's rows add up to: by service, by category, and whether it all adds up."""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from greenops.domain.console import ServiceFootprint
from greenops.domain.energy import Category, Method
from greenops.domain.spans import EnergyAccount, SpanRow
from greenops.pipeline.host_energy import OWN, Counters, HostDevice, Key
from greenops.units import Grams, Joules, Usd

SERVER = "SERVER"
REMEMBERED_SPANS = 1_000_000
"""Spans whose repetition is noticed [1]; a sender repeats within minutes, not after a million."""
REMEMBERED_RUNS = 10_000
"""Spans of decided runs that wait for their outcome [1]."""


@dataclass(slots=True)
class _Sum:
    """A sum of what is known, and whether anything is."""

    parts: list[float] = field(default_factory=list)

    def add(self, value: float | None) -> None:
        if value is not None:
            self.parts.append(value)
            if len(self.parts) > 4096:  # noqa: PLR2004  (fold, so that memory stays bounded)
                self.parts = [math.fsum(self.parts)]

    def value(self) -> float | None:
        return math.fsum(self.parts) if self.parts else None


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
class _Service:
    workload: str | None = None
    regions: set[str] = field(default_factory=set)
    servers: _Requests = field(default_factory=_Requests)
    roots: _Requests = field(default_factory=_Requests)
    spans: int = 0
    energy: _Sum = field(default_factory=_Sum)
    low: _Sum = field(default_factory=_Sum)
    high: _Sum = field(default_factory=_Sum)
    carbon: _Sum = field(default_factory=_Sum)
    cost: _Sum = field(default_factory=_Sum)
    methods: set[str] = field(default_factory=set)


class Footprint:
    """Sums over rows as they come; the same rows in any order give the same sums."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: defaultdict[str, _Service] = defaultdict(_Service)
        self._hosts: defaultdict[tuple[str, str], HostDevice] = defaultdict(HostDevice)
        self._counters = Counters()
        self._seen: dict[int, None] = {}
        self._decided: deque[SpanRow] = deque(maxlen=REMEMBERED_RUNS)
        self.spans = 0
        self.spans_with_energy = 0
        self.spans_unknown = 0

    def add(self, spans: Iterable[SpanRow], accounts: Iterable[EnergyAccount]) -> list[SpanRow]:
        """Take rows in; gives the spans that were not seen before."""
        fresh = []
        with self._lock:
            for row in spans:
                # A number of 64 bits for two texts: a fifth of the memory, and a chance of 3e-8 that
                # two of a million spans are taken for one.
                key = hash((row.trace_id, row.span_id))
                if key not in self._seen:
                    self._seen[key] = None
                    if len(self._seen) > REMEMBERED_SPANS:
                        del self._seen[next(iter(self._seen))]
                    self._span(row)
                    fresh.append(row)
            for account in accounts:
                # Without a host's name each process counts as a host of its own.
                self._hosts[account.host or account.instance, account.device].take(account)
        return fresh

    def _span(self, row: SpanRow) -> None:
        self.spans += 1
        self.spans_with_energy += row.energy_j is not None
        self.spans_unknown += row.energy_j is None
        if row.decision_id is not None:
            self._decided.append(row)
        service = self._services[row.service]
        service.workload = service.workload or row.workload
        service.regions.update([row.region] if row.region else [])
        if row.kind == SERVER:
            service.servers.add(row)
        if row.parent_id is None:
            service.roots.add(row)
        service.spans += 1
        service.methods.update([row.method] if row.method and row.energy_j is not None else [])
        service.energy.add(row.energy_j)
        service.low.add(row.energy_low_j)
        service.high.add(row.energy_high_j)
        service.carbon.add(row.carbon_g)
        service.cost.add(row.cost_usd)

    def decided_spans(self) -> list[SpanRow]:
        """Spans of runs that a decision placed."""
        with self._lock:
            return list(self._decided)

    def services(self) -> tuple[ServiceFootprint, ...]:
        """Each service so far, by name."""
        with self._lock:
            return tuple(_service(name, self._services[name]) for name in sorted(self._services))

    def energy(self) -> dict[str, Joules]:
        """Category → energy [J], over all hosts; the parts add up to what their meters read."""
        found: defaultdict[str, list[float]] = defaultdict(list)
        for (_, category), joules in self._energy().items():
            found[category].append(joules)
        return {category: Joules(math.fsum(parts)) for category, parts in sorted(found.items())}

    def energy_by_workload(self) -> dict[Key, Joules]:
        """(Workload, category) → energy [J]; what belongs to a host and no workload has none.

        No value is ever lower than it was: whoever counts takes a fall for a new beginning.
        """
        exact = self._energy()
        with self._lock:
            return {key: Joules(joules) for key, joules in self._counters.show(exact).items()}

    def resume(self, shown: Mapping[Key, float]) -> None:
        """Go on from what `energy_by_workload` last gave before a start [J]."""
        exact = self._energy()
        with self._lock:
            self._counters.resume(shown, exact)

    def _energy(self) -> dict[Key, float]:
        found: defaultdict[Key, list[float]] = defaultdict(list)
        with self._lock:
            for device in self._hosts.values():
                for key, joules in device.energy():
                    found[key].append(joules)
        return {key: math.fsum(parts) for key, parts in found.items()}

    def attributed_share(self) -> float | None:
        """Attributed over dynamic energy of the reporting processes; none before any."""
        energy = self.energy()
        dynamic = sum(energy.get(category, 0.0) for category in OWN)
        return energy.get(Category.ATTRIBUTED, 0.0) / dynamic if dynamic else None

    def residual(self) -> float | None:
        """|attributed as accounted - energy on spans| over all accounted energy; none before any.

        Zero once every span has arrived; spans on their way show as a residual until then.
        """
        energy = self.energy()
        accounted = math.fsum(energy.values())
        if not accounted:
            return None
        on_spans = math.fsum(each.energy_j or 0.0 for each in self.services())
        return abs(energy.get(Category.ATTRIBUTED, 0.0) - on_spans) / accounted


def _service(name: str, sums: _Service) -> ServiceFootprint:
    requests = sums.servers if sums.servers.count else sums.roots
    energy, carbon, cost = sums.energy.value(), sums.carbon.value(), sums.cost.value()
    low, high = sums.low.value(), sums.high.value()
    return ServiceFootprint(
        service=name,
        workload=sums.workload,
        regions=tuple(sorted(sums.regions)),
        requests=requests.count,
        spans=sums.spans,
        energy_j=None if energy is None else Joules(energy),
        energy_low_j=None if low is None else Joules(low),
        energy_high_j=None if high is None else Joules(high),
        carbon_g=None if carbon is None else Grams(carbon),
        cost_usd=None if cost is None else Usd(cost),
        energy_j_per_request=Joules(energy / requests.energy)
        if energy is not None and requests.energy
        else None,
        carbon_g_per_request=Grams(carbon / requests.carbon)
        if carbon is not None and requests.carbon
        else None,
        method=weakest(list(sums.methods)),
    )


def weakest(methods: Sequence[str]) -> str | None:
    """The least sure of some methods; none of none."""
    order = [each.value for each in Method]
    known = [each for each in methods if each in order]
    return max(known, key=order.index, default=None)
