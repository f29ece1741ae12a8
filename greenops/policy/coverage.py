"""Which outcomes of a policy's rules its tests have seen: true, false, error, each branch, each effect.

Asked of: every match, constraint, `when` and exception; inside them and what is minimized both sides of `&&` and `||` and both
branches of `? :`; errors of constraints, since an absent figure refuses; sentences that are computed.
An outcome that cannot come, by what the fields can be, is not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from greenops.domain.decision import Candidate, Judgement
from greenops.errors import Location
from greenops.policy.evaluate import Expression, Failed, Row, to_cel
from greenops.policy.ir import Call, If, Local, Node, children, walk
from greenops.policy.lint_source import Written, WrittenPolicy
from greenops.policy.lint_truth import Space
from greenops.policy.model import Objective, PolicyTest
from greenops.policy.schema import job_row, limits_row, place_row
from greenops.policy.text import canonical

TRUE, FALSE, ERROR = "true", "false", "in error"
SPOKEN, COUNTED = "spoken", "the one that counts"
REFUSING: Final = frozenset({"hard", "soft", "advisory"})
Run = tuple[PolicyTest, Judgement]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that a test can show.

    Attributes:
        part: Canonical text of a part of the rule; empty: the whole.
        outcome: What it comes to.
    """

    policy: str
    rule: str
    kind: str
    part: str
    outcome: str
    at: Location = field(compare=False)

    def __str__(self) -> str:
        """Give a sentence about what no test shows."""
        part = f", part `{self.part}`," if self.part else ""
        return f"{self.kind} `{self.rule}`{part} is never {self.outcome} in a test"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the tests of one policy show.

    Attributes:
        wanted: Every outcome that can come, in file order.
        seen: Those that came.
    """

    policy: str
    wanted: tuple[Outcome, ...]
    seen: frozenset[Outcome]

    @property
    def missed(self) -> tuple[Outcome, ...]:
        """What no test shows."""
        return tuple(each for each in self.wanted if each not in self.seen)

    @property
    def count(self) -> int:
        """How many of the wanted outcomes came."""
        return len(self.wanted) - len(self.missed)


def percent(coverages: Iterable[Coverage]) -> float:
    """Share of wanted outcomes that came [%], over all policies together; 100 of nothing."""
    given = list(coverages)
    wanted = sum(len(each.wanted) for each in given)
    return 100.0 * sum(each.count for each in given) / wanted if wanted else 100.0


def coverage(policy: WrittenPolicy, runs: Sequence[Run]) -> Coverage:
    """What the runs of a policy's own tests show of it.

    Args:
        policy: The policy and where its rules stand.
        runs: Its tests, each with what the policy said.
    """
    wanted = tuple(dict.fromkeys(_wanted(policy)))
    seen = {each for run in runs for each in _Watcher(policy, *run).seen()}
    return Coverage(policy.policy.name, wanted, frozenset(seen))


def _wanted(policy: WrittenPolicy) -> Iterator[Outcome]:
    name, source = policy.policy.name, policy.policy.source
    for rule in policy.rules:
        yield from _of_rule(name, rule)
    places = {(each.kind == "objective", each.name): each.start for each in policy.rules}
    for constraint in policy.policy.constraints:
        if constraint.speech is not None:
            at = places.get((False, constraint.name), source)
            yield Outcome(name, constraint.name, "message of", "", SPOKEN, at)
    for objective in policy.policy.objectives:
        at = places.get((True, objective.name), source)
        yield Outcome(name, objective.name, "objective", "", COUNTED, at)
        for number in _numbers(objective):
            for part in _parts(number):
                yield from _of_part(name, objective.name, "objective", part, at)


def _numbers(objective: Objective) -> tuple[Node, ...]:
    """What an objective makes small, first and where that is equal."""
    tie = objective.tie_break
    return (objective.minimize.node, *((tie.node,) if tie else ()))


def _of_rule(policy: str, rule: Written) -> Iterator[Outcome]:
    for outcome in _outcomes(rule.node, errors=rule.kind in REFUSING):
        yield Outcome(policy, rule.name, rule.kind, "", outcome, rule.start)
    for part in _parts(rule.node):
        yield from _of_part(policy, rule.name, rule.kind, part, rule.at(part.at))


def _of_part(policy: str, rule: str, kind: str, part: Node, at: Location) -> Iterator[Outcome]:
    text = canonical(part)
    for outcome in _outcomes(part, errors=False):
        yield Outcome(policy, rule, kind, text, outcome, at)


def _outcomes(node: Node, *, errors: bool) -> Iterator[str]:
    """What an expression can come to, by what the fields can be; an error where that is asked."""
    space = Space([node])
    asked = (TRUE, FALSE, *((ERROR,) if errors else ()))
    if not space.decided:
        yield from asked
        return
    truth = space.truth(node)
    mask = {TRUE: truth.true, FALSE: truth.false, ERROR: ~(truth.true | truth.false)}
    yield from (each for each in asked if mask[each].any())


def _parts(node: Node) -> Iterator[Node]:
    """Sides of `&&` and `||` and tests of `? :`, wherever they stand outside of macros."""
    for each in _inside(node):
        if not any(isinstance(inner, Local) for inner in walk(each)):
            yield each
            yield from _parts(each)


def _inside(node: Node) -> tuple[Node, ...]:
    """The nearest parts inside a node."""
    if isinstance(node, Call) and node.name in {"&&", "||"}:
        return tuple(part for each in node.args for part in _chain(each, node.name))
    if isinstance(node, If):
        return (node.test, *_inside(node.then), *_inside(node.other))
    return tuple(part for each in children(node) for part in _inside(each))


def _chain(node: Node, sign: str) -> tuple[Node, ...]:
    """The links of `a && b && c`: what stands between the signs, not `a && b`."""
    if isinstance(node, Call) and node.name == sign:
        return tuple(part for each in node.args for part in _chain(each, sign))
    return (node,)


class _Watcher:
    """Looks at one run of one test."""

    def __init__(self, policy: WrittenPolicy, test: PolicyTest, judgement: Judgement) -> None:
        self.policy = policy
        self.test = test
        self.judgement = judgement
        self.name = policy.policy.name
        self.row: Row = {
            "job": job_row(test.job),
            "baseline": place_row(test.baseline),
            "limits": limits_row(judgement.limits, judgement.deadline),
            "now": to_cel(test.now),
        }

    def seen(self) -> Iterator[Outcome]:
        """Every outcome that came."""
        for rule in self.policy.match:
            yield from self._rule(rule, self.row)
        if self.name not in self.judgement.policies:
            return
        sure = all(_answer(each.node, self.row) == TRUE for each in self.policy.match)
        for place in (self.test.baseline, *self.test.candidates):
            yield from self._of_place(place, sure=sure)
        if sure:
            yield from self._effects()

    def _of_place(self, place: Candidate, *, sure: bool) -> Iterator[Outcome]:
        row = {**self.row, "candidate": place_row(place)}
        for rule in self.policy.constraints:
            yield from self._rule(rule, row)
        for constraint in self.policy.policy.constraints:
            if constraint.speech is None or constraint.expression(row) is True:
                continue
            if isinstance(constraint.speech(row), str):
                yield self._outcome(constraint.name, "message of", SPOKEN)
        allowed = {each.candidate for each in self.judgement.verdicts if each.allowed}
        if sure and place.id in allowed:
            yield from self._of_objectives(row)

    def _of_objectives(self, row: Row) -> Iterator[Outcome]:
        for rule in self.policy.objectives:
            yield from self._rule(rule, row)
        for objective in self.policy.policy.objectives:
            for number in _numbers(objective):
                yield from self._parts(objective.name, "objective", number, row)

    def _effects(self) -> Iterator[Outcome]:
        verdicts = self.judgement.verdicts[1:]
        may_win = any(e.allowed and e.eligible and e.score is not None for e in verdicts)
        if self.judgement.objective is not None and may_win:
            yield self._outcome(self.judgement.objective, "objective", COUNTED)
        inside = {
            each.id: each.not_before <= self.test.now < each.expires
            for each in self.policy.policy.exceptions
        }
        for rule in self.policy.exceptions:
            if inside[rule.name]:
                yield from self._rule(rule, self.row)
            else:
                yield self._outcome(rule.name, rule.kind, FALSE)

    def _rule(self, rule: Written, row: Row) -> Iterator[Outcome]:
        yield self._outcome(rule.name, rule.kind, _answer(rule.node, row))
        yield from self._parts(rule.name, rule.kind, rule.node, row)

    def _parts(self, name: str, kind: str, rule: Node, row: Row) -> Iterator[Outcome]:
        stack = [rule]
        while stack:
            node = stack.pop()
            reached, parts = _reached(node, row), _own_parts(node)
            for part in reached:
                if part in parts and not any(isinstance(e, Local) for e in walk(part)):
                    yield self._outcome(name, kind, _answer(part, row), canonical(part))
            stack.extend(reached)

    def _outcome(self, rule: str, kind: str, outcome: str, part: str = "") -> Outcome:
        return Outcome(self.name, rule, kind, part, outcome, self.policy.policy.source)


def _own_parts(node: Node) -> tuple[Node, ...]:
    """Parts that are its direct children."""
    if isinstance(node, If):
        return (node.test,)
    if not isinstance(node, Call) or node.name not in {"&&", "||"}:
        return ()
    return tuple(e for e in node.args if not (isinstance(e, Call) and e.name == node.name))


def _reached(node: Node, row: Row) -> tuple[Node, ...]:
    """Nodes inside that are evaluated on a row: of `? :` the test, and the side it takes."""
    if isinstance(node, If):
        sides: Mapping[str, tuple[Node, ...]] = {TRUE: (node.then,), FALSE: (node.other,)}
        return (node.test, *sides.get(_answer(node.test, row), ()))
    return children(node)


def _answer(node: Node, row: Row) -> str:
    value: Any = Expression(node, canonical(node), "bool")(row)
    return ERROR if isinstance(value, Failed) else TRUE if value is True else FALSE
