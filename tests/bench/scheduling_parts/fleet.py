"""How many runs a second are planned through the policy engine on one core [CPU time].

1,000 runs of a few seconds to 12 h, each with 8 regions and 168 starts half an hour apart, under templates that are
meant for them: cleaner within 10 % of the cost, residency, the P95 guard. Row by row the same planner decides a few
of them, and every figure of their rows must be the same. The clock runs from the table of runs to the table of
choices.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from greenops.adapters.packaged import packaged
from greenops.config import Settings
from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.grid.regions import RegionTable
from greenops.pipeline.decide import Decider
from greenops.pipeline.fleet_plan import SHOWN, fleet_jobs, plan_jobs
from greenops.pipeline.grid_context import GridContext
from greenops.plan.candidates import RegionOption, batch_candidates
from greenops.policy import compile_policies
from greenops.testing.clock import FakeClock
from greenops.testing.grid import FakeGrid
from tests.bench.scheduling_parts import data
from tests.bench.scheduling_parts.data import Figure

RUNS, STARTS, ROWS = 1_000, 168, 4
ZONES = ("DE", "FR", "GB", "PL", "SE-SE3", "ES", "US-CAL-CISO", "US-NY-NYIS")
NOW = datetime(2022, 3, 7, 16, 23, 41, 250_000, tzinfo=UTC)
TEAM = "analytics"
TEMPLATES = ("cleaner-within", "residency", "p95-guard")
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "emaps-2022", replay=True)


def figures():
    options, policies, jobs = regions(), rules(), runs()
    table = fleet_jobs(jobs)
    plan = plan_jobs(table, options, policies, NOW)
    ways = plan.column("ways").to_pylist()
    if min(ways) < len(ZONES) * STARTS - 1:  # one may be the baseline itself
        raise SystemExit(f"a run has {min(ways)} ways, fewer than promised")
    seconds = least(lambda: plan_jobs(table, options, policies, NOW))
    rate, by_rows = RUNS / seconds, row_by_row(jobs, options, policies, plan)
    made = least(lambda: fleet_jobs(jobs))
    odd = fleet_jobs([to_the_microsecond(each) for each in jobs])
    odd_rate = RUNS / least(lambda: plan_jobs(odd, options, policies, NOW))
    moved = np.mean([each not in STAYS for each in plan.column("reason").to_pylist()])
    return [
        Figure(
            "plan_with_policies_per_s",
            rate,
            500,
            5000,
            note=f"{len(ZONES)} regions x {STARTS} starts; row by row {by_rows:.3g}",
        )
    ], {
        "plan_row_by_row_per_s": by_rows,
        "plan_ways_per_s": rate * len(ZONES) * STARTS,
        "plan_to_the_microsecond_per_s": odd_rate,
        "plan_table_of_runs_per_s": RUNS / made,
        "plan_moved_share": float(moved),
    }


STAYS = {"best", "refused", "no-objective", "no-policy", "no-other-way", "no-slack"}


def least(work, times=3):
    """CPU seconds of the quickest of some runs."""
    seconds = []
    for _ in range(times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def row_by_row(jobs, options, policies, plan):
    """Runs a second of the planner that decides one at a time; what it chooses is what the plan says."""
    clock = FakeClock(NOW)
    grid = GridContext(FakeGrid({}), RegionTable.of(e.region for e in options), {})
    decider = Decider(Settings(), clock, policies, grid)
    began, records = time.process_time(), []
    for job in jobs[:ROWS]:
        bounded = decider.bounded(job, NOW)
        base, ways = batch_candidates(bounded, options, NOW)
        records.append(decider.judge(bounded, base, ways, NOW, options))
    seconds = time.process_time() - began
    for record, row in zip(records, plan.slice(0, ROWS).to_pylist(), strict=True):
        chosen = record.decision.chosen
        if any(row[f"chosen.{name}"] != getattr(chosen, name) for name in SHOWN):
            raise SystemExit(f"the plan of {row['job.id']} is not what is decided for it alone")
    return ROWS / seconds


def rules():
    """The templates, meant for the runs' team."""
    folder = packaged("policies") / "templates"
    texts = [(name, (folder / f"{name}.yaml").read_text()) for name in TEMPLATES]
    return compile_policies([(n, t.replace(f"[template-{n}]", f"[{TEAM}]")) for n, t in texts])


def to_the_microsecond(job):
    """The same run, a little longer: no second is a whole one."""
    length = job.workload.duration_s + 0.123457
    return replace(job, workload=replace(job.workload, duration_s=length, duration_p95_s=length))


def regions():
    """Eight regions, each with a week of its zone's recorded intensity as if it were foretold."""
    names, values = data.zones_2022()
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    first = int((hour - datetime(2022, 1, 1, tzinfo=UTC)) / timedelta(hours=1))
    found = []
    for at, zone in enumerate(ZONES):
        week = values[names.index(zone)][first : first + 168]
        told = tuple(None if np.isnan(each) else float(each) for each in week)
        series = Forecast(
            zone, KIND, hour, timedelta(hours=1), told, issued_at=hour, id=zone, error=0.1
        )
        place = "US" if zone.startswith("US") else "EU"
        prices = {"ondemand": 0.2 + at * 0.004}
        home = Region(f"r-{zone}", "aws", place, zone, 1.1 + at / 100, "", prices, 0.02, "")
        found.append(RegionOption(home, series))
    return found


def runs():
    """Runs of whole seconds; data of half of them may not leave the EU."""
    draw = np.random.default_rng(4)
    names = tuple(f"r-{zone}" for zone in ZONES)
    found = []
    for at in range(RUNS):
        length = float(draw.integers(5, 43_200))
        work = Workload(
            f"w{at % 40}",
            WorkloadKind.BATCH,
            Urgency.DEFERRABLE,
            names[int(draw.integers(len(names)))],
            names,
            TEAM,
            data_class=("personal", "internal")[at % 2],
            contains_personal_data=at % 2 == 0,
            duration_s=length,
            duration_p95_s=length,
            energy_kwh=float(draw.uniform(0.1, 40)),
            transfer_gb=float(draw.integers(0, 5)),
        )
        # The first start is at once; the last of 168 is the 167th whole half hour after.
        latest = NOW.replace(minute=30, second=0, microsecond=0) + timedelta(minutes=30) * (
            STARTS - 2
        )
        end = latest + timedelta(seconds=length)
        found.append(
            replace(Job(f"w{at % 40}/{at}", work, NOW - timedelta(seconds=at)), deadline=end)
        )
    return found
