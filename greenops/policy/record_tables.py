"""The Arrow tables `jobs` and `candidates` made from records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job
from greenops.policy.schema import JOB, LIMITS, NUMBER, PLACE, TEXT, TIME, deadline_of

ARROW: dict[str, Any] = {
    TEXT: pa.dictionary(pa.int32(), pa.string()),
    NUMBER: pa.float64(),
    TIME: pa.timestamp("us", "UTC"),
    "bool": pa.bool_(),
    "list(string)": pa.list_(pa.string()),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One run and what may be done with it.

    Attributes:
        now: Instant of its decision.
    """

    job: Job
    baseline: Candidate
    candidates: Sequence[Candidate]
    now: datetime


def job_table(choices: Sequence[Choice]) -> pa.Table:
    """`job.*`, `baseline.*`, `limits.*` and `now`, one row per run; absent is null."""
    columns = {f"job.{n}": _array(k, [_of_job(e.job, n) for e in choices]) for n, k in JOB.items()}
    labels = sorted({label for each in choices for label in each.job.workload.labels})
    for name in labels:
        given = [each.job.workload.labels.get(name) for each in choices]
        columns[f"job.labels.{name}"] = _array(TEXT, given)
    places = place_columns("baseline", [each.baseline for each in choices])
    limits = {
        f"limits.{name}": _array(kind, [_limit(each.job, name) for each in choices])
        for name, kind in LIMITS.items()
    }
    now = {"now": _array(TIME, [each.now for each in choices])}
    return pa.table({**columns, **places, **limits, **now})


def candidate_table(choices: Sequence[Choice]) -> pa.Table:
    """`candidate.*` of all runs in order, and `job`, the row of its run."""
    whole = [(at, place) for at, each in enumerate(choices) for place in each.candidates]
    job = pa.array([at for at, _ in whole], pa.int32())
    return pa.table({"job": job, **place_columns("candidate", [place for _, place in whole])})


def place_columns(root: str, places: Sequence[Candidate]) -> dict[str, Any]:
    """The columns of some candidates under `candidate.` or `baseline.`."""
    return {
        f"{root}.{name}": _array(kind, [getattr(each, name) for each in places])
        for name, kind in PLACE.items()
    }


def _of_job(job: Job, name: str) -> Any:
    match name:
        case "id" | "submitted":
            return getattr(job, name)
        case "kind" | "urgency":
            return getattr(job.workload, name).value
        case "allowed_regions":
            return list(job.workload.allowed_regions) or None
        case _:
            return getattr(job.workload, name, None)


def _limit(job: Job, name: str) -> Any:
    if name == "deadline":
        return deadline_of(job, job.workload.limits)
    return getattr(job.workload.limits, name)


def _array(kind: str, values: list[Any]) -> Any:
    if kind == NUMBER:
        values = [None if each is None else float(each) for each in values]
    return pa.array(values, ARROW[kind])
