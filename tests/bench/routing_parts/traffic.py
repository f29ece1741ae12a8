"""1,201 hours of real traffic of six regions, routed by tables that are kept.

The inputs are those of CASPER (IGSC 2023): hourly requests, carbon intensity and round trips. A place bears
`headroom` times the peak of its own people. What a table sends beyond that moves on in the table's order, so
that no place is ever asked for more.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from greenops.act.guardrails import Guardrails, step_towards
from greenops.pipeline.route_steps import BAND
from greenops.plan.routes import worth_a_change
from greenops.plan.routing_lp import Traffic, share_traffic
from greenops.plan.routing_table import (
    ROUNDING,
    RoutingTable,
    at_home,
    best_table,
    served,
    whole_percent,
    without,
)
from tests.bench.common.figures import Figure
from tests.conftest import REFERENCE

FOLDER = REFERENCE / "traces" / "casper_wiki"
EPOCH = datetime.fromtimestamp(0, UTC)
DWELL_H = 1
"""Hours between two changes at least: the guardrail's dwell of 30 minutes in hourly data."""
EXPECTED_H = 24
"""Hours whose mean a table is made for."""
HEADROOM = 2.0


def figures():
    return bounds(), notes()


def bounds():
    near, far = replay(100), replay(300)
    late = [lost(replay(cap, lag_h=24), replay(cap).saved) for cap in (100, 300)]
    kept = max(lost(near, every_hour(100)), lost(far, every_hour(300)))
    dead = max(down(300, target) for target in range(6))
    fewer = min(changes_every_hour(cap) / replay(cap).changes for cap in (100, 300))
    return [
        Figure("casper_100ms_pct", near.saved, 39.0, 39.2),
        Figure("casper_300ms_pct", far.saved, 75.0, 75.5),
        Figure("casper_changes", max(near.changes, far.changes), 6, 3, at_most=True),
        Figure("casper_lost_points", kept, 0.1, 0.05, at_most=True, note="to an optimum each hour"),
        Figure("casper_times_fewer_changes", fewer, 10, 25, note="than an optimum each hour"),
        Figure("casper_stale_lost_points", max(late), 1.0, 0.1, at_most=True, note="24 h old"),
        Figure("casper_mask_breaks", near.broken + far.broken, 0, 0, at_most=True),
        Figure("casper_over_capacity", max(near.over, far.over), 0, 0, at_most=True),
        Figure("casper_unserved_dead_region", dead, 0, 0, at_most=True, note="each in turn"),
        Figure("casper_proof_gap", max(proof_gap(100), proof_gap(300)), 1e-9, 1e-9, at_most=True),
    ]


def notes():
    stepped = [replay(cap, stepped=True) for cap in (100, 300)]
    return {
        "casper_every_hour_pct": [round(every_hour(cap), 3) for cap in (100, 300)],
        "casper_every_hour_changes": [changes_every_hour(cap) for cap in (100, 300)],
        "casper_moved_on_share": [round(float(replay(cap).moved_on), 4) for cap in (100, 300)],
        "casper_in_steps_pct": [round(each.saved, 3) for each in stepped],
        "casper_steps_sent": [each.changes for each in stepped],
        "casper_unserved_dead_region_100ms": [round(down(100, each), 4) for each in range(6)],
    }


@dataclass(frozen=True)
class Days:
    """Requests and intensity [g/kWh] by hour, shape (hour, region), and round trips [ms]."""

    demand: np.ndarray
    intensity: np.ndarray
    trips: np.ndarray

    def traffic(self, demand, intensity, rtt_ms, headroom):
        count = len(self.trips)
        return Traffic(
            demand=demand,
            capacity=headroom * self.demand.max(axis=0),
            cost=np.broadcast_to(intensity, (count, count)),
            may=(self.trips <= rtt_ms) | np.eye(count, dtype=bool),
            home=np.arange(count),
        )


@cache
def days():
    head, *lines = csv.reader((FOLDER / "latency.csv").read_text().splitlines())
    requests = list(csv.DictReader((FOLDER / "requests.csv").read_text().splitlines()))
    rows = csv.DictReader((FOLDER / "carbon_intensities.csv").read_text().splitlines())
    grid = {row["timestamp"]: row for row in rows}
    return Days(
        np.array([[float(row[name]) for name in head] for row in requests]),
        np.array([[float(grid[row["timestamp"]][name]) for name in head] for row in requests]),
        np.array([[float(each) for each in line] for line in lines]),
    )


@dataclass(frozen=True)
class Replay:
    """What 1,201 hours come to.

    `saved` is percent of the emissions at home, `over` the share beyond what places bear, `moved_on` the share
    that found its first place full; `broken` counts hours in which traffic was where it may not be.
    """

    saved: float
    changes: int
    over: float
    moved_on: float
    broken: int


