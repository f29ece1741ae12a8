"""Samples off a file: a Prometheus page, or what `/api/v1/query` and `/api/v1/query_range` answer.

Sources: text exposition format 0.0.4 and OpenMetrics 1.0; HTTP API of Prometheus 3.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from greenops.adapters.import_text import documents, text_of
from greenops.domain.energy import Boundary, Method
from greenops.domain.meter_reading import MeterReading, can_be
from greenops.domain.power import plausible_watts
from greenops.domain.reported import Kind, Quantity
from greenops.errors import InvalidFile, Location
from greenops.units import Joules

LINE: Final = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?[ \t]+(?P<value>\S+)(?:[ \t]+(?P<at>-?[\d.]+))?[ \t]*(?:#.*)?"
)
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPE: Final = re.compile(r"\\(.)")
IN: Final = re.compile(
    r"\((?:in )?(m?J|joules?|m?W|watts?|microjoules|microwatts|kWh)\)", re.IGNORECASE
)
SCRAPE: Final = frozenset({"job", "instance", "endpoint", "service", "prometheus", "container_endpoint"})  # fmt: skip
"""Labels that whoever scrapes adds: a page and a query of the same counter must be the same series."""
LONGEST: Final = 40
"""Longest part of a sample that a message quotes [characters]."""
SECONDS: Final = 1e11
"""A time of a page above it is in milliseconds, as pages of 0.0.4 have it; OpenMetrics counts in seconds."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What one metric is.

    Attributes:
        scale: Makes joules or watts of its values.
        unit: How its `HELP` names its unit, where it does.
        only: Labels that a series must have.
        stands_in_for: A metric that says the same better; where a file has that, this one is passed by.
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
class Sample:
    """One value, and where it stands."""

    name: str
    labels: Mapping[str, str]
    value: float
    at: datetime
    place: Location


@dataclass(frozen=True, slots=True)
class Tool:
    """How one tool names things.

    Attributes:
        source: Its name in the lake; `title` for people.
        machine: Labels that name the machine, best first.
        workload: What a series is the share of, from its metric and labels; none of whole devices.
        kind: The kind of a series, where its labels say more than its metric.
        once: Labels that name a device which several rows show whole; none: each row is a series.
    """

    source: str
    title: str
    metrics: Sequence[Metric]
    machine: Sequence[str]
    workload: Callable[[Metric, Mapping[str, str]], str | None]
    kind: Callable[[Metric, Mapping[str, str], Kind], Kind] = lambda _metric, _labels, kind: kind
    once: Sequence[str] = ()


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
    text = text_of(path)
    names = {each.name for each in tool.metrics}
    if text.lstrip()[:1] == "{":
        samples = list(_answer(text, path, names))
    else:
        when = at or datetime.fromtimestamp(path.stat().st_mtime, UTC)
        samples = list(_page(text, path, tool, when))
    found = list(_readings(samples, tool, host))
    if not found:
        fix = f"it has none of {', '.join(f'`{each}`' for each in sorted(names)[:4])} …"
        raise InvalidFile("GO0440", f"no file of {tool.title}", at=Location(str(path)), fix=fix)
    return found


def _readings(samples: Sequence[Sample], tool: Tool, host: str | None) -> Iterator[MeterReading]:
    there = {each.name for each in samples}
    chosen = defaultdict(list)
    for metric in tool.metrics:
        if metric.stands_in_for not in there:
            chosen[metric.name].append(metric)
    found: dict[tuple[str, datetime], tuple[Sample, MeterReading]] = {}
    for sample in sorted(samples, key=lambda each: each.at):
        for metric in chosen[sample.name]:
            if metric.only.items() <= sample.labels.items():
                reading = _reading(sample, metric, tool, host)
                key = (reading.series, reading.at)
                found[key] = _together(found.get(key), (sample, reading))
    last: dict[str, MeterReading] = {}
    for sample, reading in found.values():
        _refuse_jump(last.get(reading.series), sample, reading)
        last[reading.series] = reading
        yield reading


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
    kept = {name: value for name, value in labels.items() if name not in SCRAPE or name == machine}
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


# -- a page


def _page(text: str, path: Path, tool: Tool, when: datetime) -> Iterator[Sample]:
    metrics = {each.name: each for each in tool.metrics}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            _check_words(line, metrics, Location(str(path), number, 1))
        elif line.partition("{")[0].partition(" ")[0] in metrics:
            yield _sample(line, path, number, when)


def _check_words(line: str, metrics: Mapping[str, Metric], at: Location) -> None:
    """Refuse a page whose own words say another unit than the metric is known to have."""
    parts = line.split(maxsplit=3)
    if len(parts) < 4 or parts[2] not in metrics:  # noqa: PLR2004  (# HELP name words)
        return
    metric, words = metrics[parts[2]], IN.search(parts[3])
    if parts[1] == "HELP" and metric.unit and words and words[1] != metric.unit:
        what = f"`{metric.name}` says that it is in {words[1]}, it is known in {metric.unit}"
        raise InvalidFile("GO0441", what, at=at, fix="export it with its own unit")


def _sample(line: str, path: Path, number: int, when: datetime) -> Sample:
    found = LINE.fullmatch(line)
    if found is None:
        what = f"is no sample: `{line[:LONGEST]}`"
        raise InvalidFile("GO0441", what, at=Location(str(path), number, 1))
    place = Location(str(path), number, found.start("value") + 1)
    labels = {name: ESCAPE.sub(_plain, value) for name, value in LABEL.findall(found["labels"] or "")}  # fmt: skip
    at = when if found["at"] is None else _instant(found["at"], place)
    return Sample(found["name"], labels, _number(found["value"], found["name"], place), at, place)


def _plain(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]


# -- an answer


def _answer(text: str, path: Path, names: Iterable[str]) -> Iterator[Sample]:
    place = Location(str(path))
    for _, document in documents(text, path):
        try:
            if document["status"] != "success":
                raise InvalidFile("GO0440", f"the query failed: {document.get('error')}", at=place)
            result = document["data"]["result"]
            for number, row in enumerate(result):
                yield from _row(row, f"data.result[{number}]", place, names)
        except (KeyError, TypeError, AttributeError) as error:
            what = (
                "no answer of Prometheus: it lacks `status`, or `data.result`, or what is in them"
            )
            raise InvalidFile("GO0440", what, at=place) from error


def _row(row: Any, where: str, place: Location, names: Iterable[str]) -> Iterator[Sample]:
    labels = {str(name): str(value) for name, value in row["metric"].items()}
    name = labels.pop("__name__", "")
    if not name:
        fix = "ask for the counter itself: sums and rates have lost its name and labels"
        raise InvalidFile("GO0440", f"`{where}.metric` has no `__name__`", at=place, fix=fix)
    if name not in names:
        return
    pairs = row["values"] if "values" in row else [row["value"]]
    for at, value in pairs:
        yield Sample(
            name,
            labels,
            _number(str(value), f"{where} {name}", place),
            _instant(str(at), place),
            place,
        )


def _number(text: str, name: str, place: Location) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        what = f"`{name}` must be a number that is not negative, not `{text[:LONGEST]}`"
        raise InvalidFile("GO0441", what, at=place, fix="leave the sample out")
    return value


def _instant(text: str, place: Location) -> datetime:
    try:
        stamp = float(text)
        return datetime.fromtimestamp(stamp / 1000 if abs(stamp) > SECONDS else stamp, UTC)
    except (ValueError, OverflowError, OSError) as error:
        what = f"no time of a sample: `{text[:LONGEST]}`"
        raise InvalidFile("GO0441", what, at=place) from error
