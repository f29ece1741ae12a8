"""Energy meters in tests: a virtual counter that steps, wraps, resets and fails when told, and the port's suite."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.errors import AdapterUnavailable
from greenops.units import NS_PER_S, Joules, Seconds, Watts

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter


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


KINDS = {"cpu", "gpu", "memory", "host"}
SLOWEST_S = 60.0
"""A meter that steps more seldom tells nothing of spans [s]."""


def check_energy_meter(meter: EnergyMeter) -> None:
    """Hold a meter to the port, then close it; raises `AssertionError` with the broken promise.

    It may be a counter that stands still, but must be readable twice.
    """
    info = meter.info
    _check_info(info)
    first, second = meter.read(), meter.read()
    _promise(isinstance(first.at_ns, int), "a reading's time is in whole nanoseconds")
    _promise(first.device == second.device == info.device, "a reading is of the meter's device")
    _promise(second.at_ns >= first.at_ns, "time does not run back")
    _promise(0 <= first.joules < math.inf, "a counter shows a finite energy")
    _promise(second.joules >= first.joules or info.wrap is not None, "a counter does not fall")
    _promise(info.wrap is None or second.joules <= info.wrap, "a counter wraps where it says")
    _promise(meter.info == info, "what a meter is does not change")
    meter.close()
    meter.close()
    try:
        meter.read()
    except AdapterUnavailable as error:
        _promise(error.code.startswith("GO"), "an error has a code")


def _check_info(info: MeterInfo) -> None:
    _promise(info.name != "" and info.device != "", "source and device have names")
    _promise(info.device_kind in KINDS, f"a device is one of {sorted(KINDS)}")
    is_host = info.device_kind == "host"
    _promise(
        is_host == (info.boundary is Boundary.NODE), "a whole machine is a node, a part a chip"
    )
    _promise(0 < info.uncertainty < 1, "a range is given, relative to the value")
    _promise(0 <= info.update_period <= SLOWEST_S, "a counter steps at least once a minute")
    _promise(info.rated_power is None or info.rated_power > 0, "rated power is a power")
    rest, rated = info.idle_power, info.rated_power or math.inf
    _promise(rest is None or 0 <= rest <= rated, "idle power lies below rated power")


def _promise(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
