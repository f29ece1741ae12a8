"""RAPL through Linux powercap: one counter for each processor package and one for its memory, in microjoules."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.domain.power import plausible_joules
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import Joules, Seconds, Watts

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

ROOT: Final = Path("/sys/class/powercap")
MICRO: Final = 1_000_000
UNCERTAINTY: Final = 0.05
"""Relative 90 % half width of a package. Source: comparisons of RAPL with wall meters."""
OF_MEMORY: Final = 0.20
"""The same of memory, by judgement: it follows meters with an offset, worst at rest, and servers measure it.
Source: Desrochers et al., A Validation of DRAM RAPL Power Measurements, MEMSYS 2016, which states no one figure."""
UPDATE_PERIOD: Final = Seconds(0.001)
"""Time between two steps of the counter. Source: Intel SDM volume 3B, RAPL interfaces: about every 1 ms."""
BURST: Final = 2.0
"""Short-term package power over its long-term limit; above it a reading is a fault."""
LARGEST: Final = Watts(500.0)
"""Long-term limit where the zone names none. Source: AMD EPYC 9965 and Intel Xeon 6980P, the largest packages, 500 W.

Memory beside a package draws less. Without a bound a counter that a driver reset looks like one more lap.
"""

_log = logging.getLogger(__name__)


class RaplMeter:
    """One package zone, `intel-rapl:N`, or one of memory beside it, `intel-rapl:N:M`. Stability: beta.

    Args:
        zone: Its folder.
        device: Name of the device, unique on this machine.
        kind: `cpu` or `memory`.
    """

    def __init__(self, zone: Path, device: str, kind: str = "cpu") -> None:
        self._counter = zone / "energy_uj"
        self._fd: int | None = None
        try:
            wrap = int(_line(zone / "max_energy_range_uj")) / MICRO
            self._fd = os.open(self._counter, os.O_RDONLY | os.O_CLOEXEC)
            self._info = MeterInfo(
                name="rapl",
                device=device,
                device_kind=kind,
                method=Method.MEASURED,
                boundary=Boundary.CHIP,
                uncertainty=OF_MEMORY if kind == "memory" else UNCERTAINTY,
                wrap=Joules(wrap),
                rated_power=_rated(zone),
                update_period=UPDATE_PERIOD,
            )
            self.read()
        except (OSError, ValueError, AdapterUnavailable) as error:
            self.close()
            raise AdapterUnsupported(
                "GO0711",
                f"rapl zone `{zone.name}` cannot be read: {error}",
                fix="let the service read `energy_uj`, for example by a udev rule",
            ) from error

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def read(self) -> EnergyReading:
        """Read the counter now.

        Raises:
            AdapterUnavailable: It cannot be read now.
        """
        try:
            micro = int(os.pread(-1 if self._fd is None else self._fd, 32, 0))
            joules = plausible_joules(micro / MICRO)
        except (OSError, ValueError) as error:
            raise AdapterUnavailable(
                "GO0711", f"rapl counter `{self._counter}` cannot be read: {error}"
            ) from error
        return EnergyReading(self._info.device, time.monotonic_ns(), joules)

    def __del__(self) -> None:
        """Leave no file open in a forked child, which opens its own."""
        fd, self._fd = getattr(self, "_fd", None), None
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Close the counter; twice is once."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def discover(root: Path = ROOT) -> Sequence[EnergyMeter]:
    """One meter for each package that can be read, then one for the memory beside each.

    Zones overlap: core and uncore lie inside the package and psys contains it, so they are not read. Memory stands
    below the package in the tree, and its energy is not in the package's.

    Raises:
        AdapterUnsupported: There is none, or none can be read; tells the mend.
    """
    packages: list[EnergyMeter] = []
    memory: list[EnergyMeter] = []
    failed: AdapterUnsupported | None = None
    for zone in sorted(root.glob("intel-rapl:*")):
        try:
            if name := _package(zone):
                packages.append(RaplMeter(zone, name))
            elif name := _memory(zone):
                memory.append(RaplMeter(zone, name, "memory"))
        except AdapterUnsupported as error:
            _log.info("%s", error)
            failed = error
        except OSError:
            continue
    if packages:
        return packages + memory
    for meter in memory:
        meter.close()
    raise failed or AdapterUnsupported(
        "GO0711", "no package zone of powercap; virtual machines have none, a `.metal` instance has"
    )


def _package(zone: Path) -> str | None:
    name = _line(zone / "name")
    return name if zone.name.count(":") == 1 and name.startswith("package") else None


def _memory(zone: Path) -> str | None:
    """`dram-0` beside `package-0`: the zone's own name is the same on each package."""
    if zone.name.count(":") != 2 or _line(zone / "name") != "dram":  # noqa: PLR2004 - package and zone
        return None
    package = _package(zone.with_name(zone.name.rpartition(":")[0]))
    return package and package.replace("package", "dram", 1)


def _line(path: Path) -> str:
    return path.read_text().strip()


def _rated(zone: Path) -> Watts:
    try:
        limit = int(_line(zone / "constraint_0_max_power_uw")) / MICRO
    except (OSError, ValueError):
        limit = 0.0
    return Watts((limit if limit > 0 else LARGEST) * BURST)
