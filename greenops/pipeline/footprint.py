"""What the lake's rows add up to: by service, by category, and whether it all adds up."""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from greenops.domain.console import ServiceFootprint
from greenops.domain.energy import Category
from greenops.domain.footprint import CacheSavings, Fleet, RemoteEnergy, TokenCurve
from greenops.domain.spans import EnergyAccount, SpanRow
from greenops.pipeline.alike_spans import SERVER, alike_spans
from greenops.pipeline.carried_spans import EXTRAS, Carried
from greenops.pipeline.concurrency import Calls
from greenops.pipeline.counters import OWN, Counters, Key
from greenops.pipeline.host_energy import HostDevice
from greenops.pipeline.kin import Kin
from greenops.pipeline.more_counters import CARRIED, MoreCounters, is_energy
from greenops.pipeline.recent_keys import RecentKeys
from greenops.pipeline.sci import Sci
from greenops.pipeline.service_sums import ServiceSums
from greenops.pipeline.span_columns import SpanColumns
from greenops.pipeline.spent import Entrances, carbon_by_category
from greenops.units import Grams, Joules

REMEMBERED_SPANS = 1_000_000
"""Spans whose repetition is noticed [1], half of them at least; a sender repeats within minutes, not after a million."""
REMEMBERED_RUNS = 10_000
"""Spans of decided runs that wait for their outcome [1]."""


