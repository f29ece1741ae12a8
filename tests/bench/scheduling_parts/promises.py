"""What a plan must never do: break a bound on cost, or a deadline."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from greenops.act.hold import hold_for, margin_of, remaining
from greenops.domain.decision import Judgement, Verdict
from greenops.domain.grid import Forecast, Region
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.plan.bounded_pieces import bounded_pieces
from greenops.plan.candidates import RegionOption, batch_candidates
from greenops.plan.choice import choose
from greenops.plan.cost_bound import cleaner_within_cost, raised
from greenops.plan.slot_table import BatchJobs
from greenops.plan.windows import best_windows
from greenops.testing.grid import KIND
from greenops.units import Kwh, Seconds, Usd
from tests.bench.scheduling_parts import data
from tests.bench.scheduling_parts.data import HOUR, Figure
from tests.bench.scheduling_parts.speed import sweden

JOBS = 10_000
SE4 = 3
AHEAD_H = 72
"""Length of a forecast [h]: no deadline is further off."""
YEAR = datetime(2022, 1, 1, tzinfo=UTC)
ONE_HOUR = timedelta(hours=1)
HOME = Region("home", "any", "EU", "Z", 1.0, "none", {"ondemand": Usd(1.0)}, Usd(0.0), "none")
NIGHT = Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "home", energy_kwh=Kwh(1.0))


def figures():
    broken, price_notes = price_against_carbon()
    exact, uniform, normal = missed()
    return [
        Figure("cost_bound_broken", broken, 0, 0, at_most=True, note="SE4, bounds 0, 5, 10, 20 %"),
        Figure("missed_exact", exact, 0, 0, at_most=True),
        Figure("missed_20pct", uniform, 1, 0.5, at_most=True, note="uniform within 20 %"),
    ], {**price_notes, "missed_20pct_normal": normal}


def price_against_carbon():
    """Plans over their bound, and what bounds and prices do to carbon in SE4, where the two disagree."""
    carbon, price = sweden()
    draw = np.random.default_rng(0)
    length = draw.integers(1, 13, JOBS)
    start = draw.integers(0, carbon.slots - 24 - 12, JOBS)
    jobs = BatchJobs.of(SE4, start * HOUR, (start + length + 24) * HOUR, length * HOUR)

    def of(table, begins):
        return table.area(jobs.zone, begins, begins + jobs.duration_s)

    usual, paid = of(carbon, jobs.earliest_s), of(price, jobs.earliest_s)
    notes, broken = {}, 0
    for bound in (0.0, 0.05, 0.1, 0.2, np.inf):
        plan = cleaner_within_cost(carbon, price, jobs, baseline_s=jobs.earliest_s, increase=bound)
        cost = of(price, plan.start_s)
        broken += int((cost > raised(paid, bound)).sum()) + int((~plan.found).sum())
        pieces = bounded_pieces(carbon, price, jobs, raised(paid, bound))
        broken += int((pieces.bounded_area > raised(paid, bound)).sum())
        broken += int((~pieces.found).sum())
        name = "any" if np.isinf(bound) else f"{bound * 100:g}pct"
        notes[f"se4_carbon_change_pct_bound_{name}"] = change(plan.area, usual)
        notes[f"se4_cost_change_pct_bound_{name}"] = change(cost, paid)
        notes[f"se4_pieces_carbon_change_pct_bound_{name}"] = change(pieces.area, usual)
    cheapest = best_windows(price, jobs)
    notes["se4_price_only_carbon_change_pct"] = change(of(carbon, cheapest.start_s), usual)
    notes["se4_price_only_cost_change_pct"] = change(cheapest.area, paid)
    return broken, notes


def change(after, before):
    return 100 * (float(after.sum()) / float(before.sum()) - 1)


def missed():
    """Percent of jobs that end past their deadline: run times as foretold, and off by up to 20 %.

    Each job is planned and held by the code that `greenops run` uses, and every way is allowed, so that
    nothing but the guard keeps it in time. A plan counts on the P95 of the run time; each deadline leaves
    at least that, and up to a day more.
    """
    names, values = data.zones_2022()
    draw = np.random.default_rng(11)
    zone = draw.integers(0, len(names), JOBS)
    earliest = draw.integers(0, (values.shape[1] - AHEAD_H) * HOUR, JOBS)
    usual = draw.integers(600, 12 * HOUR, JOBS)
    slack = draw.integers(0, 24 * HOUR, JOBS)
    rates = []
    for p95, runs in (
        (1.0, np.ones(JOBS)),
        (1.18, draw.uniform(0.8, 1.2, JOBS)),
        (1.329, np.maximum(draw.normal(1, 0.2, JOBS), 0.1)),
    ):
        foretold = np.ceil(usual * p95).astype(int)
        deadline = earliest + foretold + slack
        starts = [
            started(values[at], int(begin), int(end), int(length))
            for at, begin, end, length in zip(zone, earliest, deadline, foretold, strict=True)
        ]
        rates.append(100 * float((np.array(starts) + usual * runs > deadline).mean()))
    return rates


def started(series, earliest, deadline, foretold):
    """When a held run starts that wants the least carbon [s since the year began]."""
    hour = earliest // HOUR
    now = YEAR + timedelta(seconds=earliest)
    foreseen = tuple(None if math.isnan(v) else v for v in series[hour : hour + AHEAD_H])
    begins = YEAR + timedelta(hours=int(hour))
    forecast = Forecast("Z", KIND, begins, ONE_HOUR, foreseen, issued_at=begins, id="f")
    workload = replace(NIGHT, duration_p95_s=Seconds(foretold), duration_s=Seconds(foretold))
    job = Job("w/1", workload, now, YEAR + timedelta(seconds=deadline))
    baseline, ways = batch_candidates(job, [RegionOption(HOME, forecast)], now)
    scores = {e.id: math.inf if e.carbon_g is None else e.carbon_g for e in (baseline, *ways)}
    verdicts = tuple(Verdict(name, allowed=True, score=(g, 0.0)) for name, g in scores.items())
    decision = choose(job, baseline, ways, Judgement((), verdicts, Limits(), ""), now)
    hold = hold_for(decision, now)
    wait = remaining(hold, now, margin_of(hold, now))
    return earliest + max(wait, timedelta()).total_seconds()
