"""Energy accounts as OpenTelemetry metrics: cumulative joules by category, residual and coverage."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

from greenops.domain.energy import Category
from greenops.observe import attributes as names
from greenops.observe.account import Account
from greenops.observe.observer import Observer

HOST_ID: Final = "host.id"
"""On energy accounts: the machine whose devices were read; containers on it have names of their own."""
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def host_id(boot_id: Path = BOOT_ID) -> str:
    """The kernel's random id since its start, the same in all containers on it; else the node's name."""
    try:
        return boot_id.read_text().strip() or platform.node() or "unknown"
    except (OSError, ValueError):
        return platform.node() or "unknown"


_registered: WeakKeyDictionary[MeterProvider, _Books] = WeakKeyDictionary()


def register(provider: MeterProvider, observer: Observer, workload: str | None) -> None:
    """Let a meter provider observe the books whenever it collects; new books go on from those before them."""
    fixed = {names.WORKLOAD: workload} if workload else {}
    books = _registered.get(provider)
    if books is not None:
        books.follow(observer, fixed)
        return
    books = _registered[provider] = _Books(observer, fixed)
    _create(provider.get_meter("greenops"), books)


def _create(meter: Meter, books: _Books) -> None:
    meter.create_observable_counter(
        names.METRIC_ENERGY,
        [books.energy],
        "J",
        "Energy by where it went; parts add up to the meter",
    )
    meter.create_observable_counter(
        names.METRIC_IDLE_TAKEN,
        [books.taken],
        "J",
        "Idle energy that fell to this process; it is in the other counter already",
    )
    meter.create_observable_gauge(
        names.METRIC_RESIDUAL, [books.residual], "1", "What the parts leave of the measured energy"
    )
    meter.create_observable_gauge(
        names.METRIC_COVERAGE, [books.coverage], "1", "Part of this process's energy that spans got"
    )
    meter.create_observable_counter(
        names.METRIC_UNKNOWN, [books.unknown], "{span}", "Spans that lack a number, by reason"
    )
    meter.create_observable_counter(
        names.METRIC_REFUSED,
        [books.refused],
        "{reading}",
        "Readings refused as faults of the meter",
    )


class _Books:
    """Callbacks of the instruments; `fixed` goes on every data point."""

    def __init__(self, observer: Observer, fixed: dict[str, str]) -> None:
        self._observer, self._fixed = observer, fixed
        self._host = {names.HOST_NAME: platform.node() or "unknown", HOST_ID: host_id()}
        self._before: list[Observer] = []

    def follow(self, observer: Observer, fixed: dict[str, str]) -> None:
        """Add the books of an observer that begins after the others ended: counters never fall."""
        self._before.append(self._observer)
        self._observer, self._fixed = observer, fixed

    def _accounts(self) -> list[Account]:
        merged: dict[str, Account] = {}
        for observer in [*self._before, self._observer]:
            for each in observer.accounts():
                earlier = merged.get(each.info.device)
                merged[each.info.device] = each if earlier is None else each.after(earlier)
        return list(merged.values())

    def energy(self, _: CallbackOptions) -> Iterable[Observation]:
        for account in self._accounts():
            # Method and source stay on the data point: who reads an account has no span to ask.
            more = {
                **self._labels(account),
                names.ENERGY_METHOD: str(account.info.method),
                names.ENERGY_SOURCE: account.info.name,
            }
            for category, joules in account.parts.items():
                yield Observation(joules, {**more, names.ENERGY_CATEGORY: str(category)})

    def taken(self, _: CallbackOptions) -> Iterable[Observation]:
        for each in self._accounts():
            # Who takes none says nothing, as earlier versions do.
            if each.taken:
                yield Observation(each.taken, self._labels(each))

    def residual(self, _: CallbackOptions) -> Iterable[Observation]:
        for each in self._accounts():
            yield Observation(each.residual, self._labels(each))

    def coverage(self, _: CallbackOptions) -> Iterable[Observation]:
        for each in self._accounts():
            given = each.parts[Category.ATTRIBUTED]
            whole = given + each.parts[Category.UNATTRIBUTED]
            if whole > 0:
                yield Observation(given / whole, self._labels(each))

    def unknown(self, _: CallbackOptions) -> Iterable[Observation]:
        counts: Counter[str] = Counter()
        for observer in [*self._before, self._observer]:
            counts.update(dict(observer.unknowns()))
        for reason, count in counts.items():
            yield Observation(count, {names.REASON: reason, **self._fixed})

    def refused(self, _: CallbackOptions) -> Iterable[Observation]:
        for each in self._accounts():
            for fault, count in each.refused.items():
                yield Observation(count, {names.FAULT: fault, **self._labels(each)})

    def _labels(self, account: Account) -> dict[str, str]:
        info = account.info
        return {
            names.DEVICE: info.device,
            names.HW_TYPE: info.device_kind,
            **self._host,
            **self._fixed,
        }
