"""A board whose truth is known, on a clock that a test owns: the experiments are tried on it where there is no device."""

from __future__ import annotations

import math
from collections import deque

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.units import NS_PER_S, Joules, Seconds, Watts

REST_W = 80.0
EXTRA_W = {"arithmetic": 400.0, "waiting": 160.0}
"""Power above rest of each kernel."""
STEP_NS = 100_000_000
BATCH_S = 0.005
FIXED_J, EACH_J = 0.5, 0.02
"""Energy above rest of one batch, and of each request in it."""


class SyntheticBoard:
    """Meter, board, sensors and clock in one: a counter of whole millijoules that steps every 100 ms."""

    def __init__(self) -> None:
        self.now, self.busy_until, self.extra = 0, 0, 0.0
        self.energy = self.shown = 0.0
        self.past: deque[tuple[int, float]] = deque([(0, 0.0)])
        self.info = MeterInfo(
            name="nvml",
            device="GPU-synthetic",
            device_kind="gpu",
            method=Method.MEASURED,
            boundary=Boundary.CHIP,
            uncertainty=0.05,
            rated_power=Watts(700.0),
            update_period=Seconds(0.1),
        )

    def now_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self._pass(self.now + round(seconds * NS_PER_S))

    def _pass(self, until: int) -> None:
        while self.now < until:
            change = self.busy_until if self.now < self.busy_until else until
            to = min(until, change, (self.now // STEP_NS + 1) * STEP_NS)
            self.energy += self.instant_w() * (to - self.now) / NS_PER_S
            self.now = to
            if to % STEP_NS == 0:
                self.shown = self.energy
        self.past.append((self.now, self.energy))
        while len(self.past) > 1 and self.past[1][0] <= self.now - NS_PER_S:
            self.past.popleft()

    def read(self) -> EnergyReading:
        return EnergyReading(self.info.device, self.now, Joules(math.floor(self.shown * 1e3) / 1e3))

    def close(self) -> None: ...

    def begin(self, name: str, seconds: float) -> None:
        self.extra, self.busy_until = EXTRA_W[name], self.now + round(seconds * NS_PER_S)

    def wait(self) -> None:
        self._pass(self.busy_until)

    def busy(self, name: str, seconds: float) -> None:
        self.begin(name, seconds)
        self.wait()

    def batch(self, size: int) -> None:
        self.extra = (FIXED_J + EACH_J * size) / BATCH_S
        self.busy_until = self.now + round(BATCH_S * NS_PER_S)
        self.wait()

    def instant_w(self) -> float:
        return REST_W + (self.extra if self.now < self.busy_until else 0.0)

    def average_w(self) -> float:
        at, energy = self.past[0]
        return (self.energy - energy) / max(1, self.now - at) * NS_PER_S

    def temperature_c(self) -> float:
        return 40.0
