"""Deciding by the intensity of now where nothing is foretold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job
from greenops.errors import DataMissing
from greenops.pipeline.grid_context import GridContext
from greenops.plan.candidates import RegionOption, allowed
from greenops.plan.guard import latest_safe_start
from greenops.plan.threshold import at_intensity, probe, queued, too_dirty
from greenops.policy import PolicySet
from greenops.units import GramsPerKwh

Ways = tuple[Candidate, Sequence[Candidate]]
"""The baseline and the others."""


def intensity_now(grid: GridContext, zone: str | None, now: datetime) -> GramsPerKwh | None:
    """What the provider says of this instant [gCO2e/kWh]; none where it says nothing."""
    if zone is None:
        return None
    try:
        series = grid.provider.actual(zone, now, now + timedelta(seconds=1))
    except DataMissing:
        return None
    return series.values[0] if series.values else None


def by_intensity_now(
    job: Job,
    ways: Ways,
    options: Sequence[RegionOption],
    grid: GridContext,
    policies: PolicySet,
    now: datetime,
    *,
    waited: bool = False,
) -> Ways:
    """The ways, with one more where nothing is foretold and now is too dirty for the rules: to wait.

    What runs at once then has the intensity of now; so it has where that ends a wait.

    Args:
        job: What is to run.
        ways: As they are planned.
        options: Regions and forecasts that they were made of.
        grid: Says how it is now.
        policies: Those in force.
        now: Instant of the decision, not ahead of the clock.
        waited: The run waits already.
    """
    latest = latest_safe_start(job)
    if latest is None or latest <= now or any(each.forecast for each in allowed(job, options)):
        return ways
    baseline, others = ways
    place = baseline.region, baseline.pool, now
    at_once = next((e for e in (baseline, *others) if (e.region, e.pool, e.start) == place), None)
    intensity = intensity_now(grid, baseline.zone, now)
    if at_once is None or intensity is None:
        return ways
    pue = grid.regions[job.workload.home_region].pue
    known = at_intensity(at_once, intensity, pue)
    dirty, probed = probe(known)
    waits = too_dirty(policies.judge(job, dirty, probed, now).verdicts)
    if not waits and not waited:
        return ways
    told = tuple(known if each is at_once else each for each in others)
    if baseline is at_once or (baseline.intensity is None and not waited):
        # It was due moments ago: as it is now, so it was.
        baseline = at_intensity(baseline, intensity, pue)
    return baseline, (*told, queued(known, latest)) if waits else told
