"""The meter thread: looks at meters and clocks ten times a second and keeps the books."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import get_ident
from time import monotonic_ns, thread_time_ns
from typing import TYPE_CHECKING, Final

from greenops.domain.energy import Category, EnergyReading, MeterInfo, Unknown
from greenops.errors import GreenOpsError
from greenops.observe.attribution import Attribution, Finished, Rate, Tick, flat
from greenops.observe.device import joules
from greenops.observe.host import Host
from greenops.units import Joules

if TYPE_CHECKING:
    from greenops.ports import Clock, EnergyMeter

INTERVAL_S: Final = 0.1
"""Time between two looks [s]; RAPL and NVML give no more than this is worth."""
KEPT: Final = 8_192
"""Results kept for exporters; the oldest goes. Four full queues of the SDK's batch processor."""
PERIOD_S: Final = 300
"""Simulated time whose energy is priced with one carbon intensity [s]; grids publish 5 min at best."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """Cumulative energy of one device [J]; `residual` is what the parts leave of `measured` [1].

    `refused` counts readings that were faults of the meter, by kind.
    """

    info: MeterInfo
    parts: Mapping[Category, Joules]
    measured: Joules
    residual: float
    refused: Mapping[str, int]


class Observer:
    """Spans and meters of one process. Never raises into the traced program. Stability: beta.

    Args:
        meters: Opens the meters; called again in a forked child.
        clock: Simulated time.
        interval_s: Time between two looks [s].
        rate: Relative power of operations.
        host: CPU clocks; opened again in a forked child.
    """

    def __init__(
        self,
        meters: Callable[[], Sequence[EnergyMeter]],
        *,
        clock: Clock,
        interval_s: float = INTERVAL_S,
        rate: Rate = flat,
        host: Callable[[], Host] = Host,
    ) -> None:
        self._open_meters, self._clock, self._rate = meters, clock, rate
        self._interval_s, self._open_host = interval_s, host
        self._running = False
        self._blind: Unknown | None = None
        self._begin()
        weak = weakref.WeakMethod(self._after_fork)
        os.register_at_fork(after_in_child=lambda: (again := weak()) and again())

    def _begin(self) -> None:
        # Re-entrant: a finaliser may end a span while the same thread starts one.
        self._lock = threading.RLock()
        self._tick_lock = threading.Lock()
        self._stop = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._results: OrderedDict[int, Finished] = OrderedDict()
        self._failing: set[str] = set()
        self._doubted: set[str] = set()
        self._unknown: dict[str, int] = {}
        self._host = self._open_host()
        try:
            self._meters = list(self._open_meters())
        except GreenOpsError as error:
            _log.warning("%s", error)
            self._meters = []
        self._books = Attribution((meter.info for meter in self._meters), self._rate)
        self.tick()

    def _after_fork(self) -> None:
        running = self._running
        self._running = False
        self._begin()
        if running:
            self.run()

    @property
    def meters(self) -> Sequence[MeterInfo]:
        """What is measured."""
        return [meter.info for meter in self._meters]

    def run(self) -> None:
        """Start the meter thread; twice is once."""
        if self._running or self._closed:
            return
        self._running = True
        self._thread = threading.Thread(target=self._loop, name="greenops-meter", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        stop = self._stop
        while not stop.wait(self._interval_s):
            try:
                self.tick()
            except Exception:  # noqa: BLE001 - a meter thread that dies would blind the process
                _log.warning("GO0702 a look at the energy meters failed", exc_info=True)

    def span_started(self, key: int, name: str, parent: int | None) -> None:
        """A span starts on the calling thread."""
        thread = get_ident()
        with self._lock:
            if self._closed:
                return
            books = self._books
            if thread not in books.threads:
                self._host.know(thread)
            books.start(key, name, parent, thread, thread_time_ns(), monotonic_ns())

    def span_ended(self, key: int, keep: bool) -> None:
        """A span ends, on whatever thread."""
        with self._lock:
            books = self._books
            span = books.open.get(key)
            if span is None:
                return
            ident = span.thread.ident
            cpu_ns = thread_time_ns() if ident == get_ident() else self._host.thread_ns(ident)
            books.end(key, cpu_ns, monotonic_ns(), keep)

    def tick(self) -> None:
        """Look once, now."""
        with self._tick_lock:
            if self._closed:
                return
            readings = {meter.info.device: self._read(meter) for meter in self._meters}
            period = int(self._clock.now().timestamp()) // PERIOD_S
            with self._lock:
                clocks = self._host.read()
                finished = self._books.tick(
                    Tick(
                        at_ns=monotonic_ns(),
                        period=period,
                        readings=readings,
                        host_ns=clocks.host_ns,
                        process_ns=clocks.process_ns,
                        threads=clocks.threads,
                        overhead=clocks.overhead,
                        native=clocks.native,
                    )
                )
                for each in finished:
                    self._results[each.key] = each
                while len(self._results) > KEPT:
                    self._results.popitem(last=False)
            self._tell_refused()

    def _tell_refused(self) -> None:
        for device, account in self._books.devices.items():
            if device not in self._doubted and any(account.refused.values()):
                self._doubted.add(device)
                _log.warning(
                    "GO0706 energy meter `%s` gave a reading that cannot be energy", device
                )

    def _read(self, meter: EnergyMeter) -> EnergyReading | None:
        device = meter.info.device
        try:
            reading = meter.read()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            if device not in self._failing:
                self._failing.add(device)
                _log.warning("GO0702 energy meter `%s` cannot be read: %s", device, error)
            return None
        self._failing.discard(device)
        return reading

    def settle(self, keys: Sequence[int]) -> None:
        """Take one more look if a span among `keys` ended after the last one."""
        if any(key not in self._results for key in keys) and self._books.pending(keys):
            self.tick()

    def take(self, key: int) -> Finished:
        """The result of a span, once; what was never seen here is unknown, with its reason."""
        with self._lock:
            found = self._results.get(key)
        if found is None:
            reason = self._blind or (Unknown.NOT_OBSERVED if self._meters else Unknown.NO_METER)
            found = Finished(key, None, reason, 0, {})
        if found.unknown is not None:
            self.count_unknown(found.unknown)
        return found

    def blind(self, reason: Unknown) -> None:
        """Say why no span can be seen here."""
        self._blind = reason

    def unknowns(self) -> list[tuple[str, int]]:
        """How many spans lack a number, by reason."""
        with self._lock:
            return list(self._unknown.items())

    def count_unknown(self, reason: str) -> None:
        """Count a span that lacks a number."""
        with self._lock:
            self._unknown[reason] = self._unknown.get(reason, 0) + 1

    def accounts(self) -> list[Account]:
        """Where the energy of each device went so far."""
        with self._lock:
            return [
                Account(
                    info=each.info,
                    parts={category: joules(q) for category, q in each.parts.items()},
                    measured=joules(each.measured),
                    residual=each.residual / each.measured if each.measured else 0.0,
                    refused=each.refused,
                )
                for each in self._books.devices.values()
            ]

    def close(self) -> None:
        """One last look; what is still open becomes unattributed; meters are let go. Twice is once."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=1.0)
        try:
            self.tick()
        finally:
            with self._tick_lock, self._lock:
                if not self._closed:
                    self._closed, self._running = True, False
                    self._books.close()
                    self._host.close()
                    for meter in self._meters:
                        meter.close()
