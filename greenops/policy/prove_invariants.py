"""`spec.verification.invariants` of policy files, compiled with the policy's parameters and variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from greenops.policy.evaluate import Expression
from greenops.policy.fields import Fields
from greenops.policy.heads import POLICY, Head, read_heads
from greenops.policy.packs import Packs
from greenops.policy.policy_set import PolicySet
from greenops.policy.report import Report
from greenops.policy.schema import with_labels
from greenops.policy.scope import Scope


@dataclass(frozen=True, slots=True)
class Invariant:
    """What must hold of every candidate that the policy judges.

    Attributes:
        assume: Which candidates it speaks of; none: of all.
        holds: What must be true of them; an expression that errs is not true.
    """

    policy: str
    id: str
    assume: Expression | None
    holds: Expression


def read_invariants(sources: Sequence[tuple[str, str]], policies: PolicySet) -> list[Invariant]:
    """The invariants of files that compile, those of packs with each policy that extends them.

    Args:
        sources: (file name, text) of each file.
        policies: What the files compile to.

    Raises:
        InvalidFile: One cannot be read: none may be passed over in silence.
    """
    labels = {label for each in policies.workloads.values() for label in each.labels}
    schema = {**with_labels(labels), "eligible": "bool"}
    report = Report()
    heads = [head for source in sources for head in read_heads(*source, report)]
    packs = Packs.of(heads, report)
    mine = [each for each in heads if each.kind == POLICY and not each.pack]
    found = [each for head in mine for each in _of(head, packs, schema)]
    if report.problems:
        raise report.problems[0]
    return found


def _of(head: Head, packs: Packs, schema: Mapping[str, str]) -> Iterator[Invariant]:
    report = head.root.report
    spec = head.root.map("spec")
    whole = packs.whole(spec.node) if spec else None
    if whole is None:
        return
    fields = Fields(whole, "spec", report)
    wanted = fields.map("verification")
    if wanted is None:
        return
    scope = Scope(schema, report)
    if params := fields.map("params"):
        scope.take_params(params)
    for each in fields.maps("variables"):
        scope.define(each)
    for each in wanted.maps("invariants"):
        assume = scope.compile(each, "assume", required=False)
        holds, said = scope.compile(each, "assert"), each.text("id")
        if holds is not None and said is not None:
            yield Invariant(head.full_name, said, assume, holds)
