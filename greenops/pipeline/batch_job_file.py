"""Reads the jobs that are planned together from a CSV or Parquet file; every fault names its row."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from greenops.domain.batch_job import BatchJob, Site
from greenops.errors import DataMissing, InvalidFile, Location, nearest
from greenops.grid.regions import RegionTable

CODE: Final = "GO0695"
COLUMNS: Final = (
    *("id", "region", "zone", "earliest", "deadline", "duration_s", "power_kw", "energy_kwh"),
    *("interruptible", "resume_s", "least_chunk_s", "after", "regions", "transfer_gb"),
)
NEEDED: Final = ("id", "deadline", "duration_s")
ONE_OF: Final = (("region", "zone"), ("power_kw", "energy_kwh"))
"""Of each of these a row says one."""
S_PER_H: Final = 3600
MOST: Final = 1e8
"""Largest figure of a job: three years in seconds, and more kW than any region has. Sums stay exact below it."""
WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
EXAMPLE: Final = "2021-10-08T08:00:00Z"


@dataclass(frozen=True, slots=True)
class JobFile:
    """What a file says.

    Attributes:
        jobs: In the order of the file.
        unused: Columns that mean nothing here.
    """

    jobs: tuple[BatchJob, ...]
    unused: tuple[str, ...]


def read_jobs(path: Path, regions: RegionTable, zones: Collection[str], now: datetime) -> JobFile:
    """The jobs of a file.

    Args:
        path: `.csv`, or Parquet.
        regions: Regions that a row may name.
        zones: Grid zones that a row may name.
        now: Earliest start of a row that says none, or one that has passed.

    Raises:
        InvalidFile: It cannot be read, lacks a column, or a row is not what a job can be.
    """
    table = _read(path)
    unused = _columns(path, table.column_names)
    kept = [name for name in COLUMNS if name in table.column_names]
    places = _Places(regions, zones)
    jobs = []
    for number, row in enumerate(table.select(kept).to_pylist(), start=1):
        said = {name: value for name, value in row.items() if _said(value)}
        try:
            jobs.append(_job(said, places, now))
        except ValueError as error:
            raise InvalidFile(CODE, f"row {number}: {error}", at=Location(str(path))) from error
    _refuse_links(path, jobs)
    return JobFile(tuple(jobs), unused)


@dataclass(frozen=True, slots=True)
class _Places:
    """What a row may name, and where that draws its power."""

    regions: RegionTable
    zones: Collection[str]

    def home(self, said: Mapping[str, Any]) -> Site:
        """Where a row's job runs if nothing is planned."""
        if "zone" in said:
            zone = str(said["zone"]).strip()
            if zone not in self.zones:
                raise ValueError(f"grid zone `{zone}` is not known{_hint(zone, self.zones)}")
            return Site(zone, zone, 1.0)
        return self._region(str(said["region"]).strip())

    def elsewhere(self, said: Mapping[str, Any], home: Site) -> tuple[Site, ...]:
        """Other regions that a row names."""
        names = dict.fromkeys(str(said.get("regions", "")).split())
        return tuple(self._region(name) for name in names if name != home.place)

    def _region(self, name: str) -> Site:
        try:
            region = self.regions[name]
        except DataMissing as error:
            raise ValueError(f"{error.message}; {error.fix}") from error
        return Site(name, region.zone, region.pue)


def _read(path: Path) -> pa.Table:
    import pyarrow.csv
    import pyarrow.parquet

    # As words: an id may look like a number, or be `NA`, and a time says its offset itself.
    words = pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in COLUMNS},
        null_values=[""],
        strings_can_be_null=True,
    )
    try:
        if path.suffix == ".csv":
            return pyarrow.csv.read_csv(path, convert_options=words)
        return pyarrow.parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        said = str(error).strip().split("\n")[0][:160]
        raise InvalidFile(
            CODE,
            f"cannot be read as jobs: {said}",
            at=Location(str(path)),
            fix="give a CSV or Parquet file with the columns `id`, `region`, `deadline`, `duration_s`, `power_kw`",
        ) from error


