"""Elastic jobs against the rows of CarbonScaler's profile, computed anew: 24 h of one node's work."""

from __future__ import annotations

import numpy as np

from greenops.plan.elastic import ScalingProfile, scale
from greenops.plan.interruptible import InterruptiblePlanner
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable
from tests.bench.scheduling_parts import data
from tests.bench.scheduling_parts.data import HOUR, Figure
from tests.bench.scheduling_parts.speed import least
from tests.conftest import REFERENCE

DAY = 24 * HOUR


def figures():
    """Largest difference in points over zones, deadlines and both columns; and elastic jobs a second."""
    path = REFERENCE / "workload" / "carbonscaler_nbody100k_profile.csv"
    nodes, work, watts = np.loadtxt(path, delimiter=",", skiprows=1).T
    profile = ScalingProfile.of(nodes, work, watts / 1000)
    names, values = data.zones_2022()
    worst, shown, rate = 0.0, {}, 0.0
    for zone, rows in data.anchors()["carbonscaler"]["measured"].items():
        table = SlotTable.of(values[names.index(zone)], HOUR)
        planner = InterruptiblePlanner(table)
        for multiple, elastic, paused, _ in rows:
            length = int(multiple * 24)
            start = np.arange(0, values.shape[1] - length, 7) * HOUR
            jobs = BatchJobs.of(0, start, start + length * HOUR, DAY)
            usual = table.area(jobs.zone, start, start + DAY) / QUANTA
            usual_g = usual.sum() * watts[1] / 1000 / HOUR
            found = scale(table, jobs, work[1] * DAY, profile)
            saved = 100 * (1 - found.carbon_g.sum() / usual_g)
            pieces = planner.plan(jobs).area / QUANTA
            stopped = 100 * (1 - pieces.sum() / usual.sum())
            worst = max(worst, abs(saved - elastic), abs(stopped - paused))
            shown[f"elastic_{zone}_{multiple:g}x"] = [
                round(float(each), 2) for each in (saved, stopped)
            ]
            if multiple == 2:
                rate = len(jobs) / least(
                    lambda table=table, jobs=jobs: scale(table, jobs, work[1] * DAY, profile)
                )
    return [
        Figure(
            "elastic_max_diff_points", worst, 0.1, 0.05, at_most=True, note="24 rows, one decimal"
        ),
    ], {**shown, "elastic_jobs_per_s": rate}
