"""RAPL through Linux powercap: one counter per processor package, in microjoules."""

from __future__ import annotations

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
"""Relative 90 % half width. Source: comparisons of RAPL with wall meters; package zone only."""
UPDATE_PERIOD: Final = Seconds(0.001)
"""Time between two steps of the counter. Source: Intel SDM volume 3B, RAPL interfaces: about every 1 ms."""
BURST: Final = 2.0
"""Short-term package power over its long-term limit; above it a reading is a fault."""
LARGEST: Final = Watts(500.0)
"""Long-term limit where the zone names none. Source: AMD EPYC 9965 and Intel Xeon 6980P, the largest packages, 500 W.

Without a bound a counter that a driver reset looks like one more lap.
"""


class RaplMeter:
    """One package zone, `intel-rapl:N`. Stability: beta."""

    def __init__(self, zone: Path) -> None:
        self._counter = zone / "energy_uj"
        name = _line(zone / "name")
        self._fd: int | None = None
        try:
            wrap = int(_line(zone / "max_energy_range_uj")) / MICRO
            self._fd = os.open(self._counter, os.O_RDONLY | os.O_CLOEXEC)
            self._info = MeterInfo(
                name="rapl",
                device=name,
                device_kind="cpu",
                method=Method.MEASURED,
                boundary=Boundary.CHIP,
                uncertainty=UNCERTAINTY,
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
    """One meter for each package that can be read.

    Only top-level package zones: core, uncore and dram lie inside or beside them, and psys contains them all.

    Raises:
        AdapterUnsupported: There is none, or none can be read; tells the mend.
    """
    found: list[EnergyMeter] = []
    failed: AdapterUnsupported | None = None
    for zone in sorted(root.glob("intel-rapl:*")):
        try:
            if zone.name.count(":") == 1 and _line(zone / "name").startswith("package"):
                found.append(RaplMeter(zone))
        except AdapterUnsupported as error:
            failed = error
        except OSError:
            continue
    if found:
        return found
    raise failed or AdapterUnsupported(
        "GO0711", "no package zone of powercap; virtual machines have none, a `.metal` instance has"
    )


def _line(path: Path) -> str:
    return path.read_text().strip()


def _rated(zone: Path) -> Watts:
    try:
        limit = int(_line(zone / "constraint_0_max_power_uw")) / MICRO
    except (OSError, ValueError):
        limit = 0.0
    return Watts((limit if limit > 0 else LARGEST) * BURST)
