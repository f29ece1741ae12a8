"""NVIDIA's DCGM exporter, off its page or a query: the energy counter of each board, else its power.

Source: dcgm-exporter 3.3 and 4, `etc/default-counters.csv`: `DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION` (counter, mJ since the driver was
loaded) and `DCGM_FI_DEV_POWER_USAGE` (gauge, W). Rows of one board, as of its MIG instances, all show the whole board.

The counter is the board's own sensor: measured. A power is known where it was looked at and estimated in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from greenops.adapters.import_meters import SCRAPE, Metric, Tool, readings
from greenops.domain.energy import Boundary, Method
from greenops.domain.meter_reading import MeterReading
from greenops.domain.reported import Kind

COUNTER: Final = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
POWER: Final = "DCGM_FI_DEV_POWER_USAGE"
OWN: Final = "dcgm-exporter"
"""In the names of the exporter's own pods."""
MODULES: Final = ("GH200",)
"""Boards whose counter covers the processor and the memory beside the accelerator, too."""


def _workload(_metric: Metric, labels: Mapping[str, str]) -> str | None:
    """The pod that a board is given to; where the scrape has put the exporter's own pod there, it says `exported_…`."""
    if "GPU_I_ID" in labels:
        return None
    names = ("namespace", "pod", "container")
    if any(f"exported_{each}" in labels for each in names):
        names = tuple(f"exported_{each}" for each in names)  # type: ignore[assignment]
    elif OWN in labels.get("pod", "") or OWN in labels.get("container", ""):
        return None
    return "/".join(told for each in names if (told := labels.get(each))) or None


def _kind(_metric: Metric, labels: Mapping[str, str], kind: Kind) -> Kind:
    model = labels.get("modelName", "")
    is_module = any(each in model for each in MODULES)
    return replace(kind, boundary=Boundary.MODULE) if is_module else kind


DCGM: Final = Tool(
    source="dcgm",
    title="the DCGM exporter",
    metrics=(
        Metric(COUNTER, "device", "gpu", Boundary.CHIP, Method.MEASURED, 1e-3, unit="mJ"),
        Metric(
            POWER,
            "device",
            "gpu",
            Boundary.CHIP,
            Method.ESTIMATED,
            is_power=True,
            unit="W",
            stands_in_for=COUNTER,
        ),
    ),
    machine=("Hostname", "hostname", "exported_instance", "node", "instance"),
    workload=_workload,
    kind=_kind,
    once=("Hostname", "hostname", "UUID"),
    added=SCRAPE,
)


def read(path: Path, at: datetime | None, host: str | None) -> list[MeterReading]:
    """Every reading of a file.

    Args:
        path: The file.
        at: Instant of a page whose samples have none.
        host: The machine of a page that does not name it.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is not the exporter's, or a value cannot be.
    """
    return readings(path, DCGM, at, host)
