"""The next runs of declared workloads, planned at once; what must be decided alone is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from greenops.domain.console import DecisionRecord, JobRequest
from greenops.domain.decision import Candidate, Mode
from greenops.domain.workload import Job
from greenops.pipeline.decide import Decider
from greenops.pipeline.fleet_plan import SHOWN, fleet_jobs, plan_jobs
from greenops.plan.candidates import BASELINE
from greenops.plan.careful import Care, needs_care
from greenops.plan.fleet import INSTANT, NOW
from greenops.policy import PolicySet

ALONE: Final = "decided-alone"
"""In place of a code: `decide` looked at the intensity of now, the upper bound of carbon, or prices of electricity."""


def plan_requests(decider: Decider, requests: Sequence[JobRequest]) -> pa.Table:
    """One row per request, in order, as `plan_jobs` gives it: what `decider.decide` says of each.

    Raises:
        UsageError: A workload is not declared, is no batch workload, or lacks what a plan needs.
    """
    now = decider.clock.now()
    times = [max(now, each.submitted) for each in requests]
    jobs = [decider.job(each, then) for each, then in zip(requests, times, strict=True)]
    options = decider.options(now, _among(jobs))
    rows: dict[int, Mapping[str, Any]] = {}
    schema = plan_jobs(fleet_jobs([]), options, decider.policies, now).schema
    for policies, places in _by_policies(decider, times):
        then = pa.array([times[at] for at in places], INSTANT)
        some = fleet_jobs([jobs[at] for at in places]).append_column(NOW, then)
        told = plan_jobs(some, options, policies, now).to_pylist()
        rows |= dict(zip(places, told, strict=True))
    for at, request in enumerate(requests):
        ahead = request.submitted > now
        if _alone(decider, jobs[at], rows[at], ahead=ahead):
            rows[at] = {**rows[at], **_as_decided(decider.decide(request))}
    whole = [rows[at] for at in range(len(jobs))]
    return pa.table({name: [row[name] for row in whole] for name in schema.names})


def _among(jobs: Sequence[Job]) -> set[str]:
    """Regions whose forecasts matter."""
    return {
        name
        for each in jobs
        for name in (each.workload.home_region, *each.workload.allowed_regions)
    }


def _by_policies(decider: Decider, times: Sequence[datetime]) -> list[tuple[PolicySet, list[int]]]:
    """The policies in force when each run is decided, and the runs that they are in force for."""
    found: dict[str, tuple[PolicySet, list[int]]] = {}
    for at, then in enumerate(times):
        policies = decider.in_force(then) if decider.in_force else decider.policies
        found.setdefault(policies.hash, (policies, []))[1].append(at)
    return list(found.values())


def _alone(decider: Decider, job: Job, row: Mapping[str, Any], *, ahead: bool) -> bool:
    """Does a decision look at more than a plan of many runs does?"""
    if not row["foretold"] and not ahead:
        return True
    priced = decider.priced.regions if decider.priced else ()
    if any(each in priced for each in (job.workload.home_region, *job.workload.allowed_regions)):
        return True
    slack, age = decider.settings.careful_slack_s, decider.settings.careful_age_s
    chosen = Candidate(
        BASELINE, start=row["chosen.start"], forecast_age_s=row["chosen.forecast_age_s"]
    )
    care = Care(timedelta(seconds=slack), timedelta(seconds=age))
    return needs_care(chosen, job, care) is not None


def _as_decided(record: DecisionRecord) -> Mapping[str, Any]:
    made, (own, *others) = record.decision, record.verdicts
    of = next(each for each in record.verdicts if each.candidate == made.chosen.id)
    return {
        **{f"chosen.{name}": getattr(made.chosen, name) for name in SHOWN},
        **{f"baseline.{name}": getattr(made.baseline, name) for name in SHOWN},
        "ways": len(others),
        "allowed": sum(each.allowed for each in others),
        "noncompliant_baseline": not own.allowed,
        "objective": made.objective,
        "score": None if of.score is None else of.score[0],
        "mode": made.mode.value,
        "held_out": made.held_out,
        "moves": made.mode is Mode.ENFORCE and not made.held_out,
        "reason": ALONE,
    }
