"""Runs that another tool accounted for, as rows of the lake with its own method on them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from greenops.domain.energy import Method
from greenops.domain.spans import SpanRow, sound
from greenops.errors import InvalidFile, Location
from greenops.units import Grams, Joules


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """One run as another tool tells it; its numbers stay as they are.

    Attributes:
        tool: `codecarbon`, `eco2ai`, `experiment_impact_tracker` or `ml_impact`.
        id: Unique among the tool's runs; the same one again is the same run.
        duration_s: Wall time [s]; of two rows of one run the longer holds.
        energy: As the tool tells it [J]; none where it tells none.
        carbon: Gross, no offsets taken off [gCO2e].
        method: `reported` where a tool watched the run, `estimated` where a formula stands for it.
        more: What else it tells, by name.
    """

    tool: str
    id: str
    project: str
    end: datetime
    duration_s: float
    energy: Joules | None
    carbon: Grams | None
    method: Method
    region: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)


def last_of_each(runs: Iterable[ForeignRun]) -> list[ForeignRun]:
    """Each run once: tools write the sum so far again and again."""
    longest: dict[str, ForeignRun] = {}
    for run in runs:
        if run.id not in longest or run.duration_s >= longest[run.id].duration_s:
            longest[run.id] = run
    return list(longest.values())


def as_span(run: ForeignRun) -> SpanRow:
    """The row that stands for a run; numbers that cannot be are absent, with a reason."""
    digest = hashlib.sha256(f"{run.tool}/{run.id}".encode()).hexdigest()
    told = {f"greenops.import.{name}": json.dumps(value) for name, value in run.more.items()}
    return sound(
        SpanRow(
            trace_id=digest[:32],
            span_id=digest[32:48],
            parent_id=None,
            service=run.project,
            instance=None,
            workload=run.project,
            name=f"{run.tool} {run.project}",
            kind="INTERNAL",
            start=run.end - timedelta(seconds=run.duration_s),
            end=run.end,
            time=run.end,
            energy_j=run.energy,
            energy_low_j=None,
            energy_high_j=None,
            carbon_g=run.carbon,
            cost_usd=None,
            method=None if run.energy is None and run.carbon is None else str(run.method),
            unknown="not_reported" if run.energy is None else None,
            region=run.region,
            grid_zone=None,
            decision_id=None,
            attributes={"greenops.import.tool": json.dumps(run.tool), **told},
        )
    )


def number(text: str | None, name: str, at: Location) -> float | None:
    """A number of a foreign file; none where the cell is empty.

    Raises:
        InvalidFile: It is no finite number.
    """
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidFile("GO0441", f"`{name}` must be a number, not `{text[:40]}`", at=at)
    return value


def instant(text: str, zone: tzinfo, name: str, at: Location) -> datetime:
    """An instant that a tool wrote in the local time of its machine.

    Raises:
        InvalidFile: It is no date and time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidFile(
            "GO0441", f"`{name}` must be a date and time, not `{text[:40]}`", at=at
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=zone)


def columns(found: Iterable[str] | None, needed: Iterable[str], tool: str, at: Location) -> None:
    """Refuse a table that lacks columns.

    Raises:
        InvalidFile: It does; names them.
    """
    missing = sorted(set(needed) - set(found or ()))
    if missing:
        raise InvalidFile("GO0440", f"no file of {tool}: it lacks `{'`, `'.join(missing)}`", at=at)


def whole(row: Mapping[str, str | None], needed: Iterable[str], at: Location) -> None:
    """Refuse a row that was cut off.

    Raises:
        InvalidFile: It lacks a cell; names the first.
    """
    for name in needed:
        if row[name] is None:
            raise InvalidFile("GO0441", f"the row is cut off before `{name}`", at=at)
