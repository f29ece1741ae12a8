"""experiment-impact-tracker's `impacttracker/data.json`: a JSON object a sample; fields as version 0.1.8 writes them.

Energy is the two attributable draws (`rapl_…`, `nvidia_estimated_attributable_power_draw`, W) times the time since the sample before, as
the tool's own `gather_additional_info` sums them; before the first sample nothing is known, since the start of the run is in `info.pkl`,
and pickles are not read: they can run code. Carbon is that energy with the tool's PUE and its `realtime_carbon_intensity`; none where it
looked none up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Final

from greenops.adapters.import_row import Row
from greenops.adapters.import_rows import rows_of
from greenops.domain.energy import Method
from greenops.domain.foreign import ForeignRun
from greenops.errors import InvalidFile, Location
from greenops.units import (
    Grams,
    GramsPerKwh,
    Joules,
    Seconds,
    Watts,
    emissions,
    energy,
    total_grams,
    total_joules,
)

TITLE: Final = "experiment-impact-tracker"
DRAWS: Final = ("rapl_estimated_attributable_power_draw", "nvidia_estimated_attributable_power_draw")  # fmt: skip
INTENSITY: Final = "realtime_carbon_intensity"
PUE: Final = 1.58
"""What the tool multiplies energy by before it makes carbon of it [1]. Source: its `emissions/constants.py`."""


LATEST: Final = 1e11
"""No time of a sample is later [s]; what is above it is in another unit."""


def read(path: Path, zone: tzinfo) -> Iterator[ForeignRun]:  # noqa: ARG001 - readers are called alike
    """The run that the samples are of; it is named by the folder in which `impacttracker` lies.

    Raises:
        InvalidFile: It is not the tool's, or a number is none.
    """
    rows = list(rows_of(path, TITLE, ("timestamp",)))
    if not any(name in row.cells for row in rows for name in DRAWS):
        what = f"no file of {TITLE}: no sample has a power draw"
        raise InvalidFile("GO0440", what, at=Location(str(path)))
    times = [_seconds(row) for row in rows]
    parts = [
        energy(_draw(row), Seconds(max(0.0, after - before)))
        for row, (before, after) in zip(rows[1:], pairwise(times), strict=True)
    ]
    folder = path.resolve().parent
    project = folder.parent.name if folder.name == "impacttracker" else path.stem
    yield ForeignRun(
        tool="experiment_impact_tracker",
        id=f"{project}/{times[0]:.6f}",
        project=project,
        end=datetime.fromtimestamp(times[-1], UTC),
        duration_s=times[-1] - times[0],
        energy=total_joules(parts) if parts else None,
        carbon=_carbon(rows[1:], parts),
        method=Method.REPORTED,
        more={"samples": str(len(rows))},
    )


def _seconds(row: Row) -> float:
    found = row.number("timestamp")
    if found is None:
        raise row.wrong("timestamp", "must not be empty")
    if found > LATEST:
        raise row.wrong("timestamp", "must be seconds since 1970")
    return found


def _draw(row: Row) -> Watts:
    return Watts(math.fsum(row.number(name) or 0.0 for name in DRAWS))


def _carbon(rows: Sequence[Row], parts: Sequence[Joules]) -> Grams | None:
    """Emissions; a sample without an intensity has the one before or, of the first ones, the next, as in the tool."""
    told = [_intensity(row) for row in rows]
    known = [each for each in told if each is not None]
    if not known:
        return None
    last, grams = known[0], []
    for part, intensity in zip(parts, told, strict=True):
        last = last if intensity is None else intensity
        grams.append(emissions(part, last, PUE))
    return total_grams(grams)


def _intensity(row: Row) -> GramsPerKwh | None:
    """What the tool looked up; it writes `n/a` where it could not."""
    if row.text(INTENSITY) in (None, "n/a"):
        return None
    found = row.number(INTENSITY)
    return None if found is None else GramsPerKwh(found)
