"""A meter that is slow to answer or steps seldom: asked in a thread of its own, paid out evenly."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from greenops.domain.energy import EnergyReading, MeterInfo
from greenops.domain.power import LARGEST_NODE, EvenCounter
from greenops.errors import AdapterUnavailable
from greenops.units import NS_PER_S, Seconds

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

SELDOM: Final = Seconds(0.5)
"""A meter that steps no more often than this is asked in a thread of its own [s]."""
LEAST: Final = Seconds(1.0)
"""Time between two questions at least [s], and until the counter is first seen to step."""
PART: Final = 0.4
"""Time between two questions over that between two steps: more than two to a step, so that none is seen a step late."""
PATIENCE: Final = Seconds(10.0)
"""How long an answer may take before the meter counts as failed [s]; the network adapters give up sooner."""

_log = logging.getLogger(__name__)


class PolledMeter:
    """Never waits: gives what the last answer brought, spread over the time until the next. Thread-safe.

    Args:
        meter: Whom to ask; its first answer is waited for here, and it is closed by the thread that asks.
        period_s: Time between two questions [s]; none goes by the meter's own steps.
        monotonic_ns: Monotonic clock.

    Raises:
        AdapterUnavailable: The first answer does not come.
    """

    def __init__(
        self,
        meter: EnergyMeter,
        *,
        period_s: float | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._meter, self._now = meter, monotonic_ns
        self._info = meter.info
        period = max(LEAST, PART * self._info.update_period)
        self._period_s = period if period_s is None else period_s
        self._first_s = LEAST if period_s is None else period_s
        self._counter = EvenCounter(self._info.rated_power or LARGEST_NODE)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failure: str | None = None
        if not self.ask():
            meter.close()
            raise self._unavailable()
        name = f"greenops-meter-{self._info.device}"
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    @property
    def info(self) -> MeterInfo:
        """What the meter is."""
        return self._info

    def _loop(self) -> None:
        while not self._stop.wait(self._pause_s()):
            self.ask()
        try:
            self._meter.close()
        except Exception:  # noqa: BLE001 - a driver may raise anything
            _log.warning(
                "GO0702 energy meter `%s` cannot be closed", self._info.device, exc_info=True
            )

    def _pause_s(self) -> float:
        return self._period_s if self._counter.known else self._first_s

    def ask(self) -> bool:
        """Ask the meter once, on the calling thread; false where it has no answer."""
        try:
            reading, failure = self._meter.read(), None
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            reading, failure = None, str(error) or repr(error)
        with self._lock:
            before, self._failure = self._failure, failure
            self._answered = self._now()
            if reading is not None:
                if before is not None:
                    # Spans of the time without answers wait for the energy of all of it.
                    self._counter.catch_up(reading.joules, reading.at_ns)
                self._counter.sample(reading.joules, reading.at_ns)
        return reading is not None

    def read(self) -> EnergyReading:
        """What is paid out by now.

        Raises:
            AdapterUnavailable: The last question had no answer, the one that is due has none in time, or the counter
                was not seen to step since it can be read: one that stands would say that nothing is drawn.
        """
        with self._lock:
            now = self._now()
            if self._failure is None and self._is_late(now):
                self._failure = "no answer in time"
            if self._failure is not None or not self._counter.known:
                raise self._unavailable()
            return EnergyReading(self._info.device, now, self._counter.at(now))

    def _is_late(self, now: int) -> bool:
        return now - self._answered > (self._period_s + PATIENCE) * NS_PER_S

    def _unavailable(self) -> AdapterUnavailable:
        why = self._failure or "waits for the counter's next step"
        return AdapterUnavailable("GO0718", f"energy meter `{self._info.device}`: {why}")

    def close(self) -> None:
        """Ask no more; the thread lets go of the meter when its last answer has come. Twice is once."""
        self._stop.set()
