"""Canonical CEL: one text per expression tree, the only text that evaluators get and ledgers keep."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from greenops.policy.ir import Call, Const, Each, Has, If, ListOf, Local, Node, Var
from greenops.policy.zones import CALENDAR

METHODS = frozenset(
    {
        "startsWith",
        "endsWith",
        "contains",
        "matches",
        "getSeconds",
        *CALENDAR,
    }
)
FUNCTIONS = frozenset({"size", "double", "ratio", "string"})
WORD = re.compile(r"(?!(?:true|false|null|in)$)[A-Za-z_][A-Za-z0-9_]*")
"""What may stand after a dot. Source: CEL language definition, SELECTOR, which leaves out KEYWORD."""


def canonical(node: Node) -> str:  # noqa: C901 - one case per kind of node
    """The tree as CEL text, fully bracketed."""
    match node:
        case Const():
            return literal(node.value)
        case Var():
            return _path(node.path)
        case Has():
            return _present(node.path)
        case Local():
            return node.name
        case ListOf():
            return f"[{', '.join(map(canonical, node.items))}]"
        case If():
            parts = map(canonical, (node.test, node.then, node.other))
            return "({} ? {} : {})".format(*parts)
        case Each():
            return f"{canonical(node.over)}.{node.macro}({node.name}, {canonical(node.body)})"
        case Call():
            return _call(node.name, [canonical(each) for each in node.args])


def _call(name: str, args: list[str]) -> str:
    if name in METHODS:
        return f"{args[0]}.{name}({', '.join(args[1:])})"
    if name in FUNCTIONS:
        return f"{name}({', '.join(args)})"
    if name in {"!", "neg"}:
        return f"{'!' if name == '!' else '-'}({args[0]})"
    return f"({args[0]} {name} {args[1]})"


def _present(path: tuple[str, ...]) -> str:
    """`has` takes what stands after a dot and nothing else; the rest is looked for in the map."""
    if WORD.fullmatch(path[-1]):
        return f"has({_path(path)})"
    return f"({literal(path[-1])} in {_path(path[:-1])})"


def _path(path: tuple[str, ...]) -> str:
    return path[0] + "".join(f".{p}" if WORD.fullmatch(p) else f"[{literal(p)}]" for p in path[1:])


def literal(value: object) -> str:
    """A value as a CEL literal."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case datetime():
            return f'timestamp("{value.astimezone(UTC).isoformat().replace("+00:00", "Z")}")'
        case timedelta():
            micro = value // timedelta(microseconds=1)
            return (
                f'duration("{micro}us")' if micro % 1_000_000 else f'duration("{micro // 10**6}s")'
            )
        case _:
            return repr(value)
