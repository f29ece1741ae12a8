"""CEL text to the expression tree, by cel-python's grammar, behind limits that cost nothing to check."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Final, cast

import celpy
import lark
from celpy.celparser import CELParseError

from greenops.policy.ir import (
    LABELS,
    Call,
    Const,
    Each,
    ExpressionError,
    Has,
    If,
    ListOf,
    Local,
    Node,
    Var,
    did_you_mean,
    walk,
)
from greenops.policy.strings import lift
from greenops.policy.zones import CALENDAR

MAX_TEXT: Final = 1_000
"""Longest expression, characters. Source: Google Cloud organization policy, custom constraints."""
MAX_DEPTH: Final = 30
MAX_NODES: Final = 200
MAX_LIST: Final = 500

MACROS: Final = frozenset({"all", "exists"})
Tree = Any
"""lark's tree; its children are trees or tokens, which the grammar tells and types do not."""

FUNCTIONS: Final = frozenset({"size", "double", "ratio", "string", "timestamp", "duration", "has"})
METHODS: Final = frozenset(
    {
        *("startsWith", "endsWith", "contains", "matches", "size"),
        *("getSeconds", *CALENDAR),
    }
)
BINARY: Final = {
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_eq": "==",
    "relation_ne": "!=",
    "relation_in": "in",
    "addition_add": "+",
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
}
ROOTS: Final = ("job", "candidate", "baseline", "limits", "params", "variables", "now")
CHAIN: Final = frozenset(
    {"expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication"}
    | {"unary", "member", "primary", "paren_expr"}
)


