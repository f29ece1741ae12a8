"""Kepler's counters of joules, off its page or a query: of nodes as metered, of pods, containers and processes as shares.

Sources: Kepler 0.11, `docs/user/metrics.md` (`kepler_node_cpu_joules_total`, `kepler_{pod,container,process,vm}_cpu_joules_total`,
by `zone`); Kepler 0.5 to 0.7, metrics page of its documentation (`kepler_node_package_joules_total`, `kepler_container_joules_total` …).
The names of 0.11 were held to the page of a running Kepler (its main of 2026-08-21, with its fake meter); the earlier ones were not.

A zone `core` or `uncore` is a part of `package` and is passed by. `kepler_platform_watts` is passed by too: its entries overlap, and
their names are the controller's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from greenops.adapters.import_meters import Metric, Tool, readings
from greenops.domain.energy import Boundary, Method
from greenops.domain.meter_reading import MeterReading
from greenops.domain.reported import Kind

ZONES: Final = (
    ("package", "cpu", Boundary.CHIP),
    ("dram", "memory", Boundary.CHIP),
    ("psys", "host", Boundary.NODE),
)
SHARES: Final = ("pod", "container", "process", "vm")
MODELS: Final = ("model", "estimat", "regress", "trained")
"""What the label `source` of early versions says where no sensor was read."""


def _current() -> list[Metric]:
    found = []
    for zone, device, boundary in ZONES:
        only = {"zone": zone}
        name, how = "kepler_node_cpu_joules_total", Method.MEASURED
        found.append(Metric(name, "node", device, boundary, how, only=only))
        for level in SHARES:
            name, how = f"kepler_{level}_cpu_joules_total", Method.MODELED
            found.append(Metric(name, level, device, boundary, how, only=only))
    return found


def _early() -> list[Metric]:
    parts = (("package", "cpu"), ("dram", "memory"), ("gpu", "gpu"))
    found = []
    for level, how in (("node", Method.MEASURED), ("container", Method.MODELED)):
        for part, device in parts:
            name = f"kepler_{level}_{part}_joules_total"
            found.append(Metric(name, level, device, Boundary.CHIP, how))
    whole = Boundary.NODE
    found += [
        Metric("kepler_node_platform_joules_total", "node", "host", whole, Method.MEASURED),
        Metric("kepler_container_joules_total", "container", "host", whole, Method.MODELED),
    ]
    return found


def _workload(metric: Metric, labels: Mapping[str, str]) -> str | None:
    match metric.level:
        case "pod":
            parts = (labels.get("pod_namespace"), labels.get("pod_name"))
        case "container":
            space = labels.get("container_namespace") or labels.get("pod_namespace")
            parts = (space, labels.get("pod_name"), labels.get("container_name"))  # type: ignore[assignment]
        case "process":
            parts = (labels.get("comm"), labels.get("pid"))
        case "vm":
            parts = (labels.get("vm_name"), None)
        case _:
            return None
    return "/".join(each for each in parts if each) or None


def _kind(_metric: Metric, labels: Mapping[str, str], kind: Kind) -> Kind:
    told = labels.get("source", "").lower()
    return replace(kind, method=Method.MODELED) if any(each in told for each in MODELS) else kind


KEPLER: Final = Tool(
    source="kepler",
    title="Kepler",
    metrics=(*_current(), *_early()),
    machine=("node_name", "node", "exported_instance", "instance"),
    workload=_workload,
    kind=_kind,
)


def read(path: Path, at: datetime | None, host: str | None) -> list[MeterReading]:
    """Every reading of a file.

    Args:
        path: The file.
        at: Instant of a page whose samples have none.
        host: The machine of a page that does not name it.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is not Kepler's, or a value cannot be.
    """
    return readings(path, KEPLER, at, host)
