"""What is to run, how urgent it is, and its three numbers: deadline, most cost, most carbon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from greenops.errors import Location
from greenops.units import GramsPerKwh, Kwh, Seconds, Usd


class WorkloadKind(StrEnum):
    """A batch job ends; inference serves."""

    BATCH = "batch"
    INFERENCE = "inference"


class Urgency(StrEnum):
    """How long a workload may wait; `interactive` never does."""

    INTERACTIVE = "interactive"
    STANDARD = "standard"
    DEFERRABLE = "deferrable"
    BEST_EFFORT = "best-effort"
    BREAK_GLASS = "break-glass"


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time of day on a wall clock in a named time zone.

    Attributes:
        days: Days of the week that count, Monday is 0; none: all do.
        closed: Dates that do not count; none: all do.
    """

    at: time
    time_zone: str
    days: tuple[int, ...] | None = None
    closed: tuple[date, ...] | None = None


@dataclass(frozen=True, slots=True)
class Blackout:
    """When nothing may start, as a wall clock reads: an hour that comes twice is in it twice.

    Attributes:
        begins, ends: From a time of day up to another; up to one that is not later: of the next day.
        days: Days of the week on which it begins, Monday is 0; none: on all that are no holidays.
        dates: Dates on which it begins, whatever else; none: `days` say.
    """

    begins: time = time()
    ends: time = time()
    days: tuple[int, ...] | None = None
    dates: tuple[date, ...] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Dates that do not count, and when nothing may start.

    Attributes:
        holidays: No schedule, deadline or blackout by days of the week falls on them; none: no date.
    """

    time_zone: str
    holidays: tuple[date, ...] | None = None
    blackouts: tuple[Blackout, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The three numbers; each is absent where the file does not give it.

    Attributes:
        deadline_within: Done this long after submission.
        deadline_at: Done by the next such time of day after submission.
        max_cost_usd: Most a run may cost [USD].
        max_cost_increase: Most above the baseline's cost, 0.10 for 10 %.
        max_carbon_reduction: Least saving against the baseline's carbon, 0.15 for 15 %.
        max_intensity: Most mean intensity over the run [gCO2e/kWh].
    """

    deadline_within: timedelta | None = None
    deadline_at: ClockTime | None = None
    max_cost_usd: Usd | None = None
    max_cost_increase: float | None = None
    max_carbon_reduction: float | None = None
    max_intensity: GramsPerKwh | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """One declared workload, as its file says.

    Attributes:
        duration_p95_s: Run time that 95 % of runs do not exceed [s]; none for inference.
        duration_s: Usual run time [s]; the P95 where the file gives only that.
        energy_kwh: Usual energy of one run at the server [kWh].
        schedule: When it would run without GreenOps; none: when submitted.
        target: Name of the target (actuator) that carries decisions out.
        source: Where the file says so.
        calendar: When it may start; none: at any time.
        max_concurrent: Most of its runs at the same time, as the control loop plans them; none: any number.
        jitter: Starts are spread over this long by their run keys; none: all start on the slot.
        learn: What earlier runs took stands for what is declared; none: only where nothing is.
    """

    name: str
    kind: WorkloadKind
    urgency: Urgency
    home_region: str
    allowed_regions: tuple[str, ...] = ()
    team: str | None = None
    criticality: str | None = None
    data_class: str | None = None
    contains_personal_data: bool | None = None
    interruptible: bool = False
    duration_s: Seconds | None = None
    duration_p95_s: Seconds | None = None
    energy_kwh: Kwh | None = None
    transfer_gb: float | None = None
    limits: Limits = Limits()
    schedule: ClockTime | None = None
    target: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    source: Location | None = None
    calendar: Calendar | None = None
    learn: bool | None = None
    max_concurrent: int | None = None
    jitter: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a workload.

    Attributes:
        id: Idempotency key of the run, `nightly-enrichment/2021-10-08`.
        submitted: When it was, or is scheduled to be, submitted (simulated time).
        deadline: Latest end, resolved from the limits; none for inference.
        learned: A sentence for each figure of the workload that earlier runs tell; none: none does.
    """

    id: str
    workload: Workload
    submitted: datetime
    deadline: datetime | None = None
    learned: tuple[str, ...] | None = None
