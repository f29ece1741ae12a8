"""One policy told to a solver: which runs it meets, what it refuses, what could be chosen.

A candidate here is any but the baseline, which runs where nothing better is found. What the rows of a
run always hold is told as facts; limits come from files, so they are never negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import z3

from greenops.domain.wall_clock import longest_wait
from greenops.domain.workload import Limits, Urgency
from greenops.policy import builtin
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.ir import Call, Const, Each, ListOf, Local, Node, Var, children, walk
from greenops.policy.kernel_numbers import COMPARE, microseconds
from greenops.policy.lint_ranges import ALWAYS, WORDS
from greenops.policy.model import Level, Policy, PolicyException
from greenops.policy.parse import parse
from greenops.policy.prove_encode import Encoder
from greenops.policy.prove_terms import Items, Term, in_range
from greenops.policy.schema import FIELDS, LIMITS

REGIONS: Final = "job.allowed_regions"
"""The one list among the fields."""
MOST_ITEMS: Final = 12
"""Longest list that is tried."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint, of the policy or of the engine.

    Attributes:
        broken: It refuses the candidate, or warns of it.
    """

    name: str
    level: Level
    broken: Any
    mine: bool


@dataclass(frozen=True, slots=True)
class Aim:
    """An objective: could the candidate win under it, and with what score?"""

    name: str
    may_win: Any
    scores: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A policy, told.

    Attributes:
        facts: What holds of every row that the policy's limits are in force for.
        applies: No match says no: its constraints count.
        sure: Every match says yes: its objectives and exceptions count.
        active: Exception → it is in force.
        allowed: Nothing refuses the candidate.
        eligible: And it could be chosen: some objective's `when` holds and its score is known.
    """

    policy: Policy
    facts: Any
    applies: Any
    sure: Any
    rules: tuple[Rule, ...]
    aims: tuple[Aim, ...]
    active: tuple[tuple[PolicyException, Any], ...]
    allowed: Any
    eligible: Any

    @property
    def refusing(self) -> tuple[Rule, ...]:
        """The rules that refuse."""
        return tuple(each for each in self.rules if each.level is not Level.ADVISORY)

    @property
    def warning(self) -> tuple[Rule, ...]:
        """The rules that only warn."""
        return tuple(each for each in self.rules if each.level is Level.ADVISORY)


def told(encoder: Encoder, policy: Policy, classes: frozenset[str]) -> Told:
    """A policy, with the limits that it sets."""
    match = [encoder.term(each.node) for each in policy.match]
    sure = z3.And([each.true for each in match])
    applies = z3.Not(z3.Or([each.false for each in match]))
    active = tuple((each, z3.And(sure, _in_force(encoder, each))) for each in policy.exceptions)
    rules = (*_built_in(encoder, classes), *_own(encoder, policy, active))
    allowed = z3.Not(z3.Or([e.broken for e in rules if e.level is not Level.ADVISORY]))
    aims = tuple(
        _aim(encoder, each.name, each.when, (each.minimize, each.tie_break))
        for each in policy.objectives
    )
    may_win = z3.Or([each.may_win for each in aims])
    eligible = z3.And(allowed, z3.Implies(sure, may_win)) if aims else allowed
    facts = z3.Implies(applies, _limits(encoder, policy.limits))
    return Told(policy, facts, applies, sure, rules, aims, active, allowed, eligible)


def _in_force(encoder: Encoder, exception: PolicyException) -> Any:
    now = encoder.scalar("now").value
    begun, ends = microseconds(exception.not_before), microseconds(exception.expires)
    return z3.And(now >= begun, now < ends, encoder.term(exception.match.node).true)


def _own(
    encoder: Encoder, policy: Policy, active: Sequence[tuple[PolicyException, Any]]
) -> list[Rule]:
    made = []
    for each in policy.constraints:
        said = encoder.term(each.expression.node)
        broken = said.false if each.ignore_errors else z3.Not(said.true)
        waived = z3.Or([holds for exception, holds in active if each.name in exception.waive])
        made.append(Rule(each.name, each.level, z3.And(broken, z3.Not(waived)), mine=True))
    return made


def _built_in(encoder: Encoder, classes: frozenset[str]) -> list[Rule]:
    """What the engine asks of every candidate, whatever the policies say; see `builtin`."""
    urgency, data_class = encoder.scalar("job.urgency").value, encoder.scalar("job.data_class")
    known = z3.Or([data_class.value == z3.StringVal(each) for each in sorted(classes)])
    given = (
        (
            "interactive/no-delay",
            builtin.NO_DELAY,
            urgency == z3.StringVal(Urgency.INTERACTIVE.value),
        ),
        ("residency/home-region", builtin.HOME_ONLY, z3.And(data_class.ok, z3.Not(known))),
        ("workload/allowed-regions", builtin.ALLOWED, encoder.field("job.allowed_regions").ok),
        ("limit/deadline", builtin.DEADLINE, encoder.field("limits.deadline").ok),
        ("limit/maxCost", builtin.COST, encoder.field("limits.max_cost_usd").ok),
        ("limit/maxCost", builtin.COST_INCREASE, encoder.field("limits.max_cost_increase").ok),
        (
            "limit/maxCarbon",
            builtin.CARBON_REDUCTION,
            encoder.field("limits.max_carbon_reduction").ok,
        ),
        ("limit/maxCarbon", builtin.INTENSITY, encoder.field("limits.max_intensity").ok),
    )
    return [
        Rule(
            name,
            Level.HARD,
            z3.And(when, z3.Not(encoder.term(compiled(text).node).true)),
            mine=False,
        )
        for name, text, when in given
    ]


