"""Every way to run a job: a place, a pool and a start, with all its figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from greenops.domain.decision import Candidate
from greenops.domain.grid import Forecast, Region
from greenops.domain.workload import Job
from greenops.errors import UsageError
from greenops.plan.calendar import may_start, next_open
from greenops.plan.crowd import phase
from greenops.plan.guard import latest_safe_start, run_time, scheduled_start
from greenops.plan.intensity import MeanIntensity, MeanRange
from greenops.plan.transfer import NETWORK, moving
from greenops.units import Grams, GramsPerKwh, Seconds, Usd, emissions, to_joules

SLOT = timedelta(minutes=30)
"""Distance between two starts that are considered."""
ON_DEMAND = "ondemand"
BASELINE = "baseline"
LOCAL = "local-process"
"""Target that starts a run on the machine where it waits."""
STAY_PUT = frozenset({LOCAL, "kubernetes-jobs"})
"""Targets whose runs can be early or late, not elsewhere: they wait on a machine or in a cluster already."""


@dataclass(frozen=True, slots=True)
class RegionOption:
    """A region with what was foretold of its grid.

    Attributes:
        forecast: Newest forecast for its zone; none where there is none: carbon is then absent.
    """

    region: Region
    forecast: Forecast | None = None


def batch_candidates(
    job: Job, options: Sequence[RegionOption], now: datetime, slot: timedelta = SLOT
) -> tuple[Candidate, tuple[Candidate, ...]]:
    """The baseline, and one candidate per region, pool and start slot.

    Starts are aligned to whole slots of UTC, from now or the submission (the later) up to the
    latest safe start; the first is at once. A run that its target cannot move has its home and the
    baseline's pool alone. Once that has passed, the baseline itself is at once and
    there is no other way.

    Raises:
        UsageError: The home region is not among the options, or the job has no run time.
    """
    longest = run_time(job.workload)
    home = next((o for o in options if o.region.id == job.workload.home_region), None)
    if longest is None or home is None:
        lacks = "no run time" if longest is None else f"unknown region `{job.workload.home_region}`"
        raise UsageError("GO0640", f"`{job.workload.name}` cannot be planned: {lacks}")
    usual = timedelta(seconds=job.workload.duration_s or longest.total_seconds())
    earliest = max(now, job.submitted)
    scheduled = scheduled_start(job.workload, job.submitted)
    latest = latest_safe_start(job) or scheduled
    if latest < earliest:
        # Slack is gone: waiting for the schedule would only make a late run later.
        scheduled = next_open(job.workload.calendar, earliest)
    baseline = _Place(job, home, home, usual, now).candidate(scheduled, ON_DEMAND, BASELINE)
    found = [
        place.candidate(start, pool)
        for option in allowed(job, options)
        for place in (_Place(job, option, home, usual, now),)
        for pool in _pools(job, option)
        for start in _starts(earliest, latest, slot, phase(job))
        if may_start(job.workload.calendar, start)
        if not _same(option, pool, start, baseline)
    ]
    return baseline, tuple(found)


def placement_candidates(
    job: Job, options: Sequence[RegionOption], now: datetime, p95_ms: float | None = None
) -> tuple[Candidate, tuple[Candidate, ...]]:
    """Where a service could run for the next hour: its home as baseline, and every other region.

    Args:
        job: The service's workload; its energy is that of one hour.
        options: Regions to consider; policies say which may be used.
        now: Start of the hour.
        p95_ms: Latency that its callers see, P95 [ms]; taken as equal everywhere.

    Raises:
        UsageError: The home region is not among the options.
    """
    home = next((o for o in options if o.region.id == job.workload.home_region), None)
    if home is None:
        name = job.workload.home_region
        raise UsageError("GO0640", f"`{job.workload.name}`: unknown region `{name}`")
    hour = timedelta(hours=1)

    def at(option: RegionOption, name: str) -> Candidate:
        return _Place(job, option, home, hour, now, p95_ms).candidate(now, ON_DEMAND, name)

    others = [at(option, option.region.id) for option in options if option is not home]
    return at(home, BASELINE), tuple(others)


def allowed(job: Job, options: Iterable[RegionOption]) -> list[RegionOption]:
    """Regions that a run may go to: those it names, and only its home where nothing can move it."""
    names = {job.workload.home_region}
    if job.workload.target not in STAY_PUT:
        names.update(job.workload.allowed_regions)
    return [option for option in options if option.region.id in names]


def _pools(job: Job, option: RegionOption) -> list[str]:
    if job.workload.target in STAY_PUT:
        return [ON_DEMAND]
    return sorted(option.region.usd_per_hour) or [ON_DEMAND]


def _starts(
    earliest: datetime, latest: datetime, slot: timedelta, phase: timedelta
) -> Iterator[datetime]:
    if earliest > latest:
        return
    yield earliest
    epoch = datetime(1970, 1, 1, tzinfo=UTC) + phase
    start = epoch + ((earliest - epoch) // slot + 1) * slot
    while start <= latest:
        yield start
        start += slot


def _same(option: RegionOption, pool: str, start: datetime, baseline: Candidate) -> bool:
    place = (option.region.id, pool, start)
    return place == (baseline.region, baseline.pool, baseline.start)


class _Grid:
    """What was foretold of a grid, over any run."""

    def __init__(self, forecast: Forecast | None) -> None:
        self.forecast = forecast
        self.mean = MeanIntensity(forecast) if forecast else None
        self.range = MeanRange(forecast) if forecast else None

    def over(self, start: datetime, end: datetime) -> Mapping[str, GramsPerKwh]:
        """Intensity's `values` (its mean), `low` and `high`; what is not known is not in it.

        The ends are those of each hour's range, else of the error that the forecast states.
        """
        mean = self.mean(start, end) if self.mean else None
        if mean is None or self.forecast is None or self.range is None:
            return {}
        hourly, error = self.range(start, end), self.forecast.error
        if hourly is not None:
            return {"values": mean, "low": hourly[0], "high": hourly[1]}
        if error is None:
            return {"values": mean}
        below, above = mean * max(0.0, 1 - error), mean * max(0.0, 1 + error)
        return {"values": mean, "low": GramsPerKwh(below), "high": GramsPerKwh(above)}


class _Place:
    """A job in one region; knows the figures of any start there."""

    def __init__(
        self,
        job: Job,
        option: RegionOption,
        home: RegionOption,
        duration: timedelta,
        now: datetime,
        p95_ms: float | None = None,
    ) -> None:
        self._job = job
        self._region, self._home = option.region, home.region
        away = option.region.id != home.region.id
        self._moved = job.workload.transfer_gb if away else 0.0
        self._grid = _Grid(option.forecast)
        self._home_grid = _Grid(home.forecast) if self._moved else self._grid
        self._duration = duration
        self._now = now
        self._p95_ms = p95_ms

    def candidate(self, start: datetime, pool: str, name: str | None = None) -> Candidate:
        region, forecast, workload = self._region, self._grid.forecast, self._job.workload
        end = start + self._duration
        here = self._grid.over(start, end)
        home = self._home_grid.over(start, end) if self._moved else here
        return Candidate(
            id=name or f"{region.id}/{pool}/{start.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
            region=region.id,
            location=region.location,
            provider=region.provider,
            pool=pool,
            zone=region.zone,
            start=start,
            end=end,
            energy_kwh=workload.energy_kwh,
            carbon_g=self._carbon("values", here, home),
            carbon_low_g=self._carbon("low", here, home),
            carbon_high_g=self._carbon("high", here, home),
            intensity=here.get("values"),
            cost_usd=self._cost(pool),
            p95_ms=self._p95_ms,
            transfer_gb=self._moved,
            forecast_age_s=Seconds((self._now - forecast.issued_at).total_seconds())
            if forecast
            else None,
        )

    def _carbon(
        self, of: str, here: Mapping[str, GramsPerKwh], home: Mapping[str, GramsPerKwh]
    ) -> Grams | None:
        """Emissions of the run and of moving its data; none where a part is not known."""
        energy = self._job.workload.energy_kwh
        if of not in here or of not in home or energy is None or self._moved is None:
            return None
        own = emissions(to_joules(energy), here[of], self._region.pue)
        if not self._moved:
            return own
        return Grams(own + moving(self._moved, here[of], home[of], NETWORK[of]))

    def _cost(self, pool: str) -> Usd | None:
        """The machines, and the traffic out of the run's home."""
        hourly = self._region.usd_per_hour.get(pool)
        if hourly is None or self._moved is None:
            return None
        hours = self._duration.total_seconds() / 3600
        return Usd(hourly * hours + self._moved * self._home.usd_per_gb)
