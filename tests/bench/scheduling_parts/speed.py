"""How many jobs a second are placed on one core [CPU time]; peers' figures are quoted, not run here.

Ours are of all jobs in one call, with their arrays made, their deadlines known and the zones ranked before the
clock starts; the peers' are of one job after another.
"""

from __future__ import annotations

import time

import numpy as np

from greenops.plan.bounded_pieces import bounded_pieces
from greenops.plan.capacity import least_possible, share_slots, slot_prices
from greenops.plan.cost_bound import cleaner_within_cost, raised
from greenops.plan.dependencies import plan_workflow
from greenops.plan.interruptible import InterruptiblePlanner
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable
from greenops.plan.windows import Starts, best_windows
from tests.bench.scheduling_parts import anchors, data
from tests.bench.scheduling_parts.data import HOUR, Figure

JOBS = 1_000_000
QUOTED = {"lwa": 430.0, "cats": 1250.0, "gaia_window": 55.0, "gaia_pieces": 16.0}
"""Jobs/s of peers, measured once on one core of a quiet machine: the LWA simulator with leaps of 30 min,
CATS' WindowedForecast over 96 points, GAIA's Lowest-Window and Wait AWhile in steps of 5 s."""

BEFORE = "ours in one call, arrays and ranks made before"


def figures():
    names, values = data.zones_2022()
    table = SlotTable.of(values, HOUR)
    hours = values.shape[1]
    draw = np.random.default_rng(1)
    start = draw.integers(0, hours - 400, JOBS)
    length, slack = draw.integers(1, 73, JOBS), draw.integers(0, 169, JOBS)
    zone = draw.integers(0, len(names), JOBS)
    window = (start * HOUR, (start + length + slack) * HOUR, length * HOUR)
    everywhere = BatchJobs.of(zone, *window)
    germany = BatchJobs.of(names.index("DE"), *window)
    planner = InterruptiblePlanner(table)
    planner.plan(everywhere)  # a zone is ranked once
    capacity_s, capacity_notes = capacity()
    lwa, cats, gaia, notes = against_peers()
    bound, wide, in_pieces = cost_bound(start, slack)
    return [
        Figure(
            "interruptible_jobs_per_s",
            JOBS / least(lambda: planner.plan(germany)),
            1e6,
            4e6,
            note="one zone, ranked before",
        ),
        Figure(
            "noninterruptible_jobs_per_s",
            JOBS / least(lambda: best_windows(table, everywhere)),
            200e3,
            1e6,
            note="123 zones, up to a week of slack",
        ),
        Figure("cost_bound_jobs_per_s", bound, 200e3, 1e6, note="one zone, a day of slack"),
        Figure(
            "capacity_20k_jobs_s", capacity_s, 3, 1, at_most=True, note="slowest of three loads"
        ),
        Figure("vs_lwa", lwa, 500, 500, note=f"quoted 430 jobs/s; {BEFORE}"),
        Figure("vs_cats", cats, 500, 500, note=f"quoted 1,250 jobs/s; {BEFORE}"),
        Figure(
            "vs_gaia", gaia, 500, 500, note=f"quoted 55 and 16 jobs/s, the lesser ratio; {BEFORE}"
        ),
    ], {
        "interruptible_123_zones_jobs_per_s": JOBS / least(lambda: planner.plan(everywhere)),
        "noninterruptible_any_instant_jobs_per_s": JOBS
        / least(lambda: best_windows(table, everywhere, Starts.ANY)),
        "cost_bound_week_of_slack_jobs_per_s": wide,
        "cost_bound_in_pieces_jobs_per_s": in_pieces,
        "workflow_20_jobs_96_slots_s": workflow(20, 96),
        "workflow_50_jobs_168_slots_s": workflow(50, 168),
        **capacity_notes,
        **notes,
    }


