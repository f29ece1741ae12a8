"""Jobs that may run in several places: each where and when it emits least, moving its data included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from greenops.domain.batch_job import Site
from greenops.pipeline.batch_draft import S_PER_H, Draft
from greenops.plan.places import MovableJobs, Places, best_places
from greenops.plan.transfer import MOST
from greenops.plan.windows import NONE, Starts

FREE: Final = 0.0
"""No price bounds these plans, so none is asked for [USD]."""


def plan_moves(draft: Draft, chosen: Sequence[int]) -> None:
    """Plan jobs that share nothing; data that move are weighed by the most that sources say of their energy."""
    if not chosen:
        return
    sites = list(dict.fromkeys(each for job in chosen for each in _sites(draft, job)))
    index = {site: at for at, site in enumerate(sites)}
    places = Places(
        zone=np.array([draft.foretold.rows[site.zone] for site in sites], np.int64),
        pue=np.array([site.pue for site in sites]),
        usd_per_hour=np.full(len(sites), FREE),
        usd_per_gb=np.full(len(sites), FREE),
    )
    allowed = np.zeros((len(chosen), len(sites)), np.bool_)
    for row, job in enumerate(chosen):
        allowed[row, [index[site] for site in _sites(draft, job)]] = True
    of = [draft.jobs[job] for job in chosen]
    asked = draft.asked.take(np.array(chosen))
    jobs = MovableJobs(
        home=np.array([index[job.home] for job in of], np.int64),
        allowed=allowed,
        earliest_s=asked.earliest_s,
        deadline_s=asked.deadline_s,
        duration_s=asked.duration_s,
        energy_kwh=np.array([job.power_kw * job.duration_s / S_PER_H for job in of]),
        transfer_gb=np.array([job.transfer_gb for job in of]),
        most_usd=np.full(len(of), np.inf),
        network_kwh_per_gb=float(MOST),
    )
    found = best_places(draft.foretold.table, places, jobs, Starts.ANY)
    for job, region, start in zip(
        chosen, found.region.tolist(), found.start_s.tolist(), strict=True
    ):
        if start == NONE:
            draft.not_planned([job], in_slots=False)
            continue
        draft.pieces[job] = [(start, start + int(draft.asked.duration_s[job]))]
        if sites[region] != draft.jobs[job].home:
            draft.moved[job] = sites[region]


def _sites(draft: Draft, job: int) -> tuple[Site, ...]:
    return (draft.jobs[job].home, *draft.jobs[job].elsewhere)
