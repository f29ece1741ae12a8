"""Types every node against the schema and refuses what has no one meaning.

Law: after the check no operator of a rule mixes types, so that every engine agrees. An int literal
beside a double becomes a double, once, here; an int field needs `double(…)`.

A message may use all of CEL, and with it `dyn`: what is not known until it runs is an error then.
What is known is checked as strictly there, and fields are known everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
    near_word,
)
from greenops.policy.kinds import (
    DYN,
    OPEN,
    TYPE_NAMES,
    UNKNOWN,
    closed,
    common,
    element,
    entry,
    joined,
    list_of,
    map_of,
)
from greenops.policy.overloads import NUMBERS, Typed, as_double, balanced, overload, wrong
from greenops.policy.values import KEYS

Schema = Mapping[str, str]
"""Dotted field → CEL type: bool, int, double, string, timestamp, duration, list(…)."""
RARE = {
    "null": ("`null` is", "use `has(field)`"),
    "bytes": ("bytes are", "write a string"),
    "uint": ("unsigned ints are", "write an int or double"),
}
"""Types that no field has: a rule could compare them with nothing."""


def check(node: Node, schema: Schema, *, message: bool = False) -> Typed:
    """The tree with literals settled, and its type.

    Args:
        node: What was parsed.
        schema: The fields there are.
        message: It writes a message, so all of CEL is allowed: joined texts, `string()`, `dyn()`.

    Raises:
        ExpressionError: An unknown field, a wrong type, or what is not allowed.
    """
    found, kind = _Checker(schema, message=message).of(node, {})
    return found, closed(kind)


class _Checker:
    def __init__(self, schema: Schema, *, message: bool) -> None:
        self.schema = schema
        self.message = message

    def of(self, node: Node, local: Mapping[str, str]) -> Typed:  # noqa: C901, PLR0911, PLR0912 - one case per node
        match node:
            case Const():
                return self.constant(node)
            case Var():
                return self.named(node.path, node.at)
            case Has():
                return self.present(node)
            case Local():
                return node, local[node.name]
            case ListOf():
                return self.list_of(node, local)
            case MapOf():
                return self.map_of(node, local)
            case Select():
                return self.member(*self.of(node.of, local), node)
            case HasMember():
                of, _ = self.member(*self.of(node.of, local), node)
                return of, "bool"
            case If():
                return self.choice(node, local)
            case Each():
                return self.each(node, local)
            case Call():
                typed = [self.of(arg, local) for arg in node.args]
                return overload(node, typed, message=self.message)

    def constant(self, node: Const) -> Typed:
        if not self.message and node.kind in RARE:
            what, fix = RARE[node.kind]
            raise ExpressionError("GO0133", f"{what} not allowed", node.at, fix)
        return node, node.kind

    def named(self, path: tuple[str, ...], at: int) -> Typed:
        """A declared field, a member of one that is a map, or a type's name."""
        name = ".".join(path)
        if self.message and name in TYPE_NAMES and path[0] not in self.schema:
            return Const("type", name, at), "type"
        for end in range(len(path) - 1, 0, -1):
            kind = self.schema.get(".".join(path[:end]), "")
            if name not in self.schema and (kind in UNKNOWN or entry(kind)):
                typed: Typed = (Var(path[:end], at), kind)
                for each in path[end:]:
                    typed = self.member(*typed, Select(typed[0], each, at))
                return typed
        return Var(path, at), self.field(path, at)

    def present(self, node: Has) -> Typed:
        if ".".join(node.path) not in self.schema:
            of = self.named(node.path, node.at)[0]
            if isinstance(of, Select):
                return HasMember(of.of, of.name, node.at), "bool"
        else:
            self.field(node.path, node.at)
        return node, "bool"

    def field(self, path: tuple[str, ...], at: int) -> str:
        name = ".".join(path)
        dotted = path[:2] == LABELS and len(path) > 3  # noqa: PLR2004 - job, labels, name
        if name in self.schema and dotted:
            fix = f'write `job.labels["{".".join(path[2:])}"]`'
            raise ExpressionError("GO0131", f"a label has no members, as in `{name}`", at, fix)
        if name in self.schema:
            return self.schema[name]
        raise ExpressionError(
            "GO0131", f"unknown field `{name}`", at, lambda: _like(path, self.schema)
        )

    def member(self, of: Node, kind: str, node: Select | HasMember) -> Typed:
        made = type(node)(of, node.name, node.at)
        if kind in UNKNOWN:
            return made, DYN
        found = entry(kind)
        if found is None or joined(found[0], "string") is None:
            fix = "only declared fields and maps of texts have members"
            raise ExpressionError("GO0133", f"{kind} has no member `{node.name}`", node.at, fix)
        return made, found[1]

    def list_of(self, node: ListOf, local: Mapping[str, str]) -> Typed:
        typed = [self.of(each, local) for each in node.items]
        if not self.message and {kind for _, kind in typed} == NUMBERS:
            typed = [as_double(each) for each in typed]
        kind = self.one_kind([kind for _, kind in typed], "list", node.at)
        return ListOf(tuple(each for each, _ in typed), node.at), list_of(kind)

    def map_of(self, node: MapOf, local: Mapping[str, str]) -> Typed:
        typed = [self.of(each, local) for each in node.items]
        kinds = [kind for _, kind in typed]
        key = self.one_kind(kinds[::2], "map from", node.at)
        for each in kinds[::2]:
            if each not in KEYS | UNKNOWN:
                raise ExpressionError("GO0132", f"a map from {each}", node.at, "use texts as keys")
        value = self.one_kind(kinds[1::2], "map to", node.at)
        return MapOf(tuple(each for each, _ in typed), node.at), map_of(key, value)

    def one_kind(self, kinds: list[str], what: str, at: int) -> str:
        """The type of all; in a rule there must be one."""
        kind = common(kinds)
        if self.message:
            return DYN if kind is None else kind
        if kind is None or kind == OPEN:
            given = " and ".join(sorted(set(kinds))) or "nothing"
            raise ExpressionError(
                "GO0132",
                f"a {what} {'of ' if what == 'list' else ''}{given}",
                at,
                "use one plain type",
            )
        return kind

    def choice(self, node: If, local: Mapping[str, str]) -> Typed:
        test, kind = self.of(node.test, local)
        if kind not in {"bool", *UNKNOWN}:
            raise wrong("?", (kind,), node.at, "the part before `?` must be true or false")
        then, other = balanced(self.of(node.then, local), self.of(node.other, local))
        one = joined(then[1], other[1])
        if one is None:
            raise wrong("?:", (then[1], other[1]), node.at, "both sides need one type")
        return If(test, then[0], other[0], node.at), one

    def each(self, node: Each, local: Mapping[str, str]) -> Typed:
        if local and not self.message:
            fix = "a variable with `all` or `exists` stands outside of them"
            raise ExpressionError("GO0134", "a macro inside a macro is not allowed", node.at, fix)
        over, kind = self.of(node.over, local)
        item = element(kind)
        if item is None:
            raise wrong(node.macro, (kind,), node.at, "use it on a list")
        body, result = self.of(node.body, {**local, node.name: item})
        if node.macro != "map" and result not in {"bool", *UNKNOWN}:
            raise wrong(node.macro, (result,), node.at, "its rule must be true or false")
        made = Each(node.macro, over, node.name, body, node.at)
        return made, {"map": list_of(result), "filter": list_of(item)}.get(node.macro, "bool")


def _like(path: tuple[str, ...], schema: Schema) -> str:
    """What to write for a field that is not known."""
    name, root = ".".join(path), f"{path[0]}."
    inside = [each for each in schema if each.startswith(root)]
    near = near_word(name, inside or sorted({each.split(".")[0] for each in schema}))
    if near is None and inside:
        last = near_word(path[-1], [each.removeprefix(root) for each in inside])
        near = root + last if last else None
    return (
        f"did you mean `{near}`?" if near else "declare it, or see the fields in the policy format"
    )


def is_name(text: str) -> bool:
    """Can this stand after a dot in CEL?"""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) is not None
