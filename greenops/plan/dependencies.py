"""Jobs that wait for each other, with one deadline for all: the cleanest start of each, exact.

Without shared capacity this is a minimum cut. Each job is a row of nodes, one a start; cutting a row between
two nodes chooses the start between them, at what that run costs. An edge that can never be cut keeps a job's
start behind the end of what it waits for. Of several best plans the one that starts every job earliest is
taken: their cuts have an intersection, and it is a best cut too.

Source: Möhring, Schulz, Stork, Uetz, Solving project scheduling problems by minimum cut computations,
Management Science 49(3), 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np
from numpy.typing import ArrayLike

from greenops.plan.min_cut import Network
from greenops.plan.slot_table import BatchJobs, Ints, SlotTable
from greenops.plan.windows import NONE


@dataclass(frozen=True, slots=True, eq=False)
class Workflow:
    """Starts of jobs that depend on each other.

    Attributes:
        start_s: Start of each job [s], shape (job,); all -1 where no plan keeps the deadline and the gaps.
        area: Integral over each run [unit / QUANTA x s], shape (job,).
    """

    start_s: Ints
    area: Ints

    @property
    def found(self) -> bool:
        """Is there a plan? It has all jobs or none."""
        return bool((self.start_s != NONE).all())


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """First and last start and length of each job, in slots, with what it waits for."""

    first: list[int]
    last: list[int]
    slots: list[int]
    after: Sequence[tuple[int, int]]


def plan_workflow(
    table: SlotTable,
    jobs: BatchJobs,
    after: Sequence[tuple[int, int]],
    weight: ArrayLike = 1,
) -> Workflow:
    """The starts with the least sum over all jobs of weight x integral.

    Jobs are in one piece and counted in whole slots: run times are rounded up, windows cut to the slots
    wholly inside.

    Args:
        table: Intensity [gCO2e/kWh], or a price.
        jobs: What is to run; the deadline of all is each one's.
        after: Pairs `(earlier, later)` of jobs: the later starts when the earlier has ended, or after.
        weight: Power of each job in whole parts, for example watts, shape (job,).

    Raises:
        ValueError: The jobs wait for each other in a circle (`graphlib.CycleError`).
    """
    rows = _tightened(table, jobs, after)
    count = len(jobs)
    none = Workflow(np.full(count, NONE, np.int64), np.zeros(count, np.int64))
    if any(last < first for first, last in zip(rows.first, rows.last, strict=True)):
        return none
    weights = np.broadcast_to(np.asarray(weight, dtype=np.int64), count).tolist()
    chosen = _cut(table, jobs, rows, weights)
    start = np.array(chosen, dtype=np.int64) * table.step_s
    end = start + np.array(rows.slots) * table.step_s
    if not table.known(jobs.zone, start, end).all():
        return none
    return Workflow(start, table.area(jobs.zone, start, end))


def _tightened(table: SlotTable, jobs: BatchJobs, after: Sequence[tuple[int, int]]) -> _Rows:
    """Windows cut by what each job waits for and what waits for it."""
    step = table.step_s
    slots = (-(-jobs.duration_s // step)).tolist()
    first = np.maximum(-(-jobs.earliest_s // step), 0).tolist()
    ends = np.minimum(jobs.deadline_s // step, table.slots).tolist()
    last = [end - length for end, length in zip(ends, slots, strict=True)]
    before: dict[int, list[int]] = {job: [] for job in range(len(jobs))}
    for earlier, later in after:
        before[later].append(earlier)
    order = list(TopologicalSorter(before).static_order())
    for job in order:
        first[job] = max([first[job], *(first[each] + slots[each] for each in before[job])])
    for job in reversed(order):
        for each in before[job]:
            last[each] = min(last[each], last[job] - slots[each])
    return _Rows(first, last, slots, after)


def _cut(table: SlotTable, jobs: BatchJobs, rows: _Rows, weights: list[int]) -> list[int]:
    """First slot of each job."""
    at, offset = [], 2  # 0 is the source, 1 the sink
    for first, last in zip(rows.first, rows.last, strict=True):
        at.append(offset)
        offset += last - first + 2
    costs = [_costs(table, jobs, rows, job, weights[job]) for job in range(len(at))]
    # A run through a gap costs more than any plan without one; and no cut goes through what never ends.
    known = [cost for row in costs for cost in row if cost is not None]
    dear = 1 + len(at) * (max(known, default=0) - min(known, default=0))
    never = (len(at) + 1) * (dear + 1)
    least = min(known, default=0)
    network = Network(offset)
    for job, row in enumerate(costs):
        network.add(0, at[job], never)
        network.add(at[job] + len(row), 1, never)
        for start, cost in enumerate(row):
            most = dear if cost is None else cost - least
            network.add(at[job] + start, at[job] + start + 1, most, back=never)
    for earlier, later in rows.after:
        for start in range(rows.first[earlier], rows.last[earlier] + 1):
            soonest = start + rows.slots[earlier]
            if soonest > rows.first[later]:
                tail = at[earlier] + start - rows.first[earlier]
                network.add(tail, at[later] + soonest - rows.first[later], never)
    before = network.source_side(0, 1)
    chosen = []
    for job, row in enumerate(costs):
        passed = sum(before[at[job] : at[job] + len(row)])
        chosen.append(rows.first[job] + passed - 1)
    return chosen


def _costs(
    table: SlotTable, jobs: BatchJobs, rows: _Rows, job: int, weight: int
) -> list[int | None]:
    """Weight x integral of each start of a job; none where the run touches a gap."""
    start = np.arange(rows.first[job], rows.last[job] + 1) * table.step_s
    zone = np.full_like(start, jobs.zone[job])
    end = start + rows.slots[job] * table.step_s
    known = table.known(zone, start, end).tolist()
    areas = table.area(zone, start, end).tolist()
    return [weight * area if fine else None for area, fine in zip(areas, known, strict=True)]