@cache
def environment() -> celpy.Environment:
    """cel-python's environment; it raises the process's recursion limit, which is put back."""
    before = sys.getrecursionlimit()
    try:
        return celpy.Environment(runner_class=celpy.InterpretedRunner)
    finally:
        sys.setrecursionlimit(before)


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises:
        ExpressionError: Too long, too deep, not CEL, or a construct that is not allowed.
    """
    if len(text) > MAX_TEXT:
        raise ExpressionError(
            "GO0134",
            f"expression has {len(text):,} characters, over {MAX_TEXT:,}",
            0,
            "name parts of it in `variables`",
        )
    plain, strings = lift(text)
    _check_brackets(plain)
    try:
        tree = environment().compile(plain)
    except CELParseError as error:
        at = _offset(plain, error.line, error.column)
        raise ExpressionError(
            "GO0130", _syntax(plain, at), at, "check operators and quotes"
        ) from error
    except lark.exceptions.LarkError as error:
        raise ExpressionError("GO0130", "not a CEL expression", 0) from error
    node = _Reader(plain, strings).read(tree, frozenset(), 1)
    if (count := sum(1 for _ in walk(node))) > MAX_NODES:
        raise ExpressionError(
            "GO0134", f"expression has {count} parts, over {MAX_NODES}", 0, "split the rule"
        )
    return node


def _check_brackets(text: str) -> None:
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth > MAX_DEPTH:
            raise ExpressionError("GO0134", f"nested deeper than {MAX_DEPTH}", at, "split the rule")


def _offset(text: str, line: int | None, column: int | None) -> int:
    if not line or line < 1 or not column or column < 1:
        return max(0, len(text) - 1)
    lines = text.split("\n")
    return min(sum(len(each) + 1 for each in lines[: line - 1]) + column - 1, len(text))


def _syntax(text: str, at: int) -> str:
    rest = text[at : at + 12].split()
    return f"not a CEL expression near `{rest[0]}`" if rest else "expression ends too early"


class _Reader:
    """Reads lark's tree; the depth it descends is bounded by `MAX_DEPTH`."""

    def __init__(self, text: str, strings: dict[int, str]) -> None:
        self.text = text
        self.strings = strings

    def read(self, tree: Any, names: frozenset[str], depth: int) -> Node:
        """One node; chains of single children cost no recursion."""
        while isinstance(tree, lark.Tree) and len(tree.children) == 1 and tree.data in CHAIN:
            tree = tree.children[0]
        at = self._at(tree)
        if depth > MAX_DEPTH:
            raise ExpressionError("GO0134", f"nested deeper than {MAX_DEPTH}", at, "split the rule")
        if isinstance(tree, lark.Token):
            return self.literal(tree)
        reader = getattr(self, f"_{tree.data}", None)
        if reader is None:
            raise ExpressionError("GO0133", f"{_construct(tree.data)} are not allowed", at)
        return cast("Node", reader(tree, names, depth + 1, at))

    def _at(self, tree: Any) -> int:
        if isinstance(tree, lark.Token):
            return int(tree.start_pos or 0)
        return int(getattr(tree.meta, "start_pos", 0) or 0)

    def _expr(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        test, then, other = (self.read(each, names, depth) for each in tree.children)
        return If(test, then, other, at)

    def _pair(self, sign: str, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        left, right = (self.read(each, names, depth) for each in tree.children)
        return Call(sign, (left, right), at)

    def _conditionalor(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        return self._pair("||", tree, names, depth, at)

    def _conditionaland(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        return self._pair("&&", tree, names, depth, at)

    def _relation(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        operator, right = tree.children
        sides = (self.read(operator.children[0], names, depth), self.read(right, names, depth))
        return _has_label(operator.data, sides, at) or Call(BINARY[operator.data], sides, at)

    _addition = _relation
    _multiplication = _relation

    def _unary(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        sign = "!" if tree.children[0].data == "unary_not" else "neg"
        return Call(sign, (self.read(tree.children[1], names, depth),), at)

    def _ident(self, tree: Tree, names: frozenset[str], _: int, at: int) -> Node:
        name = str(tree.children[0])
        if name == "null":
            raise ExpressionError("GO0133", "`null` is not allowed", at, "use `has(field)`")
        return Local(name, at) if name in names else Var((name,), at)

    def _member_dot(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        inner = self.read(tree.children[0], names, depth)
        if not isinstance(inner, Var):
            raise ExpressionError("GO0133", "only declared fields have members", at)
        return Var((*inner.path, str(tree.children[1])), at)

    def _member_index(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        inner = self.read(tree.children[0], names, depth)
        key = self.read(tree.children[1], names, depth)
        label = isinstance(inner, Var) and inner.path == LABELS
        if label and isinstance(key, Const) and isinstance(key.value, str):
            return Var((*LABELS, key.value), at)
        raise ExpressionError(
            "GO0133", "indexes are not allowed", at, "use `in`, `all` or `exists`"
        )

    def _member_dot_arg(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        name = str(tree.children[1])
        args = tree.children[2].children if len(tree.children) > 2 else []  # noqa: PLR2004
        if name in MACROS:
            return self._macro(name, tree.children[0], args, names, depth, at)
        if name not in METHODS:
            raise _not_known(name, at)
        first = self.read(tree.children[0], names, depth)
        return Call(name, (first, *(self.read(each, names, depth) for each in args)), at)

    def _macro(
        self, name: str, over: Any, args: list[Any], names: frozenset[str], depth: int, at: int
    ) -> Node:
        if names:
            raise ExpressionError("GO0134", "a macro inside a macro is not allowed", at)
        variable = self.read(args[0], frozenset(), depth) if args else None
        if len(args) != 2 or not isinstance(variable, Var) or len(variable.path) != 1:  # noqa: PLR2004
            raise ExpressionError("GO0130", f"`{name}` takes a name and a rule", at)
        local = variable.path[0]
        if local in ROOTS:
            raise ExpressionError(
                "GO0130", f"`{local}` is taken", variable.at, "choose another name"
            )
        body = self.read(args[1], frozenset({local}), depth)
        return Each(name, self.read(over, names, depth), local, body, at)

    def _ident_arg(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        name = str(tree.children[0])
        args = tree.children[1].children if len(tree.children) > 1 else []
        if name not in FUNCTIONS:
            raise _not_known(name, at)
        read = tuple(self.read(each, names, depth) for each in args)
        if name != "has":
            return Call(name, read, at)
        if len(read) != 1 or not isinstance(read[0], Var) or len(read[0].path) < 2:  # noqa: PLR2004
            raise ExpressionError("GO0130", "`has` takes one field, such as `has(job.team)`", at)
        return Has(read[0].path, at)

    def _list_lit(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        items = tree.children[0].children if tree.children else []
        if len(items) > MAX_LIST:
            raise ExpressionError("GO0134", f"list has over {MAX_LIST} items", at)
        return ListOf(tuple(self.read(each, names, depth) for each in items), at)

    def _literal(self, tree: Tree, _names: frozenset[str], _depth: int, _at: int) -> Node:
        return self.literal(cast("lark.Token", tree.children[0]))

    def literal(self, token: lark.Token) -> Node:
        """A literal's value; strings were decoded before."""
        at, text = int(token.start_pos or 0), str(token)
        match token.type:
            case "INT_LIT":
                value = int(text, 16 if "x" in text.lower() else 10)
                if not -(2**63) <= value < 2**63:
                    raise ExpressionError("GO0132", f"`{text}` is over 64 bits", at)
                return Const("int", value, at)
            case "FLOAT_LIT":
                return Const("double", _finite(text, at), at)
            case "STRING_LIT" | "MLSTRING_LIT":
                return Const("string", self.strings[at], at)
            case "BOOL_LIT":
                return Const("bool", text == "true", at)
            case "NULL_LIT":
                raise ExpressionError("GO0133", "`null` is not allowed", at, "use `has(field)`")
            case _:
                raise ExpressionError(
                    "GO0133", f"`{text}` is not allowed", at, "write an int or double"
                )


def _has_label(operation: str, sides: tuple[Node, Node], at: int) -> Has | None:
    """`"cost-center" in job.labels` asks what `has` asks of a label whose name is a word."""
    match operation, sides:
        case "relation_in", (Const(value=str(name)), Var(path=("job", "labels"))):
            return Has((*LABELS, name), at)
        case _:
            return None


def _finite(text: str, at: int) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ExpressionError("GO0132", f"`{text[:40]}` is over the largest double", at)
    return value


def _construct(name: str) -> str:
    return {"map_lit": "maps", "member_object": "messages"}.get(name, "names that begin with a dot")


def _not_known(name: str, at: int) -> ExpressionError:
    known = FUNCTIONS | METHODS | MACROS
    fix = did_you_mean(name, known) or f"allowed: {', '.join(sorted(known))}"
    return ExpressionError("GO0133", f"function `{name}` is not allowed", at, fix)
