"""Deadlines and starts on local wall clocks, and the latest start that still keeps a deadline."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from greenops.domain.wall_clock import next_local
from greenops.domain.workload import Job, Workload
from greenops.plan.calendar import last_open, next_open


def deadline_of(workload: Workload, submitted: datetime) -> datetime | None:
    """Latest end of a run: the earlier of the two forms of the limit; none where there is none."""
    limits = workload.limits
    ends = []
    if limits.deadline_within is not None:
        ends.append(submitted + limits.deadline_within)
    if limits.deadline_at is not None:
        ends.append(next_local(limits.deadline_at, submitted))
    return min(ends, default=None)


def scheduled_start(workload: Workload, submitted: datetime) -> datetime:
    """When a run would start without GreenOps: at its schedule's next time, else when submitted.

    Not before a blackout of its calendar ends.
    """
    at = submitted
    if workload.schedule is not None:
        at = next_local(workload.schedule, submitted - timedelta(microseconds=1))
    return next_open(workload.calendar, at)


LATE: Final = timedelta(hours=1)
"""Longest a trigger may come after its scheduled time and still count as that one."""


def due_since(workload: Workload, triggered: datetime) -> datetime:
    """When a run that is triggered now was due: its schedule's last time, if that just passed.

    A trigger comes some time after the hour it was set for; deadline and baseline count from the
    hour. Without a schedule, or long after it, a run is due when it is triggered.
    """
    if workload.schedule is None:
        return triggered
    due = next_local(workload.schedule, triggered - LATE)
    return min(due, triggered)


def run_time(workload: Workload) -> timedelta | None:
    """The P95 run time, else the usual one; none where neither is declared."""
    longest = workload.duration_p95_s or workload.duration_s
    return None if longest is None else timedelta(seconds=longest)


def latest_safe_start(job: Job) -> datetime | None:
    """Start after which the P95 run would miss the deadline; none without a deadline.

    No start may be in a blackout: the last one before it counts, or, where none is after the
    submission, the first one after it: then its calendar alone makes the run late.
    """
    longest = run_time(job.workload)
    if job.deadline is None or longest is None:
        return None
    latest, calendar = job.deadline - longest, job.workload.calendar
    if calendar is None:
        return latest
    opens = next_open(calendar, job.submitted)
    return last_open(calendar, latest) if opens <= latest else max(latest, opens)
