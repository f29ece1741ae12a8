"""What a budget's stages add to the rules: constraints and limits, never a way round one.

A stage is policies beside those that are there. All that match hold together, so a stage can only
tighten, and what it adds stands in explanations, documents and hashes as any policy does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Final

from greenops.domain.budget import (
    Block,
    Budget,
    BudgetMode,
    BudgetState,
    Stage,
    Tighten,
    Warn,
    stages_among,
)
from greenops.domain.decision import Mode
from greenops.domain.workload import Limits
from greenops.errors import Location
from greenops.policy.budget_state import period
from greenops.policy.declared import Declared, scope_texts
from greenops.policy.document import Node
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.fields import Fields
from greenops.policy.ir import did_you_mean
from greenops.policy.model import Constraint, Level, Objective, Policy
from greenops.policy.packs import joined_specs, misfit
from greenops.policy.parse import parse
from greenops.policy.policy_file import document, read_policy
from greenops.policy.policy_set import PolicySet
from greenops.policy.quantity import percent
from greenops.policy.report import Report
from greenops.policy.schema import FIELDS, with_labels

KEPT: Final = frozenset({"match", "params", "variables", "constraints", "onError"})
"""Parts of a policy that other parameters are put into."""
LAST: Final = -1_000_000_000
"""Priority of the objective of a block: it counts where no policy gives the job one."""


def stage_rules(
    budget: Budget, spec: Fields, declared: Declared
) -> Mapping[float, tuple[Policy, ...]]:
    """Share → what the stage there adds; blocks are added when the period's end is known."""
    added = {}
    for stage in budget.stages:
        if isinstance(stage.action, Tighten):
            made = [*_limits(budget, stage, stage.action), *_hardened(budget, stage, declared)]
            made += _with_params(budget, stage, spec, declared)
            added[stage.at] = tuple(made)
    return added


def under(policies: PolicySet, states: Iterable[BudgetState]) -> PolicySet:
    """The policies that hold where budgets stand so; the same where nothing is reached.

    Args:
        policies: Compiled policies with their budgets.
        states: Where the budgets stand; those that only audit change nothing.
    """
    enforced = {e.name: e for e in policies.budgets if e.mode is BudgetMode.ENFORCE}
    added: list[Policy] = []
    for state in sorted(states, key=lambda each: each.budget):
        budget = enforced.get(state.budget)
        if budget is None or state.share is None:
            continue
        for stage in budget.stages:
            if stage.at <= state.share:
                added += policies.stages.get((budget.name, stage.at), ())
                if isinstance(stage.action, Block):
                    place = LAST - len(added)
                    added.append(_blocking(budget, stage, stage.action, state.ends, place))
    return replace(policies, policies=(*policies.policies, *added)) if added else policies


def as_recorded(policies: PolicySet, documents: Iterable[str], decided_at: datetime) -> PolicySet:
    """The policies as they held for a decision, by the names of the documents that it kept.

    Other policies than those that decided are taken as far as the same budget was spent then: a stage
    at 50 % holds where the record has one at 80 %.
    """
    return under(policies, as_spent(policies, stages_among(documents), decided_at))


def as_spent(
    policies: PolicySet, stages: Iterable[str], decided_at: datetime
) -> tuple[BudgetState, ...]:
    """Where budgets stood at a decision, as far as the names of its stages' policies tell."""
    reached: dict[str, float] = {}
    for each in stages:
        _, name, share, *_ = each.split("/")
        reached[name] = max(float(share), reached.get(name, 0.0))
    found = []
    for budget in policies.budgets:
        spent = reached.get(budget.name, 0.0)
        held = [each.at for each in budget.stages if float(_percent(each)) <= spent]
        if held:
            begins, ends = period(budget.every, budget.time_zone, decided_at)
            found.append(BudgetState(budget.name, begins, ends, share=max(held)))
    return tuple(found)


def binding(policies: PolicySet) -> tuple[Budget, ...]:
    """Budgets whose stages can bind a decision."""
    return tuple(
        each
        for each in policies.budgets
        if each.mode is BudgetMode.ENFORCE
        and not all(isinstance(stage.action, Warn) for stage in each.stages)
    )


def _percent(stage: Stage) -> str:
    return f"{stage.at * 100:g}"


def _name(budget: Budget, stage: Stage) -> str:
    return f"budget/{budget.name}/{_percent(stage)}"


def _policy(budget: Budget, stage: Stage, more: str = "") -> Policy:
    """A policy of a stage that matches the budget's work and says nothing yet."""
    return Policy(
        name=f"{_name(budget, stage)}{more}",
        owners=budget.owners,
        priority=0,
        match=tuple(_rule(text) for text in scope_texts(budget.scope) or ("true",)),
        limits=Limits(),
        constraints=(),
        objectives=(),
        exceptions=(),
        mode=Mode.ENFORCE,
        percent=100.0,
        key=None,
        data_classes=frozenset(),
        document="",
        source=budget.source or Location(""),
    )


