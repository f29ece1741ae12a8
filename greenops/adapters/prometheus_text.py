"""Samples off a file: a Prometheus page, or what `/api/v1/query` and `/api/v1/query_range` answer.

Sources: text exposition format 0.0.4 and OpenMetrics 1.0; HTTP API of Prometheus 3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from greenops.adapters.import_text import documents, text_of
from greenops.errors import InvalidFile, Location

LINE: Final = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?[ \t]+(?P<value>\S+)(?:[ \t]+(?P<at>-?[\d.]+))?[ \t]*(?:#.*)?"
)
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPE: Final = re.compile(r"\\(.)")
IN: Final = re.compile(
    r"\((?:in )?(m?J|joules?|m?W|watts?|microjoules|microwatts|kWh)\)", re.IGNORECASE
)
LONGEST: Final = 40
"""Longest part of a sample that a message quotes [characters]."""
SECONDS: Final = 1e11
"""A time of a page above it is in milliseconds, as pages of 0.0.4 have it; OpenMetrics counts in seconds."""

Units = Mapping[str, str | None]
"""Metrics that are wanted, each with the unit that its `HELP` names, where it does."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value, and where it stands."""

    name: str
    labels: Mapping[str, str]
    value: float
    at: datetime
    place: Location


def samples_of(path: Path, wanted: Units, at: datetime | None) -> list[Sample]:
    """Samples of some metrics.

    Args:
        path: The file.
        wanted: The metrics.
        at: Instant of a page whose samples have none; none: when the file was last written.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is neither, says another unit than is known, or has a value that cannot be.
    """
    text = text_of(path)
    if text.lstrip()[:1] == "{":
        return list(_answer(text, path, wanted))
    when = at or datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return list(_page(text, path, wanted, when))


# -- a page


def _page(text: str, path: Path, wanted: Units, when: datetime) -> Iterator[Sample]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("#"):
            _check_words(line, wanted, Location(str(path), number, 1))
        elif line.partition("{")[0].partition(" ")[0] in wanted:
            yield _sample(line, path, number, when)


def _check_words(line: str, wanted: Units, at: Location) -> None:
    """Refuse a page whose own words say another unit than the metric is known to have."""
    parts = line.split(maxsplit=3)
    if len(parts) < 4 or parts[2] not in wanted:  # noqa: PLR2004  (# HELP name words)
        return
    unit, words = wanted[parts[2]], IN.search(parts[3])
    if parts[1] == "HELP" and unit and words and words[1] != unit:
        what = f"`{parts[2]}` says that it is in {words[1]}, it is known in {unit}"
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


def _answer(text: str, path: Path, wanted: Units) -> Iterator[Sample]:
    place = Location(str(path))
    for _, document in documents(text, path):
        try:
            if document["status"] != "success":
                raise InvalidFile("GO0440", f"the query failed: {document.get('error')}", at=place)
            result = document["data"]["result"]
            for number, row in enumerate(result):
                yield from _row(row, f"data.result[{number}]", place, wanted)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            what = (
                "no answer of Prometheus: it lacks `status`, or `data.result`, or what is in them"
            )
            raise InvalidFile("GO0440", what, at=place) from error


def _row(row: Any, where: str, place: Location, wanted: Units) -> Iterator[Sample]:
    labels = {str(name): str(value) for name, value in row["metric"].items()}
    name = labels.pop("__name__", "")
    if not name:
        fix = "ask for the counter itself: sums and rates have lost its name and labels"
        raise InvalidFile("GO0440", f"`{where}.metric` has no `__name__`", at=place, fix=fix)
    if name not in wanted:
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
