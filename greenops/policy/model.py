"""Policies as read and compiled: every expression checked, every number with its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from greenops.domain.decision import Candidate, Mode
from greenops.domain.workload import Job, Limits
from greenops.errors import Location
from greenops.policy.evaluate import Expression


class Level(StrEnum):
    """Hard: never waived. Soft: an exception may waive it. Advisory: recorded only."""

    HARD = "hard"
    SOFT = "soft"
    ADVISORY = "advisory"


class OnError(StrEnum):
    """What an expression that errs means; `Ignore` is for advisory constraints only."""

    REJECT = "Reject"
    IGNORE = "Ignore"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One rule that every candidate must keep.

    Attributes:
        message: The author's sentence; none where `speech` makes it, or none was written.
        speech: Expression that makes the sentence.
    """

    name: str
    level: Level
    expression: Expression
    message: str | None = None
    speech: Expression | None = None
    ignore_errors: bool = False


@dataclass(frozen=True, slots=True)
class Objective:
    """What to make small, among candidates for which `when` holds."""

    name: str
    when: Expression | None
    minimize: Expression
    tie_break: Expression | None = None


@dataclass(frozen=True, slots=True)
class PolicyException:
    """A way round soft constraints, approved by name and for a time."""

    id: str
    reason: str
    approved_by: tuple[str, ...]
    not_before: datetime
    expires: datetime
    match: Expression
    run_now: bool = False
    waive: tuple[str, ...] = ()
    source: Location | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One `PlacementPolicy`, compiled.

    Attributes:
        percent: Share of jobs that the policy moves; the rest are its hold-out.
        key: Expression whose text decides who is held out; none: the job's id.
        document: Canonical text, for the ledger.
    """

    name: str
    owners: tuple[str, ...]
    priority: int
    match: tuple[Expression, ...]
    limits: Limits
    constraints: tuple[Constraint, ...]
    objectives: tuple[Objective, ...]
    exceptions: tuple[PolicyException, ...]
    mode: Mode
    percent: float
    key: Expression | None
    data_classes: frozenset[str]
    document: str
    source: Location


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """A test written beside its policy.

    Attributes:
        choose: Id of the candidate that must win.
        rejected: Candidate id → constraints that must refuse it (others may too).
        warned: Candidate id → advisory constraints that it must break.
        exception: Id of the exception that must apply; none: none may.
        matches: The policy must meet the job; false: it must not.
    """

    policy: str
    name: str
    now: datetime
    job: Job
    baseline: Candidate
    candidates: tuple[Candidate, ...]
    choose: str
    rejected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exception: str | None = None
    matches: bool = True
    source: Location | None = None
