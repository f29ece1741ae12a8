"""Eco2AI's `emission.csv`; columns as version 0.3.12 writes them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Final

from greenops.domain.energy import Method
from greenops.domain.foreign import ForeignRun, columns, instant, number, whole
from greenops.errors import Location
from greenops.units import Kwh, grams, to_joules

ENERGY: Final = "power_consumption(kWh)"
"""Energy, whatever its name says."""
CARBON: Final = "CO2_emissions(kg)"
NEEDED: Final = ("id", "project_name", "start_time", "duration(s)", ENERGY, CARBON)
MORE: Final = ("experiment_description", "epoch", "CPU_name", "GPU_name", "OS", "region/country")


def read(path: Path, zone: tzinfo) -> Iterator[ForeignRun]:
    """Every row; each epoch of a training is a run of its own.

    Args:
        path: The file.
        zone: Eco2AI writes the local time of its machine, without saying which.

    Raises:
        InvalidFile: It is not Eco2AI's, or a number is none.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns(rows.fieldnames, NEEDED, "Eco2AI", Location(str(path)))
        for row in rows:
            at = Location(str(path), rows.line_num)
            whole(row, NEEDED, at)
            yield _run(row, zone, at)


def _run(row: dict[str, str], zone: tzinfo, at: Location) -> ForeignRun:
    energy, carbon = number(row[ENERGY], ENERGY, at), number(row[CARBON], CARBON, at)
    lasted = number(row["duration(s)"], "duration(s)", at) or 0.0
    start = instant(row["start_time"], zone, "start_time", at)
    return ForeignRun(
        tool="eco2ai",
        id=f"{row['id']}/{row.get('epoch') or 'N/A'}",
        project=row["project_name"] or "eco2ai",
        end=start + timedelta(seconds=lasted),
        duration_s=lasted,
        energy=None if energy is None else to_joules(Kwh(energy)),
        carbon=None if carbon is None else grams(carbon),
        method=Method.REPORTED,
        more={name: row[name] for name in MORE if row.get(name)},
    )
