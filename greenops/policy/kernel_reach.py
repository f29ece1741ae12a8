"""Which expressions compile to kernels: those whose every part has a column, or looks into a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from greenops.policy.columns import TYPES
from greenops.policy.ir import Call, Const, Each, Has, If, ListOf, Local, Node, Var, children
from greenops.policy.kernel_calls import COLUMNWISE, JOINED
from greenops.policy.kernel_clock import PARTS
from greenops.policy.overloads import TIME_SUMS

TAKEN: Final = COLUMNWISE | JOINED.keys() | {"in"}
GIVES: Final = {
    **dict.fromkeys((*PARTS, "size", "getSeconds"), "int"),
    **dict.fromkeys(("double", "ratio"), "double"),
}
"""Function → its type; operators that are not here give what they take, all others a bool."""
SAME: Final = frozenset({"+", "-", "*", "/", "%", "neg"})
TEXT_FIRST: Final = frozenset({"startsWith", "endsWith", "contains", "matches"})


def compiles(node: Node, schema: Mapping[str, str]) -> bool:
    """Is every part of a checked expression known to the kernels?"""
    return _kind(node, schema, rounds=False) is not None


def _kind(node: Node, schema: Mapping[str, str], *, rounds: bool) -> str | None:
    """The type of the column that a part has; none where a part of it has none.

    Args:
        node: The part.
        schema: The fields there are.
        rounds: It stands in a macro, whose rounds are those of one list.
    """
    match node:
        case Const(kind=kind):
            return kind if kind in TYPES else None
        case Var(path=path):
            kind = schema.get(".".join(path), "")
            return kind if kind in TYPES else None
        case Has():
            return "bool"
        case Local():
            return "string"
        case Each(macro="all" | "exists", over=over, body=body) if not rounds:
            inside = _kind(body, schema, rounds=True)
            return "bool" if _is_list(over, schema) and inside == "bool" else None
        case If():
            kinds = [_kind(each, schema, rounds=rounds) for each in children(node)]
            return kinds[1] if None not in kinds else None
        case Call():
            return _called(node, schema, rounds=rounds)
        case _:
            return None


def _called(node: Call, schema: Mapping[str, str], *, rounds: bool) -> str | None:
    match node:
        case Call(name="in", args=(item, among)):
            listed = among.items if isinstance(among, ListOf) else ()
            kinds = [_kind(each, schema, rounds=rounds) for each in (item, *listed)]
            known = bool(listed) or (_is_list(among, schema) and kinds == ["string"])
            return "bool" if known and len(set(kinds)) == 1 and kinds[0] is not None else None
        case Call(name="size", args=(Var() as over,)) if _is_list(over, schema):
            return "int"
    kinds = [_kind(each, schema, rounds=rounds) for each in node.args]
    known_kinds = tuple(each for each in kinds if each is not None)
    if len(known_kinds) != len(kinds) or node.name not in TAKEN:
        return None
    return _given(node.name, known_kinds)


def _given(name: str, kinds: tuple[str, ...]) -> str | None:
    """What a call gives for columns; none where the kernels have it for other types only."""
    if (found := TIME_SUMS.get((name, *kinds))) is not None:
        return found
    if name in SAME:
        return kinds[0] if set(kinds) <= {"int", "double"} else None  # joined texts are no words
    if name in GIVES:
        of = {"double": ("int", "double"), "ratio": ("double",), "size": ("string",)}
        of |= {"getSeconds": ("duration",)}
        return GIVES[name] if kinds[0] in of.get(name, ("timestamp",)) else None
    if name in TEXT_FIRST and set(kinds) != {"string"}:
        return None
    return "bool" if len(set(kinds)) == 1 else None


def _is_list(node: Node, schema: Mapping[str, str]) -> bool:
    """A list of texts that belongs to the job; lists of candidates are not in the tables."""
    if not isinstance(node, Var) or node.path[0] == "candidate":
        return False
    return schema.get(".".join(node.path)) == "list(string)"
