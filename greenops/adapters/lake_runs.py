"""Earlier runs of batch workloads, summed from the lake's spans."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from greenops.adapters.lake_files import Part
from greenops.adapters.lake_places import day_folders, parts
from greenops.adapters.lake_read import ATTRIBUTE, span_tables
from greenops.domain.measured_run import MeasuredRun
from greenops.domain.spans import credible
from greenops.errors import DataMissing, GreenOpsError, Unreachable
from greenops.units import Joules, Seconds

log = logging.getLogger("greenops.lake")

RUN_KEY: Final = "cicd.pipeline.run.id"
RESULT: Final = "cicd.pipeline.result"
ERROR: Final = "error.type"
SUCCESS: Final = "success"
TOLD: Final = {ATTRIBUTE + key: key for key in (RUN_KEY, RESULT, ERROR)}
"""Attributes that are read, by the name of their column."""


@dataclass(slots=True)
class _Run:
    """A run so far: its own spans, and the traces that they are of."""

    begins: datetime
    ends: datetime
    failed: bool = False
    traces: set[str] = field(default_factory=set)

    def add(self, span: dict[str, Any], told: dict[str, str]) -> None:
        self.begins, self.ends = min(self.begins, span["start"]), max(self.ends, span["end"])
        self.failed |= ERROR in told or _text(told.get(RESULT)) not in (None, SUCCESS)
        self.traces.add(span["trace_id"])


def measured_runs(state: Path, workload: str, since: date) -> list[MeasuredRun]:
    """Runs of a workload that ended on or after a (simulated) day; damaged files are named and skipped."""
    runs: dict[str, _Run] = {}
    spans = state / "lake" / "v1" / "spans"
    days = [e for e in _folders(spans) if e.name >= f"day={since.isoformat()}"]
    for table in _tables(days, ("trace_id", "workload", "start", "end", *TOLD)):
        for span in _own(table, workload):
            told = {key: span[name] for name, key in TOLD.items() if span[name] is not None}
            key = _text(told[RUN_KEY])
            if key:
                runs.setdefault(key, _Run(span["start"], span["end"])).add(span, told)
    energies = _energies(days, {trace for run in runs.values() for trace in run.traces})
    return [_measured(key, workload, run, energies) for key, run in sorted(runs.items())]


def _energies(days: Sequence[Path], traces: set[str]) -> dict[str, dict[str, float]]:
    """Trace → span → energy [J], of spans that know theirs; each span once."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    wanted = pa.array(sorted(traces), pa.string())
    for table in _tables(days if traces else (), ("trace_id", "span_id", "energy_j")):
        mine = table.filter(pc.is_in(table.column("trace_id"), wanted)).to_pylist()
        for row in mine:
            if row["energy_j"] is not None and credible(row["energy_j"]):
                found[row["trace_id"]].setdefault(row["span_id"], row["energy_j"])
    return found


def _measured(
    key: str, workload: str, run: _Run, energies: dict[str, dict[str, float]]
) -> MeasuredRun:
    known = [each for trace in run.traces for each in energies.get(trace, {}).values()]
    length = (run.ends - run.begins).total_seconds()
    energy = Joules(sum(known)) if known else None
    return MeasuredRun(workload, key, run.begins, Seconds(length), energy, run.failed)


def _own(table: pa.Table, workload: str) -> Iterator[dict[str, Any]]:
    """Spans of the workload that tell their run."""
    keyed = table.column(ATTRIBUTE + RUN_KEY).is_valid()
    mine = pc.equal(table.column("workload").cast(pa.string()), workload)
    yield from table.filter(pc.and_(keyed, mine)).to_pylist()


def _folders(spans: Path) -> list[Path]:
    try:
        return day_folders(spans)
    except GreenOpsError as error:
        log.warning("%s", error)
        return day_folders(spans, away=False)


def _tables(days: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.Table]:
    for day in days:
        try:
            for part in parts(day, pa.OSFile):
                yield from _of_part(part, columns)
        except Unreachable as error:
            # What lies away is not known now; earlier runs that lie here still tell something.
            log.warning("%s", error)


def _of_part(part: Part, columns: Sequence[str]) -> Iterator[pa.Table]:
    try:
        yield from span_tables(part, columns)
    except DataMissing as error:
        log.warning("%s", error)


def _text(value: str | None) -> str | None:
    """A text as it was sent; none where it is absent or no text."""
    try:
        found = None if value is None else json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, str) and found else None