class Footprint:
    """Sums over rows as they come; the same rows in any order give the same sums."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: defaultdict[str, ServiceSums] = defaultdict(ServiceSums)
        self._entrances = Entrances()
        self._kin = Kin()
        self._calls = Calls()
        self._services_on: defaultdict[str, set[str]] = defaultdict(set)
        self._hosts: defaultdict[tuple[str, str], HostDevice] = defaultdict(HostDevice)
        self._counters, self._more = Counters(), MoreCounters()
        self._seen = RecentKeys(REMEMBERED_SPANS)
        self._decided: deque[SpanRow] = deque(maxlen=REMEMBERED_RUNS)
        self._spans = self._with_energy = 0
        self.before_reading: Callable[[], None] = _nothing
        """Called before a sum is read: whoever holds spans back sums them then."""

    def add(self, spans: Iterable[SpanRow], accounts: Iterable[EnergyAccount]) -> list[SpanRow]:
        """Take rows in; gives the spans that were not seen before."""
        rows = list(spans)
        with self._lock:
            new = self._add(SpanColumns.of_rows(rows)) if rows else ()
            for account in accounts:
                # Without a host's name each process counts as a host of its own.
                host = account.host or account.instance
                self._hosts[host, account.device].take(account)
                self._services_on[host].add(account.service)
        return [row for row, is_new in zip(rows, new, strict=True) if is_new]

    def add_columns(self, spans: SpanColumns) -> SpanColumns:
        """Take spans in; gives those that were not seen before."""
        with self._lock:
            return spans.where(self._add(spans))

    def _add(self, spans: SpanColumns) -> Any:
        """Which spans are new; their sums."""
        new = self._seen.first(spans.keys)
        if new.any():
            fresh = spans.where(new)
            # What looks up and down a trace takes spans in the order they came.
            self._kin.add(fresh)
            self._sum(fresh)
            self._carried(fresh)
        return new

    def _sum(self, spans: SpanColumns) -> None:
        self._spans += len(spans)
        self._with_energy += len(spans) - int(spans.absent("energy_j").sum())
        decided = np.flatnonzero(~spans.absent("decision_id")).tolist()
        self._decided.extend(spans.rows(decided))
        self._entrances.requests += int((spans.roots() & spans.is_word("kind", SERVER)).sum())
        for alike in alike_spans(spans):
            self._services[alike.service].extend(alike)
            self._more.extend(alike)

    def _carried(self, spans: SpanColumns) -> None:
        if EXTRAS.isdisjoint(spans.attributes.names):
            return
        carried = Carried(spans)
        for name in CARRIED:
            for (service, workload), amounts in carried.amounts(name):
                self._services[service].carried(name, amounts)
                self._more.carried(workload, name, amounts)
        for service, told, energy in carried.items():
            self._services[service].items.add(told, energy)
        for service, told, energy in carried.tokens():
            self._services[service].tokens.add(told, energy)
        for pool, instance, call in carried.calls():
            self._calls.add(pool, instance, call)
        self._entrances.carried(carried.users())

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self.before_reading()
        with self._lock:
            yield

    @property
    def spans(self) -> int:
        """How many there were."""
        with self._reading():
            return self._spans

    @property
    def spans_with_energy(self) -> int:
        """How many have energy."""
        with self._reading():
            return self._with_energy

    @property
    def spans_unknown(self) -> int:
        """How many say why they have none."""
        with self._reading():
            return self._spans - self._with_energy

    def decided_spans(self) -> list[SpanRow]:
        """Spans of runs that a decision placed."""
        with self._reading():
            return list(self._decided)

    def services(self) -> tuple[ServiceFootprint, ...]:
        """Each service so far, by name."""
        with self._reading():
            return tuple(self._services[name].footprint(name) for name in sorted(self._services))

    def scores(self) -> dict[tuple[str, str | None], Sci]:
        """Service and workload → its score per request, where one is known."""
        with self._reading():
            found = {(n, each.workload): each.score() for n, each in self._services.items()}
        return {key: score for key, score in found.items() if score is not None}

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
        with self._reading():
            return {key: Joules(joules) for key, joules in self._counters.show(exact).items()}

    def more_counters(self) -> dict[Key, float]:
        """(Workload, name) → what rows carry beside metered energy [J, g]; `more_counters.series` reads the name.

        No value is ever lower than it was.
        """
        carbon = self.carbon()
        with self._reading():
            return self._more.show(self._kin.remote, carbon)

    def counters(self) -> dict[Key, float]:
        """All that must go on after a start."""
        return {**self.energy_by_workload(), **self.more_counters()}

    def resume(self, shown: Mapping[Key, float]) -> None:
        """Go on from what `counters` last gave before a start [J, g]."""
        exact, carbon = self._energy(), self.carbon()
        energy = {key: value for key, value in shown.items() if is_energy(key)}
        more = {key: value for key, value in shown.items() if not is_energy(key)}
        with self._reading():
            self._counters.resume(energy, exact)
            self._more.resume(more, self._kin.remote, carbon)

    def _energy(self) -> dict[Key, float]:
        found: defaultdict[Key, list[float]] = defaultdict(list)
        with self._reading():
            for device in self._hosts.values():
                for key, joules in device.energy():
                    found[key].append(joules)
        return {key: math.fsum(parts) for key, parts in found.items()}

    def carbon(self) -> dict[str, Grams]:
        """Category → emissions of its energy [gCO2e], location-based; absent where they are not known."""
        found: defaultdict[tuple[str, str], float] = defaultdict(float)
        with self._reading():
            for (host, _), device in self._hosts.items():
                for (_, category), joules in device.energy():
                    found[host, category] += joules
            return carbon_by_category(found, self._services_on, self._services)

    def remote(self) -> tuple[RemoteEnergy, ...]:
        """What services drew elsewhere, by service and method."""
        with self._reading():
            return self._kin.remote.services()

    def caches(self) -> tuple[CacheSavings, ...]:
        """What each cache saved."""
        with self._reading():
            return self._kin.caches.caches()

    def curves(self) -> tuple[TokenCurve, ...]:
        """Energy per token by concurrency, of each pool that tells."""
        with self._reading():
            return self._calls.curves()

    def fleet(self) -> Fleet:
        """All of it against users and requests."""
        energy, carbon = self.energy(), self.carbon()
        with self._reading():
            return self._entrances.fleet(energy, carbon)

    def attributed_share(self) -> float | None:
        """Attributed over dynamic energy of the reporting processes; none before any."""
        energy = self.energy()
        dynamic = sum(energy.get(category, 0.0) for category in OWN)
        return energy.get(Category.ATTRIBUTED, 0.0) / dynamic if dynamic else None

    def residual(self) -> float | None:
        """|attributed as accounted - energy on spans| over all accounted energy; none before any.

        Zero once every span has arrived; spans on their way show as a residual until then. Spans of services
        that report no account are no part of it: their energy is estimated, and no meter of ours saw it.
        """
        energy = self.energy()
        accounted = math.fsum(energy.values())
        if not accounted:
            return None
        with self._reading():
            metered = set().union(*self._services_on.values())
        own = (each.energy_j for each in self.services() if each.service in metered)
        on_spans = math.fsum(joules or 0.0 for joules in own)
        return abs(energy.get(Category.ATTRIBUTED, 0.0) - on_spans) / accounted


def _nothing() -> None:
    """Nobody holds spans back."""
