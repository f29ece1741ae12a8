"""Fakes of energy meters: virtual counters that step, wrap, reset and fail when told."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.errors import AdapterUnavailable
from greenops.units import NS_PER_S, Joules, Seconds, Watts


class SyntheticMeter:
    """A counter that draws idle power, and watts by operation for the CPU time a test tells it.

    Args:
        idle: Power with nothing running [W].
        watts: Power of one busy core by operation [W].
        quantum: Step of the counter [J]: 61e-6 as RAPL, 1e-3 as NVML.
        wrap: Value at which it returns to zero [J].
        rated: Largest plausible power [W].
        update_s: Time between two steps of the counter [s]; zero steps whenever it is read.
        monotonic_ns: Monotonic clock.
    """

    def __init__(
        self,
        *,
        idle: float = 0.0,
        watts: Mapping[str, float] | None = None,
        quantum: float = 61e-6,
        wrap: float | None = None,
        rated: float | None = None,
        update_s: float = 0.0,
        device: str = "package-0",
        device_kind: str = "cpu",
        uncertainty: float = 0.05,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._watts, self._quantum, self._now = dict(watts or {}), quantum, monotonic_ns
        self._lock = threading.Lock()
        self._started = monotonic_ns()
        self._worked = 0.0
        self._zero = 0.0
        self._update_ns = int(update_s * NS_PER_S)
        self._stepped = (0, 0.0)
        self.fails = False
        self.hangs: threading.Event | None = None
        """Set by a test: a reading waits for it, as for a driver that does not answer."""
        self.closed = False
        self.truth: dict[str, float] = {}
        self._info = MeterInfo(
            name="rapl",
            device=device,
            device_kind=device_kind,
            method=Method.MEASURED,
            boundary=Boundary.CHIP,
            uncertainty=uncertainty,
            wrap=None if wrap is None else Joules(wrap),
            rated_power=None if rated is None else Watts(rated),
            idle_power=Watts(idle),
            update_period=Seconds(update_s),
        )

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def work(self, operation: str, cpu_s: float) -> None:
        """An operation ran on one core for `cpu_s` seconds."""
        joules = self._watts[operation] * cpu_s
        with self._lock:
            self._worked += joules
            self.truth[operation] = self.truth.get(operation, 0.0) + joules

    def reset(self) -> None:
        """Return to zero without a lap, as a reloaded driver does."""
        with self._lock:
            self._zero = self._drawn(self._now())

    def read(self) -> EnergyReading:
        """Read the counter now.

        Raises:
            AdapterUnavailable: The test said so.
        """
        if self.hangs is not None:
            self.hangs.wait()
        if self.fails:
            raise AdapterUnavailable("GO0710", "the synthetic meter was told to fail")
        with self._lock:
            now = self._now()
            joules = self._counted(now) - self._zero
        joules = math.floor(joules / self._quantum) * self._quantum
        if self._info.wrap is not None:
            joules %= self._info.wrap
        return EnergyReading(self._info.device, now, Joules(joules))

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def _counted(self, now: int) -> float:
        if not self._update_ns:
            return self._drawn(now)
        step = (now - self._started) // self._update_ns
        if step > self._stepped[0]:
            self._stepped = (step, self._drawn(self._started + step * self._update_ns))
        return self._stepped[1]

    def _drawn(self, now: int) -> float:
        idle = self._info.idle_power or 0.0
        return idle * (now - self._started) / NS_PER_S + self._worked
