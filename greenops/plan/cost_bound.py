"""Cleaner, but no dearer than a bound; or cheaper, but no dirtier: exact, over all starts of every job.

Two tables of the same zones and slots are weighed together: the one that is made least, and the one that
is bounded. Both are counted in whole numbers, so a bound is kept to the last digit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from greenops.plan.slot_table import QUANTA, BatchJobs, Ints, SlotTable
from greenops.plan.windows import NEVER, Rows, Starts, Windows, best_windows, least

PER_MILLION: Final = 10**6
UNBOUNDED: Final = np.iinfo(np.int64).max


def bounded_windows(
    table: SlotTable,
    bounded: SlotTable,
    jobs: BatchJobs,
    most: ArrayLike,
    starts: Starts = Starts.SLOTS,
) -> Windows:
    """The start of each job with the least integral of `table` where that of `bounded` is within `most`.

    The earliest where several have it. A run that touches a gap of either table is no candidate.

    Args:
        table: What is made least, for example the intensity [gCO2e/kWh].
        bounded: What is bounded, for example the price, on the same zones and slots.
        jobs: What is to run.
        most: Most integral of `bounded` [unit / QUANTA x s], shape (job,) or a number.
        starts: Which instants are considered. With `Starts.ANY` those at which a slot begins or ends
            are, and no instant between them at which a bound would just be met.

    Raises:
        ValueError: The tables differ in shape.
    """
    table.same_slots(bounded)
    bounds = np.broadcast_to(np.asarray(most, dtype=np.int64), len(jobs))

    def weigh(rows: Rows) -> Ints:
        areas = rows.areas(table)
        areas[rows.areas(bounded) > bounds[rows.jobs][:, None]] = NEVER
        for gap in (rows.touches_gap(table), rows.touches_gap(bounded)):
            if gap is not None:
                areas[gap] = NEVER
        return areas

    return least(table, jobs, starts, weigh)


def cleaner_within_cost(
    carbon: SlotTable,
    price: SlotTable,
    jobs: BatchJobs,
    *,
    baseline_s: Ints | None = None,
    increase: float = 0.0,
    starts: Starts = Starts.SLOTS,
) -> Windows:
    """The cleanest start of each job whose energy costs at most `increase` more than a reference.

    Args:
        carbon: Intensity [gCO2e/kWh].
        price: Price of energy [money/kWh]; may be negative.
        jobs: What is to run.
        baseline_s: Start of each baseline [s], the reference; none: the cheapest start is. A job
            whose baseline has no price has no candidate: nothing can be compared with it.
        increase: 0.10 for 10 %, of the absolute cost, so that a negative one may rise as well.
        starts: Which instants are considered.
    """
    if baseline_s is None:
        cheapest = best_windows(price, jobs, starts)
        known, reference = cheapest.found, cheapest.area
    else:
        end = baseline_s + jobs.duration_s
        known = price.known(jobs.zone, baseline_s, end)
        reference = price.area(jobs.zone, np.where(known, baseline_s, 0), np.where(known, end, 0))
    most = np.where(known, raised(reference, increase), np.iinfo(np.int64).min)
    return bounded_windows(carbon, price, jobs, most, starts)


def cheaper_unless_dirtier(
    price: SlotTable,
    carbon: SlotTable,
    jobs: BatchJobs,
    most_intensity: ArrayLike,
    starts: Starts = Starts.SLOTS,
) -> Windows:
    """The cheapest start of each job whose mean intensity is at most `most_intensity` [gCO2e/kWh]."""
    most = np.asarray(most_intensity, dtype=float) * QUANTA
    bound = np.where(most * jobs.duration_s >= float(UNBOUNDED), np.inf, most)
    whole = np.rint(np.where(np.isfinite(bound), bound, 0)).astype(np.int64) * jobs.duration_s
    return bounded_windows(
        price, carbon, jobs, np.where(np.isfinite(bound), whole, UNBOUNDED), starts
    )


def raised(reference: Ints, increase: float) -> Ints:
    """`reference` and a share of its size more, rounded down, in whole numbers.

    Raises:
        ValueError: The share is below zero or no number.
    """
    if not increase >= 0:
        raise ValueError(f"an increase is zero or more, not {increase}")
    if increase == np.inf:
        return np.full_like(reference, UNBOUNDED)
    share = round(increase * PER_MILLION)
    size = np.abs(reference)
    more = size // PER_MILLION * share + size % PER_MILLION * share // PER_MILLION
    return np.asarray(reference + more)
