"""What is wrong with the rules of one policy, each sound by itself: unreachable, dead, shadowed, conflicting.

Law: nothing is said that some job and candidate could disprove. Where there is too much to look at,
nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import combinations
from operator import and_
from typing import Final

import numpy as np

from greenops.policy.ir import Call, If, Node, Var, children, walk
from greenops.policy.lint_report import Finding, Severity
from greenops.policy.lint_source import Written, WrittenPolicy, is_hard
from greenops.policy.lint_terms import ABSENT, comparison, constant, holds
from greenops.policy.lint_truth import Mask, Space, Truth
from greenops.policy.text import canonical

MOST_PAIRS: Final = 2_000
"""Pairs of rules of one policy that are looked at; two hundred rules have ten times that."""
PARTS: Final = 20
"""Parts of a pair that count as one pair; of longer ones each part costs as often as there are others."""
NOTHING: Final = "remove it, or mend its bound"


def of_policy(policy: WrittenPolicy) -> Iterator[Finding]:
    """Everything that is wrong with one policy's rules."""
    said: set[str] = set()
    for rule in policy.rules:
        for found in _dead_parts(rule):
            said.add(rule.name)
            yield found
    yield from _unreachable_match(policy)
    single = {each.name: _alone(policy, each) for each in (*policy.constraints, *policy.bounds)}
    for each in policy.constraints:
        yield from _rule_alone(each, single[each.name], told=each.name in said)
    sound = [e for e in (*policy.bounds, *policy.constraints) if single[e.name] == "open"]
    yield from _pairs(policy, sound)
    yield from _unreachable(policy)


def _dead_parts(rule: Written) -> Iterator[Finding]:
    """Comparisons that come out one way whatever the field is, and branches nobody takes."""
    stack = [rule.node]
    while stack:
        node = stack.pop()
        if isinstance(node, If) or (isinstance(node, Call) and node.name in {"&&", "||", "!"}):
            if isinstance(node, If) and (side := _untaken(node)):
                message = f"`{_short(node.test)}` is never {side}: one side of `? :` is never taken"
                yield Finding("GO0150", Severity.WARNING, message, rule.at(node.at), NOTHING)
            else:
                stack.extend(children(node))
        elif (found := comparison(node)) is not None and (answer := _one_answer(node)) is not None:
            message = f"`{_short(node)}` is always {answer}, whatever `{_short(found.term)}` is"
            yield Finding("GO0153", Severity.WARNING, message, rule.at(node.at), NOTHING)


def _untaken(node: If) -> str | None:
    space = Space([node.test])
    if not space.decided:
        return None
    truth = space.truth(node.test)
    return (
        None if truth.true.any() and truth.false.any() else "true" if truth.false.any() else "false"
    )


def _one_answer(node: Node) -> str | None:
    """`true` or `false` where a comparison gives that for every value that its field can have."""
    found = comparison(node)
    cells = Space([node]).axes.get(found.key, ()) if found else ()
    answers = {holds(found, each) for each in cells if found and _is_value(each)}
    return str(answers.pop()).lower() if len(answers) == 1 and None not in answers else None


def _is_value(cell: object) -> bool:
    return cell is not ABSENT and cell == cell  # noqa: PLR0124 - NaN is no value


def _unreachable_match(policy: WrittenPolicy) -> Iterator[Finding]:
    space = Space([each.node for each in policy.match])
    if space.decided and policy.match and not _all(space, policy.match).true.any():
        first = policy.match[0]
        message = f"the matches of policy `{policy.policy.name}` hold for no job"
        fix = "mend `match`; its rules would bind only jobs that lack a field"
        yield Finding("GO0150", Severity.WARNING, message, first.start, fix)


def _all(space: Space, rules: tuple[Written, ...]) -> Truth:
    return reduce(and_, (space.truth(each.node) for each in rules))


def _alone(policy: WrittenPolicy, rule: Written) -> str:
    """Is a constraint, among jobs that the policy binds, `always`, `never`, or both: `open`?"""
    space = _space(policy, rule)
    if space is None:
        return "open"
    bound, truth = _bound(space, policy), space.truth(rule.node)
    if not (bound & truth.true).any():
        return "never"
    return "open" if (bound & ~truth.true).any() else "always"


def _rule_alone(rule: Written, found: str, *, told: bool) -> Iterator[Finding]:
    what = f"{rule.kind} constraint `{rule.name}`"
    if found == "never" and not told:
        fixed = constant(rule.node) is False
        level = Severity.WARNING if fixed or rule.kind == "advisory" else Severity.ERROR
        message = f"no candidate can keep {what}"
        yield Finding("GO0150", level, message, rule.start, "mend its bound, or remove it")
    elif found == "always" and not told:
        message = f"{what} holds for every candidate: it decides nothing"
        yield Finding("GO0153", Severity.WARNING, message, rule.start, NOTHING)


