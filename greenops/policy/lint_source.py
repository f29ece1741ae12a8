"""Compiled rules beside the places where they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from greenops.domain.workload import Limits
from greenops.errors import Location
from greenops.policy.builtin import COST, INTENSITY
from greenops.policy.document import Node as Yaml
from greenops.policy.heads import POLICY, Head, read_heads
from greenops.policy.ir import Node
from greenops.policy.model import Level, Policy
from greenops.policy.packs import Packs
from greenops.policy.parse import parse
from greenops.policy.policy_set import PolicySet
from greenops.policy.report import Report

T = TypeVar("T")
BOUNDS: Final = (
    ("limit/maxCost", "max_cost_usd", COST),
    ("limit/maxCarbon", "max_intensity", INTENSITY),
)
"""Limits that are one number for every job; the limit in force is at most that."""


@dataclass(frozen=True, slots=True)
class Written:
    """A rule that is true or false.

    Attributes:
        kind: `match`, `hard`, `soft`, `advisory`, `objective`, `exception` or `limit`.
        yaml: The text it was compiled from; none: not written as an expression.
        start: Where it stands; of a rule that is extended, where the policy does.
    """

    name: str
    kind: str
    node: Node
    start: Location
    yaml: Yaml | None = None

    def at(self, offset: int) -> Location:
        """Where a character of the expression stands."""
        return self.yaml.place(offset) if self.yaml else self.start

    @property
    def refuses(self) -> bool:
        """Does it refuse a candidate that breaks it?"""
        return self.kind in {"hard", "soft", "limit"}


@dataclass(frozen=True, slots=True)
class WrittenPolicy:
    """A policy's rules and where they stand.

    Attributes:
        bounds: Its limits as rules.
        heads: Documents, this policy's own and no other.
    """

    policy: Policy
    match: tuple[Written, ...]
    constraints: tuple[Written, ...]
    objectives: tuple[Written, ...]
    exceptions: tuple[Written, ...]
    bounds: tuple[Written, ...]
    head: Head

    @property
    def rules(self) -> tuple[Written, ...]:
        """Everything that is true or false, limits left out."""
        return (*self.match, *self.constraints, *self.objectives, *self.exceptions)


def written(
    sources: Sequence[tuple[str, str]], policies: PolicySet, *, with_packs: bool = False
) -> list[WrittenPolicy]:
    """The policies of some files, in file order; those of packs speak where they are extended.

    Args:
        sources: (file name, text) of each file; they compile.
        policies: What they compile to.
        with_packs: Those of packs by themselves too.
    """
    report = Report()
    heads = [head for source in sources for head in read_heads(*source, report)]
    packs = Packs.of(heads, report)
    known = (*policies.policies, *(policies.packs if with_packs else ()))
    compiled = {each.name: each for each in known}
    found = []
    for head in heads:
        spec = (head.root.node.entries or {}).get("spec")
        if head.kind != POLICY or head.full_name not in compiled or spec is None:
            continue
        whole = packs.whole(spec[1])
        if whole is not None:
            found.append(_policy(compiled[head.full_name], head, whole))
    return found


def _policy(policy: Policy, head: Head, spec: Yaml) -> WrittenPolicy:
    matches, exceptions = _items(spec, "match"), _items(spec, "exceptions")
    objectives = [
        (o, y) for o, y in _paired(policy.objectives, _items(spec, "objectives")) if o.when
    ]
    places = {_text(each, "name"): each for each in _items(spec, "constraints")}
    limits = (spec.entries or {}).get("limits")
    return WrittenPolicy(
        policy=policy,
        match=tuple(
            _rule(_text(item, "name") or "match", "match", each.node, item, "expression", policy)
            for each, item in _paired(policy.match, matches)
        ),
        constraints=tuple(
            _rule(
                e.name, e.level.value, e.expression.node, places.get(e.name), "expression", policy
            )
            for e in policy.constraints
        ),
        objectives=tuple(
            _rule(each.name, "objective", each.when.node, item, "when", policy)
            for each, item in objectives
            if each.when
        ),
        exceptions=tuple(
            _rule(each.id, "exception", each.match.node, item, "match", policy)
            for each, item in _paired(policy.exceptions, exceptions)
        ),
        bounds=bounds(policy.limits, limits[1].at if limits else policy.source),
        head=head,
    )


def bounds(limits: Limits, at: Location) -> tuple[Written, ...]:
    """The limits that are plain numbers, as the rules they become."""
    found = []
    for name, attribute, text in BOUNDS:
        most = getattr(limits, attribute)
        if most is not None:
            rule = text.split(" <= ", maxsplit=1)[0] + f" <= {float(most)!r}"
            found.append(Written(name, "limit", parse(rule), at))
    return tuple(found)


def _paired(rules: Sequence[T], items: Sequence[Yaml]) -> list[tuple[T, Yaml | None]]:
    whole = len(rules) == len(items)
    return [(each, items[at] if whole else None) for at, each in enumerate(rules)]


def _rule(name: str, kind: str, node: Node, item: Yaml | None, key: str, policy: Policy) -> Written:
    found = (item.entries or {}).get(key) if item else None
    if found is None or found[1].at.file != policy.source.file:
        # A rule of a pack is told where it is extended: that file is the reader's own.
        return Written(name, kind, node, policy.source)
    return Written(name, kind, node, found[1].at, found[1])


def _items(spec: Yaml, key: str) -> tuple[Yaml, ...]:
    found = (spec.entries or {}).get(key)
    return found[1].items or () if found else ()


def _text(item: Yaml | None, key: str) -> str | None:
    found = (item.entries or {}).get(key) if item else None
    return found[1].text if found else None


def is_hard(rule: Written) -> bool:
    """Can nobody waive it?"""
    return rule.kind in {Level.HARD.value, "limit"}
