"""Compiles the expressions of one policy: parameters and variables put in, errors put in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from greenops.policy.check import check, is_name
from greenops.policy.cost import MAX_COST, cost
from greenops.policy.document import Node as Yaml
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.fields import Fields
from greenops.policy.ir import (
    Const,
    ExpressionError,
    Has,
    ListOf,
    Node,
    Var,
    children,
    did_you_mean,
    moved,
    replace_fields,
    walk,
)
from greenops.policy.parse import parse
from greenops.policy.reading import MAX_LIST
from greenops.policy.report import MAX_READ, Report

MAX_EXPANDED = 1_000
"""Most parts of an expression once parameters and variables are put in."""
MAX_EXPANDED_DEPTH = 90
TOO_MUCH: Final = f"expressions have over {MAX_READ:,} characters for each file"
LESS: Final = "split the file, extend fewer rules, or put less into variables and parameters"
NOT_YET: Final = {
    "candidate": "write it as a constraint",
    "limits": "the limits depend on which policies match; name `job` or `baseline`",
}
"""What is known only after a rule about the job was asked, and what to write instead."""


@dataclass(slots=True)
class Scope:
    """What the expressions of one policy may name, and where problems go."""

    schema: Mapping[str, str]
    report: Report
    params: dict[str, Node] = field(default_factory=dict)
    variables: dict[str, Node] = field(default_factory=dict)
    cost: int = 0
    sizes: dict[tuple[str, str], int] = field(default_factory=dict)

    def compile(
        self,
        fields: Fields,
        name: str,
        *,
        kinds: tuple[str, ...] = ("bool",),
        required: bool = True,
        message: bool = False,
        roots: frozenset[str] = frozenset(NOT_YET),
    ) -> Expression | None:
        """The compiled expression of a field; none, with a problem noted, where it is refused.

        Args:
            fields: The map that holds the field.
            name: The field.
            kinds: Types that the result may have.
            required: Is a missing field a problem?
            message: It writes a message.
            roots: First words of the fields that are known when it runs.
        """
        text = fields.text(name, required=required)
        node = fields.get(name)
        if text is None or node is None or self.cost > MAX_COST:
            return None  # where the budget is gone the policy was refused; reading on costs time
        if not self._room_for(text, node):
            return None
        try:
            tree = self.expand(parse(text))
            _refuse_other_roots(tree, roots)
            self._spend(tree)
            made = compile_node(tree, self.schema, message=message)
            _require_kind(made, kinds)
        except ExpressionError as error:
            self.refuse(node, error)
            return None
        return made

    def _room_for(self, text: str, node: Yaml) -> bool:
        room = self.report.room_for(text)
        if not room:
            self.report.add("GO0134", TOO_MUCH, node.at, LESS)
        return room

    def _spend(self, tree: Node) -> None:
        """Count one more expression.

        Raises:
            ExpressionError: It goes over the policy's budget.
        """
        self.cost += cost(tree)
        if self.cost > MAX_COST:
            raise ExpressionError(
                "GO0134",
                f"the policy takes over {MAX_COST:,} steps for each candidate from here on",
                0,
                "shorten lists and patterns, or use macros and variables less often",
            )

    def refuse(self, node: Yaml, error: ExpressionError) -> None:
        """Note what is wrong with an expression, at its place in the file."""
        self.report.add(error.code, error.message, node.place(error.at), error.hint)

    def define(self, fields: Fields) -> None:
        """Take one variable; later ones may name it."""
        name = fields.text("name", required=True)
        text, node = fields.text("expression", required=True), fields.get("expression")
        fields.done()
        if name is None or text is None or node is None or not self._room_for(text, node):
            return
        if not is_name(name) or name in self.variables:
            fields.bad("name", f"`{name}` is no new name", "use letters, digits and `_`, once")
            return
        try:
            self.variables[name], _ = check(self.expand(parse(text)), self.schema)
        except ExpressionError as error:
            self.refuse(node, error)

    def take_params(self, fields: Fields) -> None:
        """Take the parameters; each is a text, number, true/false, or a list of one of these."""
        for name, (_, node) in fields.entries().items():
            value = _constant(node)
            if value is None or not is_name(name):
                fields.bad(
                    name, f"`{fields.path(name)}` is {node.shape}", "write a value or a list"
                )
            else:
                self.params[name] = value

    def expand(self, tree: Node) -> Node:
        """The tree with parameters and variables put in.

        Raises:
            ExpressionError: A name is unknown, or the result is too big.
        """
        sizes = [self._size(each) for each in walk(tree)]
        size = sum(sizes)
        if not self.report.room_for_parts(size - len(sizes)):
            raise ExpressionError("GO0134", TOO_MUCH, 0, LESS)
        if size > MAX_EXPANDED:
            raise ExpressionError(
                "GO0134", f"expression has {size:,} parts with its variables", 0, "split the rule"
            )
        expanded = replace_fields(tree, self._put)
        if _depth(expanded) > MAX_EXPANDED_DEPTH:
            raise ExpressionError("GO0134", "variables are nested too deep", 0, "split the rule")
        return expanded

    def _size(self, node: Node) -> int:
        """Parts of what stands for a node once parameters and variables are put in."""
        if not isinstance(node, Var) or node.path[0] not in {"params", "variables"}:
            return 1
        root, name = node.path[0], ".".join(node.path[1:])
        if (root, name) not in self.sizes:
            self.sizes[root, name] = sum(1 for _ in walk(self._named(root, name, node.at)))
        return self.sizes[root, name]

    def _put(self, node: Var | Has) -> Node:
        root, name = node.path[0], ".".join(node.path[1:])
        if root not in {"params", "variables"} or isinstance(node, Has):
            return node
        return moved(self._named(root, name, node.at), node.at)

    def _named(self, root: str, name: str, at: int) -> Node:
        known = self.params if root == "params" else self.variables
        if name not in known:
            fix = partial(did_you_mean, name, known, f"declare it in `spec.{root}`")
            raise ExpressionError("GO0131", f"unknown name `{root}.{name}`", at, fix)
        return known[name]


def _require_kind(made: Expression, kinds: tuple[str, ...]) -> None:
    if made.kind not in kinds:
        raise ExpressionError(
            "GO0132", f"expression gives {made.kind}, not {' or '.join(kinds)}", 0
        )


def _refuse_other_roots(tree: Node, roots: frozenset[str]) -> None:
    for each in walk(tree):
        if isinstance(each, Var | Has) and each.path[0] in NOT_YET.keys() - roots:
            root = each.path[0]
            message = f"this rule cannot name `{root}`"
            raise ExpressionError("GO0131", message, each.at, NOT_YET[root])


def _depth(tree: Node) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [inner for each in level for inner in children(each)]
    return depth


def _constant(node: Yaml) -> Node | None:
    if node.items is not None:
        items = [_constant(each) for each in node.items]
        flat = [each for each in items if isinstance(each, Const)]
        whole = len(flat) == len(items) and 0 < len(items) <= MAX_LIST
        return ListOf(tuple(flat)) if whole else None
    names = {bool: "bool", int: "int", float: "double", str: "string"}
    kind = names.get(type(node.value))
    return Const(kind, node.value) if kind and node.value is not None else None
