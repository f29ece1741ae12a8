"""What waiting would have saved on every day a provider keeps forecasts of; picks the demo's day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from greenops.domain.grid import IntensitySeries
from greenops.errors import DataMissing, UsageError
from greenops.grid.series import mean_intensity, same_kind
from greenops.pipeline.grid_context import GridContext
from greenops.units import GramsPerKwh

SLOT: Final = timedelta(hours=1)
"""Distance of start slots. Hourly is exact here: with hourly values a best start lies where the run
starts or ends on the hour, and submission and duration are whole hours."""


@runtime_checkable
class ForecastArchive(Protocol):
    """A provider that keeps the forecasts it gave."""

    def issues(self, zone: str) -> Sequence[datetime]:
        """When each forecast was issued, oldest first."""


@dataclass(frozen=True, slots=True)
class DaySaving:
    """One day's run: at once, and when the forecast known at submission said.

    Attributes:
        day: Local day of submission.
        baseline_start: Submission, UTC: run at once.
        chosen_start: Slot with the lowest forecast mean; the earliest of equals.
        saving: 1 - chosen / baseline of the recorded intensities [1]; below 0 where it got worse.
        oracle_saving: The same for the best slot in hindsight.
    """

    day: date
    baseline_start: datetime
    chosen_start: datetime
    baseline_g_per_kwh: GramsPerKwh
    chosen_g_per_kwh: GramsPerKwh
    saving: float
    oracle_saving: float


def saving_by_day(
    context: GridContext,
    zone: str,
    local_time: time,
    duration: timedelta,
    deadline: timedelta,
    slot: timedelta = SLOT,
    longest: timedelta | None = None,
) -> list[DaySaving]:
    """The saving of a daily job on every local day whose submission has a forecast; none left out.

    Args:
        context: The grid; its provider keeps its forecasts.
        zone: Grid zone the job runs in.
        local_time: Submission in the zone's local time; where the clock is put back the earlier one,
            where it is put forward as long after the jump as was asked for.
        duration: Length of the run.
        deadline: Latest end, after submission, in elapsed time.
        slot: Distance of start slots.
        longest: P95 run time, which a start must leave room for; none: as the run.

    Raises:
        DataMissing: The provider does not know the zone, keeps no forecasts, or has a gap.
        UsageError: The deadline is shorter than the run.
    """
    longest = max(duration, longest or duration)
    if not timedelta(0) < duration <= longest <= deadline:
        raise UsageError("GO0311", f"a run of {longest} does not fit a deadline of {deadline}")
    provider = context.provider
    zones = {each.id: each for each in provider.zones()}
    if zone not in zones or not isinstance(provider, ForecastArchive):
        raise DataMissing(
            "GO0310",
            f"grid provider `{provider.name}` keeps no forecasts of `{zone}`",
            fix="the provider `shipped` does",
        )
    local = ZoneInfo(zones[zone].time_zone)
    # Two forecasts may share a first submission where the clock is put back, so a day comes once.
    days = dict.fromkeys(first_day(each, local_time, local) for each in provider.issues(zone))
    latest = deadline - longest
    return [
        _saving(context, zone, day, submitted(day, local_time, local), duration, latest, slot)
        for day in days
    ]


def first_day(issued: datetime, local_time: time, local: ZoneInfo) -> date:
    """The local day of the first submission at or after an issue."""
    day = issued.astimezone(local).date()
    while submitted(day, local_time, local) < issued:
        day += timedelta(days=1)
    return day


def submitted(day: date, local_time: time, local: ZoneInfo) -> datetime:
    """The UTC instant of a local time of day."""
    return datetime.combine(day, local_time, local).astimezone(UTC)


def _saving(
    context: GridContext,
    zone: str,
    day: date,
    start: datetime,
    duration: timedelta,
    latest: timedelta,
    slot: timedelta,
) -> DaySaving:
    forecast = context.provider.forecast(zone, start)
    actual = context.provider.actual(zone, start, start + latest + duration)
    same_kind(actual, forecast)
    slots = [start + i * slot for i in range(latest // slot + 1)]
    foretold = [_mean(forecast, each, duration) for each in slots]
    came = [_mean(actual, each, duration) for each in slots]
    chosen = min(range(len(slots)), key=foretold.__getitem__)
    return DaySaving(
        day=day,
        baseline_start=start,
        chosen_start=slots[chosen],
        baseline_g_per_kwh=came[0],
        chosen_g_per_kwh=came[chosen],
        saving=1 - came[chosen] / came[0],
        oracle_saving=1 - min(came) / came[0],
    )


def _mean(series: IntensitySeries, start: datetime, duration: timedelta) -> GramsPerKwh:
    mean = mean_intensity(series, start, start + duration)
    if mean is None:
        raise DataMissing(
            "GO0303", f"`{series.zone}` has a gap in the {duration} from {start.isoformat()}"
        )
    return mean


def median_day(days: Sequence[DaySaving]) -> DaySaving:
    """The day of median saving; the lower of the two middle ones where their number is even.

    Raises:
        DataMissing: There is no day.
    """
    if not days:
        raise DataMissing("GO0310", "no day has a forecast, so none is the median")
    ordered = sorted(days, key=lambda each: (each.saving, each.day))
    return ordered[(len(ordered) - 1) // 2]


@dataclass(frozen=True, slots=True)
class Nightly:
    """A job of every night; `p95` is what a start must leave room for."""

    usual: timedelta
    p95: timedelta
    deadline: timedelta


ENRICHMENT: Final = Nightly(timedelta(hours=2), timedelta(hours=4), timedelta(hours=12))
"""The shipped `nightly-enrichment`; a test compares it with `policies/demo/nightly-enrichment.yaml`."""


def demo_day(context: GridContext) -> DaySaving:
    """The demo's day: median saving of a 2 h run in CISO, from 01:00 local time, within 12 h.

    With room for the usual two hours alone. The shipped workload keeps room for its P95, so that its
    own median is another day's, and a little less: 34.4 % on 2021-09-14, where this day has 35.6 %.

    Raises:
        DataMissing: As `saving_by_day`.
    """
    return median_day(
        saving_by_day(context, "CISO", time(1), ENRICHMENT.usual, ENRICHMENT.deadline)
    )
