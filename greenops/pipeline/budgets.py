"""What the lake says of budgets and targets, and the policies that hold while budgets stand so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Final

from greenops.domain.budget import Budget, BudgetMode, BudgetState, TargetState
from greenops.domain.usage import Sums, Usage, Window
from greenops.errors import GreenOpsError
from greenops.pipeline.beside import Run, at_once
from greenops.policy import PolicySet
from greenops.policy.budget_rules import under
from greenops.policy.budget_state import (
    budget_states,
    budget_windows,
    target_states,
    target_windows,
)

log = logging.getLogger("greenops.budgets")

FRESH_FOR: Final = timedelta(minutes=15)
"""How long what is spent is taken as known before the lake is asked again (simulated time)."""
STALE_AFTER: Final = 2 * FRESH_FOR
"""How old what is spent may be before the log says so (simulated time)."""


def sums_of(state: Path, *, skip_damaged: bool = True) -> Sums:
    """Sums of the spans in the lake below a state folder; what reads it is loaded when first asked.

    Args:
        state: The folder.
        skip_damaged: Name damaged files in the log and go on; else they raise `DataMissing`.
    """

    @cache
    def lake() -> Sums:
        # Arrow takes a tenth of a second to load: nobody waits for it who has no budgets.
        from greenops.adapters.lake_sums import LakeSums

        return LakeSums(state / "lake", skip_damaged=skip_damaged)

    def sums(windows: Sequence[Window]) -> Sequence[Usage]:
        return lake()(windows)

    return sums


def standing_of_budgets(
    policies: PolicySet, sums: Sums, now: datetime, budgets: Sequence[Budget] | None = None
) -> tuple[BudgetState, ...]:
    """Where budgets stand at an instant: those given, or all that are declared."""
    budgets = policies.budgets if budgets is None else budgets
    usage = sums(budget_windows(budgets, now))
    return budget_states(budgets, policies.workloads, usage, now)


def standing_of_targets(policies: PolicySet, sums: Sums, now: datetime) -> tuple[TargetState, ...]:
    """Where every target stands at an instant."""
    usage = sums(target_windows(policies.targets, now))
    return target_states(policies.targets, policies.workloads, usage, now)


@dataclass(slots=True)
class InForce:
    """The policies that hold now: those declared, and what budgets add at the stages they reached.

    What is spent is asked again after `FRESH_FOR`. A lake that cannot be read, or a look that takes
    long, leaves the policies as they were last: a stage is neither entered nor left on a guess. So
    before the first look is done, work runs as without budgets.

    Attributes:
        policies: As declared.
        sums: The lake.
        run: How a look is carried out.
        audits: Look for budgets that only audit as well, to tell their stages; they bind nothing.
        asked: When the last look began.
        known_at: What instant the last look that succeeded is of.
    """

    policies: PolicySet
    sums: Sums
    run: Run = at_once
    audits: bool = False
    asked: datetime | None = None
    known_at: datetime | None = None
    _states: dict[tuple[str, datetime], BudgetState] = field(default_factory=dict)
    """By budget and begin of the period: a run that is planned ahead leaves the period of now."""
    _told: set[str] = field(default_factory=set)
    _old: bool = False
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _last: tuple[tuple[BudgetState, ...], PolicySet] | None = None

    def at(self, now: datetime) -> PolicySet:
        """The policies at an instant."""
        budgets = self._asked_for()
        if not budgets:
            return self.policies
        if self.asked is None:
            self.known_at = now
        if self.asked is None or not timedelta(0) <= now - self.asked < FRESH_FOR:
            self._ask(budgets, now)
        self._tell_age(now)
        states = tuple(each for each in self._states.values() if each.begins <= now < each.ends)
        if self._last is None or self._last[0] != states:
            self._last = states, under(self.policies, states)
        return self._last[1]

    def _asked_for(self) -> list[Budget]:
        return [e for e in self.policies.budgets if self.audits or e.mode is BudgetMode.ENFORCE]

    def _ask(self, budgets: Sequence[Budget], now: datetime) -> None:
        if not self._looking.acquire(blocking=False):
            return
        self.asked = now
        try:
            self.run(partial(self._look, budgets, now))
        except RuntimeError as error:
            self._looking.release()
            log.warning("what is spent of the budgets cannot be looked up: %s", error)

    def _look(self, budgets: Sequence[Budget], now: datetime) -> None:
        try:
            states = standing_of_budgets(self.policies, self.sums, now, budgets)
            self._states = self._states | {(each.budget, each.begins): each for each in states}
            self.known_at = now
            self._tell(states)
        except GreenOpsError as error:
            log.warning("what is spent of the budgets cannot be told: %s", error)
        except Exception:
            # A fault of ours must neither end the thread unseen nor keep a decision from being made.
            log.exception("what is spent of the budgets cannot be told: unexpected")
        finally:
            self._looking.release()

    def _tell_age(self, now: datetime) -> None:
        """Decisions go by what was known last; where that is old it is said, once until it is not."""
        known_at = self.known_at or now
        old = now - known_at > STALE_AFTER
        if old and not self._old:
            minutes = (now - known_at) / timedelta(minutes=1)
            log.warning(
                "what is spent of the budgets was known last %.0f minutes ago, at %s; decisions go by that",
                minutes,
                f"{known_at:%Y-%m-%d %H:%M} UTC",
            )
        self._old = old

    def _tell(self, states: Sequence[BudgetState]) -> None:
        """Each stage is told once a period, when it is reached."""
        audits = {each.name for each in self.policies.budgets if each.mode is BudgetMode.AUDIT}
        for each in states:
            if each.stage is None or each.share is None:
                continue
            line = f"budget `{each.budget}` stands at its stage of {each.stage.at:.0%}"
            key = f"{line} {each.begins}"
            if key not in self._told:
                self._told.add(key)
                audit = "; it only audits, so nothing is bound" if each.budget in audits else ""
                share, until = each.share * 100, f"{each.ends:%F}"
                log.warning("%s: %.0f %% spent until %s%s", line, share, until, audit)
