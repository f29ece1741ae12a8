"""Where and when: the best region and start of every job, with what moving its data costs and emits.

Data that are moved are read while the job runs: half of the network's energy is drawn in the home's grid
and half in the other's, at the intensity of the run. Emissions are counted in whole micrograms and costs
in millionths, so that equal ways tie and home wins them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.plan.slot_table import QUANTA, BatchJobs, Floats, Ints, SlotTable
from greenops.plan.windows import NEVER, NONE, Rows, Starts, least

PARTS: Final = 10**6
"""Parts of a gram or of money that ways are compared in."""
S_PER_H: Final = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Regions, arrays of shape (region,).

    Attributes:
        zone: Row of the intensity table.
        pue: Power usage effectiveness.
        usd_per_hour: Price of the machines of one run [USD/h]; NaN where unknown.
        usd_per_gb: Price of moving data out of the region [USD/GB]; NaN where unknown.
    """

    zone: Ints
    pue: Floats
    usd_per_hour: Floats
    usd_per_gb: Floats


@dataclass(frozen=True, slots=True, eq=False)
class MovableJobs:
    """Jobs that may run in several regions, arrays of shape (job,).

    Attributes:
        home: Region of the baseline.
        allowed: Regions it may run in, shape (job, region); home where nothing else is.
        energy_kwh: Energy of a run at the server [kWh]; NaN where unknown: no way has emissions.
        transfer_gb: Data to move where it runs away from home [GB].
        most_usd: Most a run may cost [USD]; infinite where it is not bounded.
        network_kwh_per_gb: Energy of moving data [kWh/GB].
    """

    home: Ints
    allowed: NDArray[np.bool_]
    earliest_s: Ints
    deadline_s: Ints
    duration_s: Ints
    energy_kwh: Floats
    transfer_gb: Floats
    most_usd: Floats
    network_kwh_per_gb: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """The best way of each job, arrays of shape (job,).

    Attributes:
        region: Region; -1 where no way is a candidate: the baseline happens.
        start_s: Start [s]; -1 likewise.
        carbon_g: Emissions [g], those of moving data with them; NaN where there is no way.
        cost_usd: Cost [USD]; NaN where there is no way or a price is unknown.
    """

    region: Ints
    start_s: Ints
    carbon_g: Floats
    cost_usd: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Ways:
    """Pairs of a job and a region, arrays of shape (pair,); a gram is `own * area + far * home area`."""

    job: NDArray[np.intp]
    region: NDArray[np.intp]
    home_zone: Ints
    own: Floats
    far: Floats
    cost_usd: Floats


def best_places(
    table: SlotTable, places: Places, jobs: MovableJobs, starts: Starts = Starts.SLOTS
) -> Placed:
    """The way of each job with the least emissions within its cost; then home, then the earliest start.

    A way whose run touches a gap of its zone, or of home's where data are moved, is no candidate, nor
    is one whose cost is unknown where a job's cost is bounded. Law: a job whose energy is unknown is
    not placed.
    """
    ways = _ways(places, jobs)
    pairs = BatchJobs.of(
        places.zone[ways.region],
        jobs.earliest_s[ways.job],
        jobs.deadline_s[ways.job],
        jobs.duration_s[ways.job],
    )

    def weigh(rows: Rows) -> Ints:
        return _micrograms(table, ways, rows)

    found = least(table, pairs, starts, weigh)
    return _first_of_each(jobs, ways, found.start_s, found.area)


def _ways(places: Places, jobs: MovableJobs) -> _Ways:
    job, region = np.nonzero(jobs.allowed)
    home = jobs.home[job]
    away = region != home
    moved = np.where(away, jobs.transfer_gb[job], 0.0)
    network = moved * jobs.network_kwh_per_gb / 2
    hours = jobs.duration_s[job] / S_PER_H
    price_out = np.where(moved > 0, moved * places.usd_per_gb[home], 0.0)
    cost = places.usd_per_hour[region] * hours + price_out
    # A NaN cost is within an infinite bound and within no other.
    within = np.isinf(jobs.most_usd[job]) | (cost <= jobs.most_usd[job])
    kept = within & np.isfinite(jobs.energy_kwh[job]) & np.isfinite(moved)
    per_area = PARTS / (jobs.duration_s[job] * float(QUANTA))
    own = (jobs.energy_kwh[job] * places.pue[region] + network) * per_area
    far = network * per_area
    return _Ways(job[kept], region[kept], places.zone[home[kept]], own[kept], far[kept], cost[kept])


def _micrograms(table: SlotTable, ways: _Ways, rows: Rows) -> Ints:
    emitted = rows.areas(table) * ways.own[rows.jobs][:, None]
    far = ways.far[rows.jobs]
    gaps = [rows.touches_gap(table)]
    if far.any():
        home = Rows(rows.jobs, ways.home_zone[rows.jobs], rows.first_s, rows.duration_s, rows.width)
        emitted += home.areas(table) * far[:, None]
        there = home.touches_gap(table)
        gaps.append(None if there is None else there & (far > 0)[:, None])
    whole: Ints = np.rint(emitted).astype(np.int64)
    for gap in gaps:
        if gap is not None:
            whole[gap] = NEVER
    return whole


def _first_of_each(jobs: MovableJobs, ways: _Ways, start_s: Ints, micrograms: Ints) -> Placed:
    able = np.flatnonzero(start_s != NONE)
    away = ways.region[able] != jobs.home[ways.job[able]]
    order = able[
        np.lexsort((ways.region[able], start_s[able], away, micrograms[able], ways.job[able]))
    ]
    job, first = np.unique(ways.job[order], return_index=True)
    best = order[first]
    count = len(jobs.home)
    region, start = np.full(count, NONE, np.int64), np.full(count, NONE, np.int64)
    carbon, cost = np.full(count, np.nan), np.full(count, np.nan)
    region[job], start[job] = ways.region[best], start_s[best]
    carbon[job], cost[job] = micrograms[best] / PARTS, ways.cost_usd[best]
    return Placed(region, start, carbon, cost)
