"""Packages and memory through Linux perf events, `power/energy-pkg/` and `energy-ram`: RAPL in 64 bits."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import Joules, Seconds, Watts

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

SYS: Final = Path("/sys")
PMU: Final = "bus/event_source/devices/power"
EVENT: Final = "energy-pkg"
MEMORY: Final = "energy-ram"
"""Memory beside a package, which the package's event does not hold; servers have it."""
UNCERTAINTY: Final = {EVENT: 0.05, MEMORY: 0.20}
"""Relative 90 % half width; the counters are those RAPL's powercap shows, and their sources stand there."""
NAMES: Final = {EVENT: ("package", "cpu"), MEMORY: ("dram", "memory")}
"""Of the device, before its number, and of its kind."""
UPDATE_PERIOD: Final = Seconds(0.001)
"""Time between two steps of the counter. Source: Intel SDM volume 3B, RAPL interfaces: about every 1 ms."""
LARGEST: Final = Watts(1_000.0)
"""Twice the long-term power of the largest packages, AMD EPYC 9965 and Intel Xeon 6980P, 500 W."""
SYSCALL: Final = {"x86_64": 298, "aarch64": 241}
"""Number of `perf_event_open`. Source: Linux, `arch/x86/entry/syscalls/syscall_64.tbl` and `asm-generic/unistd.h`."""
CLOSE_ON_EXEC: Final = 8
"""`PERF_FLAG_FD_CLOEXEC`. Source: Linux, `include/uapi/linux/perf_event.h`."""
ATTRIBUTES: Final = struct.Struct("=IIQ48x")
"""`perf_event_attr` in its first version, 64 bytes: type, size, config; all else is zero. Source: the same."""
WIDTH: Final = 8
"""Bytes of one reading: an event without a `read_format` gives its 64-bit value alone."""
MEND: Final = "grant `CAP_PERFMON` or set `kernel.perf_event_paranoid` to 0"
ABSENT: Final = "virtual machines have none, a `.metal` instance has"

_log = logging.getLogger(__name__)

Opener = Callable[[int, int, int], int]
"""Opens the event of a PMU type and a config on one CPU, for all processes; gives a descriptor or raises OSError."""


def open_event(pmu: int, config: int, cpu: int) -> int:
    """Call `perf_event_open(2)`.

    Raises:
        OSError: The kernel refuses, or the processor's number of the call is not known.
    """
    number = SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(f"perf events are not known on {platform.machine()}")
    attributes = ctypes.create_string_buffer(ATTRIBUTES.pack(pmu, ATTRIBUTES.size, config))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    given = (ctypes.c_long(each) for each in (-1, cpu, -1, CLOSE_ON_EXEC))
    fd = int(libc.syscall(ctypes.c_long(number), ctypes.byref(attributes), *given))
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return fd


class PerfMeter:
    """One package or the memory beside it, read on one of its CPUs. Stability: beta.

    Args:
        fd: Descriptor of the event; the meter closes it.
        place: Number of the package, with its die's where it has several: `0`, `0-die-1`.
        scale: Joules of one count.
        event: `energy-pkg` or `energy-ram`.
    """

    def __init__(self, fd: int, place: str, scale: float, event: str = EVENT) -> None:
        self._fd: int | None = fd
        self._scale = scale
        device, kind = NAMES[event]
        self._info = MeterInfo(
            name="perf",
            device=f"{device}-{place}",
            device_kind=kind,
            method=Method.MEASURED,
            boundary=Boundary.CHIP,
            uncertainty=UNCERTAINTY[event],
            rated_power=LARGEST,
            update_period=UPDATE_PERIOD,
        )

    @property
    def info(self) -> MeterInfo:
        """What it is."""
        return self._info

    def read(self) -> EnergyReading:
        """Read the counter now; it counts from when it was opened.

        Raises:
            AdapterUnavailable: It cannot be read now, for example since its CPU went offline.
        """
        try:
            told = os.read(-1 if self._fd is None else self._fd, WIDTH)
        except OSError as error:
            raise self._unavailable(str(error)) from error
        if len(told) != WIDTH:
            raise self._unavailable("the event has stopped")
        joules = Joules(int.from_bytes(told, "little") * self._scale)
        return EnergyReading(self._info.device, time.monotonic_ns(), joules)

    def _unavailable(self, why: str) -> AdapterUnavailable:
        return AdapterUnavailable("GO0713", f"perf event of `{self._info.device}`: {why}")

    def __del__(self) -> None:
        """Leave no file open in a forked child, which opens its own."""
        self.close()

    def close(self) -> None:
        """Close the event; twice is once."""
        fd, self._fd = getattr(self, "_fd", None), None
        if fd is not None:
            os.close(fd)


