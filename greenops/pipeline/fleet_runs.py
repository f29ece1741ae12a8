"""The runs of a fleet: those that schedules make over a period, or those of a file; and as planners take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.domain.workload import Job, Workload, WorkloadKind
from greenops.errors import InvalidFile, Location, UsageError, nearest
from greenops.pipeline.fleet_plan import fleet_jobs
from greenops.plan.crowd import phase
from greenops.plan.fleet import INSTANT, PHASE, RUN_TIME, SCHEDULED, SPAN
from greenops.plan.guard import deadline_of, scheduled_start

PART: Final = 2_000
"""Runs that are planned together: some seconds of work with policies."""
NAME, SUBMITTED = "workload", "submitted"
FIGURES: Final = ("duration_s", "duration_p95_s", "energy_kwh")
"""What a file may say of each run; absent: as the workload declares."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)


def scheduled_runs(
    workloads: Mapping[str, Workload], start: datetime, end: datetime
) -> tuple[pa.Table, tuple[str, ...]]:
    """Every run that the schedules of batch workloads make in `[start, end)`, in order of time.

    Returns:
        The runs, and the batch workloads without a schedule, which make none.
    """
    rows: list[tuple[datetime, str]] = []
    silent = []
    for name, workload in sorted(workloads.items()):
        if workload.kind is not WorkloadKind.BATCH:
            continue
        if workload.schedule is None:
            silent.append(name)
            continue
        at = scheduled_start(workload, start)
        while at < end:
            rows.append((at, name))
            at = scheduled_start(workload, at + TICK)
    rows.sort()
    return _runs([name for _, name in rows], [at for at, _ in rows]), tuple(silent)


def runs_of_file(path: Path, workloads: Mapping[str, Workload]) -> pa.Table:
    """The runs of a CSV or Parquet file: `workload`, `submitted`, and what `FIGURES` names.

    Raises:
        InvalidFile: It cannot be read, lacks a column, or a row names no declared batch workload.
    """
    table = _read(path)
    for name in (NAME, SUBMITTED):
        if name not in table.column_names:
            told = ", ".join(table.column_names) or "none"
            raise InvalidFile(
                "GO0690", f"no column `{name}`; it has {told}", at=Location(str(path)), fix="add it"
            )
    for row, name in enumerate(table.column(NAME).to_pylist()):
        known = workloads.get(name)
        if known is None or known.kind is not WorkloadKind.BATCH:
            raise _no_workload(path, row, name, workloads)
    instants = _instants(path, table.column(SUBMITTED))
    kept = {NAME: table.column(NAME).cast(pa.string()), SUBMITTED: instants}
    for name in FIGURES:
        if name in table.column_names:
            kept[name] = _numbers(path, name, table.column(name))
    return pa.table(kept).sort_by([(SUBMITTED, "ascending"), (NAME, "ascending")])


def regions_of(runs: pa.Table, workloads: Mapping[str, Workload]) -> list[str]:
    """Every region that some run may go to."""
    declared = (workloads[each] for each in runs.column(NAME).unique().to_pylist())
    return sorted({name for each in declared for name in (each.home_region, *each.allowed_regions)})


def parts_of(runs: pa.Table, rows: int = PART) -> Iterator[pa.Table]:
    """Some runs at a time."""
    for first in range(0, runs.num_rows, rows):
        yield runs.slice(first, rows).combine_chunks()


def planned_jobs(runs: pa.Table, workloads: Mapping[str, Workload]) -> pa.Table:
    """Runs as `plan_jobs` takes them, each with the words and numbers of its workload."""
    codes = runs.column(NAME).combine_chunks().dictionary_encode()
    names, which = codes.dictionary.to_pylist(), np.asarray(codes.indices)
    declared = [workloads[each] for each in names]
    table = fleet_jobs([Job(each.name, each, EPOCH) for each in declared]).take(codes.indices)
    submitted = runs.column(SUBMITTED).combine_chunks().cast(INSTANT)
    at_us = np.asarray(submitted.view(pa.int64()))
    ends, starts = np.empty(len(which), object), np.empty(len(which), object)
    for code, workload in enumerate(declared):
        rows = np.flatnonzero(which == code)
        instants, back = np.unique(at_us[rows], return_inverse=True)
        moments = [EPOCH + each * TICK for each in instants.tolist()]
        ends[rows] = np.array([deadline_of(workload, e) for e in moments], object)[back]
        starts[rows] = np.array([scheduled_start(workload, e) for e in moments], object)[back]
    told = zip(which.tolist(), at_us.tolist(), strict=True)
    ids = [f"{names[code]}/{EPOCH + at * TICK:%Y-%m-%dT%H:%M:%SZ}" for code, at in told]
    changed = {
        "job.id": pa.array(ids),
        "job.submitted": submitted,
        "limits.deadline": pa.array(ends.tolist(), INSTANT),
        SCHEDULED: pa.array(starts.tolist(), INSTANT),
        PHASE: pa.array(
            [phase(Job(i, declared[c], EPOCH)) for i, c in zip(ids, which, strict=True)], SPAN
        ),
        **_told(runs, table),
    }
    for name, column in changed.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def _told(runs: pa.Table, table: pa.Table) -> dict[str, Any]:
    """Columns that the runs themselves tell better than their workload."""
    found: dict[str, Any] = {}
    own = {name: runs.column(name) for name in FIGURES if name in runs.column_names}
    if "energy_kwh" in own:
        found["job.energy_kwh"] = _or(own["energy_kwh"], table.column("job.energy_kwh"))
    longest = own.get("duration_p95_s")
    if "duration_s" in own:
        found["job.duration_s"] = _or(own["duration_s"], table.column("job.duration_s"))
        longest = own["duration_s"] if longest is None else _or(longest, own["duration_s"])
    if longest is not None:
        micros = pa.compute.round(pa.compute.multiply(longest, 1e6)).cast(pa.int64())
        spans = pa.chunked_array([micros.combine_chunks().view(SPAN)])
        found[RUN_TIME] = _or(spans, table.column(RUN_TIME))
    return found


