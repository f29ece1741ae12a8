"""Files to a policy set: every document read, every expression compiled, every problem told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from greenops.domain.workload import Urgency, Workload
from greenops.errors import InvalidFile, Location
from greenops.policy.document import Node, documents
from greenops.policy.example import read_test
from greenops.policy.expiry import overdue
from greenops.policy.fields import Fields
from greenops.policy.model import Policy, PolicyTest
from greenops.policy.policy_file import read_policy
from greenops.policy.policy_set import PolicySet
from greenops.policy.report import Problem, Report
from greenops.policy.schema import with_labels
from greenops.policy.workload_file import read_workload

VERSION: Final = "greenops.dev/v1alpha1"
KINDS: Final = ("PlacementPolicy", "Workload")
LATER: Final = ("Budget", "Target", "ServicePlan")
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


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
    made, problems = _compile(sources)
    return (*problems, *(overdue(made, now) if now else ()))


@dataclass(slots=True)
class _Head:
    """A document whose head could be read."""

    kind: str
    name: str
    owners: tuple[str, ...]
    root: Fields
    at: Location


@dataclass(slots=True)
class _Made:
    workloads: dict[str, Workload] = field(default_factory=dict)
    faulty: set[str] = field(default_factory=set)
    policies: dict[str, Policy] = field(default_factory=dict)
    tests: list[PolicyTest] = field(default_factory=list)


def _compile(sources: Sequence[tuple[str, str]]) -> tuple[PolicySet, list[Problem]]:
    report, made = Report(), _Made()
    heads = [head for source in sources for head in _heads(*source, report)]
    _refuse_twins(heads, report)
    for head in heads:
        if head.kind == "Workload" and (spec := head.root.map("spec", required=True)):
            workload = read_workload(head.name, spec)
            head.root.done()
            if workload:
                made.workloads[head.name] = workload
            else:
                made.faulty.add(head.name)
    labels = {label for each in made.workloads.values() for label in each.labels}
    for head in heads:
        if head.kind == "PlacementPolicy":
            _take_policy(head, made, labels)
    policies = PolicySet(tuple(made.policies.values()), made.workloads, tuple(made.tests))
    _check_together(policies, report)
    return policies, report.problems


def _heads(file: str, text: str, report: Report) -> list[_Head]:
    found = []
    try:
        for node in documents(file, text):
            head = _head(node, report)
            if head is not None:
                found.append(head)
    except InvalidFile as error:
        report.problems.append(error)
    return found


def _head(node: Node, report: Report) -> _Head | None:
    if node.entries is None:
        report.add("GO0112", f"document is {node.shape}", node.at, "begin with `apiVersion:`")
        return None
    root = Fields(node, "", report)
    root.asked |= {"apiVersion", "kind", "metadata", "spec", "tests"}
    version, kind = root.text("apiVersion", required=True), root.text("kind", required=True)
    if version is not None and version != VERSION:
        root.bad("apiVersion", f"unknown apiVersion `{version}`", f"write `{VERSION}`")
    if kind in LATER:
        root.bad("kind", f"kind `{kind}` is not supported yet", f"use {' or '.join(KINDS)}", "16")
        return None
    if kind is not None and kind not in KINDS:
        report.unknown("GO0113", "kind", kind, KINDS, root.at("kind"))
    name, owners = _metadata(root, owners_needed=kind == KINDS[0])
    if kind not in KINDS or name is None or version != VERSION:
        return None
    return _Head(kind, name, owners, root, node.at)


def _metadata(root: Fields, *, owners_needed: bool) -> tuple[str | None, tuple[str, ...]]:
    metadata = root.map("metadata", required=True)
    if metadata is None:
        return None, ()
    name = metadata.text("name", required=True)
    owners = metadata.texts("owners", required=owners_needed)
    if annotations := metadata.map("annotations"):
        for each in annotations.entries():
            annotations.text(each)
    metadata.done()
    if name is not None and not NAME.fullmatch(name):
        metadata.wrong("name", "lower-case letters, digits, `-` and `.`, at most 63")
    return name, owners


def _refuse_twins(heads: list[_Head], report: Report) -> None:
    seen: dict[tuple[str, str], Location] = {}
    for head in heads:
        first = seen.setdefault((head.kind, head.name), head.at)
        if first is not head.at:
            report.add(
                "GO0117", f"{head.kind} `{head.name}` is declared twice", head.at, f"first: {first}"
            )


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


def _take_policy(head: _Head, made: _Made, labels: set[str]) -> None:
    named = set(labels)
    tests = head.root.maps("tests")
    spec = head.root.map("spec", required=True)
    policy = read_policy(head.name, head.owners, spec, with_labels(named)) if spec else None
    head.root.done()
    declared = {**dict.fromkeys(made.faulty), **made.workloads}
    read = [read_test(head.name, each, declared) for each in tests]
    made.tests += [each for each in read if each]
    if policy:
        made.policies[head.name] = policy


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
