"""What is asked of policies: each claim is a row looked for, and what its presence or absence means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Any

import z3

from greenops.policy.evaluate import Expression
from greenops.policy.ir import Node
from greenops.policy.model import Level, Policy
from greenops.policy.policy_set import PolicySet
from greenops.policy.prove_encode import Encoder
from greenops.policy.prove_invariants import Invariant
from greenops.policy.prove_rules import Told
from greenops.policy.prove_witness import Seen


class Kind(StrEnum):
    """What sort of thing is claimed."""

    SATISFIABLE = "satisfiable"
    CONFLICT = "conflict"
    SHADOWED = "shadowed"
    INVARIANT = "invariant"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy among those it was read with."""

    policies: PolicySet
    policy: Policy


Parts = Mapping[str, Any]
"""Name → formula; those that cannot hold together are named."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One question.

    Attributes:
        subjects: The policies it is about.
        id: What it is about, `constraint/off-peak`.
        fine: What is said where it is as it should be.
        amiss: And where it is not.
        ask: The row that is looked for, in parts.
        seen: Does the row evaluator say of a row that it is one looked for?
        wanted: Should there be such a row?
        named: Words for the parts that rule a row out, where they are of use.
        also: Expressions beside those of the policies.
        moot: Parts that may well rule every row out; then `moot_says` is said, and all is fine.
    """

    kind: Kind
    subjects: tuple[Subject, ...]
    id: str
    fine: str
    amiss: str
    ask: Callable[[Encoder, Sequence[Told]], Parts] = field(repr=False)
    seen: Callable[[Sequence[Seen]], bool] = field(repr=False)
    wanted: bool = True
    also: tuple[Node, ...] = ()
    moot: frozenset[str] = frozenset()
    moot_says: str = ""

    @property
    def policy(self) -> str:
        """The policies' names."""
        return " and ".join(dict.fromkeys(each.policy.name for each in self.subjects))


def claims(policies: PolicySet, invariants: Sequence[Invariant]) -> Iterator[Claim]:
    """Everything that is asked of some policies, in file order."""
    for policy in policies.policies:
        one = Subject(policies, policy)
        yield _meets(one)
        yield _leaves(one)
        for rule in policy.constraints:
            yield _counts(one, rule.name, rule.level)
        for at, aim in enumerate(policy.objectives):
            yield _aims(one, at, aim.name)
        for exception in policy.exceptions:
            yield _excepts(one, exception.id)
        for invariant in invariants:
            if invariant.policy == policy.name:
                yield _always(one, invariant)
    for left, right in combinations(policies.policies, 2):
        yield _together(Subject(policies, left), Subject(policies, right))


def _meets(one: Subject) -> Claim:
    return Claim(
        Kind.SATISFIABLE,
        (one,),
        "match",
        "meets some runs",
        "meets no run at all",
        lambda _, told: {"match": told[0].sure},
        lambda seen: seen[0].sure,
    )


def _leaves(one: Subject) -> Claim:
    def ask(_: Encoder, told: Sequence[Told]) -> Parts:
        return {"match": told[0].sure, **_passed(told[0])}

    return Claim(
        Kind.CONFLICT,
        (one,),
        "constraints",
        "some candidate passes every constraint",
        "no candidate can pass its constraints",
        ask,
        lambda seen: seen[0].sure and seen[0].verdict.allowed,
    )


def _passed(told: Told) -> dict[str, Any]:
    """Rule → it does not refuse."""
    parts: dict[str, Any] = {}
    for each in told.refusing:
        kept = z3.Not(each.broken)
        parts[each.name] = z3.And(parts[each.name], kept) if each.name in parts else kept
    return parts


def _counts(one: Subject, name: str, level: Level) -> Claim:
    def ask(_: Encoder, told: Sequence[Told]) -> Parts:
        others = {n: e for n, e in _passed(told[0]).items() if n != name}
        mine = [each.broken for each in told[0].rules if each.name == name and each.mine]
        return {"match": told[0].sure, **others, name: z3.Or(mine)}

    def seen(of: Sequence[Seen]) -> bool:
        if level is Level.ADVISORY:
            return of[0].sure and of[0].verdict.allowed and name in of[0].verdict.warnings
        return of[0].sure and of[0].verdict.reasons == (name,)

    verb = "warns" if level is Level.ADVISORY else "refuses"
    fine = f"{verb} a candidate that the others let pass"
    return Claim(
        Kind.SHADOWED, (one,), f"constraint/{name}", fine, f"never {verb} by itself", ask, seen
    )


def _aims(one: Subject, at: int, name: str) -> Claim:
    def ask(_: Encoder, told: Sequence[Told]) -> Parts:
        earlier = {each.name: z3.Not(each.may_win) for each in told[0].aims[:at]}
        mine = told[0].aims[at].may_win
        return {"match": told[0].sure, **_passed(told[0]), **earlier, name: mine}

    def seen(of: Sequence[Seen]) -> bool:
        return of[0].sure and of[0].eligible and of[0].judgement.objective == name

    return Claim(
        Kind.SHADOWED,
        (one,),
        f"objective/{name}",
        "decides between some candidates",
        "never decides",
        ask,
        seen,
    )


def _excepts(one: Subject, name: str) -> Claim:
    def ask(_: Encoder, told: Sequence[Told]) -> Parts:
        return {"match": told[0].sure, name: next(a for e, a in told[0].active if e.id == name)}

    def seen(of: Sequence[Seen]) -> bool:
        exception = next(e for e in one.policy.exceptions if e.id == name)
        return of[0].sure and exception.match(of[0].row) is True

    return Claim(
        Kind.SATISFIABLE, (one,), f"exception/{name}", "meets some runs", "meets no run", ask, seen
    )


def _always(one: Subject, invariant: Invariant) -> Claim:
    assume, holds = invariant.assume, invariant.holds

    def ask(encoder: Encoder, told: Sequence[Told]) -> Parts:
        said = encoder.scalar("eligible")
        parts = {"eligible": z3.And(said.ok, said.value == told[0].eligible)}
        parts["match"] = told[0].applies
        if assume is not None:
            parts["assume"] = encoder.term(assume.node).true
        return {**parts, "assert": z3.Not(encoder.term(holds.node).true)}

    def seen(of: Sequence[Seen]) -> bool:
        given = assume is None or assume(of[0].row) is True
        return of[0].applies and given and holds(of[0].row) is not True

    also = tuple(each.node for each in (assume, holds) if isinstance(each, Expression))
    return Claim(
        Kind.INVARIANT,
        (one,),
        f"invariant/{invariant.id}",
        "holds of every run and candidate",
        "does not hold",
        ask,
        seen,
        wanted=False,
        also=also,
    )


def _together(left: Subject, right: Subject) -> Claim:
    def ask(_: Encoder, told: Sequence[Told]) -> Parts:
        parts = {}
        for each in told:
            parts[f"{each.policy.name}: match"] = each.sure
            for name, kept in _passed(each).items():
                mine = name in {e.name for e in each.policy.constraints}
                key = f"{each.policy.name}: {name}" if mine else name
                parts[key] = z3.And(parts[key], kept) if key in parts else kept
        return parts

    return Claim(
        Kind.CONFLICT,
        (left, right),
        "together",
        "some candidate passes both",
        "a run can meet both, but no candidate can pass both",
        ask,
        lambda seen: all(each.sure and each.verdict.allowed for each in seen),
        moot=frozenset(f"{each.policy.name}: match" for each in (left, right)),
        moot_says="no run meets both",
    )
