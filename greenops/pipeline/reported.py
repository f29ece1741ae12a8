"""What other tools and providers account for, brought into tables of its own: readings of meters and amounts of periods."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Final

from greenops.adapters import (
    aws_carbon_file,
    azure_carbon_file,
    cloudflare_file,
    dcgm_file,
    gcp_carbon_file,
    gptcache_file,
    kepler_file,
    opencost_file,
    scaphandre_file,
    vercel_file,
)
from greenops.adapters.reported_lake import ReportedLake
from greenops.domain.answer_cache import AnswerCache
from greenops.domain.grid import Basis
from greenops.domain.meter_reading import MeterReading, stretches
from greenops.domain.reported import Amount, Kind, by_kind, total
from greenops.errors import InvalidFile, UsageError


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says of a file that does not say it itself.

    Attributes:
        at: Instant of a page of metrics.
        host: Machine that it is of.
        accounting: How scope 2 is counted.
        currency: Of its costs, ISO 4217.
    """

    at: datetime | None = None
    host: str | None = None
    accounting: Basis | None = None
    currency: str | None = None


ReadReadings = Callable[[Path, Told], Sequence[MeterReading]]
ReadAmounts = Callable[[Path, Told], Sequence[Amount]]

METERS: Final[Mapping[str, ReadReadings]] = {
    "kepler": lambda path, told: kepler_file.read(path, told.at, told.host),
    "scaphandre": lambda path, told: scaphandre_file.read(path, told.at, told.host),
    "dcgm": lambda path, told: dcgm_file.read(path, told.at, told.host),
}
PROVIDERS: Final[Mapping[str, ReadAmounts]] = {
    "aws-carbon": lambda path, _told: aws_carbon_file.read(path),
    "gcp-carbon": lambda path, _told: gcp_carbon_file.read(path),
    "azure-carbon": lambda path, told: azure_carbon_file.read(path, told.accounting),
}
EDGES: Final[Mapping[str, ReadAmounts]] = {
    "cloudflare": lambda path, _told: cloudflare_file.read(path),
    "vercel": lambda path, _told: vercel_file.read(path),
}
AMOUNTS: Final[Mapping[str, ReadAmounts]] = {
    **PROVIDERS,
    **EDGES,
    "opencost": lambda path, told: opencost_file.read(path, told.currency),
}
SIGNS: Final[Mapping[str, str]] = {
    "codecarbon": "codecarbon_version",
    "eco2ai": "power_consumption(kWh)",
    "experiment-impact-tracker": "rapl_estimated_attributable_power_draw",
    "kepler": "kepler_",
    "scaphandre": "scaph_",
    "dcgm": "DCGM_FI_",
    "aws-carbon": "total_mbm_emissions_value",
    "gcp-carbon": "carbon_footprint_",
    "azure-carbon": "azureServiceName",
    "opencost": "totalCost",
    "cloudflare": "cachedRequests",
    "vercel": "vercelCache",
    "gptcache": "hint_cache_count",
}
"""What files of each tool have near their beginning, and those of no other."""
LOOKED: Final = 1 << 16
"""How far a file is looked through for what it is [byte]."""
CODE: Final = 3
"""Letters of a currency's code."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a file gave.

    Attributes:
        rows: How many readings or amounts it holds.
        changed: How many of them are new in the lake, or differ from what was there.
        amounts: Amounts of the file, or the energy between its readings.
        series: Counters and powers that were read; none where it has amounts.
        alone: Of these, how many have a single look, which tells no energy.
        readings: The looks themselves.
    """

    rows: int
    changed: int
    amounts: Sequence[Amount]
    series: int | None = None
    alone: int = 0
    readings: Sequence[MeterReading] = ()


def bring_readings(tool: str, path: Path, told: Told, state: Path) -> Brought:
    """Read a tool's file and keep its readings.

    Raises:
        DataMissing, InvalidFile: It cannot be read, or is not one of that tool.
        Unreachable: The lake cannot be written.
    """
    with named(tool, path):
        found = METERS[tool](path, told)
    changed = ReportedLake(state / "lake").keep_readings(found)
    counts: defaultdict[str, int] = defaultdict(int)
    for each in found:
        counts[each.series] += 1
    alone = sum(count == 1 for count in counts.values())
    return Brought(len(found), changed, energy_of(found), len(counts), alone, found)


