"""NVIDIA devices: the total-energy counter of NVML, in millijoules since the driver was loaded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import NS_PER_S, Joules, Seconds, Watts

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

UNCERTAINTY: Final = 0.05
"""Relative 90 % half width. Source: NVML documentation, +-5 % of the board's power reading."""
UPDATE_PERIOD: Final = Seconds(0.1)
"""Time between two steps of the energy counter. Source: Zeus, `monitor/energy.py`: about every 100 ms."""
USERS_EVERY_NS: Final = NS_PER_S
"""Time between two lists of the processes on a board [ns]."""
HOST_PIDS: Final = 0xEFFFFFFC
"""Inode of the kernel's first namespace of process ids. Source: Linux, include/linux/proc_ns.h."""
MODULE: Final = "GH200"
"""Part of a name whose counter is of the module. Source: Zeus, pull request 172: Grace Hopper's counts processor and memory too."""
OF_MODULE: Final = "counts the whole module, with its processor and memory"
LINKED: Final = (
    "linked to a processor (C2C), whose energy the counter may hold too: NVML does not say"
)
PARTITIONED: Final = (
    "MIG is on: counts the whole board, whose instances share it as its processes do"
)


def _sees_host_pids() -> bool:
    """In a container process ids are not those that the driver tells."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino == HOST_PIDS
    except OSError:
        return False


class NvmlMeter:
    """One board. Stability: beta.

    Args:
        library: The `pynvml` module, initialised.
        handle: NVML's handle of the device.
        host_pids: True where this process's id is the one that the driver knows; none asks the kernel.
    """

    def __init__(self, library: Any, handle: Any, host_pids: bool | None = None) -> None:
        self._library, self._handle = library, handle
        self._host_pids = _sees_host_pids() if host_pids is None else host_pids
        self._known_users: Mapping[int, float | None] | None = None
        self._ask_users_ns = self._sampled_us = 0
        self._open = True
        is_module = MODULE in _text(library.nvmlDeviceGetName(handle))
        self._info = MeterInfo(
            name="nvml",
            device=_text(library.nvmlDeviceGetUUID(handle)),
            device_kind="gpu",
            method=Method.MEASURED,
            boundary=Boundary.MODULE if is_module else Boundary.CHIP,
            uncertainty=UNCERTAINTY,
            rated_power=self._rated(),
            update_period=UPDATE_PERIOD,
            note=self._note(is_module=is_module),
        )
        self.read()

    def _note(self, *, is_module: bool) -> str | None:
        notes = [OF_MODULE] if is_module else [LINKED] if self._is_linked() else []
        if self._is_partitioned():
            notes.append(PARTITIONED)
        return "; ".join(notes) or None

    def _is_linked(self) -> bool:
        try:
            return bool(self._library.nvmlDeviceGetC2cModeInfoV(self._handle).isC2cEnabled)
        except (self._library.NVMLError, AttributeError):
            return False

    def _is_partitioned(self) -> bool:
        try:
            return bool(self._library.nvmlDeviceGetMigMode(self._handle)[0])
        except (self._library.NVMLError, AttributeError):
            return False

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
        now = time.monotonic_ns()
        return EnergyReading(self._info.device, now, Joules(millijoules / 1000), self._users(now))

    def _users(self, now: int) -> Mapping[int, float | None] | None:
        # The driver takes longer to list processes than to read a counter, and they seldom change.
        if self._host_pids and now >= self._ask_users_ns:
            self._ask_users_ns = now + USERS_EVERY_NS
            self._known_users = self._ask_users()
        return self._known_users

    def _ask_users(self) -> Mapping[int, float | None] | None:
        library, handle = self._library, self._handle
        try:
            running = [each.pid for each in library.nvmlDeviceGetComputeRunningProcesses(handle)]
        except (library.NVMLError, AttributeError):
            return None
        try:
            samples = library.nvmlDeviceGetProcessUtilization(handle, self._sampled_us)
        except (library.NVMLError, AttributeError):
            # Not known on this board, or nothing ran since the last time.
            samples = []
        sums: dict[int, list[int]] = {}
        for each in samples:
            self._sampled_us = max(self._sampled_us, each.timeStamp)
            sums.setdefault(each.pid, []).append(each.smUtil)
        return {
            pid: sum(sums[pid]) / len(sums[pid]) / 100 if pid in sums else None for pid in running
        }

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
