"""Types every node against the schema and refuses what has no one meaning.

Law: after the check no operator mixes types, so that every engine agrees. An int literal beside a
double becomes a double, once, here; an int field needs `double(…)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from greenops.errors import nearest
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
)
from greenops.policy.quantity import duration, instant
from greenops.policy.zones import CALENDAR, zone

Schema = Mapping[str, str]
"""Dotted field → CEL type: bool, int, double, string, timestamp, duration, list(…)."""
Typed = tuple[Node, str]

NUMBERS = frozenset({"int", "double"})
COMPARED = NUMBERS | {"bool", "string", "timestamp", "duration"}
MAX_PATTERN = 200
"""Longest regular expression, characters."""
TIME_SUMS: dict[tuple[str, ...], str] = {
    ("+", "timestamp", "duration"): "timestamp",
    ("+", "duration", "timestamp"): "timestamp",
    ("-", "timestamp", "timestamp"): "duration",
    ("-", "timestamp", "duration"): "timestamp",
    ("+", "duration", "duration"): "duration",
    ("-", "duration", "duration"): "duration",
}


def check(node: Node, schema: Schema, *, message: bool = False) -> Typed:
    """The tree with literals settled, and its type.

    Args:
        node: What was parsed.
        schema: The fields there are.
        message: It writes a message, so `string()` and joining texts are allowed.

    Raises:
        ExpressionError: An unknown field, a wrong type, or what is not allowed.
    """
    return _Checker(schema, message=message).of(node, {})


class _Checker:
    def __init__(self, schema: Schema, *, message: bool) -> None:
        self.schema = schema
        self.message = message

    def of(self, node: Node, local: Mapping[str, str]) -> Typed:  # noqa: C901 - one case per node
        match node:
            case Const():
                return node, node.kind
            case Var():
                return node, self.field(node.path, node.at)
            case Has():
                self.field(node.path, node.at)
                return node, "bool"
            case Local():
                return node, local[node.name]
            case ListOf():
                return self.list_of(node, local)
            case If():
                return self.choice(node, local)
            case Each():
                return self.each(node, local)
            case Call():
                return self.call(node, [self.of(arg, local) for arg in node.args])

    def field(self, path: tuple[str, ...], at: int) -> str:
        name = ".".join(path)
        dotted = path[:2] == LABELS and len(path) > 3  # noqa: PLR2004 - job, labels, name
        if name in self.schema and dotted:
            fix = f'write `job.labels["{".".join(path[2:])}"]`'
            raise ExpressionError("GO0131", f"a label has no members, as in `{name}`", at, fix)
        if name in self.schema:
            return self.schema[name]
        inside = [each for each in self.schema if each.startswith(f"{path[0]}.")]
        known = inside or sorted({each.split(".")[0] for each in self.schema})
        near = did_you_mean(name, known)
        if near is None and inside:
            last = nearest(path[-1], [each.split(".", 1)[1] for each in inside])
            near = f"did you mean `{path[0]}.{last}`?" if last else None
        fix = near or "declare it, or see the fields in the policy format"
        raise ExpressionError("GO0131", f"unknown field `{name}`", at, fix)

    def list_of(self, node: ListOf, local: Mapping[str, str]) -> Typed:
        typed = [self.of(each, local) for each in node.items]
        kinds = {kind for _, kind in typed}
        if kinds == NUMBERS:
            typed = [_as_double(each) for each in typed]
            kinds = {kind for _, kind in typed}
        if len(kinds) != 1 or kinds & {"timestamp", "duration"} or next(iter(kinds))[:4] == "list":
            given = " and ".join(sorted(kinds)) or "nothing"
            raise ExpressionError("GO0132", f"a list of {given}", node.at, "use one plain type")
        return ListOf(tuple(each for each, _ in typed), node.at), f"list({kinds.pop()})"

    def choice(self, node: If, local: Mapping[str, str]) -> Typed:
        test, kind = self.of(node.test, local)
        if kind != "bool":
            raise _wrong("?", (kind,), node.at, "the part before `?` must be true or false")
        then, other = _balance(self.of(node.then, local), self.of(node.other, local))
        if then[1] != other[1]:
            raise _wrong("?:", (then[1], other[1]), node.at, "both sides need one type")
        return If(test, then[0], other[0], node.at), then[1]

    def each(self, node: Each, local: Mapping[str, str]) -> Typed:
        if local:  # the text had none, so a variable brought it in
            fix = "a variable with `all` or `exists` stands outside of them"
            raise ExpressionError("GO0134", "a macro inside a macro is not allowed", node.at, fix)
        over, kind = self.of(node.over, local)
        if not kind.startswith("list(") or not isinstance(over, Var):
            raise _wrong(node.macro, (kind,), node.at, "use it on a list field")
        body, result = self.of(node.body, {**local, node.name: kind[5:-1]})
        if result != "bool":
            raise _wrong(node.macro, (result,), node.at, "its rule must be true or false")
        return Each(node.macro, over, node.name, body, node.at), "bool"

    def call(self, node: Call, typed: list[Typed]) -> Typed:
        match node.name:
            case "&&" | "||" | "!":
                return self.logic(node, typed)
            case "==" | "!=" | "<" | "<=" | ">" | ">=":
                return self.comparison(node, typed)
            case "+" | "-" | "*" | "/" | "%" | "neg" | "ratio":
                return self.arithmetic(node, typed)
            case "in":
                return self.membership(node, typed)
            case "timestamp" | "duration":
                return self.constant(node, typed)
            case "startsWith" | "endsWith" | "contains" | "matches":
                return self.string_method(node, typed)
            case name if name in CALENDAR:
                return self.calendar(node, typed)
            case _:
                return self.conversion(node, typed)

    def logic(self, node: Call, typed: list[Typed]) -> Typed:
        if any(kind != "bool" for _, kind in typed):
            raise _wrong(node.name, _kinds(typed), node.at, "both sides must be true or false")
        return _rebuilt(node, typed), "bool"

    def comparison(self, node: Call, typed: list[Typed]) -> Typed:
        left, right = _balance(*typed)
        kinds = (left[1], right[1])
        if kinds[0] != kinds[1] or kinds[0] not in COMPARED:
            raise _wrong(node.name, kinds, node.at, _number_fix(kinds))
        return _rebuilt(node, [left, right]), "bool"

    def arithmetic(self, node: Call, typed: list[Typed]) -> Typed:
        if node.name == "neg":
            return self.negation(node, typed[0])
        if len(typed) != 2:  # noqa: PLR2004 - two sides
            raise _wrong(node.name, _kinds(typed), node.at, "write `ratio(a, b)`")
        kinds = _kinds(typed)
        if (result := TIME_SUMS.get((node.name, *kinds))) is not None:
            return _rebuilt(node, typed), result
        if node.name == "+" and kinds == ("string", "string"):
            if not self.message:
                raise ExpressionError(
                    "GO0133", "texts are joined only in `messageExpression`", node.at
                )
            return _rebuilt(node, typed), "string"
        typed = list(_balance(*typed))
        return self.sum_of(node, typed, _kinds(typed))

    def sum_of(self, node: Call, typed: list[Typed], kinds: tuple[str, ...]) -> Typed:
        if kinds[0] != kinds[1] or kinds[0] not in NUMBERS:
            raise _wrong(node.name, kinds, node.at, _number_fix(kinds))
        if node.name == "ratio":
            typed = [_as_double(each) for each in typed]
            if set(_kinds(typed)) != {"double"}:
                raise _wrong("ratio", kinds, node.at, "write `double(…)`")
            return _rebuilt(node, typed), "double"
        if kinds[0] == "double" and node.name in "/%":
            fix = "write `ratio(a, b)`, which is an error where b is 0"
            raise ExpressionError(
                "GO0133", f"`{node.name}` on doubles is not allowed", node.at, fix
            )
        return _rebuilt(node, typed), kinds[0]

    def negation(self, node: Call, typed: Typed) -> Typed:
        inner, kind = typed
        if kind not in NUMBERS:
            raise _wrong("-", (kind,), node.at)
        if isinstance(inner, Const) and isinstance(inner.value, int | float):
            return self.constant_number(Const(kind, -inner.value, node.at))
        return Call("neg", (inner,), node.at), kind

    def constant_number(self, node: Const) -> Typed:
        if node.kind == "int" and not -(2**63) <= int(str(node.value)) < 2**63:
            raise ExpressionError("GO0132", "number is over 64 bits", node.at)
        return node, node.kind

    def membership(self, node: Call, typed: list[Typed]) -> Typed:
        (item, kind), (among, many) = typed
        if kind == "double" and many == "list(int)" and isinstance(among, ListOf):
            items = [_as_double((each, "int")) for each in among.items]
            if {of for _, of in items} == {"double"}:  # else one is computed, and stays an int
                among, many = ListOf(tuple(each for each, _ in items), among.at), "list(double)"
        if kind == "int" and many == "list(double)":
            item, kind = _as_double((item, kind))
        if many != f"list({kind})":
            raise _wrong("in", (kind, many), node.at, "the list must hold that type")
        return Call("in", (item, among), node.at), "bool"

    def constant(self, node: Call, typed: list[Typed]) -> Typed:
        arg = typed[0][0] if len(typed) == 1 else None
        if not isinstance(arg, Const) or not isinstance(arg.value, str):
            raise ExpressionError(
                "GO0133", f"`{node.name}` takes one constant text", node.at, "use `now` or a field"
            )
        if node.name == "duration":
            span = duration(arg.value)
            if span is None:
                fix = 'write such as "90m" or "1h30m"'
                raise ExpressionError("GO0132", f"`{arg.value[:40]}` is no duration", arg.at, fix)
            return Const("duration", span, node.at), "duration"
        when = instant(arg.value)
        if when is None:
            fix = 'write such as "2026-11-23T20:00:00Z"'
            raise ExpressionError("GO0132", f"`{arg.value[:40]}` is no instant", arg.at, fix)
        return Const("timestamp", when, node.at), "timestamp"

    def string_method(self, node: Call, typed: list[Typed]) -> Typed:
        if _kinds(typed) != ("string", "string"):
            raise _wrong(node.name, _kinds(typed), node.at, "it takes one text")
        pattern = typed[1][0]
        if node.name == "matches":
            if not isinstance(pattern, Const):
                raise ExpressionError("GO0133", "`matches` takes a constant text", node.at)
            _check_pattern(str(pattern.value), pattern.at)
        return _rebuilt(node, typed), "bool"

    def calendar(self, node: Call, typed: list[Typed]) -> Typed:
        if _kinds(typed) not in {("timestamp",), ("timestamp", "string")}:
            raise _wrong(node.name, _kinds(typed), node.at, "it takes a time zone's name")
        named = typed[1][0] if len(typed) > 1 else Const("string", "UTC")
        if not isinstance(named, Const):
            raise ExpressionError("GO0133", "the time zone must be a constant", node.at)
        if zone(str(named.value)) is None:
            fix = "such as Europe/Paris or +05:30"
            raise ExpressionError("GO0132", f"unknown time zone `{named.value}`", named.at, fix)
        return _rebuilt(node, typed), "int"

    def conversion(self, node: Call, typed: list[Typed]) -> Typed:
        kinds = _kinds(typed)
        if len(kinds) == 1:
            kind = kinds[0]
            if node.name == "size" and (kind == "string" or kind.startswith("list(")):
                return _rebuilt(node, typed), "int"
            if node.name == "getSeconds" and kind == "duration":
                return _rebuilt(node, typed), "int"
            if node.name == "double" and kind in NUMBERS:
                return _rebuilt(node, typed), "double"
            if node.name == "string" and self.message and kind in {*NUMBERS, "string", "bool"}:
                return _rebuilt(node, typed), "string"
        if node.name == "string" and not self.message:
            raise ExpressionError("GO0133", "`string` is only for `messageExpression`", node.at)
        raise _wrong(node.name, kinds, node.at)


def _check_pattern(pattern: str, at: int) -> None:
    import re2  # type: ignore[import-untyped]

    if len(pattern) > MAX_PATTERN:
        raise ExpressionError("GO0134", f"pattern is over {MAX_PATTERN} characters", at)
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        raise ExpressionError("GO0132", f"`{pattern[:40]}` is no RE2 pattern", at) from error


def _kinds(typed: list[Typed]) -> tuple[str, ...]:
    return tuple(kind for _, kind in typed)


def _rebuilt(node: Call, typed: list[Typed]) -> Call:
    return Call(node.name, tuple(each for each, _ in typed), node.at)


def _as_double(typed: Typed) -> Typed:
    node, kind = typed
    if kind == "int" and isinstance(node, Const):
        return Const("double", float(str(node.value)), node.at), "double"
    return typed


def _balance(left: Typed, right: Typed) -> tuple[Typed, Typed]:
    if {left[1], right[1]} == NUMBERS:
        return _as_double(left), _as_double(right)
    return left, right


def _number_fix(kinds: tuple[str, ...]) -> str | None:
    if set(kinds) == NUMBERS:
        return "write `double(…)` round the int"
    return None


def _wrong(name: str, kinds: tuple[str, ...], at: int, fix: str | None = None) -> ExpressionError:
    given = " and ".join(kinds) or "nothing"
    return ExpressionError("GO0132", f"`{name}` does not take {given}", at, fix)


def is_name(text: str) -> bool:
    """Can this stand after a dot in CEL?"""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) is not None
