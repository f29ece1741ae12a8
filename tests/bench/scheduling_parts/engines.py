"""One replay of a fleet here, in two processes and on Ray: 20 million ways through the policies, equal sums [s of wall].

The period is that of the shipped replay; each run may go to eight regions within 84 hours. Starting the workers is
in the figures of processes and apart for Ray. On one machine the engines have the same two cores: Ray is for fleets
that one machine cannot hold.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from greenops.adapters.packaged import packaged
from greenops.adapters.process_engine import ProcessEngine
from greenops.adapters.ray_engine import RayEngine
from greenops.adapters.shipped_grid import ShippedGrid, shipped_regions
from greenops.pipeline.fleet_history import history_of
from greenops.pipeline.fleet_replay import FleetReplay, replay_fleet
from tests.bench.scheduling_parts.data import Figure
from tests.bench.scheduling_parts.fleet import TEAM, TEMPLATES

WAYS, WORKERS, REGIONS = 20_000_000, 2, 8
START, DAYS = datetime(2021, 9, 1, tzinfo=UTC), 28
WORKLOAD = """apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {{name: report, owners: [a@example.com]}}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: {home}
  allowedRegions: [{regions}]
  duration: 2h
  energyKwh: 5.0
  deadline: {{within: 84h}}
  maxCost: {{increase: 10%}}
  maxCarbon: {{reduction: 5%}}
  dataClass: internal
  containsPersonalData: false
  team: {team}
"""


def figures():
    replay = work()
    each = replay_fleet(runs(200), replay).column("ways").to_pylist()
    fleet = runs(-(-WAYS * 200 // sum(each)))
    began = time.perf_counter()
    here = replay_fleet(fleet, replay)
    here_s = time.perf_counter() - began
    began = time.perf_counter()
    processes = replay_fleet(fleet, replay, ProcessEngine(WORKERS))
    processes_s = time.perf_counter() - began
    engine = RayEngine(WORKERS)
    try:
        began = time.perf_counter()
        replay_fleet(fleet.slice(0, 10), replay, engine)  # starts the cluster
        start_s, began = time.perf_counter() - began, time.perf_counter()
        there = replay_fleet(fleet, replay, engine)
        ray_s = time.perf_counter() - began
    finally:
        engine.close()
    equal = there.equals(here) and processes.equals(here)
    ways = sum(here.column("ways").to_pylist())
    if ways < WAYS * 0.95:
        raise SystemExit(f"{ways:,} ways, fewer than promised")
    return [
        Figure("ray_equal", float(equal), 1, 1, note=f"{ways:,} ways of {len(fleet):,} runs")
    ], {
        "ray_20M_rows_s": ray_s,
        "ray_start_s": start_s,
        "processes_20M_rows_s": processes_s,
        "one_process_20M_rows_s": here_s,
    }


def work():
    known = {each.id for each in ShippedGrid().zones()}
    regions = [each for each in shipped_regions() if each.zone in known and each.usd_per_hour]
    chosen = regions[:REGIONS]
    end = START + timedelta(days=DAYS)
    history = history_of(
        ShippedGrid(), chosen, START, end, beyond=timedelta(days=5), max_age=timedelta(hours=36)
    )
    names = [each.id for each in chosen]
    workload = WORKLOAD.format(home=names[0], regions=", ".join(names), team=TEAM)
    return FleetReplay(history, (("report.yaml", workload), *rules()), best=False)


def rules():
    """Texts of the templates, meant for the runs' team."""
    folder = packaged("policies") / "templates"
    for name in TEMPLATES:
        text = (folder / f"{name}.yaml").read_text()
        yield name, text.replace(f"[template-{name}]", f"[{TEAM}]")


def runs(count):
    at = np.sort(np.random.default_rng(5).integers(0, DAYS * 86_400, count)) * 1_000_000
    first = int(START.timestamp()) * 1_000_000
    return pa.table(
        {
            "workload": ["report"] * count,
            "submitted": pa.array(at + first).cast(pa.timestamp("us", "UTC")),
        }
    )
