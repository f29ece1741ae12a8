"""What is wrong with how rules are written: unquoted texts, divisors that may be 0, no tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from greenops.policy.document import Node as Yaml
from greenops.policy.ir import Call, Node, walk
from greenops.policy.lint_report import Finding, Severity
from greenops.policy.lint_source import WrittenPolicy
from greenops.policy.lint_terms import NO_CONSTANT, comparison, constant
from greenops.policy.model import Policy
from greenops.policy.policy_set import PolicySet
from greenops.policy.text import canonical

EXPRESSIONS: Final = frozenset(
    {"expression", "messageExpression", "when", "minimize", "tieBreak", "assume", "assert"}
)
"""Keys whose texts are CEL wherever they stand."""
GOES_ON: Final = re.compile(r"#\s*(&&|\|\||\?|[=!<>]=|[<>])")
"""A comment that reads like the rest of an expression."""
PLACES: Final = {"match": "exceptions", "key": "rollout"}
"""Keys whose texts are CEL inside one list or map."""


def untested(policy: WrittenPolicy, policies: PolicySet) -> Iterator[Finding]:
    """A policy without a test: nothing tells when a change of it breaks something."""
    name = policy.policy.name
    if not any(each.policy == name for each in policies.tests):
        message = f"policy `{name}` has no test"
        fix = "write down what you expect under `tests`"
        yield Finding("GO0156", Severity.WARNING, message, policy.policy.source, fix)


def divisors(policy: WrittenPolicy) -> Iterator[Finding]:
    """`/`, `%` and `ratio` by what is 0, and `/` and `%` by what nothing keeps from being 0."""
    for rule in policy.rules:
        asked = _asked(rule.node)
        for node in walk(rule.node):
            if (what := _divides(node, asked)) is not None:
                yield Finding("GO0154", Severity.WARNING, what[0], rule.at(node.at), what[1])
    for name, tree in _numbers(policy.policy):
        asked = _asked(tree)
        for node in walk(tree):
            if (what := _divides(node, asked)) is not None:
                message = f"{what[0]}, in objective `{name}`"
                yield Finding("GO0154", Severity.WARNING, message, policy.policy.source, what[1])


def _asked(rule: Node) -> frozenset[str]:
    """What a rule compares with constants: a divisor among these is taken for guarded."""
    found = (comparison(each) for each in walk(rule))
    return frozenset(each.key for each in found if each)


def _divides(node: Node, asked: frozenset[str]) -> tuple[str, str] | None:
    if not isinstance(node, Call) or node.name not in {"/", "%", "ratio"}:
        return None
    by = constant(node.args[1])
    if by is not NO_CONSTANT:
        zero = f"`{canonical(node)}` divides by 0: it is always an error"
        return (zero, "write another divisor") if by == 0 else None
    if node.name == "ratio" or canonical(node.args[1]) in asked:
        return None
    fix = "write `b != 0 && …` before it, or `ratio(double(a), double(b))`"
    return f"`{canonical(node)}` is an error where its divisor is 0", fix


def _numbers(policy: Policy) -> Iterator[tuple[str, Node]]:
    for each in policy.objectives:
        yield each.name, each.minimize.node
        if each.tie_break:
            yield each.name, each.tie_break.node


def unquoted(text: str, roots: Sequence[Yaml]) -> Iterator[Finding]:
    """Expressions without quotes of which YAML cut a part off, or that go over lines."""
    lines = text.split("\n")
    stack = [(root, "") for root in reversed(roots)]
    while stack:
        node, above = stack.pop()
        for key, (_, value) in (node.entries or {}).items():
            if value.text is not None and (key in EXPRESSIONS or PLACES.get(key) == above):
                yield from _unquoted(value, lines)
            stack.append((value, key))
        stack.extend((each, above) for each in node.items or ())


def _unquoted(node: Yaml, lines: Sequence[str]) -> Iterator[Finding]:
    if not node.raw or node.raw[0] in "\"'|>":
        return
    fix = "put the expression in single quotes"
    if "\n" in node.raw:
        message = "an expression without quotes goes over several lines: a `#` or `: ` would cut it"
        yield Finding("GO0155", Severity.WARNING, message, node.at, fix)
        return
    line = lines[node.at.line - 1]
    rest = line[node.at.column - 1 + len(node.raw) :].lstrip()
    if GOES_ON.match(rest):
        message = f"an expression without quotes ends before `{rest[:20]}`, which YAML takes for a comment"
        yield Finding(
            "GO0155", Severity.WARNING, message, node.at, f"{fix}, or move the comment up"
        )
