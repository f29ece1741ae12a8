"""The limits in force for each job of a table: its own and those of the policies that match it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import numpy as np

from greenops.domain.wall_clock import next_local
from greenops.domain.workload import ClockTime, Limits
from greenops.policy.columns import Column, Mask, Values
from greenops.policy.frames import JOB
from greenops.policy.kernel_numbers import EPOCH, FIRST, MICROSECOND
from greenops.policy.schema import LIMITS
from greenops.policy.tables import Tables

LIMIT_NAMES: Final = tuple(f"limits.{name}" for name in LIMITS)
NEVER: Final = 2**63 - 1
"""A deadline later than any."""


def limit_columns(tables: Tables, limits: Iterable[tuple[Limits, Mask]]) -> None:
    """Put `limits.*` into the tables: the tightest of each job's own and the policies'.

    Args:
        tables: The tables; the jobs' own limits are loaded.
        limits: Limits of each policy, and the jobs that it matches.
    """
    given = list(limits)
    for name in LIMITS:
        own = tables.layout.spread(tables.own(f"limits.{name}").column, JOB)
        at_end = name == "deadline"
        found = _deadline(tables, own, given) if at_end else _tightest(name, own, given)
        tables.put(f"limits.{name}", found)


def _tightest(name: str, own: Column, given: list[tuple[Limits, Mask]]) -> Column:
    """The least of a limit; of the carbon to be saved, the most."""
    sign = -1.0 if name == "max_carbon_reduction" else 1.0
    ok = np.ones_like(own.values, np.bool_) if own.ok is None else own.ok
    values = np.where(ok, own.values * sign, np.inf)
    for limits, jobs in given:
        limit: float | None = getattr(limits, name)
        if limit is not None:
            values = np.where(jobs, np.minimum(values, limit * sign), values)
            ok = ok | jobs
    return Column("double", values * sign, ok)


def _deadline(tables: Tables, own: Column, given: list[tuple[Limits, Mask]]) -> Column:
    values = own.values if own.ok is None else np.where(own.ok, own.values, NEVER)
    submitted = tables.layout.spread(tables.source("job.submitted").column, JOB)
    for limits, jobs in given:
        for end in _ends(limits, submitted):
            values = np.where(jobs, np.minimum(values, end), values)
    return Column("timestamp", values, values != NEVER)


def _ends(limits: Limits, submitted: Column) -> Iterable[Values]:
    """What a policy makes of each submission; nothing fits where that is not known."""
    if limits.deadline_within is not None:
        yield _known(submitted, submitted.values + limits.deadline_within // MICROSECOND)
    if limits.deadline_at is not None:
        yield _known(submitted, _clock_times(submitted.values, limits.deadline_at))


def _known(submitted: Column, ends: Values) -> Values:
    return ends if submitted.ok is None else np.where(submitted.ok, ends, FIRST)


def _clock_times(submitted: Values, clock: ClockTime) -> Values:
    found, places = np.unique(submitted, return_inverse=True)
    ends = [
        (next_local(clock, EPOCH + timedelta(microseconds=int(each))) - EPOCH) // MICROSECOND
        for each in found
    ]
    return np.array(ends, np.int64)[places.reshape(submitted.shape)]
