"""Jobs that share nothing but the plan: each in its own best seconds, or with those that it waits for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.pipeline.batch_draft import Draft, Why
from greenops.pipeline.batch_moves import plan_moves
from greenops.plan.chunks import plan_chunks
from greenops.plan.dependencies import plan_workflow
from greenops.plan.interruptible import InterruptiblePlanner
from greenops.plan.windows import Starts, best_windows

PARTS: Final = 10**6
"""Parts of a kW that jobs of a chain are weighed in."""


def plan_alone(draft: Draft) -> None:
    """Plan every job of a draft at its best, exactly; none competes with another."""
    linked = {job for pair in draft.links for job in pair}
    alike: dict[tuple[bool, int, int], list[int]] = defaultdict(list)
    movable = [at for at, job in enumerate(draft.jobs) if job.elsewhere]
    for at, job in enumerate(draft.jobs):
        draft.baseline[at] = draft.run_at_once(at)
        if at not in linked and not job.elsewhere:
            least_slots = -(-job.least_chunk_s // draft.step_s)
            alike[job.interruptible, job.resume_s, least_slots].append(at)
    for (pieces, resume_s, least_slots), some in alike.items():
        chosen = np.array(some)
        if not pieces:
            _whole(draft, chosen)
        elif resume_s or least_slots:
            _in_chunks(draft, chosen, resume_s, max(1, least_slots))
        else:
            _in_pieces(draft, chosen)
    plan_moves(draft, movable)
    chains = _chains(draft.links)
    for chain in chains:
        _chained(draft, chain)
    _or_at_once(draft, chains)


def _whole(draft: Draft, chosen: NDArray[np.intp]) -> None:
    jobs = draft.asked.take(chosen)
    found = best_windows(draft.foretold.table, jobs, Starts.ANY)
    ends = found.start_s + jobs.duration_s
    for at, fits, start, end in zip(
        chosen.tolist(), found.found.tolist(), found.start_s.tolist(), ends.tolist(), strict=True
    ):
        if fits:
            draft.pieces[at] = [(start, end)]
    draft.not_planned(chosen[~found.found].tolist(), in_slots=False)


def _in_pieces(draft: Draft, chosen: NDArray[np.intp]) -> None:
    jobs = draft.asked.take(chosen)
    planner = InterruptiblePlanner(draft.foretold.table)
    found = planner.plan(jobs)
    for at in np.flatnonzero(found.found).tolist():
        draft.pieces[int(chosen[at])] = planner.pieces(jobs, found, at)
    draft.not_planned(chosen[~found.found].tolist(), in_slots=False)


def _in_chunks(draft: Draft, chosen: NDArray[np.intp], resume_s: int, least_slots: int) -> None:
    table, jobs = draft.foretold.table, draft.asked.take(chosen)
    found = plan_chunks(table, jobs, resume_s=resume_s, least_slots=least_slots)
    for at in np.flatnonzero(found.found).tolist():
        slots = np.flatnonzero(found.used[at]) + found.first_slot[at]
        draft.pieces[int(chosen[at])] = draft.pieces_of_slots(int(chosen[at]), slots.tolist())
    draft.not_planned(chosen[~found.found].tolist(), in_slots=True)
    _or_at_once(draft, [[job] for job in chosen.tolist()])


def _or_at_once(draft: Draft, groups: Sequence[Sequence[int]]) -> None:
    """Where jobs are counted in whole slots, running at once is no such way; it is taken where it is better."""
    some = [job for group in groups for job in group]
    planned = draft.carbon_g({job: draft.pieces[job] for job in some if job in draft.pieces})
    at_once = draft.carbon_g({job: draft.baseline[job] for job in some})
    for group in groups:
        in_time = all(draft.baseline[j][-1][1] <= draft.asked.deadline_s[j] for j in group)
        if in_time and _mass(at_once, group) < _mass(planned, group):
            for job in group:
                draft.pieces[job] = draft.baseline[job]
                draft.why.pop(job, None)
                draft.late.pop(job, None)


def _mass(grams: Mapping[int, float], group: Sequence[int]) -> float:
    """Emissions of all of a group; infinite where one is not known."""
    return sum(grams.get(job, inf) for job in group)


def _chains(links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Jobs that hang together by what they wait for, in the order of the file."""
    near = defaultdict(set)
    for earlier, later in links:
        near[earlier].add(later)
        near[later].add(earlier)
    found, seen = [], set[int]()
    for start in sorted(near):
        if start in seen:
            continue
        chain, front = {start}, [start]
        while front:
            fresh = near[front.pop()] - chain
            chain |= fresh
            front.extend(fresh)
        seen |= chain
        found.append(sorted(chain))
    return found


def _chained(draft: Draft, chain: Sequence[int]) -> None:
    own = {job: at for at, job in enumerate(chain)}
    pairs = [(own[a], own[b]) for a, b in draft.links if a in own]
    _at_once(draft, chain)
    weight = [max(1, round(draft.jobs[j].power_kw * draft.jobs[j].pue * PARTS)) for j in chain]
    jobs = draft.asked.take(np.array(chain))
    found = plan_workflow(draft.foretold.table, jobs, pairs, np.array(weight, np.int64))
    if found.found:
        for job, start in zip(chain, found.start_s.tolist(), strict=True):
            draft.pieces[job] = [(start, start + int(draft.asked.duration_s[job]))]
        return
    for job in chain:
        draft.late[job] = draft.baseline[job]
    draft.not_planned(chain, in_slots=True)
    alone = {job for job in chain if draft.why[job] is not Why.FORECAST or _shut(draft, job)}
    draft.why |= {job: Why.CHAIN for job in chain if job not in alone}


def _at_once(draft: Draft, chain: Sequence[int]) -> None:
    """Each as soon as what it waits for has ended."""
    before: dict[int, list[int]] = {job: [] for job in chain}
    for earlier, later in draft.links:
        if later in before:
            before[later].append(earlier)
    for job in TopologicalSorter(before).static_order():
        ends = [draft.baseline[each][-1][1] for each in before[job]]
        start = max([int(draft.asked.earliest_s[job]), *ends])
        draft.baseline[job] = [(start, start + int(draft.asked.duration_s[job]))]


def _shut(draft: Draft, job: int) -> bool:
    """Is no run of a job by itself foretold?"""
    only = draft.asked.take(np.array([job]))
    return not best_windows(draft.foretold.table, only).found[0]