def least(work, times=3):
    """CPU seconds of the quickest of some runs."""
    seconds = []
    for _ in range(times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def cost_bound(start, week_slack):
    """Jobs/s of 1-12 h in SE4 within 10 % of the baseline's cost.

    In one piece with a day and with up to a week of slack; in pieces with a day.
    """
    carbon, price = sweden()
    draw = np.random.default_rng(0)
    length = draw.integers(1, 13, JOBS)
    rates = []
    for slack in (24, week_slack):
        jobs = BatchJobs.of(3, start * HOUR, (start + length + slack) * HOUR, length * HOUR)
        seconds = least(
            lambda jobs=jobs: cleaner_within_cost(
                carbon, price, jobs, baseline_s=jobs.earliest_s, increase=0.1
            )
        )
        rates.append(JOBS / seconds)
    some = BatchJobs.of(3, *(np.stack([start, start + length + 24, length])[:, :50_000] * HOUR))
    paid = price.area(some.zone, some.earliest_s, some.earliest_s + some.duration_s)
    seconds = least(lambda: bounded_pieces(carbon, price, some, raised(paid, 0.1)))
    return [*rates, len(some) / seconds]


def workflow(count, slots):
    """CPU seconds of one workflow in DE; each job runs 1-4 h and waits for up to two earlier ones."""
    names, values = data.zones_2022()
    table = SlotTable.of(values[names.index("DE")][1000 : 1000 + slots], HOUR)
    draw = np.random.default_rng(3)
    jobs = BatchJobs.of(0, 0, slots * HOUR, draw.integers(1, 5, count) * HOUR)
    after = sorted({(int(draw.integers(job)), job) for job in range(1, count) for _ in range(2)})
    if not plan_workflow(table, jobs, after).found:
        raise SystemExit("a workflow with enough time was not placed")
    return least(lambda: plan_workflow(table, jobs, after))


def sweden():
    """Intensity [gCO2e/kWh] and price [EUR/kWh] of SE1..SE4, 2022."""
    names, values = data.zones_2022()
    prices = data.sweden_prices()
    hours = values.shape[1]
    return (
        SlotTable.of([values[names.index(f"SE-SE{n}")] for n in range(1, 5)], HOUR),
        SlotTable.of([prices[f"SE{n}"][:hours] for n in range(1, 5)], HOUR),
    )


def capacity(jobs=20_000, slots=168):
    """CPU seconds of 20,000 interruptible jobs that compete for a week, and the proof of the optimum."""
    names, values = data.zones_2022()
    cost = np.rint(values[names.index("DE")][1000 : 1000 + slots] * QUANTA).astype(np.int64)
    draw = np.random.default_rng(0)
    need, slack = draw.integers(1, 13, jobs), draw.integers(0, 49, jobs)
    first = (draw.random(jobs) * (slots - need - slack)).astype(int)
    at = np.arange(slots)
    may = (at >= first[:, None]) & (at < (first + need + slack)[:, None])
    usual = sum(cost[a : a + n].sum() for a, n in zip(first, need, strict=True))
    notes, worst, gap = {}, 0.0, 0.0
    for load in (0.6, 0.8, 0.95):
        room = int(np.ceil(need.sum() / slots / load))
        worst = max(worst, least(lambda room=room: share_slots(may, need, cost, room)))
        found = share_slots(may, need, cost, room)
        bound = least_possible(may, need, cost, room, slot_prices(may, found, cost))
        if found.missing.any():
            raise SystemExit(f"there is room for all jobs at load {load}, and some were not placed")
        gap = max(gap, 1 - bound / found.cost(cost))
        notes[f"capacity_saving_pct_load_{load * 100:g}"] = 100 * (1 - found.cost(cost) / usual)
    if gap:
        raise SystemExit(f"a placement is not proved to be the best: its gap is {gap}")
    return worst, {"capacity_arcs": int(may.sum()), "capacity_gap": gap, **notes}


def against_peers():
    """How many times the peers' jobs/s, each in its own scenario, and our rates."""
    half = 1800
    start, length = (np.tile(each, 60) for each in anchors.project_jobs())
    table = SlotTable.of(data.germany_2020(), half)
    ends = np.array([anchors.deadline("semi_weekly", n) for n in range(366 * 48 + 400)])
    jobs = BatchJobs.of(0, start * half, ends[start + length] * half, length * half)
    planner = InterruptiblePlanner(table)
    planner.plan(jobs)
    lwa = len(jobs) / max(
        least(lambda: best_windows(table, jobs)), least(lambda: planner.plan(jobs))
    )
    draw = np.random.default_rng(2)
    count = 200_000
    minutes = draw.integers(1, 24 * 60, count) * 60
    points = SlotTable.of(data.germany_2020()[:96], half)
    now = BatchJobs.of(0, draw.integers(0, half, count), 48 * HOUR, minutes)
    cats = count / least(lambda: best_windows(points, now, Starts.ANY))
    names, values = data.zones_2022()
    south = SlotTable.of(values[names.index("AU-SA")][7000:7720], HOUR)
    arrival, lasts, _ = (np.tile(each, 100) for each in data.gaia_jobs())
    begins, lasts = arrival.astype(int) // 5 * 5, lasts.astype(int) // 5 * 5
    wait = np.where(lasts < 2 * HOUR, 6, 24) * HOUR
    queue = BatchJobs.of(0, begins, begins + lasts + wait, lasts)
    pieces = InterruptiblePlanner(south)
    pieces.plan(queue)
    window_rate = len(queue) / least(lambda: best_windows(south, queue, Starts.HOPS))
    pieces_rate = len(queue) / least(lambda: pieces.plan(queue))
    gaia = min(window_rate / QUOTED["gaia_window"], pieces_rate / QUOTED["gaia_pieces"])
    notes = {
        "lwa_scenario_jobs_per_s": lwa,
        "cats_scenario_jobs_per_s": cats,
        "gaia_scenario_window_jobs_per_s": window_rate,
        "gaia_scenario_pieces_jobs_per_s": pieces_rate,
        "peers_jobs_per_s_quoted": QUOTED,
    }
    return lwa / QUOTED["lwa"], cats / QUOTED["cats"], gaia, notes
