"""Which types each operator and function takes, and what it gives.

What is `dyn` is taken everywhere and settled as it runs. Rules take less than messages: nothing
whose type only running tells, and nothing that no field's type needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from greenops.policy.ir import Call, Const, ExpressionError, ListOf, Node
from greenops.policy.kinds import DYN, UNKNOWN, element, entry, fits, joined
from greenops.policy.quantity import duration, finer, instant
from greenops.policy.values import KEYS, takes
from greenops.policy.zones import CALENDAR, zone

Typed = tuple[Node, str]

NUMBERS = frozenset({"int", "double"})
ORDERED = NUMBERS | {"bool", "uint", "string", "bytes", "timestamp", "duration"}
JOINED = frozenset({"string", "bytes"})
MAX_PATTERN = 200
"""Longest regular expression, characters."""
TIME_SUMS: Final[dict[tuple[str, ...], str]] = {
    ("+", "timestamp", "duration"): "timestamp",
    ("+", "duration", "timestamp"): "timestamp",
    ("-", "timestamp", "timestamp"): "duration",
    ("-", "timestamp", "duration"): "timestamp",
    ("+", "duration", "duration"): "duration",
    ("-", "duration", "duration"): "duration",
}
OF_DURATIONS: Final = frozenset({"getHours", "getMinutes", "getSeconds", "getMilliseconds"})
OF_INSTANTS: Final = CALENDAR | {"getSeconds", "getMilliseconds"}
TAKES: Final = {
    "int": ("int", "uint", "double", "string", "timestamp"),
    "uint": ("uint", "int", "double", "string"),
    "double": ("double", "int", "uint", "string"),
    "bool": ("bool", "string"),
    "bytes": ("bytes", "string"),
    "string": ("string", "int", "uint", "double", "bool", "bytes", "timestamp", "duration"),
    "timestamp": ("timestamp", "string", "int"),
    "duration": ("duration", "string"),
}
"""Conversion → what it converts."""
ONLY_MESSAGES: Final = frozenset({"string", "bytes", "uint", "dyn", "type"})


def overload(node: Call, typed: list[Typed], *, message: bool) -> Typed:
    """A call with its arguments settled, and what it gives.

    Raises:
        ExpressionError: It does not take those types, or is not allowed here.
    """
    return _RULES.get(node.name, _conversion)(node, typed, message)


def _logic(node: Call, typed: list[Typed], _: bool) -> Typed:
    if any(kind not in {"bool", *UNKNOWN} for _, kind in typed):
        raise wrong(node.name, _kinds(typed), node.at, "both sides must be true or false")
    return _rebuilt(node, typed), "bool"


def _equality(node: Call, typed: list[Typed], message: bool) -> Typed:
    left, right = balanced(*typed)
    kinds = (left[1], right[1])
    if not fits(*kinds):
        raise wrong(node.name, kinds, node.at, _fix_of(kinds))
    if not message and not set(kinds) <= ORDERED:
        fix = "in a rule, ask of its elements: use `in`, `all` or `exists`"
        raise wrong(node.name, kinds, node.at, fix)
    return _rebuilt(node, [left, right]), "bool"


def _order(node: Call, typed: list[Typed], _: bool) -> Typed:
    left, right = balanced(*typed)
    kinds = (left[1], right[1])
    if not fits(*kinds) or not set(kinds) <= ORDERED | UNKNOWN:
        raise wrong(node.name, kinds, node.at, _fix_of(kinds))
    return _rebuilt(node, [left, right]), "bool"


def _arithmetic(node: Call, typed: list[Typed], message: bool) -> Typed:
    if len(typed) != 2:  # noqa: PLR2004 - two sides
        raise wrong(node.name, _kinds(typed), node.at, "write `ratio(a, b)`")
    if (result := TIME_SUMS.get((node.name, *_kinds(typed)))) is not None:
        return _rebuilt(node, typed), result
    if not message and node.name == "+" and all(map(_is_joined, _kinds(typed))):
        why = "texts and lists are joined only in `messageExpression`"
        raise ExpressionError("GO0133", why, node.at)
    typed = list(balanced(*typed))
    kinds = _kinds(typed)
    one = joined(*kinds)
    if node.name == "+" and one is not None and _is_joined(one):
        return _rebuilt(node, typed), one
    known = [each.partition("(")[0] for each in kinds if each not in UNKNOWN]
    if len(known) < len(kinds) and all(takes(node.name, each) for each in known):
        return _rebuilt(node, typed), _settled(kinds)
    return _sum(node, typed, kinds)


def _is_joined(kind: str) -> bool:
    return kind in JOINED or kind.startswith("list(")


def _settled(kinds: tuple[str, ...]) -> str:
    """What comes of an unknown type and another: that one, but for times, whose sums differ."""
    known = [each for each in kinds if each not in UNKNOWN]
    return known[0] if known and known[0] in {"int", "uint", "double", "string", "bytes"} else DYN


def _sum(node: Call, typed: list[Typed], kinds: tuple[str, ...]) -> Typed:
    if kinds[0] != kinds[1] or kinds[0] not in NUMBERS | {"uint"}:
        raise wrong(node.name, kinds, node.at, _fix_of(kinds))
    if node.name == "ratio":
        typed = [as_double(each) for each in typed]
        if set(_kinds(typed)) != {"double"}:
            raise wrong("ratio", kinds, node.at, "write `double(…)`")
        return _rebuilt(node, typed), "double"
    if kinds[0] == "double" and node.name in "/%":
        fix = "write `ratio(a, b)`, which is an error where b is 0"
        raise ExpressionError("GO0133", f"`{node.name}` on doubles is not allowed", node.at, fix)
    return _rebuilt(node, typed), kinds[0]


def _negation(node: Call, typed: list[Typed], _: bool) -> Typed:
    inner, kind = typed[0]
    if kind not in NUMBERS | UNKNOWN:
        raise wrong("-", (kind,), node.at)
    if isinstance(inner, Const) and isinstance(inner.value, int | float):
        if kind == "int" and not -(2**63) <= -int(inner.value) < 2**63:
            raise ExpressionError("GO0132", "number is over 64 bits", node.at)
        return Const(kind, -inner.value, node.at), kind
    return Call("neg", (inner,), node.at), kind


def _membership(node: Call, typed: list[Typed], message: bool) -> Typed:
    (item, kind), (among, many) = typed
    if not message and kind == "double" and many == "list(int)" and isinstance(among, ListOf):
        items = [as_double((each, "int")) for each in among.items]
        if {of for _, of in items} == {"double"}:  # else one is computed, and stays an int
            among, many = ListOf(tuple(each for each, _ in items), among.at), "list(double)"
    if kind == "int" and many == "list(double)":
        item, kind = as_double((item, kind))
    held = element(many)
    if held is None or not fits(held, kind):
        raise wrong("in", (kind, many), node.at, "the list must hold that type")
    return Call("in", (item, among), node.at), "bool"


def _index(node: Call, typed: list[Typed], _: bool) -> Typed:
    many, kind = _kinds(typed)
    found = entry(many)
    if found is not None and fits(found[0], kind):
        return _rebuilt(node, typed), found[1]
    if many in UNKNOWN and kind in UNKNOWN | KEYS | NUMBERS:
        return _rebuilt(node, typed), DYN
    if not many.startswith("list(") or kind not in {"int", *UNKNOWN}:
        fix = "a list takes the place of an element, from 0; a map takes a key"
        raise wrong("[]", (many, kind), node.at, fix)
    return _rebuilt(node, typed), many[5:-1]


def _constant(node: Call, typed: list[Typed], message: bool) -> Typed:
    arg = typed[0][0] if len(typed) == 1 else None
    if not isinstance(arg, Const) or not isinstance(arg.value, str):
        if message:
            return _conversion(node, typed, message)
        raise ExpressionError(
            "GO0133", f"`{node.name}` takes one constant text", node.at, "use `now` or a field"
        )
    if finer(arg.value):
        fix = "write at most six digits after the point"
        raise ExpressionError(
            "GO0132", f"`{arg.value[:40]}` is finer than a microsecond", arg.at, fix
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


def _string_method(node: Call, typed: list[Typed], _: bool) -> Typed:
    kinds = _kinds(typed)
    if len(kinds) != 2 or not set(kinds) <= {"string", *UNKNOWN}:  # noqa: PLR2004 - two texts
        raise wrong(node.name, kinds, node.at, "it takes one text")
    pattern = typed[1][0]
    if node.name == "matches":
        if not isinstance(pattern, Const):
            raise ExpressionError("GO0133", "`matches` takes a constant text", node.at)
        _check_pattern(str(pattern.value), pattern.at)
    return _rebuilt(node, typed), "bool"


def _moment(node: Call, typed: list[Typed], _: bool) -> Typed:
    kinds = _kinds(typed)
    if node.name in OF_DURATIONS and len(kinds) == 1 and kinds[0] in {"duration", *UNKNOWN}:
        return _rebuilt(node, typed), "int"
    instants = {"timestamp", *UNKNOWN}
    if not kinds or kinds[0] not in instants or kinds[1:] not in {(), ("string",)}:
        raise wrong(node.name, kinds, node.at, "it takes a time zone's name")
    named = typed[1][0] if len(typed) > 1 else Const("string", "UTC")
    if not isinstance(named, Const):
        raise ExpressionError("GO0133", "the time zone must be a constant", node.at)
    if zone(str(named.value)) is None:
        fix = "such as Europe/Paris or +05:30"
        raise ExpressionError("GO0132", f"unknown time zone `{named.value!s}`", named.at, fix)
    return _rebuilt(node, typed), "int"


def _conversion(node: Call, typed: list[Typed], message: bool) -> Typed:
    kinds = _kinds(typed)
    if node.name in ONLY_MESSAGES and not message:
        fix = f"`{node.name}` is only for `messageExpression`"
        raise ExpressionError("GO0133", fix, node.at)
    if len(kinds) != 1:
        raise wrong(node.name, kinds, node.at)
    kind = kinds[0]
    if node.name in {"dyn", "type"}:
        return _rebuilt(node, typed), DYN if node.name == "dyn" else "type"
    sized = kind in {"string", "bytes", *UNKNOWN} or kind.startswith(("list(", "map("))
    if node.name == "size" and sized:
        return _rebuilt(node, typed), "int"
    if kind in UNKNOWN or kind in TAKES.get(node.name, ()):
        return _rebuilt(node, typed), node.name
    raise wrong(node.name, kinds, node.at)


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


def as_double(typed: Typed) -> Typed:
    """An int literal as a double; anything else as it was."""
    node, kind = typed
    if kind == "int" and isinstance(node, Const):
        return Const("double", float(str(node.value)), node.at), "double"
    return typed


def balanced(left: Typed, right: Typed) -> tuple[Typed, Typed]:
    """Two sides, an int literal beside a double made one."""
    if {left[1], right[1]} == NUMBERS:
        return as_double(left), as_double(right)
    return left, right


def _fix_of(kinds: tuple[str, ...]) -> str | None:
    if "null" in kinds:
        return "ask of a field whether it is there: `has(field)`"
    return "write `double(…)` round the int" if set(kinds) == NUMBERS else None


def wrong(name: str, kinds: tuple[str, ...], at: int, fix: str | None = None) -> ExpressionError:
    """The types that a call does not take."""
    given = " and ".join(kinds) or "nothing"
    return ExpressionError("GO0132", f"`{name}` does not take {given}", at, fix)


_RULES: Final[dict[str, Callable[[Call, list[Typed], bool], Typed]]] = {
    **dict.fromkeys(("&&", "||", "!"), _logic),
    **dict.fromkeys(("==", "!="), _equality),
    **dict.fromkeys(("<", "<=", ">", ">="), _order),
    **dict.fromkeys(("+", "-", "*", "/", "%", "ratio"), _arithmetic),
    **dict.fromkeys(("timestamp", "duration"), _constant),
    **dict.fromkeys(("startsWith", "endsWith", "contains", "matches"), _string_method),
    **dict.fromkeys(sorted(OF_INSTANTS), _moment),
    "neg": _negation,
    "in": _membership,
    "[]": _index,
}
