"""How much first come, first served leaves, against the exact placement of the same runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greenops.adapters.shipped_grid import ShippedGrid
from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.plan.capacity import share_slots
from greenops.plan.crowd import crowded, with_room
from greenops.units import Seconds

HOUR = timedelta(hours=1)
NIGHT = Workload(
    "w",
    WorkloadKind.BATCH,
    Urgency.DEFERRABLE,
    "home",
    duration_p95_s=Seconds(3600.0),
    max_concurrent=3,
)
RUNS, SLOTS = 48, 48


def one_by_one(cost, first, last, begins):
    """Cost of runs that each take their best hour with room, in the order that they come; and how many had none."""
    planned, total, over = [], 0.0, 0
    for number, (a, b) in enumerate(zip(first, last, strict=True)):
        job = Job(str(number), NIGHT, begins)
        hours = [Candidate(str(hour), start=begins + int(hour) * HOUR) for hour in range(a, b)]
        free = [each for each in with_room(job, hours, planned) if not crowded(job, each)]
        # Where nothing has room the deadline is stronger, and the run goes at once.
        over += not free
        best = min(free or hours[:1], key=lambda each: cost[int(each.id)])
        planned.append((best.start, best.start + HOUR))
        total += cost[int(best.id)]
    return total, over


@pytest.mark.feature("B8")
def test_first_come_first_served_leaves_little_of_what_the_exact_placement_saves():
    draw = np.random.default_rng(6)
    saved = []
    for zone in ("CISO", "DE", "ERCO", "PL"):
        for day in range(0, 330, 30):
            begins = datetime(2020, 1, 5, tzinfo=UTC) + day * timedelta(days=1)
            values = ShippedGrid().actual(zone, begins, begins + SLOTS * HOUR).values
            cost = np.round(np.array([each or 0.0 for each in values])).astype(int)
            first = np.sort(draw.integers(0, 24, RUNS))
            last = np.minimum(first + draw.integers(12, 25, RUNS), SLOTS)
            hours = np.arange(SLOTS)
            may = (hours >= first[:, None]) & (hours < last[:, None])

            exact = share_slots(may, np.ones(RUNS, int), cost, np.full(SLOTS, 3))
            assert not exact.missing.any()

            now = cost[first].sum()
            greedy, without = one_by_one(cost, first, last, begins)
            saved.append((now - greedy, now - exact.cost(cost), without))

    kept = np.array(saved).sum(axis=0)
    assert 0.90 < kept[0] / kept[1] <= 1.0
    assert kept[2] == 0