def _columns(path: Path, given: Sequence[str]) -> tuple[str, ...]:
    """Columns that mean nothing here; none of them looks like one that does."""
    at = Location(str(path))
    told = ", ".join(given) or "none"
    twice = next((name for name in given if list(given).count(name) > 1), None)
    if twice is not None:
        raise InvalidFile(CODE, f"column `{twice}` is there twice", at=at)
    unused = tuple(name for name in given if name not in COLUMNS)
    for name in unused:
        near = nearest(name.strip().lower(), [each for each in COLUMNS if each not in given])
        if near is not None:
            raise InvalidFile(
                CODE, f"unknown column `{name}`; did you mean `{near}`?", at=at, fix="or rename it"
            )
    for name in NEEDED:
        if name not in given:
            raise InvalidFile(CODE, f"no column `{name}`; it has {told}", at=at, fix="add it")
    for first, second in ONE_OF:
        if first not in given and second not in given:
            raise InvalidFile(
                CODE, f"neither `{first}` nor `{second}`; it has {told}", at=at, fix="add one"
            )
    return unused


def _said(value: object) -> bool:
    return value is not None and str(value).strip() != ""


def _job(said: Mapping[str, Any], places: _Places, now: datetime) -> BatchJob:
    for name in NEEDED:
        if name not in said:
            raise ValueError(f"no `{name}`")
    for pair in ONE_OF:
        if sum(name in said for name in pair) != 1:
            raise ValueError(f"one of `{pair[0]}` and `{pair[1]}` is needed, and not both")
    home = places.home(said)
    duration_s = _number(said, "duration_s", least=0, above=True)
    whole = math.ceil(duration_s)
    if "power_kw" in said:
        power = _number(said, "power_kw", least=0, above=True)
    else:
        power = _number(said, "energy_kwh", least=0, above=True) * S_PER_H / whole
    job = BatchJob(
        id=str(said["id"]).strip(),
        place=home.place,
        zone=home.zone,
        pue=home.pue,
        earliest=max(_instant("earliest", said["earliest"]), now) if "earliest" in said else now,
        deadline=_instant("deadline", said["deadline"]),
        duration_s=whole,
        power_kw=power,
        interruptible=_yes(said),
        resume_s=math.ceil(_number(said, "resume_s", least=0)),
        least_chunk_s=math.ceil(_number(said, "least_chunk_s", least=0)),
        after=tuple(dict.fromkeys(str(said.get("after", "")).split())),
        elsewhere=places.elsewhere(said, home),
        transfer_gb=_number(said, "transfer_gb", least=0),
    )
    if not job.interruptible and (job.resume_s or job.least_chunk_s):
        raise ValueError("`resume_s` and `least_chunk_s` are of a job that is `interruptible`")
    return job


def _number(said: Mapping[str, Any], name: str, *, least: float, above: bool = False) -> float:
    value = said.get(name, 0)
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not least <= found <= MOST or (above and found == least):
        raise ValueError(f"`{name}` is `{value}`, which no job has")
    return found


def _yes(said: Mapping[str, Any]) -> bool:
    value = str(said.get("interruptible", "no")).strip().lower()
    if value not in WORDS:
        raise ValueError(f"`interruptible` is `{said['interruptible']}`; say `true` or `false`")
    return WORDS[value]


def _instant(name: str, value: object) -> datetime:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError as error:
        raise ValueError(
            f"`{name}` is `{value}`, which is no instant, such as {EXAMPLE}"
        ) from error
    if found.tzinfo is None:
        raise ValueError(f"`{name}` is `{value}`, which has no offset; write it like {EXAMPLE}")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"`{name}` is `{value}`, which is out of range") from error


def _refuse_links(path: Path, jobs: Sequence[BatchJob]) -> None:
    """Ids are one job's own; what a job waits for is there, and is not waiting for it."""
    at = Location(str(path))
    rows: dict[str, int] = {}
    for number, job in enumerate(jobs, start=1):
        if job.id in rows:
            raise InvalidFile(
                CODE, f"rows {rows[job.id]} and {number} both have the id `{job.id}`", at=at
            )
        rows[job.id] = number
    for job in jobs:
        for each in job.after:
            if each not in rows:
                raise InvalidFile(
                    CODE,
                    f"row {rows[job.id]}: `after` names `{each}`, which is no id of the file{_hint(each, rows)}",
                    at=at,
                )
    try:
        TopologicalSorter({job.id: job.after for job in jobs}).prepare()
    except CycleError as error:
        circle = " → ".join(map(str, error.args[1]))
        raise InvalidFile(CODE, f"jobs wait for each other in a circle: {circle}", at=at) from error


def _hint(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f"; did you mean `{near}`?" if near else ""
