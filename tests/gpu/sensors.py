"""What NVML tells of a board beside its energy counter."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


class NvmlSensors:
    """One board by its identity; the meter of it holds the library open."""

    def __init__(self, uuid: str) -> None:
        self.driver: Any = import_module("pynvml")
        self.handle = self.driver.nvmlDeviceGetHandleByUUID(uuid)

    def described(self) -> str:
        """Product and driver."""
        name = self.driver.nvmlDeviceGetName(self.handle)
        return f"{_text(name)}, driver {_text(self.driver.nvmlSystemGetDriverVersion())}"

    def average_w(self) -> float | None:
        """Power as the driver averages it, over a second on Ampere and later [W]."""
        return self._asked(lambda: self.driver.nvmlDeviceGetPowerUsage(self.handle) / 1000)

    def instant_w(self) -> float | None:
        """Power of the driver's last sample [W]."""
        return self._asked(self._instant)

    def _instant(self) -> float | None:
        field = self.driver.NVML_FI_DEV_POWER_INSTANT
        (found,) = self.driver.nvmlDeviceGetFieldValues(self.handle, [field])
        return found.value.uiVal / 1000 if found.nvmlReturn == 0 else None

    def temperature_c(self) -> float | None:
        """Of the chip [C]."""
        kind = self.driver.NVML_TEMPERATURE_GPU
        return self._asked(lambda: self.driver.nvmlDeviceGetTemperature(self.handle, kind))

    def _asked(self, question: Callable[[], float | None]) -> float | None:
        try:
            return question()
        except self.driver.NVMLError:
            return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