def _space(policy: WrittenPolicy, *rules: Written) -> Space | None:
    """All cells of some rules beside the matches; beside nothing where that is too much."""
    for also in (policy.match, ()):
        space = Space([each.node for each in (*also, *rules)])
        if space.decided:
            return space
    return None


def _bound(space: Space, policy: WrittenPolicy) -> Mask:
    """Where the policy's constraints count: no match is false."""
    known = all(canonical(e.node) in space.rules for e in policy.match)
    if not known or not policy.match:
        return np.ones((), np.bool_)
    return ~_all(space, policy.match).false


def _pairs(policy: WrittenPolicy, rules: list[Written]) -> Iterator[Finding]:
    """Conflicts, and rules that another makes idle, each told once."""
    axes = [frozenset(Space([each.node]).axes) for each in rules]
    near = [(i, j) for i, j in combinations(range(len(rules)), 2) if axes[i] & axes[j]]
    shadowed: set[int] = set()
    clash = False
    sizes, left = [sum(1 for _ in walk(each.node)) for each in rules], MOST_PAIRS
    for i, j in near:
        left -= max(1, ((sizes[i] + sizes[j]) // PARTS) ** 2)
        if left < 0:
            break
        one, other = rules[i], rules[j]
        idle = _idle(policy, one, other)
        if idle == "both":
            clash = True
            yield _conflict(one, other)
        elif idle is not None:
            at, by = (j, one) if idle == "second" else (i, other)
            if at not in shadowed and rules[at].kind != "limit":
                shadowed.add(at)
                yield _shadow(rules[at], by)
    if not clash:
        yield from _together(policy, [each for each in rules if each.refuses])


def _idle(policy: WrittenPolicy, one: Written, other: Written) -> str | None:
    """`both` where they conflict; the one that the other, a hard one, makes idle; none."""
    space = _space(policy, one, other)
    if space is None:
        return None
    bound = _bound(space, policy)
    first, second = space.truth(one.node), space.truth(other.node)
    if one.refuses and other.refuses and not (bound & first.true & second.true).any():
        return "both"
    if is_hard(one) and not (bound & first.true & ~second.true).any():
        return "second"
    if is_hard(other) and not (bound & second.true & ~first.true).any():
        return "first"
    return None


def _together(policy: WrittenPolicy, rules: list[Written]) -> Iterator[Finding]:
    space = _space(policy, *rules) if len(rules) > 2 else None  # noqa: PLR2004 - two are a pair
    if space is None:
        return
    left = _bound(space, policy)
    for each in rules:
        left = left & space.truth(each.node).true
    if not left.any():
        names = ", ".join(f"`{each.name}`" for each in rules)
        level = Severity.ERROR if all(map(is_hard, rules)) else Severity.WARNING
        fix = "loosen one of them"
        yield Finding(
            "GO0152", level, f"no candidate can keep all of {names}", rules[-1].start, fix
        )


def _conflict(one: Written, other: Written) -> Finding:
    level = Severity.ERROR if is_hard(one) and is_hard(other) else Severity.WARNING
    message = f"`{one.name}` and `{other.name}` conflict: no candidate can keep both"
    at, there = (other, one) if other.kind != "limit" else (one, other)
    return Finding("GO0152", level, message, at.start, f"loosen one; the other: {there.start}")


def _shadow(rule: Written, by: Written) -> Finding:
    message = f"`{rule.name}` is shadowed by {by.kind} `{by.name}`: what keeps that keeps this"
    fix = f"remove it, or tighten its bound; the other: {by.start}"
    return Finding("GO0151", Severity.WARNING, message, rule.start, fix)


def _unreachable(policy: WrittenPolicy) -> Iterator[Finding]:
    """Objectives that no allowed candidate meets, and exceptions that no matching job meets."""
    hard = tuple(each for each in (*policy.constraints, *policy.bounds) if is_hard(each))
    for rule in policy.objectives:
        if not _reached(policy, rule, hard):
            message = f"objective `{rule.name}` never counts: no allowed candidate meets its `when`"
            yield Finding("GO0150", Severity.WARNING, message, rule.start, "mend `when`")
    for rule in policy.exceptions:
        if not _reached(policy, rule, ()):
            message = (
                f"exception `{rule.name}` never applies: no job of the policy meets its `match`"
            )
            yield Finding("GO0150", Severity.WARNING, message, rule.start, "mend `match`")


def _reached(policy: WrittenPolicy, rule: Written, also: tuple[Written, ...]) -> bool:
    for beside in ((*policy.match, *also), policy.match, ()):
        space = Space([each.node for each in (*beside, rule)])
        if space.decided:
            left = space.truth(rule.node).true
            for each in beside:
                left = left & space.truth(each.node).true
            return bool(left.any())
    return True


def _short(node: Node) -> str:
    text = canonical(node)
    if not isinstance(node, Var) and text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - one line
