"""Candidates, what the rules say of each, and what was decided; enough to decide it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from greenops.domain.workload import Limits
from greenops.units import Grams, GramsPerKwh, Kwh, Seconds, Usd


class Mode(StrEnum):
    """How far a policy reaches: say, choose, or act."""

    AUDIT = "audit"
    SHADOW = "shadow"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to run: a place, a pool, a tier and a time. None means the figure is absent."""

    id: str
    region: str | None = None
    location: str | None = None
    provider: str | None = None
    pool: str | None = None
    tier: str | None = None
    zone: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    energy_kwh: Kwh | None = None
    carbon_g: Grams | None = None
    carbon_low_g: Grams | None = None
    carbon_high_g: Grams | None = None
    intensity: GramsPerKwh | None = None
    cost_usd: Usd | None = None
    p95_ms: float | None = None
    quality: float | None = None
    quality_low: float | None = None
    transfer_gb: float | None = None
    capacity_free: float | None = None
    forecast_age_s: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all matching rules say of one candidate.

    Attributes:
        allowed: No hard (or unwaived soft) constraint refused it.
        reasons: Names of the constraints that refused it, in file order.
        warnings: Names of the advisory constraints it breaks.
        errors: Constraint name → why its expression could not be evaluated.
        messages: Constraint name → the sentence its author wrote for a person.
        eligible: The objective's `when` holds (true where no objective applies).
        score: (minimize, tie break), smaller is better; none where it could not be computed.
    """

    candidate: str
    allowed: bool
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    eligible: bool = True
    score: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the matching policies say of one job: a verdict per candidate, the baseline first.

    Attributes:
        policies: Names of the policies that matched, by priority.
        objective: Name of the objective that scored; none where no policy has one.
        mode: The most cautious mode of the policies that matched.
        held_out: The job is in the hold-out: decided and logged, never moved.
        run_now: An exception says so; `exception` is its id.
        limits: The three numbers in force, tightest of policy and workload.
        policy_hash: SHA-256 of the canonical policies that matched.
        deadline: Latest end in force, the tightest of job, workload and policies; none without one.
    """

    policies: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    limits: Limits
    policy_hash: str
    objective: str | None = None
    mode: Mode = Mode.ENFORCE
    held_out: bool = False
    run_now: bool = False
    exception: str | None = None
    waived: tuple[str, ...] = ()
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one job, with all that a sceptic needs to decide it again.

    Attributes:
        rejected: Candidate id → names of the rules that refused it.
        reason: One sentence for a person.
        latest_safe_start: Start after which the P95 run would miss the deadline.
        forecast_ids: Zone → id of the forecast that was used.
        replay: Decided on played-back data.
        noncompliant_baseline: The baseline itself breaks a hard rule: alert, do not move silently.
        supersedes: Id of the decision on the same run that this one takes the place of; none: the first.
        degraded: Zone → why its forecast only stood in for what was asked for; none where none did.
        by_upper_bound: Why the rules were asked about the upper bound of carbon; none: about the mean.
    """

    id: str
    job_id: str
    workload: str
    decided_at: datetime
    chosen: Candidate
    baseline: Candidate
    runner_up: Candidate | None
    rejected: Mapping[str, tuple[str, ...]]
    warned: Mapping[str, tuple[str, ...]]
    reason: str
    mode: Mode
    policies: tuple[str, ...]
    policy_hash: str
    objective: str | None
    limits: Limits
    deadline: datetime | None
    latest_safe_start: datetime | None
    forecast_ids: Mapping[str, str]
    replay: bool
    held_out: bool = False
    exception: str | None = None
    noncompliant_baseline: bool = False
    supersedes: str | None = None
    degraded: Mapping[str, str] | None = None
    by_upper_bound: str | None = None