def compiled(text: str) -> Expression:
    """A constraint of the engine."""
    return compile_node(parse(text), FIELDS)


def _aim(
    encoder: Encoder, name: str, when: Expression | None, scores: Iterable[Expression | None]
) -> Aim:
    holds = [] if when is None else [encoder.term(when.node).true]
    terms = tuple(encoder.term(each.node) for each in scores if each is not None)
    finite = [encoder.numbers.finite(each.value) for each in terms if each.kind == "double"]
    return Aim(name, z3.And(holds + finite + [each.ok for each in terms]), terms)


def _limits(encoder: Encoder, limits: Limits) -> Any:
    """The limits in force are the policy's or, where the workload has its own, tighter ones."""
    parts = []
    for name in LIMITS:
        given = getattr(limits, name, None)
        if name == "deadline" or given is None:
            continue
        field = encoder.scalar(f"limits.{name}")
        edge = encoder.numbers.constant(float(given))
        loosest, tightest = (
            (field.value, edge) if name != "max_carbon_reduction" else (edge, field.value)
        )
        parts += [field.ok, encoder.numbers.at_most(loosest, tightest)]
    deadline, submitted = encoder.scalar("limits.deadline"), encoder.scalar("job.submitted").value
    if limits.deadline_within is not None:
        parts += [deadline.ok, deadline.value <= submitted + microseconds(limits.deadline_within)]
    if limits.deadline_at is not None:
        parts += [
            deadline.ok,
            deadline.value <= submitted + microseconds(longest_wait(limits.deadline_at)),
        ]
    return z3.And(parts)


def facts(encoder: Encoder) -> Any:
    """What holds of every row, whatever the policies; asked after all expressions are told."""
    parts = [encoder.field(name).ok for name in sorted(ALWAYS)]
    for name, words in WORDS.items():
        parts.append(z3.Or([encoder.scalar(name).value == z3.StringVal(each) for each in words]))
    parts.append(encoder.scalar("candidate.id").value != encoder.scalar("baseline.id").value)
    if isinstance(regions := encoder.field(REGIONS), Items):
        length = z3.Int("length of job.allowed_regions")
        parts += [length >= 1, length <= len(regions.items)]
    for name, field in encoder.fields.items():
        if isinstance(field, Term) and field.kind == "double":
            parts.append(encoder.numbers.finite(field.value))
            if name.startswith("limits."):
                parts.append(encoder.numbers.at_most(encoder.numbers.constant(0.0), field.value))
        if isinstance(field, Term) and field.kind == "timestamp":
            parts.append(in_range("timestamp", field.value))
    return z3.And(parts)


def list_length(nodes: Iterable[Node]) -> tuple[int, str]:
    """How long a job's list must be tried so that no longer one tells more, and why that is not enough.

    A macro tells three answers of an element apart; one element for each answer of each macro, one
    for each `in`, and those up to a place that a rule names or counts to, can be kept of any longer
    list without a change.
    """
    needed, reasons = 1, set()
    for each in nodes:
        for count, why in _needs(each, 1, inside=False):
            needed += count
            reasons |= {why} - {""}
    if needed > MOST_ITEMS:
        reasons.add(f"only lists of up to {MOST_ITEMS} texts were tried")
    return min(needed, MOST_ITEMS), "; ".join(sorted(reasons))


def _needs(node: Node, times: int, *, inside: bool) -> Iterator[tuple[int, str]]:
    """Elements that each part needs, and why no number is enough; `inside` a macro over a list."""
    if (counted := _counted(node)) is not None:
        yield counted * times, ""
        return
    parts = [(each, times, inside) for each in children(node)]
    match node:
        case Call(name="in", args=(item, Var())):
            same = inside and any(isinstance(each, Local) for each in walk(item))
            yield times, "a rule compares the texts of a list with each other" if same else ""
        case Call(name="size" | "[]", args=(Var() as of, *_)) if ".".join(of.path) == REGIONS:
            yield 0, "only short lists were tried, and a rule counts the texts of a list"
        case Each(over=ListOf(items=items)):
            parts[1] = (node.body, times * max(1, len(items)), inside)
        case Each():
            yield times * (3 if node.macro == "exists_one" else 2), ""
            parts[1] = (node.body, times, True)
        case _:
            pass
    for each, often, within in parts:
        yield from _needs(each, often, inside=within)


def _counted(node: Node) -> int | None:
    """Elements up to a constant place, or to a constant that a list's length is compared with."""
    match node:
        case Call(name="[]", args=(Var(), Const(value=int(place)))):
            return max(0, place) + 1
        case Call(name=name, args=(Call(name="size", args=(Var(),)), Const(value=int(edge)))) if (
            name in COMPARE
        ):
            return max(0, edge) + 1
        case Call(name=name, args=(Const(value=int(edge)), Call(name="size", args=(Var(),)))) if (
            name in COMPARE
        ):
            return max(0, edge) + 1
        case _:
            return None


def expressions(policy: Policy) -> list[Node]:
    """Every expression of a policy that judges, and those of the engine."""
    texts = (builtin.NO_DELAY, builtin.HOME_ONLY, builtin.ALLOWED, builtin.COST_INCREASE)
    found = [compiled(each).node for each in texts]
    found += [each.node for each in policy.match]
    found += [each.expression.node for each in policy.constraints]
    for aim in policy.objectives:
        found += [e.node for e in (aim.when, aim.minimize, aim.tie_break) if e is not None]
    return found + [each.match.node for each in policy.exceptions]
