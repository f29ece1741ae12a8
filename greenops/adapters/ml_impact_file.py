"""The paragraph that the ML CO2 Impact calculator gives for a paper or a model card.

hours x rated power x carbon efficiency, all of them typed in by a person: an estimate, not a reading.
Source of the formula: Lacoste et al., Quantifying the Carbon Emissions of Machine Learning, arXiv 1910.09700.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from greenops.domain.energy import Method
from greenops.domain.foreign import ForeignRun
from greenops.errors import InvalidFile, Location
from greenops.units import Grams, GramsPerKwh, Joules, Seconds, Watts, emissions, energy, grams

NUMBER: Final = r"([0-9][0-9.]*(?:e[-+]?[0-9]+)?)"
HOURS: Final = re.compile(rf"cumulative of {NUMBER} hours")
POWER: Final = re.compile(rf"\(TDP of {NUMBER}\s*W\)")
INTENSITY: Final = re.compile(rf"carbon efficiency of {NUMBER}\s*kg")
EMITTED: Final = re.compile(rf"(?:estimated to be|total of approximately) {NUMBER}\s*kg")
REGION: Final = re.compile(r"in region ([\w-]+)")
HARDWARE: Final = re.compile(r"hardware of type ([^(.\n]+)")
TOLERANCE: Final = 0.02
"""How far the total may be from its factors: the calculator rounds to two digits."""


def read(path: Path, zone: tzinfo) -> Iterator[ForeignRun]:  # noqa: ARG001 - readers are called alike
    """The run that the paragraph tells of; it names no date, so the file's own stands for its end.

    Offsets that the paragraph names are left out: the figure is gross.

    Raises:
        InvalidFile: It is no such paragraph, or its figures do not agree.
    """
    text, at = path.read_text(encoding="utf-8"), Location(str(path))
    hours, kg = _found(HOURS, text), _found(EMITTED, text)
    if hours is None or kg is None:
        raise InvalidFile("GO0440", "no paragraph of the ML CO2 Impact calculator", at=at)
    watts, intensity = _found(POWER, text), _found(INTENSITY, text)
    lasted = timedelta(hours=hours)
    drawn = None if watts is None else energy(Watts(watts), Seconds(lasted.total_seconds()))
    carbon = grams(kg)
    if drawn is not None and intensity is not None:
        _agree(carbon, drawn, grams(intensity), at)
    region, hardware = REGION.search(text), HARDWARE.search(text)
    yield ForeignRun(
        tool="ml_impact",
        id=hashlib.sha256(text.encode()).hexdigest(),
        project=path.stem,
        end=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        duration_s=lasted.total_seconds(),
        energy=drawn,
        carbon=carbon,
        method=Method.ESTIMATED,
        region=region.group(1) if region else None,
        more={"hardware": hardware.group(1).strip()} if hardware else {},
    )


def _found(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return float(found.group(1).rstrip(".")) if found else None


def _agree(carbon: Grams, drawn: Joules, per_kwh: float, at: Location) -> None:
    made = emissions(drawn, GramsPerKwh(per_kwh))
    if not math.isclose(made, carbon, rel_tol=TOLERANCE):
        raise InvalidFile(
            "GO0442",
            f"hours x power x efficiency are {made / 1000:.4g} kg, the text says {carbon / 1000:.4g} kg",
            at=at,
        )
