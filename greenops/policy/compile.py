"""Files to a policy set: every document read, every expression compiled, every problem told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from greenops.domain.workload import Urgency, Workload
from greenops.errors import Location
from greenops.policy.declared import Declared
from greenops.policy.document import Node
from greenops.policy.example import read_test
from greenops.policy.example_cost import refuse_long_tests
from greenops.policy.expiry import overdue
from greenops.policy.fields import Fields
from greenops.policy.heads import POLICY, WORKLOAD, Head, read_heads, refuse_twins
from greenops.policy.model import Policy, PolicyTest
from greenops.policy.other_kinds import read_others
from greenops.policy.packs import Packs
from greenops.policy.policy_file import read_policy
from greenops.policy.policy_set import PolicySet
from greenops.policy.report import Problem, Report
from greenops.policy.schema import with_labels
from greenops.policy.workload_file import read_workload


def compile_policies(sources: Sequence[tuple[str, str]]) -> PolicySet:
    """The policies and workloads of some files.

    Args:
        sources: (file name, text) of each file.

    Raises:
        InvalidFile: The first problem; `lint` gives all.
    """
    made, problems = _compile(sources)
    if problems:
        raise problems[0]
    return made


def lint(sources: Sequence[tuple[str, str]], now: datetime | None = None) -> tuple[Problem, ...]:
    """Everything that is wrong with some files, in file order within each step.

    Args:
        sources: (file name, text) of each file.
        now: Instant that tells which exceptions expired long ago; none: that is not asked. Age
            is no reason to refuse files that are in use, so `compile_policies` does not ask.
    """
    return looked_at(sources, now)[1]


def looked_at(
    sources: Sequence[tuple[str, str]], now: datetime | None = None
) -> tuple[PolicySet, tuple[Problem, ...]]:
    """What some files compile to, and everything that is wrong with them, as `lint` says it.

    With problems the policies are those that could be read, and are of no use.
    """
    made, problems = _compile(sources)
    return made, (*problems, *(overdue(made, now) if now else ()))


@dataclass(slots=True)
class _Made:
    workloads: dict[str, Workload] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    policies: dict[str, Policy] = field(default_factory=dict)
    packs: dict[str, Policy] = field(default_factory=dict)
    tests: list[PolicyTest] = field(default_factory=list)
    specs: dict[str, Node] = field(default_factory=dict)
    faulty_policies: set[str] = field(default_factory=set)

    def declared(self, labels: set[str]) -> Declared:
        """What other documents may name."""
        return Declared(
            {**dict.fromkeys(self.faulty), **self.workloads},
            {**dict.fromkeys(self.faulty_policies), **self.policies},
            self.specs,
            frozenset(labels),
        )


def _compile(sources: Sequence[tuple[str, str]]) -> tuple[PolicySet, list[Problem]]:
    report, made = Report(files=max(1, len(sources))), _Made()
    heads = [head for source in sources for head in read_heads(*source, report)]
    refuse_twins(heads, report)
    for head in heads:
        if head.kind == WORKLOAD and (spec := head.root.map("spec", required=True)):
            workload = read_workload(head.name, spec)
            head.root.done()
            if workload:
                made.workloads[head.name] = workload
            else:
                made.faulty.add(head.name)
    labels = {label for each in made.workloads.values() for label in each.labels}
    packs = Packs.of(heads, report)
    for head in heads:
        if head.kind == POLICY and not report.full:
            _take_policy(head, made, labels, packs)
    refuse_long_tests(made.tests, {**made.packs, **made.policies}, report)
    others = read_others(heads, made.declared(labels), report)
    policies = PolicySet(
        (*made.policies.values(), *others.plans),
        made.workloads,
        tuple(made.tests),
        packs=tuple(made.packs.values()),
        budgets=tuple(others.budgets),
        targets=tuple(others.targets),
        stages=others.stages,
    )
    _check_together(policies, report)
    return policies, report.problems


def _refuse_twin_exceptions(policies: PolicySet, report: Report) -> None:
    """An id stands in the record of a decision, so it names one exception among all policies."""
    seen: dict[str, Location] = {}
    for policy in policies.policies:
        for each in policy.exceptions:
            at = each.source or policy.source
            first = seen.setdefault(each.id, at)
            if first is not at:
                message = f"exception `{each.id}` is declared twice"
                report.add("GO0117", message, at, f"rename one; first: {first}")


def _take_policy(head: Head, made: _Made, labels: set[str], packs: Packs) -> None:
    tests, name = head.root.maps("tests"), head.full_name
    spec = head.root.map("spec", required=True)
    whole = packs.whole(spec.node, (name,) if head.pack else ()) if spec else None
    head.root.done()
    policy = None
    if whole is not None:
        fields = Fields(whole, "spec", head.root.report, asked={"extends"})
        schema, of_pack = with_labels(labels), head.pack is not None
        policy = read_policy(name, head.owners, fields, schema, of_pack=of_pack)
    declared = {**dict.fromkeys(made.faulty), **made.workloads}
    read = [read_test(name, each, declared) for each in tests]
    made.tests += [each for each in read if each]
    if policy and whole:
        (made.packs if head.pack else made.policies)[name] = policy
        made.specs[name] = whole
    elif not head.pack:
        made.faulty_policies.add(name)


def _check_together(policies: PolicySet, report: Report) -> None:
    """What shows only when a declared workload meets all policies."""
    _refuse_twin_exceptions(policies, report)
    for workload in policies.workloads.values():
        matching = policies.matching(workload)
        if workload.urgency is Urgency.INTERACTIVE:
            for policy in matching:
                limits = policy.limits
                if limits.deadline_within is not None or limits.deadline_at is not None:
                    report.add(
                        "GO0121",
                        f"policy `{policy.name}` could delay interactive workload `{workload.name}`",
                        policy.source,
                        "remove `limits.deadline` or match other workloads",
                    )
        rivals = policies.rivals(workload)
        top = [e for e in rivals if e.priority == max(r.priority for r in rivals)]
        if len(top) > 1:
            names = " and ".join(f"`{e.name}` ({', '.join(e.owners)})" for e in top)
            report.add(
                "GO0118",
                f"{names} both give workload `{workload.name}` an objective",
                top[1].source,
                "give one of them a higher `priority`",
            )
