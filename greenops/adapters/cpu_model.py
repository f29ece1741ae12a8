"""A modeled processor for machines without a meter: watts from utilisation, joules by integration."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from greenops.domain.cpu_power import (
    UNKNOWN,
    Coefficient,
    CpuPower,
    plain_name,
    refused,
    tdp_power,
)
from greenops.domain.energy import Boundary, EnergyReading, MeterInfo, Method
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.units import NS_PER_S, Joules, Seconds, Watts

if TYPE_CHECKING:
    from greenops.ports import EnergyMeter

CPUINFO: Final = Path("/proc/cpuinfo")
STAT: Final = Path("/proc/stat")
TDP: Final = "GREENOPS_CPU_TDP"
"""Environment variable: thermal design power [W] and hardware threads of one socket, as `280/128`."""
MOST_PER_THREAD: Final = 100.0
"""No hardware thread draws more [W]; beyond it watts and threads are mixed up."""
UPDATE_PERIOD: Final = Seconds(0.01)
"""Time between two counts of the CPU times [s]: Linux's USER_HZ is 100."""
TEXT_BYTES: Final = 256
"""As much of the file as holds the line of all CPUs together."""
STANDSTILL_NS: Final = NS_PER_S
"""CPU times that do not move for so long are not kept at all, as in gVisor [ns]."""
UNSEEN_NS: Final = 50_000_000
"""The same before they were ever seen to move: five counts [ns]."""


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
        stat: Path = STAT,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._power, self._vcpus, self._now = power, vcpus, monotonic_ns
        self._lock = threading.Lock()
        self._fd: int | None = os.open(stat, os.O_RDONLY | os.O_CLOEXEC)
        self._joules = 0.0
        self._at = monotonic_ns()
        self._busy, self._whole = _times(self.note()[1])
        self._moved = False
        self._info = MeterInfo(
            name=power.source,
            device="cpu",
            device_kind="cpu",
            method=Method.MODELED,
            boundary=Boundary.CHIP,
            uncertainty=power.uncertainty,
            rated_power=Watts(power.full * vcpus),
            idle_power=Watts(power.idle * vcpus),
            update_period=UPDATE_PERIOD,
            note=_believed(power, vcpus),
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
        return self.noted(self.note())

    def note(self) -> tuple[int, bytes]:
        """When the CPU times were read [ns], and as Linux writes them.

        Raises:
            AdapterUnavailable: The CPU times cannot be read now.
        """
        try:
            with self._lock:
                text = os.pread(-1 if self._fd is None else self._fd, TEXT_BYTES, 0)
        except OSError as error:
            raise AdapterUnavailable("GO0712", f"cpu times cannot be read: {error}") from error
        return self._now(), text

    def noted(self, note: tuple[int, bytes]) -> EnergyReading:
        """The reading that a note makes.

        Raises:
            AdapterUnavailable: The CPU times are none, or stand still.
        """
        now, text = note
        busy, whole = _times(text)
        with self._lock:
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


def _times(text: bytes) -> tuple[int, int]:
    """Busy time and all time of all CPUs, in counts of the kernel."""
    try:
        first = text.partition(b"\n")[0].split()
        user, nice, system, idle, iowait, irq, softirq = map(int, first[1:8])
    except ValueError as error:
        raise AdapterUnavailable("GO0712", f"cpu times cannot be read: {error}") from error
    busy = user + nice + system + irq + softirq
    return busy, busy + idle + iowait


def discover(
    cpuinfo: Path = CPUINFO, stat: Path = STAT, environ: Mapping[str, str] = os.environ
) -> Sequence[EnergyMeter]:
    """The modeled processor, as well as it can be told; none where Linux's CPU times are not there."""
    try:
        return discover_family(cpuinfo, stat)
    except AdapterUnsupported:
        pass
    try:
        return discover_tdp(cpuinfo, stat, environ)
    except AdapterUnsupported:
        return []


def discover_family(cpuinfo: Path = CPUINFO, stat: Path = STAT) -> Sequence[EnergyMeter]:
    """The modeled processor of a family with coefficients of its own.

    Raises:
        AdapterUnsupported: The family has none, or Linux's CPU times are not there.
    """
    text = _cpuinfo(cpuinfo)
    power = family_power(text)
    if power is None:
        raise AdapterUnsupported("GO0712", "no coefficients of this processor's family")
    return _meter(power, text, stat)


def discover_tdp(
    cpuinfo: Path = CPUINFO, stat: Path = STAT, environ: Mapping[str, str] = os.environ
) -> Sequence[EnergyMeter]:
    """The modeled processor by its thermal design power: told by `GREENOPS_CPU_TDP`, else by its name, else a typical one.

    Raises:
        AdapterUnsupported: Linux's CPU times are not there, or the variable is no `watts/threads`.
    """
    text = _cpuinfo(cpuinfo)
    return _meter(_told(environ) or named_power(text) or typical_power(), text, stat)


def _believed(power: CpuPower, vcpus: int) -> str:
    """What the model takes this machine for, so that whoever knows better can tell it."""
    one = vcpus == 1
    return (
        f"taken for {vcpus} vCPU{'' if one else 's'} of {power.name or 'a typical processor'}, "
        f"{power.idle:.2f} W at rest to {power.full:.2f} W in full{'' if one else ' each'}"
    )


def _meter(power: CpuPower, cpuinfo: str, stat: Path) -> Sequence[EnergyMeter]:
    try:
        return [CpuModelMeter(power, vcpus(cpuinfo), stat)]
    except (OSError, AdapterUnavailable) as error:
        raise AdapterUnsupported("GO0712", f"no cpu times to model with: {error}") from error


def _cpuinfo(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def vcpus(cpuinfo: str) -> int:
    """How many CPUs this machine sees."""
    return cpuinfo.count("processor\t:") or os.cpu_count() or 1


def cpu_power(cpuinfo: str) -> CpuPower:
    """Power of one vCPU of the processor that `/proc/cpuinfo` describes."""
    return family_power(cpuinfo) or named_power(cpuinfo) or typical_power()


def family_power(cpuinfo: str) -> CpuPower | None:
    """The same from the family's coefficients; none where it has none, or none that can be believed."""
    data, seen = _data("cpu_power.json"), _fields(cpuinfo)
    row = next((each for each in data["families"] if _fits(each, seen)), None)
    if row is None or row["name"] in refused([Coefficient.of_family(r) for r in data["families"]]):
        return None
    return _between(row["name"], row, data["shape"])


def typical_power() -> CpuPower:
    """Power of one vCPU where nothing is known of the processor."""
    data = _data("cpu_power.json")
    found = _between(None, data["unknown"], data["shape"])
    return replace(found, source="tdp_model", uncertainty=UNKNOWN)


def named_power(cpuinfo: str) -> CpuPower | None:
    """The same from the thermal design power of the model it names; none where that is not in the table.

    A virtual machine has its share of the host: as many of the host's hardware threads as it has vCPUs.
    """
    data, seen = _data("cpu_tdp.json"), _fields(cpuinfo)
    name = f" {plain_name(seen.get('model name', ''))} "
    rows = data["processors"]
    row = next((each for each in rows if f" {each['name']} " in name), None)
    if row is None or row["name"] in refused([Coefficient.of_tdp(each) for each in rows]):
        return None
    threads, tdp = row["threads"], row["tdp_w"]
    if "hypervisor" not in seen.get("flags", "").split():
        # The whole machine is ours, whatever part of its threads is switched on.
        sockets = len(set(re.findall(r"^physical id\s*: (\d+)", cpuinfo, re.MULTILINE))) or 1
        threads, tdp = vcpus(cpuinfo), tdp * sockets
    return tdp_power(row["name"], Watts(tdp), threads, data["shape"])


def _told(environ: Mapping[str, str]) -> CpuPower | None:
    text = environ.get(TDP, "")
    if not text:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)/(\d+)", text.strip())
    if found is None or not 0 < float(found[1]) / max(int(found[2]), 0.01) < MOST_PER_THREAD:
        raise AdapterUnsupported(
            "GO0712",
            f"`{TDP}` is watts and hardware threads of a socket as `280/128`, not `{text}`",
        )
    shape = _data("cpu_tdp.json")["shape"]
    return tdp_power(TDP, Watts(float(found[1])), int(found[2]), shape)


def _between(name: str | None, row: Mapping[str, Any], shape: Sequence[float]) -> CpuPower:
    return CpuPower(name, Watts(row["min_w"]), Watts(row["max_w"]), tuple(shape))


def _data(name: str) -> Any:
    return json.loads((files("greenops") / "data" / name).read_text("utf-8"))


def _fits(row: Mapping[str, Any], seen: Mapping[str, str]) -> bool:
    if seen.get("vendor_id") != row["vendor"] or seen.get("cpu family") != str(row["family"]):
        return False
    model, stepping = _number(seen, "model"), _number(seen, "stepping")
    low, high = row.get("steppings", (-1, 999))
    return model in row["models"] and low <= stepping <= high


def _number(seen: Mapping[str, str], name: str) -> int:
    text = seen.get(name, "")
    return int(text) if text.isdecimal() else -1


def _fields(cpuinfo: str) -> dict[str, str]:
    lines = cpuinfo.split("\n\n", 1)[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
