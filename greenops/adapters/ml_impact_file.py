"""What the ML CO2 Impact calculator gives for a paper or a model card.

hours x rated power x carbon efficiency, all of them typed in by a person: an estimate, not a reading.
Source of the formula: Lacoste et al., Quantifying the Carbon Emissions of Machine Learning, arXiv 1910.09700.

Three forms are read: the paragraph as the calculator's page has it since January 2020, the one of December 2019, which
tells no power, and the list of a Hugging Face model card, into which its result is typed (template of `huggingface_hub`).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
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
EMITTED: Final = re.compile(rf"(?:estimated to be|total of(?: approximately)?) {NUMBER}\s*kg")
REGION: Final = re.compile(r"in region ([\w-]+)")
HARDWARE: Final = re.compile(r"hardware of type ([^(.\n]+)")
TOLERANCE: Final = 0.02
"""How far the total may be from its factors: a person may have rounded them once more."""
ROUNDED: Final = 0.005
"""Half of the last digit that the calculator keeps of kilowatt hours and of kilograms."""

FIELD: Final = r"\*\*{name}:?\*\*:?[ \t]*([^\n]+)"
WHOLE: Final = r"[~≈]?\s*(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?![\d,])"
"""A number with the thousands set off by commas, or not."""
TIME: Final = re.compile(rf"{WHOLE}\s*(?:$|h\b|hours?\b|[A-Z]PU[- ]hours?\b)")
MASS: Final = re.compile(rf"{WHOLE}\s*(kg|g|t|tonnes?|metric tons?)\s*(?=$|[\s.;(]|CO|of\b)")
IN_KG: Final = {"g": 1e-3, "kg": 1.0}
"""Kilograms of one unit; of every other, a tonne."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a form tells: hours, kilograms, and the rest where it has it."""

    hours: float
    kg: float
    watts: float | None = None
    kg_per_kwh: float | None = None
    region: str | None = None
    hardware: str | None = None


def read(path: Path, zone: tzinfo) -> Iterator[ForeignRun]:  # noqa: ARG001 - readers are called alike
    """The run that the text tells of; it names no date, so the file's own stands for its end.

    Offsets that the text names are left out: the figure is gross.

    Raises:
        InvalidFile: It is of none of the forms, or its figures do not agree.
    """
    text, at = path.read_text(encoding="utf-8"), Location(str(path))
    told = _paragraph(text) or _card(text, at)
    if told is None:
        raise InvalidFile("GO0440", "no paragraph of the ML CO2 Impact calculator", at=at)
    lasted = timedelta(hours=told.hours)
    seconds = Seconds(lasted.total_seconds())
    drawn = None if told.watts is None else energy(Watts(told.watts), seconds)
    carbon = grams(told.kg)
    if drawn is not None and told.kg_per_kwh is not None:
        _agree(carbon, drawn, grams(told.kg_per_kwh), at)
    yield ForeignRun(
        tool="ml_impact",
        id=hashlib.sha256(text.encode()).hexdigest(),
        project=path.stem,
        end=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        duration_s=seconds,
        energy=drawn,
        carbon=carbon,
        method=Method.ESTIMATED,
        region=told.region,
        more={"hardware": told.hardware} if told.hardware else {},
    )


def _paragraph(text: str) -> _Told | None:
    hours, kg = _found(HOURS, text), _found(EMITTED, text)
    if hours is None or kg is None:
        return None
    region, hardware = REGION.search(text), HARDWARE.search(text)
    return _Told(
        hours,
        kg,
        watts=_found(POWER, text),
        kg_per_kwh=_found(INTENSITY, text),
        region=region.group(1) if region else None,
        hardware=hardware.group(1).strip() if hardware else None,
    )


def _card(text: str, at: Location) -> _Told | None:
    """The list of a model card; its figures are a person's, so units that can be taken in two ways are refused."""
    hours, mass = _field("Hours used", text), _field("Carbon Emitted", text)
    if hours is None or mass is None:
        return None
    time, weight = TIME.match(hours), MASS.match(mass)
    if time is None:
        raise InvalidFile("GO0441", f"`Hours used` is no number of hours: `{hours}`", at=at)
    if weight is None:
        raise InvalidFile("GO0441", f"`Carbon Emitted` is no mass in g, kg or t: `{mass}`", at=at)
    return _Told(
        _number(time[1]),
        _number(weight[1]) * IN_KG.get(weight[2], 1e3),
        region=_known(_field("Compute Region", text)),
        hardware=_known(_field("Hardware Type", text)),
    )


def _field(name: str, text: str) -> str | None:
    found = re.search(FIELD.format(name=name), text)
    return found.group(1).strip() if found else None


def _known(value: str | None) -> str | None:
    return None if value is None or value.startswith("[") or value == "Unknown" else value


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _found(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.search(text)
    return float(found.group(1).rstrip(".")) if found else None


def _agree(carbon: Grams, drawn: Joules, per_kwh: float, at: Location) -> None:
    made = emissions(drawn, GramsPerKwh(per_kwh))
    # The energy was rounded before it was multiplied, and the product was: of little runs that is most.
    rounding = grams(ROUNDED) + ROUNDED * per_kwh
    if not math.isclose(made, carbon, rel_tol=TOLERANCE, abs_tol=rounding):
        raise InvalidFile(
            "GO0442",
            f"hours x power x efficiency are {made / 1000:.4g} kg, the text says {carbon / 1000:.4g} kg",
            at=at,
        )