def _or(column: Any, otherwise: Any) -> Any:
    return pa.compute.coalesce(column, otherwise)


def _runs(names: Sequence[str], instants: Sequence[datetime]) -> pa.Table:
    return pa.table({NAME: pa.array(names, pa.string()), SUBMITTED: pa.array(instants, INSTANT)})


def _read(path: Path) -> pa.Table:
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix == ".csv":
            return pyarrow.csv.read_csv(path)
        return pyarrow.parquet.read_table(path)
    except (OSError, pa.ArrowException) as error:
        said = str(error).strip().split("\n")[0][:160]
        raise InvalidFile(
            "GO0690",
            f"cannot be read as runs: {said}",
            at=Location(str(path)),
            fix="give a CSV or Parquet file with the columns `workload` and `submitted`",
        ) from error


def _instants(path: Path, column: Any) -> Any:
    kind = column.type
    naive = pa.types.is_timestamp(kind) and kind.tz is None
    try:
        if naive or not (pa.types.is_timestamp(kind) or pa.types.is_string(kind)):
            raise pa.ArrowInvalid("no offset")
        found = column.cast(INSTANT)
    except pa.ArrowException as error:
        raise InvalidFile(
            "GO0690",
            f"`{SUBMITTED}` holds `{column[0].as_py() if len(column) else ''}`, which is no instant with an offset",
            at=Location(str(path)),
            fix="write it like 2021-10-08T08:00:00Z",
        ) from error
    if found.null_count:
        row = found.to_pylist().index(None)
        raise InvalidFile("GO0690", f"row {row + 1} has no `{SUBMITTED}`", at=Location(str(path)))
    return found


def _numbers(path: Path, name: str, column: Any) -> Any:
    try:
        found = column.cast(pa.float64())
    except pa.ArrowException as error:
        raise InvalidFile(
            "GO0690", f"`{name}` must be numbers, not {column.type}", at=Location(str(path))
        ) from error
    bad = pa.compute.fill_null(pa.compute.invert(pa.compute.is_finite(found)), False)
    bad = pa.compute.or_(bad, pa.compute.fill_null(pa.compute.less(found, 0.0), False))
    if name != "energy_kwh":
        bad = pa.compute.or_(bad, pa.compute.fill_null(pa.compute.equal(found, 0.0), False))
    if pa.compute.any(bad).as_py():
        row = bad.to_pylist().index(True)
        raise InvalidFile(
            "GO0690",
            f"row {row + 1} has `{name}` {found[row].as_py()}, which no run has",
            at=Location(str(path)),
        )
    return found


def _no_workload(
    path: Path, row: int, name: object, workloads: Mapping[str, Workload]
) -> InvalidFile:
    batch = [each.name for each in workloads.values() if each.kind is WorkloadKind.BATCH]
    near = nearest(str(name), batch)
    hint = f"did you mean `{near}`?" if near else "declare it with `kind: Workload`"
    message = f"row {row + 1} names `{name}`, which is no declared batch workload"
    return InvalidFile("GO0690", message, at=Location(str(path)), fix=hint)


def some_of(
    runs: pa.Table,
    start: datetime | None = None,
    end: datetime | None = None,
    workload: str | None = None,
) -> tuple[pa.Table, datetime, datetime]:
    """Runs of one workload, or all, submitted in `[start, end)`, and from when to when they are.

    Raises:
        UsageError: There is none.
    """
    wanted: Any = pa.array([True] * runs.num_rows, pa.bool_())
    at = runs.column(SUBMITTED)
    if start is not None:
        wanted = pa.compute.and_(wanted, pa.compute.greater_equal(at, pa.scalar(start, INSTANT)))
    if end is not None:
        wanted = pa.compute.and_(wanted, pa.compute.less(at, pa.scalar(end, INSTANT)))
    if workload is not None:
        wanted = pa.compute.and_(wanted, pa.compute.equal(runs.column(NAME), workload))
    found = runs.filter(wanted)
    if not found.num_rows:
        of = f" of `{workload}`" if workload else ""
        raise UsageError(
            "GO0691",
            f"no runs{of} are submitted in this period",
            fix="give workloads a `schedule`, or name a file of runs with `--jobs`",
        )
    first, last = found.column(SUBMITTED)[0].as_py(), found.column(SUBMITTED)[-1].as_py()
    return found, start or first, end or last + TICK
