"""NVIDIA devices: the total-energy counter of NVML, in millijoules since the driver was loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import Joules, Seconds, Watts

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

UNCERTAINTY: Final = 0.05
"""Relative 90 % half width. Source: NVML documentation, +-5 % of the board's power reading."""
UPDATE_PERIOD: Final = Seconds(0.1)
"""Time between two steps of the energy counter. Source: Zeus, `monitor/energy.py`: about every 100 ms."""


class NvmlMeter:
    """One board. Stability: beta.

    Args:
        library: The `pynvml` module, initialised.
        handle: NVML's handle of the device.
    """

    def __init__(self, library: Any, handle: Any) -> None:
        self._library, self._handle = library, handle
        self._open = True
        self._info = MeterInfo(
            name="nvml",
            device=_text(library.nvmlDeviceGetUUID(handle)),
            device_kind="gpu",
            method=Method.MEASURED,
            boundary=Boundary.CHIP,
            uncertainty=UNCERTAINTY,
            rated_power=self._rated(),
            update_period=UPDATE_PERIOD,
        )
        self.read()

    def _rated(self) -> Watts | None:
        try:
            limits = self._library.nvmlDeviceGetPowerManagementLimitConstraints(self._handle)
        except self._library.NVMLError:
            return None
        return Watts(limits[1] / 1000)

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def read(self) -> EnergyReading:
        """Read the counter now; it steps about every 100 ms.

        Raises:
            AdapterUnavailable: The driver does not answer.
        """
        try:
            millijoules = self._library.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        except self._library.NVMLError as error:
            raise AdapterUnavailable(
                "GO0710", f"nvml device `{self._info.device}` cannot be read: {error}"
            ) from error
        return EnergyReading(self._info.device, time.monotonic_ns(), Joules(millijoules / 1000))

    def close(self) -> None:
        """Give the library's reference back; twice is once."""
        if self._open:
            self._open = False
            self._library.nvmlShutdown()


def discover(library: Any = None) -> Sequence[EnergyMeter]:
    """Every board with a total-energy counter.

    Raises:
        AdapterUnsupported: There is no driver, or no such board.
    """
    if library is None:
        library = import_module("pynvml")
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        raise AdapterUnsupported(
            "GO0710",
            f"no NVIDIA driver: {error}",
            fix="install NVIDIA's driver where there is a board",
        ) from error
    found: list[EnergyMeter] = []
    try:
        for index in range(library.nvmlDeviceGetCount()):
            meter = _meter(library, index)
            if meter is not None:
                found.append(meter)
    except library.NVMLError:
        pass
    # NVML counts initialisations: one for each meter that will shut down, none left over.
    for _ in found:
        library.nvmlInit()
    library.nvmlShutdown()
    if not found:
        raise AdapterUnsupported("GO0710", "no NVIDIA board has an energy counter")
    return found


def _meter(library: Any, index: int) -> NvmlMeter | None:
    try:
        return NvmlMeter(library, library.nvmlDeviceGetHandleByIndex(index))
    except (library.NVMLError, AdapterUnavailable):
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
