"""Budgets of carbon and money, targets to reduce by, and where each stands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from greenops.domain.workload import Limits, Urgency
from greenops.errors import Location
from greenops.units import Grams, Usd

OF_STAGES: Final = re.compile(r"budget/[^/]+/[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?(/.+)?")
"""Names of the policies that stages of budgets put in force: `budget/<name>/<percent>…`."""


def stages_among(names: Iterable[str]) -> tuple[str, ...]:
    """Which of the policies that were in force come from stages of budgets."""
    return tuple(sorted(each for each in names if OF_STAGES.fullmatch(each)))


class Every(StrEnum):
    """How long a budget lasts before it begins anew; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class BudgetMode(StrEnum):
    """Audit: the stages are told, and change nothing. Enforce: they bind."""

    AUDIT = "audit"
    ENFORCE = "enforce"


class Measure(StrEnum):
    """What a target is about."""

    CARBON = "carbon"
    ENERGY = "energy"
    COST = "cost"


class Standing(StrEnum):
    """Where a target stands."""

    MET = "met"
    ON_TRACK = "on-track"
    BEHIND = "behind"
    MISSED = "missed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class WorkScope:
    """Which workloads count; where both are given, one must be in both. Neither: all.

    Attributes:
        teams: Teams of declared workloads.
        workloads: Names of workloads.
    """

    teams: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()

    def holds(self, workload: str | None, team: str | None) -> bool:
        """Does some work count; work without a name or team is in no list."""
        in_team = not self.teams or team in self.teams
        return in_team and (not self.workloads or workload in self.workloads)


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell it, and change nothing."""


@dataclass(frozen=True, slots=True)
class Tighten:
    """Make rules tighter for the work that counts; nothing here can loosen one.

    Attributes:
        limits: Numbers that hold beside those that are there.
        harden: (policy, constraint): soft or advisory ones that become hard.
        params: Policies whose constraints hold once more, with other parameters.
    """

    limits: Limits
    harden: tuple[tuple[str, str], ...] = ()
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Work of these urgencies waits for the next period, where its deadline allows that."""

    urgencies: tuple[Urgency, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """What happens once a share of the budget is spent: 0.8 for 80 %."""

    at: float
    action: Warn | Tighten | Block


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that some work may emit or cost in a period.

    Attributes:
        time_zone: Whose midnight the periods begin at.
        carbon_g: Most emissions, location-based [gCO2e]; none: not limited.
        cost_usd: Most cost [USD]; none: not limited.
        stages: By rising share.
    """

    name: str
    owners: tuple[str, ...]
    scope: WorkScope
    every: Every
    time_zone: str
    mode: BudgetMode
    stages: tuple[Stage, ...]
    carbon_g: Grams | None = None
    cost_usd: Usd | None = None
    source: Location | None = None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What is spent of a budget in the period that an instant lies in.

    Attributes:
        begins: First instant of the period; `ends` is the first after it.
        carbon_g: Emissions so far [gCO2e]; none: not limited, or of no span known.
        cost_usd: Cost so far [USD]; none likewise.
        share: The larger of the shares that are spent, 0.8 for 80 %; none: nothing is known.
        burn: Share spent over share of the period gone by; above 1 it will not last.
        unknown: Spans that count and lack a figure, so that what is spent is at least what is told.
        stage: The highest stage reached; none: none is.
    """

    budget: str
    begins: datetime
    ends: datetime
    carbon_g: Grams | None = None
    cost_usd: Usd | None = None
    share: float | None = None
    burn: float | None = None
    unknown: int = 0
    stage: Stage | None = None

    @property
    def spent(self) -> bool:
        """Is nothing left?"""
        return self.share is not None and self.share >= 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """A reduction against a period of the past, by an instant.

    Attributes:
        reduction: 0.3 for 30 % less each day than in the baseline period.
        begins: First instant of the baseline period; `ends` is the first after it.
        by: When it must be reached.
    """

    name: str
    owners: tuple[str, ...]
    scope: WorkScope
    measure: Measure
    reduction: float
    begins: datetime
    ends: datetime
    by: datetime
    source: Location | None = None


@dataclass(frozen=True, slots=True)
class TargetState:
    """Where a target stands; read only, nothing is steered by it.

    Attributes:
        baseline: Mean of a day of the baseline period [g, kWh or USD]; none: not known.
        current: Mean of a day of the last four weeks, in the same unit; none: not known.
        reduction: Reached, 0.1 for 10 %; negative: it grew; none: not known.
        wanted: Where a straight line from the baseline's end to the target is now.
        why: What is missing, where the standing is unknown.
    """

    target: str
    standing: Standing
    wanted: float
    baseline: float | None = None
    current: float | None = None
    reduction: float | None = None
    why: str | None = None
