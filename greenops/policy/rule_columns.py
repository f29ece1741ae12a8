"""Which constraints hold for which jobs of a table: the policies' own and those nobody writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from greenops.policy import builtin
from greenops.policy.batch import Batch
from greenops.policy.columns import Column, Mask
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.ir import Call, Const, ListOf, Var
from greenops.policy.kernel_numbers import microseconds
from greenops.policy.limit_columns import LIMIT_NAMES, limit_columns
from greenops.policy.model import Constraint, Level, Policy, PolicyException
from greenops.policy.parse import parse
from greenops.policy.policy_set import PolicySet
from greenops.policy.schema import FIELDS

Answers = Mapping[str, tuple[Mask, Mask]]
"""Policy → jobs for which some part of its match is false, and those for which all are true."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint, the jobs that it holds for, and its bit: that of its name."""

    constraint: Constraint
    jobs: Mask
    bit: int


def expressions(policies: PolicySet) -> Iterable[Expression]:
    """Every expression that may be asked."""
    for policy in policies.policies:
        yield from policy.match
        yield from (each.expression for each in policy.constraints)
        yield from (each.match for each in policy.exceptions)
    yield from (_compiled(each.text) for each in BUILTIN)
    yield from (_when(each, policies) for each in BUILTIN)


@dataclass(frozen=True, slots=True)
class _Builtin:
    """A constraint nobody has to write; see `builtin.constraints_for`.

    Attributes:
        when: Jobs that it holds for; none: those whose data class is not known.
    """

    name: str
    text: str
    when: str | None


BUILTIN: Final = (
    _Builtin("interactive/no-delay", builtin.NO_DELAY, 'job.urgency == "interactive"'),
    _Builtin("residency/home-region", builtin.HOME_ONLY, None),
    _Builtin("workload/allowed-regions", builtin.ALLOWED, "size(job.allowed_regions) > 0"),
    _Builtin("limit/deadline", builtin.DEADLINE, "has(limits.deadline)"),
    _Builtin("limit/maxCost", builtin.COST, "has(limits.max_cost_usd)"),
    _Builtin("limit/maxCost", builtin.COST_INCREASE, "has(limits.max_cost_increase)"),
    _Builtin("limit/maxCarbon", builtin.CARBON_REDUCTION, "has(limits.max_carbon_reduction)"),
    _Builtin("limit/maxCarbon", builtin.INTENSITY, "has(limits.max_intensity)"),
)
NEEDED: Final = ("now", "job.submitted", *LIMIT_NAMES)


@cache
def _compiled(text: str) -> Expression:
    return compile_node(parse(text), FIELDS)


def _when(of: _Builtin, policies: PolicySet) -> Expression:
    if of.when is not None:
        return _compiled(of.when)
    return _unknown_class(policies.known_classes())


@cache
def _unknown_class(classes: frozenset[str]) -> Expression:
    known = ListOf(tuple(Const("string", each) for each in sorted(classes)))
    inside = Call("in", (Var(("job", "data_class")), known))
    return compile_node(Call("!", (inside,)), FIELDS)


def all_matches(policies: PolicySet, batch: Batch) -> Answers:
    """What `matches` says of each policy."""
    return {each.name: matches(batch, each) for each in policies.policies}


def rules_of(
    policies: PolicySet, batch: Batch, answers: Answers, *, of_baseline: bool
) -> list[Rule]:
    """Every constraint with the jobs that it holds for, after the limits are known."""
    maybe = {name: ~some_false for name, (some_false, _) in answers.items()}
    limit_columns(batch.tables, [(each.limits, maybe[each.name]) for each in policies.policies])
    said = [
        (Constraint(e.name, Level.HARD, _compiled(e.text)), batch.over_jobs(_when(e, policies)))
        for e in BUILTIN
    ]
    found = [(constraint, when.holds()) for constraint, when in said]
    for policy in policies.policies:
        found += _own_rules(batch, policy, maybe[policy.name], answers[policy.name][1])
    if of_baseline:
        found = [(c, m) for c, m in found if c.expression.text not in builtin.relative_texts()]
    bits: dict[str, int] = {}
    kept = [(c, mask) for c, mask in found if mask.any()]
    return [Rule(c, mask, bits.setdefault(c.name, len(bits))) for c, mask in kept]


def matches(batch: Batch, policy: Policy) -> tuple[Mask, Mask]:
    """Jobs for which some part of the match is false, and those for which all are true."""
    jobs = (batch.tables.layout.jobs, 1)
    some_false, sure = np.zeros(jobs, np.bool_), np.ones(jobs, np.bool_)
    for each in policy.match:
        found = batch.over_jobs(each)
        ok = True if found.ok is None else found.ok
        some_false = some_false | (~found.values & ok)
        sure = sure & found.holds()
    return some_false, sure


def in_force(now: Column, exception: PolicyException) -> Mask:
    """Instants at which an exception is in force."""
    begins, ends = map(microseconds, (exception.not_before, exception.expires))
    return Column("bool", (now.values >= begins) & (now.values < ends), now.ok).holds()


def _own_rules(
    batch: Batch, policy: Policy, maybe: Mask, sure: Mask
) -> list[tuple[Constraint, Mask]]:
    waived: dict[str, Mask] = {}
    now = batch.tables.source("now").column
    for each in policy.exceptions:
        if not each.waive:
            continue
        active = sure & in_force(now, each)
        active = active & batch.over_jobs(each.match).holds()
        for name in each.waive:
            waived[name] = waived.get(name, np.zeros_like(active)) | active
    return [(c, maybe & ~waived[c.name] if c.name in waived else maybe) for c in policy.constraints]
