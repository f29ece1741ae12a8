"""cel-python's syntax tree to the expression tree."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, cast

import lark

from greenops.policy.ir import (
    LABELS,
    Call,
    Const,
    Each,
    ExpressionError,
    Has,
    HasMember,
    If,
    ListOf,
    Local,
    MapOf,
    Node,
    Select,
    Var,
    did_you_mean,
)
from greenops.policy.strings import Lifted
from greenops.policy.zones import CALENDAR

MAX_DEPTH: Final = 36
"""Deepest nesting; the specification asks for 32 of one operator."""
MAX_LIST: Final = 500
"""Most items of a list literal, and entries of a map literal."""
MAX_MACROS: Final = 2
"""Most macros inside each other; rules take one, as the check tells."""
MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
FUNCTIONS: Final = frozenset(
    {"size", "ratio", "type", "dyn", "has", "timestamp", "duration"}
    | {"bool", "int", "uint", "double", "string", "bytes"}
)
METHODS: Final = frozenset(
    {"startsWith", "endsWith", "contains", "matches", "size"}
    | {"getSeconds", "getMilliseconds", *CALENDAR}
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
Tree = Any
"""lark's tree; its children are trees or tokens, which the grammar tells and types do not."""


class Reader:
    """Reads lark's tree; the depth it descends is bounded by `MAX_DEPTH`."""

    def __init__(self, lifted: Lifted) -> None:
        self.lifted = lifted
        self.macros = 0

    def read(self, tree: Any, names: frozenset[str], depth: int) -> Node:
        """One node; chains of single children cost no recursion."""
        while isinstance(tree, lark.Tree) and len(tree.children) == 1 and str(tree.data) in CHAIN:
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
        name = self._plain_name(tree.children[0])
        if name == "null":
            return Const("null", None, at)
        return Local(name, at) if name in names else Var((name,), at)

    def _plain_name(self, token: lark.Token) -> str:
        at = int(token.start_pos or 0)
        if at in self.lifted:
            name = f"`{self.lifted[at]!s}`"
            raise ExpressionError("GO0130", f"{name} may stand only after a dot", at)
        return str(token)

    def _member_dot(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        inner, token = self.read(tree.children[0], names, depth), tree.children[1]
        name = str(self.lifted.get(int(token.start_pos or 0), token))
        return Var((*inner.path, name), at) if isinstance(inner, Var) else Select(inner, name, at)

    def _member_index(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        inner = self.read(tree.children[0], names, depth)
        key = self.read(tree.children[1], names, depth)
        label = isinstance(inner, Var) and inner.path == LABELS
        if label and isinstance(key, Const) and isinstance(key.value, str):
            return Var((*LABELS, key.value), at)
        return Call("[]", (inner, key), at)

    def _member_dot_arg(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        name = self._plain_name(tree.children[1])
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
        if self.macros >= MAX_MACROS:
            raise ExpressionError("GO0134", f"macros inside more than {MAX_MACROS - 1} other", at)
        variable = self.read(args[0], frozenset(), depth) if args else None
        counts = {2, 3} if name == "map" else {2}
        if len(args) not in counts or not isinstance(variable, Var) or len(variable.path) != 1:
            raise ExpressionError("GO0130", f"`{name}` takes a name and a rule", at)
        local = variable.path[0]
        if local in ROOTS:
            raise ExpressionError(
                "GO0130", f"`{local}` is taken", variable.at, "choose another name"
            )
        inside = names | {local}
        among = self.read(over, names, depth)
        self.macros += 1
        bodies = [self.read(each, inside, depth) for each in args[1:]]
        self.macros -= 1
        if len(bodies) > 1:
            among = Each("filter", among, local, bodies[0], at)
        return Each(name, among, local, bodies[-1], at)

    def _ident_arg(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        name = self._plain_name(tree.children[0])
        args = tree.children[1].children if len(tree.children) > 1 else []
        if name not in FUNCTIONS:
            raise _not_known(name, at)
        read = tuple(self.read(each, names, depth) for each in args)
        if name != "has":
            return Call(name, read, at)
        match read:
            case (Select(of=of, name=member),):
                return HasMember(of, member, at)
            case (Var(path=(_, _, *_) as path),):
                return Has(tuple(path), at)
            case _:
                fix = "such as `has(job.team)`"
                raise ExpressionError("GO0130", f"`has` takes one field, {fix}", at)

    def _list_lit(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        items = tree.children[0].children if tree.children else []
        if len(items) > MAX_LIST:
            raise ExpressionError("GO0134", f"list has over {MAX_LIST} items", at)
        return ListOf(tuple(self.read(each, names, depth) for each in items), at)

    def _map_lit(self, tree: Tree, names: frozenset[str], depth: int, at: int) -> Node:
        items = tree.children[0].children if tree.children else []
        if len(items) > 2 * MAX_LIST:
            raise ExpressionError("GO0134", f"map has over {MAX_LIST} entries", at)
        return MapOf(tuple(self.read(each, names, depth) for each in items), at)

    def _literal(self, tree: Tree, _names: frozenset[str], _depth: int, _at: int) -> Node:
        return self.literal(cast("lark.Token", tree.children[0]))

    def literal(self, token: lark.Token) -> Node:
        """A literal's value; strings were decoded before."""
        at, text = int(token.start_pos or 0), str(token)
        match token.type:
            case "INT_LIT":
                return Const("int", _whole(text, -(2**63), 2**63, at), at)
            case "UINT_LIT":
                return Const("uint", _whole(text[:-1], 0, 2**64, at), at)
            case "FLOAT_LIT":
                return Const("double", _finite(text, at), at)
            case "STRING_LIT" | "MLSTRING_LIT":
                return Const("string", self.lifted[at], at)
            case "BYTES_LIT":
                return Const("bytes", self.lifted[at], at)
            case "BOOL_LIT":
                return Const("bool", text == "true", at)
            case _:
                return Const("null", None, at)


def _has_label(operation: str, sides: tuple[Node, Node], at: int) -> Has | None:
    """`"cost-center" in job.labels` asks what `has` asks of a label whose name is a word."""
    match operation, sides:
        case "relation_in", (Const(value=str(name)), Var(path=("job", "labels"))):
            return Has((*LABELS, name), at)
        case _:
            return None


def _whole(text: str, least: int, over: int, at: int) -> int:
    value = int(text, 16 if "x" in text.lower() else 10)
    if not least <= value < over:
        raise ExpressionError("GO0132", f"`{text[:40]}` is over 64 bits", at)
    return value


def _finite(text: str, at: int) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ExpressionError("GO0132", f"`{text[:40]}` is over the largest double", at)
    return value


def _construct(name: str) -> str:
    return {"member_object": "messages"}.get(name, "names that begin with a dot")


def _not_known(name: str, at: int) -> ExpressionError:
    known = FUNCTIONS | METHODS | MACROS
    fix = partial(did_you_mean, name, known, f"allowed: {', '.join(sorted(known))}")
    return ExpressionError("GO0133", f"function `{name}` is not allowed", at, fix)
