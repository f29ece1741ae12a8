"""What the documents of some files declare, for those that name each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from greenops.domain.budget import WorkScope
from greenops.domain.workload import Workload
from greenops.policy.document import Node
from greenops.policy.fields import Fields
from greenops.policy.model import Policy
from greenops.policy.workload_file import not_empty


@dataclass(frozen=True, slots=True)
class Declared:
    """What may be named.

    Attributes:
        workloads: Name → workload; none where its own faults are told already.
        policies: Name → policy that holds by itself; none likewise.
        specs: Name → the policy's `spec` with its bases put in.
        labels: Labels that some workload declares.
    """

    workloads: Mapping[str, Workload | None]
    policies: Mapping[str, Policy | None] = field(default_factory=dict)
    specs: Mapping[str, Node] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()

    @property
    def teams(self) -> frozenset[str]:
        """Teams of the workloads."""
        return frozenset(each.team for each in self.workloads.values() if each and each.team)


def read_scope(spec: Fields, declared: Declared) -> WorkScope:
    """`scope: {teams, workloads}`; all work where it is not there.

    Spans tell their workload, and its file tells the team: a name that no file declares would count
    nothing, and is refused.
    """
    fields = spec.map("scope")
    if fields is None:
        return WorkScope()
    teams, workloads = fields.texts("teams", required=False), fields.texts("workloads")
    not_empty(fields)
    for name in ("teams", "workloads"):
        node = fields.get(name)
        if node is not None and node.items == ():
            fields.is_empty(name)
    if None not in declared.workloads.values():
        refuse_unknown(fields, "teams", "team of a workload", teams, declared.teams)
    refuse_unknown(fields, "workloads", "workload", workloads, declared.workloads)
    fields.done()
    return WorkScope(teams, workloads)


def refuse_unknown(
    fields: Fields, key: str, what: str, given: Iterable[str], known: Iterable[str]
) -> None:
    """Note every text of a list that nothing declares, at its place."""
    node, names = fields.get(key), sorted(known)
    for each, word in zip(node.items or () if node else (), given, strict=False):
        if word in names:
            continue
        if names:
            fields.report.unknown("GO0115", what, word, names, each.at)
        else:
            message, fix = f"unknown {what} `{word}`", "declare it with `kind: Workload`"
            fields.report.add("GO0115", message, each.at, fix)


def scope_texts(scope: WorkScope) -> tuple[str, ...]:
    """Rules that a job of the scope meets, in CEL; a job without a team is in none."""
    texts = []
    if scope.teams:
        texts.append(f"has(job.team) && job.team in {_words(scope.teams)}")
    if scope.workloads:
        texts.append(f"job.name in {_words(scope.workloads)}")
    return tuple(texts)


def _words(words: Iterable[str]) -> str:
    import json

    return json.dumps(sorted(words), ensure_ascii=False)
