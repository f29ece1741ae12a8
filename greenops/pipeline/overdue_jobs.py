"""Jobs that nobody released in time: let go without a control loop, so that none waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from greenops.adapters.kubernetes_job import ACTION, DECISION, LATEST, RELEASED, Job
from greenops.adapters.kubernetes_jobs import KubernetesJobs
from greenops.domain.action import Action, Receipt, StartJob
from greenops.ports import Clock

GUARD: Final = "greenops jobs release"
"""Actor of what is released so."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A Job that should run by now.

    Attributes:
        since: Its latest safe start, or when it had waited long enough without a plan.
        planned: Whether a plan stands on it.
    """

    job: Job
    since: datetime
    planned: bool


def overdue(target: KubernetesJobs, clock: Clock, unplanned_after: timedelta) -> Iterator[Overdue]:
    """Suspended Jobs whose latest safe start has passed, and those that wait too long without a plan.

    A Job that ran and was suspended again is somebody's wish; it is none of them.

    Args:
        target: Where they are.
        clock: Simulated time where a replay is in force.
        unplanned_after: How long a Job may wait without a plan (wall time).
    """
    for job in target.jobs():
        if not job.suspended or job.began or job.said(RELEASED):
            continue
        latest = job.instant(LATEST)
        if latest is not None and latest < clock.now():
            yield Overdue(job, latest, planned=True)
        elif latest is None and job.created + unplanned_after < clock.wall():
            yield Overdue(job, job.created + unplanned_after, planned=False)


def let_go(target: KubernetesJobs, found: Overdue, clock: Clock) -> Receipt:
    """Let one run, whatever else stands on it, unless it changed since it was found or is frozen."""
    job, now = found.job, clock.now()
    name = job.said(ACTION) or f"job-{job.uid}"
    action = Action(
        id=f"{name}-overdue",
        target=target.name,
        change=StartJob(job.run_key, now, found.since if found.planned else now),
        decision_id=job.said(DECISION) or "",
        expires=now + timedelta(minutes=5),
        expected_version=job.state.version,
        actor=GUARD,
    )
    return target.apply(action)
