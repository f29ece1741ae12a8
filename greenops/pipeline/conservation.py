"""Does it add up: the lake's rows against the meters' own logs, process by process."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from greenops.adapters.parquet_lake import ParquetLake
from greenops.domain.energy import Category
from greenops.domain.spans import IDLE_TAKEN, EnergyAccount, SpanRow
from greenops.errors import DataMissing, Location
from greenops.units import Joules

METERS = "meters"
"""Folder of the meters' logs in the demo's state folder (`GREENOPS_METER_LOG`)."""


def residual_of(state: Path) -> float | None:
    """Largest |metered - accounted| / metered over all processes that kept a meter log.

    Accounted is what the lake holds: the energy of every span of the process, and its idle, other,
    unattributed and overhead accounts. None where no log was kept or nothing was metered.

    Raises:
        DataMissing: A log or a lake file is damaged.
    """
    lake = ParquetLake(state / "lake")
    metered = {path.stem: energy_of(path) for path in sorted((state / METERS).glob("*.jsonl"))}
    accounted = by_process(lake.spans(), lake.accounts())
    ratios = [
        abs(joules - accounted.get(_process(name), 0.0)) / joules
        for name, joules in metered.items()
        if joules > 0
    ]
    return max(ratios, default=None)


def by_process(spans: Iterable[SpanRow], accounts: Iterable[EnergyAccount]) -> Mapping[str, Joules]:
    """Process id → energy on its spans and in its other accounts [J]."""
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for span in spans:
        if span.energy_j is not None and span.instance is not None:
            parts[_process(span.instance)].append(span.energy_j)
    newest: dict[tuple[object, ...], EnergyAccount] = {}
    for account in accounts:
        key = (account.instance, account.start, account.device, account.category)
        if key not in newest or account.at >= newest[key].at:
            newest[key] = account
    for account in newest.values():
        if account.category not in (Category.ATTRIBUTED, IDLE_TAKEN):
            parts[_process(account.instance)].append(account.joules)
    return {process: Joules(math.fsum(each)) for process, each in parts.items()}


def energy_of(log: Path) -> Joules:
    """What a log's devices used between its first and its last line [J].

    Raises:
        DataMissing: A line is no reading.
    """
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for number, line in enumerate(log.read_text().splitlines(), 1):
        try:
            reading = json.loads(line)
            device, joules = reading["device"], float(reading["joules"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataMissing(
                "GO0413", "this line is no reading of a meter", at=Location(str(log), number)
            ) from error
        first.setdefault(device, joules)
        last[device] = joules
    return Joules(math.fsum(last[device] - first[device] for device in first))


def _process(name: str) -> str:
    """The process id at the end of an instance's or a log's name."""
    return name.rsplit("-", 1)[-1]