def _whole(policy: Policy) -> Policy:
    return replace(policy, document=document(policy))


def _limits(budget: Budget, stage: Stage, action: Tighten) -> list[Policy]:
    if action.limits == Limits():
        return []
    return [_whole(replace(_policy(budget, stage), limits=action.limits))]


def _hardened(budget: Budget, stage: Stage, declared: Declared) -> Iterator[Policy]:
    rules = stage.action.harden if isinstance(stage.action, Tighten) else ()
    for name in dict.fromkeys(policy for policy, _ in rules):
        of = declared.policies.get(name)
        if of is None:
            continue
        wanted = {rule for policy, rule in rules if policy == name}
        hard = tuple(_hard(each) for each in of.constraints if each.name in wanted)
        made = _policy(budget, stage, f"/{name}/hard")
        yield _whole(replace(made, match=(*made.match, *of.match), constraints=hard))


def _hard(constraint: Constraint) -> Constraint:
    return replace(constraint, level=Level.HARD, ignore_errors=False)


def _with_params(
    budget: Budget, stage: Stage, spec: Fields, declared: Declared
) -> Iterator[Policy]:
    for name, given in _params_at(spec.node, stage.at).items():
        of, whole = declared.policies.get(name), declared.specs.get(name)
        if of is None or whole is None or not _fit(given, whole, name, spec.report):
            continue
        parts = {key: each for key, each in (whole.entries or {}).items() if key in KEPT}
        own = Node(given.at, entries={"params": (given.at, given)})
        node = joined_specs(Node(whole.at, entries=parts), own)
        fields = Fields(node, "spec", spec.report, asked={"extends"})
        schema = with_labels(declared.labels)
        read = read_policy(name, budget.owners, fields, schema, of_pack=True)
        if read is None:
            continue
        before = {each.name: each.expression.text for each in of.constraints}
        tighter = tuple(
            each if each.level is Level.ADVISORY else _hard(each)
            for each in read.constraints
            if before.get(each.name) != each.expression.text
        )
        if not tighter:
            fix = "name a parameter that a constraint uses, with another value"
            message = f"these parameters change no constraint of `{name}`"
            spec.report.add("GO0125", message, given.at, fix)
        made = _policy(budget, stage, f"/{name}/params")
        yield _whole(replace(made, match=(*made.match, *of.match), constraints=tighter))


def _params_at(spec: Node, share: float) -> Mapping[str, Node]:
    """Policy → its parameters at a stage, as written."""
    for action in _entry(spec, "actions").items or ():
        if percent(_entry(action, "at").text or "") == share:
            params = _entry(action, "params").entries or {}
            return {name: node for name, (_, node) in params.items() if node.entries}
    return {}


def _entry(node: Node, name: str) -> Node:
    found = (node.entries or {}).get(name)
    return found[1] if found else Node(node.at)


def _fit(given: Node, whole: Node, policy: str, report: Report) -> bool:
    """Are the parameters those of the policy, with its types?"""
    there, before = _entry(whole, "params").entries or {}, len(report.problems)
    for name, (at, node) in (given.entries or {}).items():
        if name not in there:
            names = sorted(there)
            known = f"it has: {', '.join(names)}" if names else "it has none"
            fix = partial(did_you_mean, name, names, known)
            report.add("GO0125", f"policy `{policy}` has no parameter `{name}`", at, fix)
        elif (why := misfit(node, there[name][1])) is not None:
            report.add("GO0125", f"parameter `{name}` is {why[0]}", node.at, why[1])
    return len(report.problems) == before


def _blocking(budget: Budget, stage: Stage, action: Block, until: datetime, place: int) -> Policy:
    """Work waits for the next period; a deadline before that still holds, so then it runs as ever."""
    made = _policy(budget, stage)
    when = until.astimezone(UTC)
    urgencies = json.dumps(sorted(each.value for each in action.urgencies))
    waits = Constraint(
        f"budget/{budget.name}",
        Level.HARD,
        _rule(f'candidate.start >= timestamp("{when:%Y-%m-%dT%H:%M:%SZ}")'),
        f"The budget {budget.name} is spent until {when:%Y-%m-%d %H:%M} UTC.",
    )
    soonest = Objective(
        f"budget/{budget.name}", None, _rule("(candidate.start - job.submitted).getSeconds()")
    )
    of_these = _rule(f'job.kind == "batch" && job.urgency in {urgencies}')
    policy = replace(
        made,
        priority=place,
        match=(*made.match, of_these),
        constraints=(waits,),
        objectives=(soonest,),
    )
    return _whole(policy)


@cache
def _rule(text: str) -> Expression:
    return compile_node(parse(text), FIELDS)
