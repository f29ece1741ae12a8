"""Canonical CEL: one text per expression tree, the only text that evaluators get and ledgers keep."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from greenops.policy.ir import (
    Call,
    Const,
    Each,
    Has,
    HasMember,
    If,
    ListOf,
    Local,
    MapOf,
    Node,
    Select,
    Var,
)
from greenops.policy.zones import CALENDAR

METHODS = frozenset(
    {
        "startsWith",
        "endsWith",
        "contains",
        "matches",
        "getSeconds",
        "getMilliseconds",
        *CALENDAR,
    }
)
FUNCTIONS = frozenset(
    {"size", "ratio", "type", "dyn", "timestamp", "duration"}
    | {"bool", "int", "uint", "double", "string", "bytes"}
)
WORD = re.compile(r"(?!(?:true|false|null|in)$)[A-Za-z_][A-Za-z0-9_]*")
"""What may stand after a dot. Source: CEL language definition, SELECTOR, which leaves out KEYWORD."""


def canonical(node: Node) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per kind of node
    """The tree as CEL text, fully bracketed."""
    match node:
        case Const(kind="uint"):
            return f"{node.value!s}u"
        case Const(kind="type"):
            return str(node.value)
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
        case MapOf():
            parts = [canonical(each) for each in node.items]
            pairs = zip(parts[::2], parts[1::2], strict=True)
            return "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        case Select():
            return f"{canonical(node.of)}{_member(node.name)}"
        case HasMember() if WORD.fullmatch(node.name):
            return f"has({canonical(node.of)}.{node.name})"
        case HasMember():
            return f"({literal(node.name)} in {canonical(node.of)})"
        case If():
            sides = map(canonical, (node.test, node.then, node.other))
            return "({} ? {} : {})".format(*sides)
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
    if name == "[]":
        return f"{args[0]}[{args[1]}]"
    return f"({args[0]} {name} {args[1]})"


def _present(path: tuple[str, ...]) -> str:
    """`has` takes what stands after a dot and nothing else; the rest is looked for in the map."""
    if WORD.fullmatch(path[-1]):
        return f"has({_path(path)})"
    return f"({literal(path[-1])} in {_path(path[:-1])})"


def _path(path: tuple[str, ...]) -> str:
    return path[0] + "".join(map(_member, path[1:]))


def _member(name: str) -> str:
    return f".{name}" if WORD.fullmatch(name) else f"[{literal(name)}]"


def literal(value: object) -> str:
    """A value as a CEL literal."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case bytes():
            return 'b"' + "".join(map(_byte, value)) + '"'
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


def _byte(code: int) -> str:
    """Printable signs as they are; the rest, quotes and backslashes by number."""
    plain = 0x20 <= code < 0x7F and chr(code) not in '"\\'  # noqa: PLR2004 - ASCII's ends
    return chr(code) if plain else f"\\x{code:02x}"
