"""Readings of meters that another tool took, off samples in Prometheus's words: what each metric is, and which series are one."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from greenops.adapters.prometheus_text import Sample, samples_of
from greenops.domain.energy import Boundary, Method
from greenops.domain.meter_reading import MeterReading, can_be
from greenops.domain.power import plausible_watts
from greenops.domain.reported import Kind, Quantity
from greenops.errors import InvalidFile, Location
from greenops.units import Joules

SCRAPE: Final = frozenset({"job", "instance", "endpoint", "service", "prometheus"})
"""Labels that whoever scrapes adds: a page and a query of the same counter must be the same series."""
OF_ITS_POD: Final = frozenset({"namespace", "pod", "container"})
"""Those that are added where the exporter itself is a pod."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What one metric is.

    Attributes:
        scale: Makes joules or watts of its values.
        unit: How its `HELP` names its unit, where it does.
        only: Labels that a series must have.
        stands_in_for: A metric that says the same better; where a device has that, this one is passed by.
    """

    name: str
    level: str
    device: str
    boundary: Boundary
    method: Method
    scale: float = 1.0
    is_power: bool = False
    unit: str | None = None
    only: Mapping[str, str] = field(default_factory=dict)
    stands_in_for: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """How one tool names things.

    Attributes:
        source: Its name in the lake; `title` for people.
        machine: Labels that name the machine, best first.
        workload: What a series is the share of, from its metric and labels; none of whole devices.
        kind: The kind of a series, where its labels say more than its metric.
        once: Labels that name a device which several rows show whole; none: each row is a series.
        added: Labels that whoever scrapes adds.
    """

    source: str
    title: str
    metrics: Sequence[Metric]
    machine: Sequence[str]
    workload: Callable[[Metric, Mapping[str, str]], str | None]
    kind: Callable[[Metric, Mapping[str, str], Kind], Kind] = lambda _metric, _labels, kind: kind
    once: Sequence[str] = ()
    added: frozenset[str] = SCRAPE | OF_ITS_POD


def readings(path: Path, tool: Tool, at: datetime | None, host: str | None) -> list[MeterReading]:
    """What a file has of a tool's energy.

    Args:
        path: The file.
        tool: Whose it is.
        at: Instant of a page whose samples have none; none: when the file was last written.
        host: The machine of series that do not name it.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It has nothing of the tool, or a value that cannot be.
    """
    wanted = {each.name: each.unit for each in tool.metrics}
    samples = samples_of(path, wanted, at)
    found = list(_readings(samples, tool, host))
    if not found:
        fix = f"it has none of {', '.join(f'`{each}`' for each in sorted(wanted)[:4])} …"
        raise InvalidFile("GO0440", f"no file of {tool.title}", at=Location(str(path)), fix=fix)
    return found


def _readings(samples: Sequence[Sample], tool: Tool, host: str | None) -> Iterator[MeterReading]:
    there = {(each.name, _whole(each, tool)) for each in samples}
    known = defaultdict(list)
    for metric in tool.metrics:
        known[metric.name].append(metric)
    found: dict[tuple[str, datetime], tuple[Sample, MeterReading]] = {}
    for sample in sorted(samples, key=lambda each: each.at):
        for metric in known[sample.name]:
            better = (metric.stands_in_for, _whole(sample, tool))
            if better not in there and metric.only.items() <= sample.labels.items():
                reading = _reading(sample, metric, tool, host)
                key = (reading.series, reading.at)
                found[key] = _together(found.get(key), (sample, reading))
    last: dict[str, MeterReading] = {}
    for sample, reading in found.values():
        _refuse_jump(last.get(reading.series), sample, reading)
        last[reading.series] = reading
        yield reading


def _whole(sample: Sample, tool: Tool) -> tuple[str | None, ...]:
    """The device that a sample is of or, where its tool names none, the machine."""
    labels = sample.labels
    machine = next((labels[each] for each in tool.machine if labels.get(each)), None)
    return tuple(labels.get(each) for each in tool.once) or (machine,)


def _together(
    one: tuple[Sample, MeterReading] | None, other: tuple[Sample, MeterReading]
) -> tuple[Sample, MeterReading]:
    """One reading of rows that show one device at one instant, each whole: its share is nobody's who is not alone."""
    if one is None:
        return other
    shown = max(one, other, key=lambda each: each[1].joules or each[1].watts or 0.0)
    alone = one[1].workload == other[1].workload
    return shown if alone else (shown[0], replace(shown[1], workload=None))


def _reading(sample: Sample, metric: Metric, tool: Tool, host: str | None) -> MeterReading:
    labels = dict(sample.labels)
    machine = next((each for each in tool.machine if labels.get(each)), None)
    kept = {
        name: value for name, value in labels.items() if name not in tool.added or name == machine
    }
    kind = Kind(tool.source, Quantity.ENERGY, metric.method, metric.level, metric.boundary)
    value = sample.value * metric.scale
    try:
        watts = plausible_watts(value) if metric.is_power else None
    except ValueError as error:
        fix = "is it in another unit?"
        raise InvalidFile(
            "GO0441", f"`{sample.name}`: {error}", at=sample.place, fix=fix
        ) from error
    if machine is None and host is not None:
        machine, kept["instance"], labels["instance"] = "instance", host, host
    device = {each: kept[each] for each in tool.once if each in kept}
    return MeterReading(
        kind=tool.kind(metric, labels, kind),
        series=identity(tool.source, metric.name, device or kept),
        device=metric.device,
        at=sample.at,
        joules=None if metric.is_power else Joules(value),
        watts=watts,
        host=labels[machine] if machine else None,
        workload=tool.workload(metric, labels),
        labels=kept,
    )


def identity(source: str, name: str, labels: Mapping[str, str]) -> str:
    """What tells a series from every other of its tool, however it was exported."""
    text = json.dumps([source, name, sorted(labels.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _refuse_jump(before: MeterReading | None, sample: Sample, reading: MeterReading) -> None:
    """Refuse what no machine draws: most likely the unit is another one."""
    if before is None or reading.joules is None or before.joules is None:
        return
    rose, lasted = reading.joules - before.joules, reading.at - before.at
    # Two looks may be stamped with one second though it passed between them.
    if rose > 0 and not can_be(rose, lasted + timedelta(seconds=1)):
        what = f"`{sample.name}` rose by {rose:.4g} J in {lasted.total_seconds():g} s"
        fix = "no machine draws that: is it in another unit?"
        raise InvalidFile("GO0441", what, at=sample.place, fix=fix)
