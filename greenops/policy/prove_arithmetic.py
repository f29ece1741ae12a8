"""Comparisons and arithmetic of one expression after the other, as CEL has them."""

from __future__ import annotations

from typing import Any, Final

import z3

from greenops.policy.prove_numbers import Numbers
from greenops.policy.prove_terms import Cannot, Term, divided, in_range, ints_fit

WHOLE: Final = frozenset({"int", "timestamp", "duration"})
"""Types whose values are whole numbers to the solver."""


class Arithmetic:
    """What is made of values that are there.

    Attributes:
        calculates: Does any double come of arithmetic, which may round?
        compared: Doubles that are compared.
    """

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.calculates = False
        self.compared: list[tuple[Any, Any]] = []

    def same(self, left: Term, right: Term) -> Any:
        """CEL's `==` of two values that are there."""
        if "double" in {left.kind, right.kind}:
            return self.numbers.same(*self._compared(left, right))
        return left.value == right.value

    def _compared(self, left: Term, right: Term) -> tuple[Any, Any]:
        self.compared.append((self._double(left), self._double(right)))
        return self.compared[-1]

    def _double(self, of: Term) -> Any:
        return of.value if of.kind == "double" else self.numbers.of_int(of.value)

    def ordered(self, name: str, left: Term, right: Term) -> Any:
        """`<`, `<=`, `>` or `>=`."""
        if name in {">", ">="}:
            left, right, name = right, left, name.replace(">", "<")
        if left.kind == "bool":
            return (
                z3.And(z3.Not(left.value), right.value)
                if name == "<"
                else z3.Implies(left.value, right.value)
            )
        if "double" in {left.kind, right.kind}:
            compare = self.numbers.less if name == "<" else self.numbers.at_most
            return compare(*self._compared(left, right))
        return left.value < right.value if name == "<" else left.value <= right.value

    def summed(self, name: str, left: Term, right: Term) -> Term:
        """`+`, `-`, `*`, `/`, `%` or `ratio`.

        Raises:
            Cannot: Of texts or lists.
        """
        if left.kind == "double":
            return self._double_sum(name, left.value, right.value)
        kind = left.kind
        if kind != right.kind or name == "-":
            kinds = {left.kind, right.kind}
            kind = "timestamp" if kinds == {"timestamp", "duration"} else left.kind
            kind = "duration" if kinds == {"timestamp"} else kind
        if kind not in WHOLE:
            raise Cannot(f"`{name}` of {left.kind} is not told to the solver")
        x, y = left.value, right.value
        if name in {"/", "%"}:
            quotient = divided(x, y)
            value = quotient if name == "/" else x - quotient * y
            return Term(kind, value, z3.And(y != 0, ints_fit(quotient)))
        value = {"+": x + y, "-": x - y}[name] if name != "*" else x * y
        return Term(kind, value, in_range(kind, value))

    def _double_sum(self, name: str, left: Any, right: Any) -> Term:
        self.calculates = True
        if name != "ratio":
            return Term("double", self.numbers.calculated(name, left, right))
        value = self.numbers.calculated("/", left, right)
        zero = self.numbers.same(right, self.numbers.constant(0.0))
        return Term("double", value, z3.And(z3.Not(zero), self.numbers.finite(value)))

    def negated(self, one: Term) -> Term:
        """Unary minus."""
        if one.kind == "double":
            return Term("double", self.numbers.negative(one.value))
        return Term(one.kind, -one.value, in_range(one.kind, -one.value))

    def converted(self, name: str, one: Term) -> Term:
        """`int()` and its like.

        Raises:
            Cannot: Of texts.
        """
        if name == one.kind:
            return one
        if (name, one.kind) == ("double", "int"):
            self.calculates = True  # above 2**53 it rounds
            return Term("double", self.numbers.of_int(one.value))
        if (name, one.kind) == ("int", "double"):
            self.calculates = True
            return self.numbers.to_int(one.value)
        if (name, one.kind) == ("int", "timestamp"):
            return Term("int", one.value / 1_000_000)
        raise Cannot(f"`{name}` of {one.kind} is not told to the solver")
