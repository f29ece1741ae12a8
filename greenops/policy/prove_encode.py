"""Checked expressions told to a solver, with CEL's errors; what cannot be told is left free.

Law: whatever an expression gives, the solver can choose too. So what holds for all its choices holds,
while a choice it found counts only once the row evaluator says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import z3

from greenops.policy.check import Schema, check
from greenops.policy.ir import (
    Call,
    Const,
    Each,
    Has,
    If,
    ListOf,
    Local,
    Node,
    Var,
)
from greenops.policy.kernel_numbers import microseconds
from greenops.policy.prove_arithmetic import WHOLE, Arithmetic
from greenops.policy.prove_moments import UNITS, part
from greenops.policy.prove_numbers import Numbers
from greenops.policy.prove_pattern import regex
from greenops.policy.prove_terms import (
    NO,
    YES,
    Cannot,
    Items,
    Term,
    both,
    either,
    escaped,
    in_range,
)
from greenops.policy.text import canonical
from greenops.policy.zones import CALENDAR

COMPARED: Final = frozenset({"<", "<=", ">", ">="})
Locals = Mapping[str, Term]


class Encoder:
    """Fields as the solver's variables, and what was left free.

    Attributes:
        free: Canonical text → (what stands for it, why it is not told).
        sums: Compares and calculates.
    """

    def __init__(self, numbers: Numbers, schema: Schema, longest: int) -> None:
        self.numbers = numbers
        self.schema = schema
        self.longest = longest
        self.fields: dict[str, Term | Items] = {}
        self.free: dict[str, tuple[Term, str]] = {}
        self.sums = Arithmetic(numbers)

    def field(self, name: str) -> Term | Items:
        """A field's variable; whether it is there is one too."""
        if name not in self.fields:
            kind, there = self.schema[name], z3.Bool(f"has {name}")
            if kind == "list(string)":
                self.fields[name] = self._list(name, there)
            else:
                self.fields[name] = Term(kind, z3.Const(name, self.sort(kind)), there)
        return self.fields[name]

    def scalar(self, name: str) -> Term:
        """A field that is no list."""
        return _one(self.field(name))

    def sort(self, kind: str) -> Any:
        """The solver's sort of a CEL type."""
        if kind == "double":
            return self.numbers.sort()
        if kind in WHOLE:
            return z3.IntSort()
        if kind in {"bool", "string"}:
            return z3.BoolSort() if kind == "bool" else z3.StringSort()
        raise Cannot(f"{kind} is not told to the solver")

    def _list(self, name: str, there: Any) -> Items:
        length = z3.Int(f"length of {name}")
        items = [Term("string", z3.String(f"{name}[{i}]")) for i in range(self.longest)]
        return Items(
            "list(string)", tuple(items), tuple(length > i for i in range(len(items))), there
        )

    def of(self, node: Node, local: Locals | None = None) -> Term | Items:
        """The expression; a free one of its type where it, or a part that has none, cannot be told.

        Raises:
            Cannot: And it is no scalar, or stands inside a macro.
        """
        local = local or {}
        try:
            return self._of(node, local)
        except Cannot as why:
            if local:
                raise
            return self._free(node, str(why))

    def term(self, node: Node, local: Locals | None = None) -> Term:
        """The same of what is no list."""
        return _one(self.of(node, local))

    def _free(self, node: Node, why: str) -> Term:
        text = canonical(node)
        if text not in self.free:
            kind = check(node, self.schema)[1]
            name = f"value of {text}"
            value = (
                z3.Const(name, self.sort(kind))
                if kind != "double"
                else self.numbers.any_double(name)
            )
            ok: Any = z3.Bool(f"some {text}")
            if kind in WHOLE:
                ok = z3.And(ok, in_range(kind, value))
            if kind == "double":
                self.sums.calculates = True
            self.free[text] = (Term(kind, value, ok), why)
        return self.free[text][0]

    def _of(self, node: Node, local: Locals) -> Term | Items:  # noqa: C901 - one case per kind
        match node:
            case Const():
                return self._constant(node)
            case Var():
                return self.field(".".join(node.path))
            case Has():
                return Term("bool", self.field(".".join(node.path)).ok)
            case Local():
                return local[node.name]
            case ListOf():
                items = tuple(self.term(each, local) for each in node.items)
                kind = f"list({items[0].kind if items else 'string'})"
                return Items(kind, items, (YES,) * len(items), z3.And([e.ok for e in items]))
            case If():
                return self._choice(
                    *(self.term(e, local) for e in (node.test, node.then, node.other))
                )
            case Each():
                return self._each(node, local)
            case Call():
                return self._call(node, local)
            case _:
                raise Cannot("maps are not told to the solver")

    def _constant(self, node: Const) -> Term:
        value = node.value
        match value:
            case bool():
                return Term("bool", z3.BoolVal(value))
            case datetime() | timedelta():
                return Term(node.kind, z3.IntVal(microseconds(value)))
            case int() if node.kind == "int":
                return Term("int", z3.IntVal(value))
            case int() | float() if node.kind == "double":
                return Term("double", self.numbers.constant(float(value)))
            case str() if node.kind == "string":
                return Term("string", z3.StringVal(escaped(value)))
            case _:
                raise Cannot(f"a {node.kind} is not told to the solver")

    def _choice(self, test: Term, then: Term, other: Term) -> Term:
        ok = z3.And(test.ok, z3.If(test.value, then.ok, other.ok))
        return Term(then.kind, z3.If(test.value, then.value, other.value), ok)

    def _each(self, node: Each, local: Locals) -> Term:
        over = self.of(node.over, local)
        if not isinstance(over, Items) or node.macro not in {"all", "exists", "exists_one"}:
            raise Cannot(f"`{node.macro}` is not told to the solver")
        said = [self.term(node.body, {**local, node.name: each}) for each in over.items]
        rounds = list(zip(over.there, said, strict=True))
        if node.macro == "exists_one":
            ok = z3.And([z3.Implies(there, each.ok) for there, each in rounds])
            count = z3.Sum(
                [z3.If(z3.And(there, e.value), 1, 0) for there, e in rounds] or [z3.IntVal(0)]
            )
            return Term("bool", count == 1, z3.And(over.ok, ok))
        if node.macro == "exists":
            found = either(
                [Term("bool", z3.And(t, e.value), z3.Or(z3.Not(t), e.ok)) for t, e in rounds]
            )
        else:
            found = both(
                [Term("bool", z3.Or(z3.Not(t), e.value), z3.Or(z3.Not(t), e.ok)) for t, e in rounds]
            )
        return Term("bool", found.value, z3.And(over.ok, found.ok))

    def _call(self, node: Call, local: Locals) -> Term:
        args = [self.of(each, local) for each in node.args]
        if node.name == "in":
            return self._among(args)
        if any(isinstance(each, Items) for each in args):
            return self._of_list(node.name, args)
        terms = [each for each in args if isinstance(each, Term)]
        if node.name in _LOGIC:
            return _LOGIC[node.name](terms)
        made = self._strict(node, terms)
        return Term(made.kind, made.value, z3.And([each.ok for each in terms] + [made.ok]))

    def _among(self, args: list[Term | Items]) -> Term:
        item, many = args
        if isinstance(item, Items) or not isinstance(many, Items):
            raise Cannot("`in` is not told to the solver here")
        found = [
            z3.And(t, self.sums.same(item, e)) for t, e in zip(many.there, many.items, strict=True)
        ]
        return Term("bool", z3.Or(found), z3.And(item.ok, many.ok))

    def _of_list(self, name: str, args: list[Term | Items]) -> Term:
        many = args[0]
        if not isinstance(many, Items) or name not in {"size", "[]"}:
            raise Cannot(f"`{name}` of a list is not told to the solver")
        length = z3.Sum([z3.If(each, 1, 0) for each in many.there] or [z3.IntVal(0)])
        if name == "size":
            return Term("int", length, many.ok)
        place = _one(args[1])
        if not many.items:
            return Term("string", z3.StringVal(""), NO)
        value = many.items[-1].value
        for at, each in enumerate(many.items[:-1]):
            value = z3.If(place.value == at, each.value, value)
        inside = z3.And(place.value >= 0, place.value < length)
        return Term(many.items[0].kind, value, z3.And(many.ok, place.ok, inside))

    def _strict(self, node: Call, args: list[Term]) -> Term:  # noqa: C901, PLR0911, PLR0912 - one case each
        match node.name, args:
            case ("==" | "!=") as name, (left, right):
                same = self.sums.same(left, right)
                return Term("bool", same if name == "==" else z3.Not(same))
            case name, (left, right) if name in COMPARED:
                return Term("bool", self.sums.ordered(name, left, right))
            case ("+" | "-" | "*" | "/" | "%" | "ratio") as name, (left, right):
                return self.sums.summed(name, left, right)
            case "neg", (one,):
                return self.sums.negated(one)
            case "size", (one,) if one.kind == "string":
                return Term("int", z3.Length(one.value))
            case "startsWith", (text, start):
                return Term("bool", z3.PrefixOf(start.value, text.value))
            case "endsWith", (text, end):
                return Term("bool", z3.SuffixOf(end.value, text.value))
            case "contains", (text, inner):
                return Term("bool", z3.Contains(text.value, inner.value))
            case "matches", (text, _):
                pattern = getattr(node.args[1], "value", None)
                return Term("bool", z3.InRe(text.value, regex(str(pattern))))
            case name, (one, *_) if name in CALENDAR or name in UNITS:
                place = node.args[1] if len(node.args) > 1 else None
                return part(name, one, str(place.value) if isinstance(place, Const) else None)
            case name, (one,):
                return self.sums.converted(name, one)
            case name, _:
                raise Cannot(f"`{name}` is not told to the solver")


def _one(found: Term | Items) -> Term:
    if isinstance(found, Items):
        raise Cannot("a list where a value is due")
    return found


_LOGIC: Final[dict[str, Callable[[list[Term]], Term]]] = {
    "&&": both,
    "||": either,
    "!": lambda args: Term("bool", z3.Not(args[0].value), args[0].ok),
}
