"""`Budget`, `Target` and `ServicePlan` documents, once the policies they name are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from greenops.domain.budget import Budget, Target
from greenops.policy.budget_file import read_budget
from greenops.policy.budget_rules import stage_rules
from greenops.policy.declared import Declared
from greenops.policy.fields import Fields
from greenops.policy.heads import BUDGET, PLAN, TARGET, Head
from greenops.policy.model import Policy
from greenops.policy.report import Report
from greenops.policy.service_plan_file import read_service_plan
from greenops.policy.target_file import read_target


@dataclass(slots=True)
class Others:
    """What the documents say.

    Attributes:
        plans: The policies that service plans are.
        stages: (Budget, share) → policies that hold too from there on.
    """

    budgets: list[Budget] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    plans: list[Policy] = field(default_factory=list)
    stages: dict[tuple[str, float], tuple[Policy, ...]] = field(default_factory=dict)


def read_others(heads: Iterable[Head], declared: Declared, report: Report) -> Others:
    """Read every document that is neither a policy nor a workload; problems go to the report."""
    found = Others()
    readers = {BUDGET: _budget, TARGET: _target, PLAN: _plan}
    for head in heads:
        if head.kind in readers:
            if spec := head.root.map("spec", required=True):
                readers[head.kind](head, spec, declared, found)
            head.root.done()
    _refuse_rival_plans(found.plans, report)
    return found


def _budget(head: Head, spec: Fields, declared: Declared, found: Others) -> None:
    if budget := read_budget(head.name, head.owners, spec, declared):
        found.budgets.append(budget)
        rules = stage_rules(budget, spec, declared)
        found.stages |= {(budget.name, at): each for at, each in rules.items()}


def _target(head: Head, spec: Fields, declared: Declared, found: Others) -> None:
    if target := read_target(head.name, head.owners, spec, declared):
        found.targets.append(target)


def _plan(head: Head, spec: Fields, declared: Declared, found: Others) -> None:
    if plan := read_service_plan(head.name, head.owners, spec, declared):
        found.plans.append(plan)


def _refuse_rival_plans(plans: Iterable[Policy], report: Report) -> None:
    """Two plans of one service could leave it no tier at all."""
    seen: dict[str, Policy] = {}
    for each in plans:
        first = seen.setdefault(each.match[0].text, each)
        if first is not each:
            message = f"`{first.name}` and `{each.name}` are both plans of one workload"
            report.add("GO0117", message, each.source, f"keep one; first: {first.source}")
