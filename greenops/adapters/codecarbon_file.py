"""CodeCarbon's `emissions.csv`; columns as version 3.3.2 writes them, of which versions since 2.0 have those read here."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import Final

from greenops.domain.energy import Method
from greenops.domain.foreign import ForeignRun, columns, instant, number, whole
from greenops.errors import Location
from greenops.units import Kwh, grams, to_joules

NEEDED: Final = (
    "timestamp",
    "project_name",
    "run_id",
    "duration",
    "emissions",
    "energy_consumed",
)
MORE: Final = (
    "experiment_id", "country_iso_code", "cloud_provider", "codecarbon_version", "tracking_mode",
    "cpu_model", "gpu_model", "pue",
)  # fmt: skip


def read(path: Path, zone: tzinfo) -> Iterator[ForeignRun]:
    """Every row; a run that was flushed has many, each with the sum so far.

    Args:
        path: The file.
        zone: CodeCarbon writes the local time of its machine, without saying which.

    Raises:
        InvalidFile: It is not CodeCarbon's, or a number is none.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns(rows.fieldnames, NEEDED, "CodeCarbon", Location(str(path)))
        for row in rows:
            at = Location(str(path), rows.line_num)
            whole(row, NEEDED, at)
            yield _run(row, zone, at)


def _run(row: dict[str, str], zone: tzinfo, at: Location) -> ForeignRun:
    energy = number(row["energy_consumed"], "energy_consumed", at)
    carbon = number(row["emissions"], "emissions", at)
    task = row.get("task_name")
    return ForeignRun(
        tool="codecarbon",
        id=f"{row['run_id']}/{task}" if task else row["run_id"],
        project=row["project_name"] or "codecarbon",
        end=instant(row["timestamp"], zone, "timestamp", at),
        duration_s=number(row["duration"], "duration", at) or 0.0,
        energy=None if energy is None else to_joules(Kwh(energy)),
        carbon=None if carbon is None else grams(carbon),
        method=Method.REPORTED,
        region=row.get("cloud_region") or None,
        more={name: row[name] for name in MORE if row.get(name)},
    )