@cache
def replay(rtt_ms, headroom=HEADROOM, lag_h=0, *, stepped=False):
    """Tables made for the mean of the last day, changed where that saves more than the band.

    `stepped` sends each change by the guardrails' steps, in whole percent, one an hour, and counts these.
    """
    known = days()
    table = shown = None
    emitted = over = moved_on = 0.0
    changes, sent, last, broken = 0, 0, -DWELL_H, 0
    for hour, demand in enumerate(known.demand):
        expected = known.traffic(
            known.demand[max(0, hour - EXPECTED_H + 1) : hour + 1].mean(axis=0),
            known.intensity[max(0, hour - lag_h)],
            rtt_ms,
            headroom,
        )
        table = at_home(expected) if table is None else table
        shown = table if shown is None else shown
        better = revised(table, expected) if hour - last >= DWELL_H else None
        if better is not None:
            table, last = better, hour
            changes += 1
        shown, moved = one_step(shown, table, expected) if stepped else (table, False)
        sent += moved
        now = known.traffic(demand, known.intensity[hour], rtt_ms, headroom)
        found = served(shown, now)
        emitted += found.cost
        over += float((found.over + found.unserved).sum())
        moved_on += found.moved_on
        broken += bool((found.placed[~now.may] > 0).any())
    total, at_rest = known.demand.sum(), float((known.demand * known.intensity).sum())
    saved = 100 * (1 - emitted / at_rest)
    return Replay(saved, sent if stepped else changes, over / total, moved_on / total, broken)


def revised(current, traffic):
    """A better table, where it saves more than the band, as routes change in the product; none: the current one stays.

    A table that leaves something unserved or beyond what homes bear is left for one that leaves less, whatever is emitted.
    """
    best = best_table(traffic, current)
    now, then = served(current, traffic), served(best, traffic)
    failing = [float(each.unserved.sum() + each.over.sum()) for each in (now, then)]
    if abs(failing[0] - failing[1]) > ROUNDING * traffic.demand.sum():
        return best if failing[0] > failing[1] else None
    saved = 1 - then.cost / now.cost if now.cost > 0 else 0.0
    return best if worth_a_change(None, EPOCH, timedelta(0), saved, BAND) else None


def one_step(shown, table, traffic):
    """The table shown after one step of each row, by the guardrails."""
    rows = range(len(shown.shares))
    now, goal = (whole_percent(each.shares, traffic.home, traffic.may) for each in (shown, table))
    steps = [
        step_towards(dict(enumerate(now[r])), dict(enumerate(goal[r])), Guardrails().max_step)
        for r in rows
    ]
    percent = np.array([[each.get(target, 0) for target in rows] for each in steps])
    return RoutingTable(percent / 100, table.order), bool((percent != now).any())


def every_hour(rtt_ms, headroom=HEADROOM):
    """Saving [percent] of an optimum for each hour, as if weights could change at will."""
    known = days()
    emitted = sum(each.cost for each in optima(rtt_ms, headroom))
    return 100 * (1 - emitted / float((known.demand * known.intensity).sum()))


@cache
def optima(rtt_ms, headroom=HEADROOM):
    """The optimum of each hour."""
    known = days()
    hours = zip(known.demand, known.intensity, strict=True)
    return [share_traffic(known.traffic(d, i, rtt_ms, headroom)) for d, i in hours]


def proof_gap(rtt_ms):
    """Largest share by which an hour's optimum is over its dual bound."""
    return max(abs(each.cost / each.bound - 1) for each in optima(rtt_ms))


def changes_every_hour(rtt_ms, headroom=HEADROOM):
    """Hours in which that optimum would have changed the weights."""
    known, count, table = days(), 0, None
    hours = zip(known.demand, known.intensity, optima(rtt_ms, headroom), strict=True)
    for demand, intensity, found in hours:
        traffic = known.traffic(demand, intensity, rtt_ms, headroom)
        kept = at_home(traffic) if table is None else table
        table = best_table(traffic, kept, found)
        count += bool(abs(table.shares - kept.shares).max() > 0.005)
    return count


def lost(found, best):
    """Points of the saving that a replay is below another [percent]."""
    return best - found.saved


@cache
def down(rtt_ms, target, headroom=HEADROOM):
    """Share of a day's traffic that nobody answers while a place is down, by the table in force and its order."""
    known = days()
    hours = range(600, 600 + EXPECTED_H)
    mean = known.demand[hours].mean(axis=0)
    expected = known.traffic(mean, known.intensity[600], rtt_ms, headroom)
    table = best_table(expected, at_home(expected))
    unserved = 0.0
    for hour in hours:
        now = known.traffic(known.demand[hour], known.intensity[hour], rtt_ms, headroom)
        unserved += float(served(table, without(now, target)).unserved.sum())
    return unserved / float(known.demand[hours].sum())