def bring_amounts(tool: str, path: Path, told: Told, state: Path) -> Brought:
    """Read a file of amounts and keep them.

    Raises:
        DataMissing, InvalidFile: It cannot be read, or is not one of that tool.
        UsageError: The currency is none.
        Unreachable: The lake cannot be written.
    """
    if told.currency is not None and not (len(told.currency) == CODE and told.currency.isalpha()):
        raise UsageError("GO0446", f"`{told.currency}` is no currency", fix="as `EUR`")
    with named(tool, path):
        found = AMOUNTS[tool](path, told)
    changed = ReportedLake(state / "lake").keep(found)
    return Brought(len(found), changed, found)


def drop(source: str, stretch: str, state: Path) -> int:
    """Take back what a source told of a month (`2026-10`) or a day; gives how many rows.

    Raises:
        DataMissing: A file of the lake is damaged.
        Unreachable: The lake cannot be written, or object storage does not answer.
    """
    return ReportedLake(state / "lake").drop(source, stretch)


def energy_of(readings: Iterable[MeterReading]) -> list[Amount]:
    """Energy between readings, by kind, machine, workload and day (UTC) in which a stretch ends."""
    series: defaultdict[str, list[MeterReading]] = defaultdict(list)
    for each in readings:
        series[each.series].append(each)
    sums: dict[tuple[object, ...], Amount] = {}
    for group in series.values():
        for part in stretches(group):
            at = part.reading.at.astimezone(UTC)
            end = part.reading.at
            whose = (part.reading.kind, part.reading.host, part.reading.workload)
            key = (*whose, part.reading.device, at.date())
            before = sums.get(key)
            sums[key] = Amount(
                kind=part.reading.kind,
                value=part.joules + (before.value if before else 0.0),
                start=min(part.start, before.start if before else part.start),
                end=max(end, before.end if before else end),
                workload=part.reading.workload,
                host=part.reading.host,
                more={"device": part.reading.device},
            )
    return list(sums.values())


@dataclass(frozen=True, slots=True)
class Listed:
    """All amounts of one kind in the lake.

    Attributes:
        left_out: Amounts of periods that others have been told for already, as of a week beside its days; in no sum.
    """

    kind: Kind
    value: float
    start: datetime
    end: datetime
    rows: int
    left_out: int


def listed(state: Path) -> list[Listed]:
    """Every kind that was brought in, each with its sum; two kinds are in no sum together.

    Raises:
        DataMissing: A file of the lake is damaged.
    """
    lake = ReportedLake(state / "lake")
    found = []
    for kind, amounts in by_kind([*lake.amounts(), *energy_of(lake.readings())]).items():
        kept = once_told(amounts)
        value = total(kept)
        if value is not None:
            start, end = min(e.start for e in kept), max(e.end for e in kept)
            found.append(Listed(kind, value, start, end, len(kept), len(amounts) - len(kept)))
    return found


def once_told(amounts: Iterable[Amount]) -> list[Amount]:
    """Amounts of which no two tell of the same share at the same time: the shorter period counts, then the earlier."""
    shares: defaultdict[tuple[object, ...], list[Amount]] = defaultdict(list)
    for each in amounts:
        device = each.more.get("device")
        whose = (each.account, each.service, each.region, each.workload, each.host, device)
        shares[whose].append(each)
    kept: list[Amount] = []
    for group in shares.values():
        taken: list[Amount] = []
        for each in sorted(group, key=lambda one: (one.end - one.start, one.start)):
            # Days of one series follow one another, so the neighbours alone can reach into a period.
            place = bisect_left(taken, each.start, key=attrgetter("start"))
            before, after = taken[max(0, place - 1) : place], taken[place : place + 1]
            if all(one.end <= each.start for one in before) and all(
                one.start >= each.end for one in after
            ):
                taken.insert(place, each)
        kept += taken
    return kept


def answer_cache(path: Path) -> AnswerCache:
    """What a cache of answers counted, off GPTCache's report.

    Raises:
        DataMissing, InvalidFile: It cannot be read, or is none.
    """
    with named("gptcache", path):
        return gptcache_file.read(path)


@contextmanager
def named(tool: str, path: Path) -> Iterator[None]:
    """Let the error of a file that is not a tool's say whose it is, where that can be told."""
    try:
        yield
    except InvalidFile as error:
        other = _whose(path) if error.code == "GO0440" else None
        if other in (None, tool):
            raise
        fix = f"it looks like one for `greenops import {other}`"
        raise InvalidFile("GO0440", error.message, at=error.at, fix=fix) from error


def _whose(path: Path) -> str | None:
    with path.open("rb") as file:
        begins = file.read(LOOKED)
    return next((tool for tool, sign in SIGNS.items() if sign.encode() in begins), None)
