"""Many runs that all want the clean hour: spread within a slot, and no more at once than may be.

Runs come one by one, and each takes the best start that has room: first come, first served. That is a
greedy: where a later run has less choice than an earlier one, another order would save more. On four
grids' hours of 2020, 48 runs of an hour with half a day and more to go, three at once, it keeps 91 % of
what the exact assignment (`capacity`, of runs that are known beforehand) saves; the fuller the hours,
the less. `tests/unit/plan/test_crowd_gap.py` holds it to that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job
from greenops.plan.guard import run_time

MINUTE: Final = timedelta(minutes=1)

Span = tuple[datetime, datetime]
"""When a run is planned to run: its start, and its end by the P95 of its run time, which is not in it."""


def phase(job: Job) -> timedelta:
    """How far after a slot a run starts: within its workload's jitter, the same for the same key.

    In whole minutes, as ways are named: two starts in one minute would have one name.
    """
    jitter = job.workload.jitter
    if jitter is None:
        return timedelta()
    digest = hashlib.sha256(job.id.encode()).digest()
    return timedelta(minutes=int(jitter / MINUTE * int.from_bytes(digest[:8]) / 2**64))


def with_room(
    job: Job, ways: Sequence[Candidate], planned: Sequence[Span]
) -> tuple[Candidate, ...]:
    """The ways with how many more runs of the workload may run beside those planned, at each way's fullest.

    Args:
        job: What is to run; without `max_concurrent` its ways stay as they are.
        ways: The baseline and the others.
        planned: Other runs of the workload.
    """
    most, longest = job.workload.max_concurrent, run_time(job.workload)
    if most is None or longest is None:
        return tuple(ways)
    return tuple(_with_room(each, most, longest, planned) for each in ways)


def crowded(job: Job, way: Candidate) -> bool:
    """Whether one run more would be one too many; never where the workload sets no most."""
    free = way.capacity_free
    return job.workload.max_concurrent is not None and free is not None and free < 1


def _with_room(way: Candidate, most: int, longest: timedelta, planned: Sequence[Span]) -> Candidate:
    if way.start is None:
        return way
    begins, ends = way.start, way.start + longest
    beside = [(max(a, begins), b) for a, b in planned if a < ends and b > begins]
    # The number of runs only rises where one begins.
    fullest = max((sum(a <= at < b for a, b in beside) for at, _ in beside), default=0)
    return replace(way, capacity_free=float(most - fullest))