def discover(root: Path = SYS, opener: Opener = open_event) -> Sequence[EnergyMeter]:
    """One meter for each package, then one for the memory beside each where the processor counts it.

    The other events of the PMU are not read: cores and graphics are in the package, and `energy-psys` contains it.

    Raises:
        AdapterUnsupported: This machine has no such event.
        AdapterUnavailable: The kernel does not let this process open it; tells the mend.
    """
    found = _meters(root, opener, EVENT)
    if (root / PMU / "events" / MEMORY).exists():
        try:
            found += _meters(root, opener, MEMORY)
        except (AdapterUnsupported, AdapterUnavailable) as error:
            _log.info("%s", error)
    return found


def _meters(root: Path, opener: Opener, event: str) -> list[EnergyMeter]:
    """A meter of the event in each package, or none of them."""
    pmu = root / PMU
    try:
        kind, config, scale = int(_line(pmu / "type")), _config(pmu, event), _scale(pmu, event)
        cpus = _cpus(_line(pmu / "cpumask"))
    except FileNotFoundError as error:
        raise AdapterUnsupported("GO0713", f"no perf event `power/{event}/`; {ABSENT}") from error
    except (OSError, ValueError) as error:
        raise AdapterUnsupported("GO0713", f"perf event `power/{event}/`: {error}") from error
    found: list[EnergyMeter] = []
    try:
        for place, cpu in zip(_places(root, cpus), cpus, strict=True):
            found.append(PerfMeter(opener(kind, config, cpu), place, scale, event))
    except OSError as error:
        for meter in found:
            meter.close()
        raise AdapterUnavailable(
            "GO0713", f"perf event `power/{event}/` cannot be opened: {error}", fix=MEND
        ) from error
    return found


def _config(pmu: Path, event: str) -> int:
    """The event's number at the bits where `format/event` wants it."""
    terms = dict(term.partition("=")[::2] for term in _line(pmu / "events" / event).split(","))
    bits = _line(pmu / "format/event").removeprefix("config:")
    return int(terms.get("event", ""), 0) << int(bits.split("-")[0])


def _scale(pmu: Path, event: str) -> float:
    unit = _line(pmu / f"events/{event}.unit")
    scale = float(_line(pmu / f"events/{event}.scale"))
    if unit != "Joules" or not 0 < scale < 1:
        raise ValueError(f"unit `{unit}` with scale `{scale}` is not known")
    return scale


def _cpus(mask: str) -> list[int]:
    """CPUs of a list such as `0,24` or `0-1`."""
    found: list[int] = []
    for part in mask.split(","):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def _places(root: Path, cpus: Sequence[int]) -> list[str]:
    """Of each CPU its package, as powercap names it: the mask has a CPU of each die, and a package may have several."""
    packages = [_topology(root, cpu, "physical_package_id", n) for n, cpu in enumerate(cpus)]
    return [
        str(package)
        if packages.count(package) == 1
        else f"{package}-die-{_topology(root, cpu, 'die_id', n)}"
        for n, (package, cpu) in enumerate(zip(packages, cpus, strict=True))
    ]


def _topology(root: Path, cpu: int, name: str, otherwise: int) -> int:
    try:
        return int(_line(root / f"devices/system/cpu/cpu{cpu}/topology/{name}"))
    except (OSError, ValueError):
        return otherwise


def _line(path: Path) -> str:
    return path.read_text().strip()
