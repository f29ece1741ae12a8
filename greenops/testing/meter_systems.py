"""Fakes of the systems that meters read: made-up sysfs trees, a kernel that opens perf events, drivers."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ENERGY_UNIT = "2.3283064365386962890625e-10"
"""Joules of one count, as Linux's `power` PMU gives it: 2^-32."""


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below a folder, folders included; the folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def rapl_zone(root: Path, folder: str, zone: str, uj: int = 5_000_000, **files: str) -> Path:
    """A fake powercap zone: its name, its counter and where that wraps; `files` are further ones, or other contents."""
    usual = {"name": zone, "energy_uj": str(uj), "max_energy_range_uj": "262143328850"}
    return write_tree(root / folder, usual | files)


def rapl_tree(root: Path, packages: int = 1) -> Path:
    """A fake of `/sys/class/powercap`: the zones of a server, overlapping as they do, each with a counter of its own."""
    for number in range(packages):
        place = f"intel-rapl:{number}"
        rapl_zone(root, place, f"package-{number}", 100_000_000)
        rapl_zone(root, f"{place}:0", "core", 60_000_000)
        rapl_zone(root, f"{place}:1", "uncore", 10_000_000)
        rapl_zone(root, f"{place}:2", "dram", 20_000_000)
    rapl_zone(root, f"intel-rapl:{packages}", "psys", 300_000_000)
    rapl_zone(root, "intel-rapl-mmio:0", "package-0", 100_000_000)
    return root


def perf_tree(
    root: Path, *, cpumask: str = "0", memory: bool = False, psys: bool = False, **changed: str
) -> Path:
    """A fake of `/sys` with the `power` PMU of a processor.

    Args:
        root: Where it is made.
        cpumask: One CPU of each package.
        memory: With `energy-ram`, as servers have it.
        psys: With `energy-psys`, as clients have it.
        **changed: `event`, `scale` or `unit` of `energy-pkg`.
    """
    pmu = "bus/event_source/devices/power"
    more = {"energy-ram": "event=0x03"} if memory else {}
    more |= {"energy-psys": "event=0x05"} if psys else {}
    for name, event in more.items():
        write_tree(
            root / pmu / "events",
            {name: event, f"{name}.scale": ENERGY_UNIT, f"{name}.unit": "Joules"},
        )
    return write_tree(
        root,
        {
            f"{pmu}/type": "23",
            f"{pmu}/cpumask": cpumask,
            f"{pmu}/format/event": "config:0-7",
            f"{pmu}/events/energy-pkg": changed.get("event", "event=0x02"),
            f"{pmu}/events/energy-pkg.scale": changed.get("scale", ENERGY_UNIT),
            f"{pmu}/events/energy-pkg.unit": changed.get("unit", "Joules"),
            "devices/system/cpu/cpu0/topology/physical_package_id": "0",
            "devices/system/cpu/cpu24/topology/physical_package_id": "1",
        },
    )


class FakePerf:
    """A fake kernel that opens perf events: each descriptor gives the counts it was told, then ends.

    Args:
        counts: What each reading gives.
        refuses: Error of every opening; none lets all be opened.
        knows: Configs that can be opened; none knows all.
    """

    def __init__(
        self, *counts: int, refuses: int | None = None, knows: set[int] | None = None
    ) -> None:
        self.counts, self.refuses, self.knows = counts, refuses, knows
        self.opened: list[tuple[int, int, int]] = []

    def __call__(self, pmu: int, config: int, cpu: int) -> int:
        """Open an event.

        Raises:
            OSError: It was told to refuse.
        """
        if self.refuses is not None:
            raise OSError(self.refuses, os.strerror(self.refuses))
        if self.knows is not None and config not in self.knows:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self.opened.append((pmu, config, cpu))
        reading, writing = os.pipe()
        os.write(writing, b"".join(count.to_bytes(8, "little") for count in self.counts))
        os.close(writing)
        return reading


class FakeAmdSmi:
    """A fake of AMD's `amdsmi`: boards with an energy counter, by the counts each gives; `None` for one without."""

    class AmdSmiException(Exception):
        """What every call may raise."""

    def __init__(
        self, boards: Mapping[str, int | None], *, resolution: float = 15.259, driver: bool = True
    ) -> None:
        self.boards, self.resolution, self.driver = dict(boards), resolution, driver
        self.limits: dict[str, Any] = {}
        self.users = 0

    def amdsmi_init(self) -> None:
        """Begin; fails without a driver."""
        if not self.driver:
            raise self.AmdSmiException("driver not loaded")
        self.users += 1

    def amdsmi_shut_down(self) -> None:
        """End."""
        self.users -= 1

    def amdsmi_get_processor_handles(self) -> list[str]:
        """Every board."""
        return list(self.boards)

    def amdsmi_get_gpu_device_uuid(self, handle: str) -> str:
        """Identity of a board."""
        return f"uuid-{handle}"

    def amdsmi_get_power_cap_info(self, handle: str) -> dict[str, Any]:
        """Largest power that can be set."""
        if handle not in self.limits:
            raise self.AmdSmiException("not supported")
        return {"max_power_cap": self.limits[handle]}

    def amdsmi_get_energy_count(self, handle: str) -> dict[str, Any]:
        """Count and microjoules of one count."""
        count = self.boards.get(handle)
        if count is None:
            raise self.AmdSmiException("not supported")
        return {"energy_accumulator": count, "counter_resolution": self.resolution, "timestamp": 1}


class FakeNvml:
    """A fake of NVIDIA's `pynvml`: boards by the millijoules each gives; `None` for one without the counter."""

    class NVMLError(Exception):
        """What every call may raise."""

    def __init__(self, boards: dict[int, int | None], *, driver: bool = True) -> None:
        self.boards, self.driver, self.users = boards, driver, 0
        self.unlimited: set[int] = set()
        """Boards whose power cannot be limited."""
        self.names: dict[int, str] = {}
        """Names of boards that have one of their own."""
        self.linked: set[int] = set()
        """Boards with a processor beside them on a module."""
        self.partitioned: set[int] = set()
        """Boards with MIG on."""

    def nvmlInit(self) -> None:  # noqa: N802
        """Begin; fails without a driver."""
        if not self.driver:
            raise self.NVMLError("driver not loaded")
        self.users += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        """End."""
        self.users -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """How many boards there are."""
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        """A board's handle."""
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> bytes:  # noqa: N802
        """Identity of a board."""
        return f"GPU-{handle}".encode()

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        """Name of the product."""
        return self.names.get(handle, "NVIDIA H100 80GB HBM3")

    def nvmlDeviceGetC2cModeInfoV(self, handle: int) -> SimpleNamespace:  # noqa: N802
        """Whether the board is linked to a processor; most boards do not know the question."""
        if handle not in self.linked:
            raise self.NVMLError("not supported")
        return SimpleNamespace(isC2cEnabled=1)

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:  # noqa: N802
        """Whether the board is partitioned, now and after a restart."""
        return [int(handle in self.partitioned)] * 2

    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle: int) -> list[int]:  # noqa: N802
        """Least and largest power that can be set [mW]."""
        if handle in self.unlimited:
            raise self.NVMLError("not supported")
        return [100_000, 700_000]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        """Energy since the driver was loaded [mJ]."""
        energy = self.boards[handle]
        if energy is None:
            raise self.NVMLError("not supported")
        return energy
