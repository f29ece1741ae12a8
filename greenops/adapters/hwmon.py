"""Sensors of Linux's hwmon: counters of microjoules, and powers in microwatts that are added up here."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenops.domain.energy import SLOWEST_UPDATE, Boundary, EnergyReading, MeterInfo, Method
from greenops.domain.power import LARGEST_NODE, PowerCounter, plausible_joules, plausible_watts
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import Joules, Seconds

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

ROOT: Final = Path("/sys/class/hwmon")
MICRO: Final = 1_000_000
COUNTED: Final = 0.05
"""Relative 90 % half width of an energy counter; as of the GPU drivers' own counters."""
SAMPLED: Final = 0.10
"""The same of a power that is sampled: shunt and converter 1-5 %, and load between two samples is not seen."""
IN_PACKAGE: Final = "its energy is in the processor package's counter"
SUPPLY: Final = "it reads a supply or a battery, not what a device draws"
DENIED: Final = {
    **dict.fromkeys(("amd_energy", "zenpower", "zenergy", "fam15h_power", "coretemp"), IN_PACKAGE),
    **dict.fromkeys(("corsairpsu", "pmbus", "BAT0", "BAT1", "ucsi_source_psy"), SUPPLY),
}
"""Chips that are never read, and why. Source: Linux, `Documentation/hwmon/`."""
CHIPS: Final = {
    "amdgpu": "gpu",
    "i915": "gpu",
    "xe": "gpu",
    "nouveau": "gpu",
    "power_meter": "host",
}
"""Device kind of a chip that says no more about itself; `power_meter` is ACPI's, of the whole machine."""
WHOLE: Final = re.compile(r"module|total|vdd_in|board|system", re.IGNORECASE)
"""Labels of sensors of a whole machine. Source: NVIDIA Grace and Jetson platform guides."""
PARTS: Final = {
    "gpu": re.compile(r"gpu", re.IGNORECASE),
    "memory": re.compile(r"dram|ddr|memory", re.IGNORECASE),
    "cpu": re.compile(r"cpu|pkg|package", re.IGNORECASE),
}
"""The same of sensors of a part; a label of several parts (Jetson's `VDD_CPU_GPU_CV`) is of none."""
PARTS_FIRST: Final = ("cpu", "gpu", "memory", "host")
SENSOR: Final = re.compile(r"(?:energy|power)\d+_(?:input|average)")


@dataclass(frozen=True, slots=True)
class Sensor:
    """One file of one chip."""

    path: Path
    kind: str
    device: str
    counts: bool
    """True for energy, false for power."""


class HwmonMeter:
    """One sensor. Stability: beta."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._power = PowerCounter()
        self._fd: int | None = os.open(sensor.path, os.O_RDONLY | os.O_CLOEXEC)
        self._info = MeterInfo(
            name="hwmon",
            device=sensor.device,
            device_kind=sensor.kind,
            method=Method.MEASURED,
            boundary=Boundary.NODE if sensor.kind == "host" else Boundary.CHIP,
            uncertainty=COUNTED if sensor.counts else SAMPLED,
            rated_power=LARGEST_NODE,
            update_period=_period(sensor.path),
        )

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def read(self) -> EnergyReading:
        """Read the sensor now; a power is added up from the first reading on.

        Raises:
            AdapterUnavailable: It cannot be read now, or gave what is no energy and no power.
        """
        try:
            micro = int(os.pread(-1 if self._fd is None else self._fd, 32, 0))
            at_ns = time.monotonic_ns()
            joules = self._joules(micro / MICRO, at_ns)
        except (OSError, ValueError) as error:
            raise AdapterUnavailable(
                "GO0714", f"hwmon sensor `{self._sensor.path}` cannot be read: {error}"
            ) from error
        return EnergyReading(self._info.device, at_ns, joules)

    def _joules(self, value: float, at_ns: int) -> Joules:
        if self._sensor.counts:
            return plausible_joules(value)
        return self._power.add(plausible_watts(value), at_ns)

    def __del__(self) -> None:
        """Leave no file open in a forked child, which opens its own."""
        self.close()

    def close(self) -> None:
        """Close the file; twice is once."""
        fd, self._fd = getattr(self, "_fd", None), None
        if fd is not None:
            os.close(fd)


def discover(root: Path = ROOT) -> Sequence[EnergyMeter]:
    """One meter for each sensor whose device is known, parts before the whole.

    Raises:
        AdapterUnsupported: There is none; tells what was passed over and why.
    """
    found: list[HwmonMeter] = []
    passed: list[str] = []
    for chip in sorted(root.glob("hwmon*")):
        found += _chip(chip, passed)
    if not found:
        seen = "; ".join(passed) or "no chip has an energy or power sensor"
        raise AdapterUnsupported("GO0714", f"no hwmon sensor to meter with: {seen}")
    return sorted(found, key=lambda meter: PARTS_FIRST.index(meter.info.device_kind))


def _chip(chip: Path, passed: list[str]) -> Iterator[HwmonMeter]:
    name = _line(chip / "name") or chip.name
    denied = DENIED.get(name) or (IN_PACKAGE if _integrated(chip, name) else None)
    if denied is not None:
        passed.append(f"`{name}`: {denied}")
        return
    for sensor in _sensors(chip, name, passed):
        try:
            meter = HwmonMeter(sensor)
            meter.read()
        except (OSError, AdapterUnavailable) as error:
            passed.append(f"`{name}`: {error}")
            continue
        yield meter


def _integrated(chip: Path, name: str) -> bool:
    """True for graphics inside a processor: Linux's `amdgpu` lets the power of boards alone be capped."""
    return name == "amdgpu" and not (chip / "power1_cap").exists()


def _sensors(chip: Path, name: str, passed: list[str]) -> Iterator[Sensor]:
    files = {path.name for path in chip.iterdir() if SENSOR.fullmatch(path.name)}
    # A chip that counts its energy shows the same draw as power.
    counters = {each for each in files if each.startswith("energy")}
    chosen = sorted(counters or _powers(files))
    # The first sensor of a graphics board is the whole board; others are parts of it.
    for file in chosen[:1] if CHIPS.get(name) == "gpu" else chosen:
        stem = file.split("_")[0]
        label = _line(chip / f"{stem}_label")
        kind = _kind(name, label)
        if kind is None:
            passed.append(f"`{name}` `{label or stem}`: what it measures is not known")
            continue
        where = chip.resolve().parent.parent.name if (chip / "device").exists() else chip.name
        device = "-".join((name, where, label.replace(" ", "-") or stem))
        yield Sensor(chip / file, kind, device, file in counters)


def _powers(files: set[str]) -> set[str]:
    """One file of each power: its mean where the chip forms one, else its last sample."""
    means = {file for file in files if file.endswith("_average")}
    return means | {file for file in files - means if file.replace("input", "average") not in means}


def _kind(chip: str, label: str) -> str | None:
    if CHIPS.get(chip) == "gpu":
        return "gpu"
    if not label:
        return CHIPS.get(chip)
    if WHOLE.search(label):
        return "host"
    kinds = [kind for kind, pattern in PARTS.items() if pattern.search(label)]
    return kinds[0] if len(kinds) == 1 else None


def _period(sensor: Path) -> Seconds:
    """How often the chip samples [s]; what others do where it does not say."""
    told = sensor.parent / f"{sensor.name.split('_')[0]}_average_interval"
    for file in (told, sensor.parent / "update_interval"):
        text = _line(file)
        if text.isdigit() and int(text):
            return Seconds(int(text) / 1000)
    return SLOWEST_UPDATE


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""
