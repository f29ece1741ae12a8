"""Jobs and forecasts that a test makes up, and what a plan of them must keep."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from greenops.domain.batch_job import BatchJob
from greenops.pipeline.batch_forecasts import newest_forecasts
from greenops.testing.grid import FakeGrid

START = datetime(2021, 10, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = 3600


def at(seconds):
    return START + seconds * SECOND


def job(name, deadline_s, duration_s=HOUR, *, earliest_s=0, place="A", power_kw=1.0, **more):
    return BatchJob(
        name, place, place, 1.0, at(earliest_s), at(deadline_s), duration_s, power_kw, **more
    )


def foretold(slot_s=HOUR, start=START, **zones):
    """Hourly values by zone, foretold at midnight."""
    longest = max(map(len, zones.values()))
    grid = FakeGrid(zones, length=timedelta(hours=longest))
    return newest_forecasts(grid, zones, start, start, max_age_s=86400, slot_s=slot_s)


def seconds_of(told):
    """Every piece of a job in seconds from the start."""
    return [((p.start - START) / SECOND, (p.end - START) / SECOND) for p in told.pieces]


def most_drawn(plan, sizes, jobs=None):
    """Most that is taken at one instant by place, each job by its size; who ends goes before who starts."""
    edges = {}
    for told in plan.jobs if jobs is None else jobs:
        for start, end in seconds_of(told):
            own = edges.setdefault(told.place, Counter())
            own[start, 1] += sizes[told.id]
            own[end, 0] -= sizes[told.id]
    most = {}
    for place, changes in edges.items():
        running = 0.0
        for key in sorted(changes):
            running += changes[key]
            most[place] = max(most.get(place, 0.0), running)
    return most


def keeps_its_word(plan, jobs):
    """Each planned job runs its time inside its window, and every job is told once."""
    by_id = {each.id: each for each in jobs}
    assert sorted(e.id for e in (*plan.jobs, *plan.not_planned)) == sorted(by_id)
    for told in plan.jobs:
        of, pieces = by_id[told.id], seconds_of(told)
        assert sum(end - start for start, end in pieces) == of.duration_s
        assert told.pieces[0].start >= of.earliest
        assert told.pieces[-1].end <= of.deadline
        assert all(a[1] < b[0] for a, b in pairwise(pieces))
        assert of.interruptible or len(pieces) == 1
