"""Where a policy's answers turn: each comparison of two figures, and how far a row is from its edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from greenops.policy.builtin import CARBON_REDUCTION, COST, COST_INCREASE, DEADLINE, INTENSITY
from greenops.policy.check import Schema
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.ir import (
    Call,
    Const,
    Each,
    ExpressionError,
    Has,
    Node,
    Var,
    children,
    replace_fields,
)
from greenops.policy.model import Policy
from greenops.policy.parse import parse

SIGNS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
MEASURED: Final = frozenset({"double", "int", "duration"})
"""Types of a difference that has a size."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One comparison.

    Attributes:
        rule: The constraint, objective or match that holds it.
        sign: `<` and its like.
        gap: Left side less right side: 0 on the edge.
    """

    rule: str
    sign: str
    gap: Expression


def edges(policy: Policy, schema: Schema) -> list[Edge]:
    """The comparisons of a policy, its limits' too, each once, in file order."""
    found: dict[tuple[str, str], Edge] = {}
    for rule, node in _rules(policy):
        for each in _comparisons(node):
            edge = _edge(rule, each, schema)
            if edge is not None:
                found.setdefault((rule, edge.gap.text), edge)
    return list(found.values())


def _rules(policy: Policy) -> Iterator[tuple[str, Node]]:
    limits = policy.limits
    within = limits.deadline_within
    numbers = {
        "max_cost_usd": limits.max_cost_usd,
        "max_cost_increase": limits.max_cost_increase,
        "max_carbon_reduction": limits.max_carbon_reduction,
        "max_intensity": limits.max_intensity,
    }
    given: dict[str, Node] = {
        n: Const("double", float(v)) for n, v in numbers.items() if v is not None
    }
    if within is not None:
        given["deadline"] = Call("+", (Var(("job", "submitted")), Const("duration", within)))
    of_limits = (
        *(("limit/deadline", DEADLINE), ("limit/maxCost", COST), ("limit/maxCost", COST_INCREASE)),
        *(("limit/maxCarbon", CARBON_REDUCTION), ("limit/maxCarbon", INTENSITY)),
    )
    rules = [(name, parse(text)) for name, text in of_limits]
    rules += [("match", each.node) for each in policy.match]
    rules += [(each.name, each.expression.node) for each in policy.constraints]
    rules += [(each.name, each.when.node) for each in policy.objectives if each.when is not None]

    def put(field: Var | Has) -> Node:
        known = field.path[0] == "limits" and isinstance(field, Var)
        return given.get(field.path[1], field) if known else field

    for name, node in rules:
        yield name, replace_fields(node, put)


def _comparisons(node: Node) -> Iterator[Call]:
    """Outermost first, those of a macro left out: they are about a text of a list."""
    if isinstance(node, Each):
        return
    if isinstance(node, Call) and node.name in SIGNS:
        yield node
    for each in children(node):
        yield from _comparisons(each)


def _edge(rule: str, comparison: Call, schema: Schema) -> Edge | None:
    """None where the sides are no figures, or a limit is not given."""
    try:
        gap = compile_node(Call("-", comparison.args), schema)
    except ExpressionError:
        return None
    loose = any(isinstance(each, Var) and each.path[0] == "limits" for each in _nodes(gap.node))
    return None if loose or gap.kind not in MEASURED else Edge(rule, comparison.name, gap)


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for each in children(node):
        yield from _nodes(each)
