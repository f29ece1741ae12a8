"""Stages of budgets in a replay: each decision is judged under those that were in force when it was made.

What was spent then is not spent anew: a replay says what rules would choose, not what the choices of a
month would have come to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.domain.budget import Budget, BudgetState
from greenops.pipeline.policy_replay_jobs import EPOCH, NEVER, US
from greenops.policy import PolicySet
from greenops.policy.budget_rules import as_spent, binding, under
from greenops.policy.budget_state import period
from greenops.policy.choose_columns import fields_of
from greenops.policy.model import Policy

UNTOLD: Final = "[]"
"""What is taken where a decision does not tell its stages: none."""


@dataclass(slots=True)
class Stages:
    """One set of policies under the stages of its budgets.

    Attributes:
        binds: Some stage can bind a decision.
        rulers: Policies whose objectives may count: the set's own, then those of stages.
        known: (policies of stages, end of each budget's period) → the set under them.
    """

    policies: PolicySet
    binds: bool = field(init=False)
    rulers: list[Policy] = field(init=False)
    known: dict[tuple[str, tuple[datetime, ...]], PolicySet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.binds = bool(binding(self.policies))
        self.rulers = list(self.policies.policies)

    def fields(self) -> frozenset[str]:
        """Every field that a choice may ask for, at whatever stage."""
        return fields_of(self._under(tuple(_spent(each) for each in self.policies.budgets)))

    def in_force(self, decision: Mapping[str, Any]) -> PolicySet:
        """The policies as they held for one decision."""
        if not self.binds:
            return self.policies
        return self._at(decision["stages"] or UNTOLD, decision["decided_at"])[0]

    def groups(self, decisions: Any) -> list[tuple[PolicySet, Any]]:
        """Policies, and which decisions they held for; none: for all of them."""
        if not self.binds:
            return [(self.policies, None)]
        column = decisions.column("stages").combine_chunks()
        codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        texts = dict(enumerate(column.dictionary.to_pylist()))
        instants = decisions.column("decided_at").combine_chunks().view(pa.int64()).to_numpy()
        found: dict[int, tuple[PolicySet, list[Any]]] = {}
        for code in np.unique(codes).tolist():
            left = np.flatnonzero(codes == code)
            while len(left):
                at = EPOCH + int(instants[left[0]]) * US
                made, first, last = self._at(texts.get(code) or UNTOLD, at)
                inside = (instants[left] >= first) & (instants[left] < last)
                found.setdefault(id(made), (made, []))[1].append(left[inside])
                left = left[~inside]
        if len(found) == 1:
            return [(next(iter(found.values()))[0], None)]
        return [(made, np.sort(np.concatenate(places))) for made, places in found.values()]

    def ruler(self, policies: PolicySet, places: Any) -> Any:
        """Places among all that may rule, of places among the policies of one set."""
        own = len(self.policies.policies)
        names = {each.name: at for at, each in enumerate(self.rulers)}
        wide = np.array([*range(own), *(names[e.name] for e in policies.policies[own:])], np.int64)
        return np.where(places >= 0, wide[np.maximum(places, 0)], places) if len(wide) else places

    def _at(self, stages: str, decided_at: datetime) -> tuple[PolicySet, int, int]:
        """The policies at an instant, and from and until when they are the same [us since 1970]."""
        names = json.loads(stages)
        states = as_spent(self.policies, names, decided_at) if names else ()
        key = (stages, tuple(each.ends for each in states))
        if key not in self.known:
            self.known[key] = self._under(states)
        first = max(((each.begins - EPOCH) // US for each in states), default=-NEVER)
        last = min(((each.ends - EPOCH) // US for each in states), default=NEVER)
        return self.known[key], first, last

    def _under(self, states: tuple[BudgetState, ...]) -> PolicySet:
        made = under(self.policies, states)  # the same where nothing is reached
        before = {each.name for each in self.rulers}
        self.rulers += [each for each in made.policies if each.name not in before]
        return made


def _spent(budget: Budget) -> BudgetState:
    """A budget of which all is spent, and more."""
    begins, ends = period(budget.every, budget.time_zone, EPOCH)
    return BudgetState(budget.name, begins, ends, share=math.inf)
