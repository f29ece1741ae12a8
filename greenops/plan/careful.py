"""Near a deadline, or on an old forecast, the planner counts with the upper bound of carbon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, WorkloadKind
from greenops.plan.guard import run_time
from greenops.units import GramsPerKwh

NOTHING: Final = timedelta()


@dataclass(frozen=True, slots=True)
class Care:
    """When the mean of a forecast is not trusted; zero: it always is.

    Attributes:
        slack: A plan whose P95 run leaves less before its deadline cannot be mended by another look.
        age: A forecast that is older than this may have been overtaken.
    """

    slack: timedelta = NOTHING
    age: timedelta = NOTHING


def needs_care(chosen: Candidate, job: Job, care: Care) -> str | None:
    """Why the way that is best by the mean is to be weighed by its upper bound; none: it is not."""
    if job.workload.kind is not WorkloadKind.BATCH:
        return None
    longest = run_time(job.workload)
    if job.deadline is not None and longest is not None and chosen.start is not None:
        spare = job.deadline - (chosen.start + longest)
        if care.slack and spare < care.slack:
            return f"its P95 run would leave {_hours(spare)} before its deadline"
    if chosen.forecast_age_s is None or care.age == NOTHING:
        return None
    age = timedelta(seconds=chosen.forecast_age_s)
    return f"its forecast is {_hours(age)} old" if age > care.age else None


def by_upper_bound(ways: Sequence[Candidate]) -> tuple[Candidate, ...] | None:
    """The ways with the upper 90 % bound as their carbon and intensity.

    Returns:
        As many ways, in order; none where some way's carbon has no bound: it would seem the better one.
    """
    if any(each.carbon_g is not None and each.carbon_high_g is None for each in ways):
        return None
    return tuple(map(_upper, ways))


def _upper(way: Candidate) -> Candidate:
    mean, high = way.carbon_g, way.carbon_high_g
    if mean is None or high is None:
        return way
    intensity = way.intensity
    if intensity is not None and mean > 0:
        intensity = GramsPerKwh(intensity * (high / mean))
    return replace(way, carbon_g=high, intensity=intensity)


def _hours(length: timedelta) -> str:
    return f"{max(length.total_seconds(), 0.0) / 3600:.1f} h"
