"""A modeled processor for machines without a meter: watts from utilisation, joules by integration."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.errors import AdapterUnavailable
from greenops.units import NS_PER_S, Joules, Seconds, Watts

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

KNOWN: Final = 0.20
"""Relative 90 % half width where the family is known. Source: p90 error of the shape, 619 SPECpower servers."""
UNKNOWN: Final = 0.36
"""The same where only a typical processor can be assumed."""
UPDATE_PERIOD: Final = Seconds(0.01)
"""Time between two counts of the CPU times [s]: Linux's USER_HZ is 100."""
STANDSTILL_NS: Final = NS_PER_S
"""CPU times that do not move for so long are not kept at all, as in gVisor [ns]."""
UNSEEN_NS: Final = 50_000_000
"""The same before they were ever seen to move: five counts [ns]."""


@dataclass(frozen=True, slots=True)
class CpuPower:
    """Power of one vCPU [W] at rest and at full load; `name` of the family, none where unknown."""

    name: str | None
    idle: Watts
    full: Watts
    shape: tuple[float, ...]

    def power(self, utilisation: float) -> Watts:
        """Power of one vCPU at a utilisation of 0 to 1 [W], between the points of the shape."""
        place = min(max(utilisation, 0.0), 1.0) * (len(self.shape) - 1)
        lower = min(int(place), len(self.shape) - 2)
        part = place - lower
        height = self.shape[lower] * (1 - part) + self.shape[lower + 1] * part
        return Watts(self.idle + (self.full - self.idle) * height)


class CpuModelMeter:
    """All vCPUs of this machine as one counter. Thread-safe. Stability: beta.

    Args:
        power: Power of one vCPU.
        vcpus: How many there are.
        stat: Where Linux keeps CPU times; stolen time counts as neither busy nor ours.
        monotonic_ns: Monotonic clock.
    """

    def __init__(
        self,
        power: CpuPower,
        vcpus: int,
        stat: Path = Path("/proc/stat"),
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._power, self._vcpus, self._now = power, vcpus, monotonic_ns
        self._lock = threading.Lock()
        self._fd: int | None = os.open(stat, os.O_RDONLY | os.O_CLOEXEC)
        self._joules = 0.0
        self._at = monotonic_ns()
        self._busy, self._whole = self._times()
        self._moved = False
        self._info = MeterInfo(
            name="spec_model" if power.name else "tdp_model",
            device="cpu",
            device_kind="cpu",
            method=Method.MODELED,
            boundary=Boundary.CHIP,
            uncertainty=KNOWN if power.name else UNKNOWN,
            rated_power=Watts(power.full * vcpus),
            idle_power=Watts(power.idle * vcpus),
            update_period=UPDATE_PERIOD,
        )

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def read(self) -> EnergyReading:
        """Add the energy up to the last count of the kernel, then give the sum; it steps as the kernel counts.

        Raises:
            AdapterUnavailable: The CPU times cannot be read now, or stand still.
        """
        with self._lock:
            busy, whole = self._times()
            now = self._now()
            lasted = now - self._at
            if self._counted(whole - self._whole, lasted):
                utilisation = (busy - self._busy) / (whole - self._whole)
                watts = self._power.power(utilisation) * self._vcpus
                self._joules += watts * lasted / NS_PER_S
                self._busy, self._whole, self._at, self._moved = busy, whole, now, True
            return EnergyReading("cpu", max(now, self._at), Joules(self._joules))

    def _counted(self, ran: int, lasted: int) -> bool:
        # One count of each vCPU makes a utilisation; until then the time stays open.
        if ran >= self._vcpus:
            return lasted > 0
        if lasted < (STANDSTILL_NS if self._moved else UNSEEN_NS):
            return False
        if ran <= 0:
            raise AdapterUnavailable("GO0712", "cpu times stand still")
        return lasted >= STANDSTILL_NS

    def __del__(self) -> None:
        """Leave no file open in a forked child, which opens its own."""
        fd, self._fd = getattr(self, "_fd", None), None
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Close the file; twice is once."""
        with self._lock:
            fd, self._fd = self._fd, None
            if fd is not None:
                os.close(fd)

    def _times(self) -> tuple[int, int]:
        try:
            first = (
                os.pread(-1 if self._fd is None else self._fd, 256, 0).split(b"\n", 1)[0].split()
            )
            user, nice, system, idle, iowait, irq, softirq = (int(f) for f in first[1:8])
        except (OSError, ValueError) as error:
            raise AdapterUnavailable("GO0712", f"cpu times cannot be read: {error}") from error
        busy = user + nice + system + irq + softirq
        return busy, busy + idle + iowait


def discover(
    cpuinfo: Path = Path("/proc/cpuinfo"), stat: Path = Path("/proc/stat")
) -> Sequence[EnergyMeter]:
    """The modeled processor; none where Linux's CPU times are not there."""
    try:
        text = cpuinfo.read_text()
        vcpus = text.count("processor\t:") or os.cpu_count() or 1
        return [CpuModelMeter(cpu_power(text), vcpus, stat)]
    except (OSError, AdapterUnavailable):
        return []


def cpu_power(cpuinfo: str) -> CpuPower:
    """Power of one vCPU of the processor that `/proc/cpuinfo` describes."""
    data = json.loads((files("greenops") / "data" / "cpu_power.json").read_text("utf-8"))
    seen = _fields(cpuinfo)
    row = next((each for each in data["families"] if _fits(each, seen)), None)
    values = row or data["unknown"]
    return CpuPower(
        name=row["name"] if row else None,
        idle=Watts(values["min_w"]),
        full=Watts(values["max_w"]),
        shape=tuple(data["shape"]),
    )


def _fits(row: Mapping[str, Any], seen: Mapping[str, str]) -> bool:
    if seen.get("vendor_id") != row["vendor"] or seen.get("cpu family") != str(row["family"]):
        return False
    model, stepping = int(seen.get("model", -1)), int(seen.get("stepping") or 0)
    low, high = row.get("steppings", (0, 999))
    return model in row["models"] and low <= stepping <= high


def _fields(cpuinfo: str) -> dict[str, str]:
    lines = cpuinfo.split("\n\n", 1)[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
