"""What the lake says of budgets and targets, and the policies that hold while budgets stand so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from greenops.adapters.parquet_lake import ParquetLake
from greenops.domain.budget import BudgetMode, BudgetState, TargetState
from greenops.domain.spans import SpanRow
from greenops.errors import GreenOpsError
from greenops.policy import PolicySet
from greenops.policy.budget_rules import under
from greenops.policy.budget_state import budget_states, period, target_states

log = logging.getLogger("greenops.budgets")

FRESH_FOR: Final = timedelta(minutes=15)
"""How long what is spent is taken as known before the lake is asked again (simulated time)."""

Spans = Callable[[datetime], Iterable[SpanRow]]
"""Spans from the day of an instant on."""


def spans_of(state: Path, *, skip_damaged: bool = True) -> Spans:
    """Spans of the lake below a state folder.

    Args:
        state: The folder.
        skip_damaged: Name damaged files in the log and go on; else they raise `DataMissing`.
    """
    return partial(spans_since, ParquetLake(state / "lake"), skip_damaged=skip_damaged)


def spans_since(
    lake: ParquetLake, begins: datetime, *, skip_damaged: bool = True
) -> Iterable[SpanRow]:
    """Spans of a lake from the day of an instant on."""
    return lake.spans(skip_damaged=skip_damaged, since=begins.astimezone(UTC).date())


def standing_of_budgets(
    policies: PolicySet, spans: Spans, now: datetime
) -> tuple[BudgetState, ...]:
    """Where every budget stands at an instant; the lake is read once, from the first period on."""
    if not policies.budgets:
        return ()
    first = min(period(each.every, each.time_zone, now)[0] for each in policies.budgets)
    return budget_states(policies.budgets, policies.workloads, spans(first), now)


def standing_of_targets(
    policies: PolicySet, spans: Spans, now: datetime
) -> tuple[TargetState, ...]:
    """Where every target stands at an instant; the lake is read once, from the first baseline on."""
    if not policies.targets:
        return ()
    first = min(each.begins for each in policies.targets)
    return target_states(policies.targets, policies.workloads, spans(first), now)


@dataclass(slots=True)
class InForce:
    """The policies that hold now: those declared, and what budgets add at the stages they reached.

    Budgets that only audit bind nothing, so the lake is not asked for them.

    What is spent is asked again after `FRESH_FOR`. A lake that cannot be read leaves the policies as
    they were last: a stage is neither entered nor left on a guess.

    Attributes:
        policies: As declared.
        spans: The lake.
    """

    policies: PolicySet
    spans: Spans
    asked: datetime | None = None
    states: tuple[BudgetState, ...] = ()
    told: set[str] = field(default_factory=set)

    def at(self, now: datetime) -> PolicySet:
        """The policies at an instant."""
        if not any(each.mode is BudgetMode.ENFORCE for each in self.policies.budgets):
            return self.policies
        if self.asked is None or not timedelta(0) <= now - self.asked < FRESH_FOR:
            self.asked = now
            try:
                self.states = standing_of_budgets(self.policies, self.spans, now)
            except GreenOpsError as error:
                log.warning("what is spent of the budgets cannot be told: %s", error)
            self._tell()
        return under(
            self.policies, [each for each in self.states if each.begins <= now < each.ends]
        )

    def _tell(self) -> None:
        """Each stage is told once a period, when it is reached."""
        for each in self.states:
            if each.stage is None or each.share is None:
                continue
            line = f"budget `{each.budget}` stands at its stage of {each.stage.at:.0%}"
            key = f"{line} {each.begins}"
            if key not in self.told:
                self.told.add(key)
                log.warning("%s: %.0f %% spent until %s", line, each.share * 100, f"{each.ends:%F}")
