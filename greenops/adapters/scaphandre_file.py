"""Scaphandre: the report of its JSON exporter, or its metrics off a page or a query.

Sources: Scaphandre 1.0, `src/exporters/json.rs` (a report a step, one right after another: `host`, `consumers`, `sockets`; `consumption` in
microwatts, `timestamp` in seconds) and `docs_src/references/metrics.md` (`scaph_host_energy_microjoules`, `scaph_host_power_microwatts`,
`scaph_process_power_consumption_microwatts`).

The host is what RAPL counts: of the whole machine only where the page shows its domain `psys`, else of its chips. What a process
gets is its share of processor time, idle power included: modeled, and together more than the host may draw (issue 163).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from greenops.adapters.import_meters import Metric, Tool, identity, readings
from greenops.adapters.import_text import documents, text_of
from greenops.domain.energy import Boundary, Method
from greenops.domain.meter_reading import MeterReading
from greenops.domain.power import plausible_watts
from greenops.domain.reported import Kind, Quantity
from greenops.errors import InvalidFile, Location
from greenops.units import Watts

MICRO: Final = 1e-6
PSYS: Final = "scaph_host_rapl_psys_microjoules"
COUNTER: Final = "scaph_host_energy_microjoules"
HOST: Final = "scaph_host_power_microwatts"
PROCESS: Final = "scaph_process_power_consumption_microwatts"


def _workload(metric: Metric, labels: Mapping[str, str]) -> str | None:
    if metric.level != "process":
        return None
    pod = (labels.get("kubernetes_pod_namespace"), labels.get("kubernetes_pod_name"))
    parts = pod if all(pod) else (labels.get("container_names") or labels.get("exe"), labels.get("pid"))  # fmt: skip
    return "/".join(each for each in parts if each) or None


SCAPHANDRE: Final = Tool(
    source="scaphandre",
    title="Scaphandre",
    metrics=(
        Metric(PSYS, "node", "host", Boundary.NODE, Method.MEASURED, MICRO),
        Metric(COUNTER, "node", "host", Boundary.CHIP, Method.MEASURED, MICRO, stands_in_for=PSYS),
        Metric(
            HOST,
            "node",
            "host",
            Boundary.CHIP,
            Method.MEASURED,
            MICRO,
            is_power=True,
            stands_in_for=COUNTER,
        ),
        Metric(
            PROCESS,
            "process",
            "cpu",
            Boundary.CHIP,
            Method.MODELED,
            MICRO,
            is_power=True,
        ),
    ),
    machine=("exported_instance", "instance"),
    workload=_workload,
)


def read(path: Path, at: datetime | None, host: str | None) -> list[MeterReading]:
    """Every reading of a file.

    Args:
        path: The file.
        at: Instant of a page whose samples have none.
        host: The machine; none: as the file names it, a report by the name of its file.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is not Scaphandre's, or a value cannot be.
    """
    text = text_of(path)
    if text.lstrip()[:1] not in ("{", "[") or '"status"' in text[:200]:
        return readings(path, SCAPHANDRE, at, host)
    found: list[MeterReading] = []
    for _, document in documents(text, path):
        reports = document if isinstance(document, list) else [document]
        for number, report in enumerate(reports):
            found += _report(report, number, path, host or path.stem)
    if not found:
        raise InvalidFile("GO0440", "no report of Scaphandre: it is empty", at=Location(str(path)))
    return found


def _report(report: Any, number: int, path: Path, host: str) -> Iterator[MeterReading]:
    at = Location(str(path))
    try:
        yield _reading(report["host"], None, host, f"report {number}, `host`", at)
        for place, each in enumerate(report["consumers"]):
            inside = (each.get("container") or {}).get("name")
            name = inside or str(each["exe"]).rpartition("/")[2]
            where = f"report {number}, `consumers[{place}]`"
            yield _reading(each, f"{name}/{each['pid']}", host, where, at)
    except (KeyError, TypeError, AttributeError) as error:
        what = f"no report of Scaphandre: report {number} lacks {error}"
        raise InvalidFile("GO0440", what, at=at) from error


def _reading(
    told: Mapping[str, Any], workload: str | None, host: str, where: str, at: Location
) -> MeterReading:
    """What a report says of the host, or of a process; its series is the one that a page shows."""
    named = {each: str(told[each]) for each in ("exe", "cmdline", "pid") if workload}
    labels = {**named, "instance": host}
    level, method = ("process", Method.MODELED) if workload else ("node", Method.MEASURED)
    return MeterReading(
        kind=Kind("scaphandre", Quantity.ENERGY, method, level, Boundary.CHIP),
        series=identity("scaphandre", PROCESS if workload else HOST, labels),
        device="cpu" if workload else "host",
        at=_instant(told["timestamp"], where, at),
        joules=None,
        watts=_watts(told["consumption"], where, at),
        host=host,
        workload=workload,
        labels=labels,
    )


def _watts(told: Any, where: str, at: Location) -> Watts:
    try:
        return plausible_watts(float(told) * MICRO)
    except (TypeError, ValueError, OverflowError) as error:
        what = f"{where}: `consumption` must be a power in microwatts, not `{str(told)[:40]}`"
        raise InvalidFile("GO0441", what, at=at, fix="leave the report out") from error


def _instant(told: Any, where: str, at: Location) -> datetime:
    try:
        return datetime.fromtimestamp(float(told), UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        what = f"{where}: `timestamp` must be seconds, not `{str(told)[:40]}`"
        raise InvalidFile("GO0441", what, at=at) from error
