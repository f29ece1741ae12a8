"""Doubles as a solver has them: exact numbers, which it decides fast, or IEEE 754, which is what runs.

Of exact numbers a proof says nothing about rounding, so a claim whose doubles are calculated with is
asked of both. Fields are taken to be finite in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

import z3

from greenops.policy.prove_terms import Cannot, Term, ints_fit

INT_EDGE = 2**63
"""First whole number above CEL's ints."""


class Numbers(Protocol):
    """What the encoder asks of doubles.

    Attributes:
        rounded: Does this arithmetic round as the engine does?
    """

    rounded: bool

    def sort(self) -> Any:
        """The solver's sort of a double."""

    def constant(self, value: float) -> Any:
        """A literal."""

    def finite(self, value: Any) -> Any:
        """Is it neither infinite nor NaN?"""

    def same(self, left: Any, right: Any) -> Any:
        """CEL's `==`."""

    def less(self, left: Any, right: Any) -> Any:
        """CEL's `<`."""

    def at_most(self, left: Any, right: Any) -> Any:
        """CEL's `<=`."""

    def calculated(self, sign: str, left: Any, right: Any) -> Any:
        """`+`, `-`, `*` or `/`."""

    def negative(self, value: Any) -> Any:
        """Unary minus."""

    def of_int(self, value: Any) -> Any:
        """`double()` of an int."""

    def to_int(self, value: Any) -> Term:
        """`int()` of a double, an error where it does not fit."""

    def apart(self, left: Any, right: Any) -> Any:
        """Do two numbers lie so far apart that rounding moves neither past the other?"""

    def any_double(self, name: str) -> Any:
        """A double that is not told, which may be NaN where this arithmetic has one."""

    def read(self, value: Any) -> float | None:
        """The double nearest to a value of a model; none where that is none."""


class Exact:
    """Real numbers: `0.1 + 0.2 == 0.3` of tenths written as doubles, exactly as those are."""

    rounded = False

    def sort(self) -> Any:
        """The sort."""
        return z3.RealSort()

    def constant(self, value: float) -> Any:
        """A literal."""
        if not math.isfinite(value):
            raise Cannot("a number that is not finite is no exact number")
        ratio = Fraction(value)
        return z3.RealVal(f"{ratio.numerator}/{ratio.denominator}")

    def finite(self, _: Any) -> Any:
        """Neither infinite nor NaN."""
        return z3.BoolVal(True)

    def same(self, left: Any, right: Any) -> Any:
        """Equal."""
        return left == right

    def less(self, left: Any, right: Any) -> Any:
        """Less."""
        return left < right

    def at_most(self, left: Any, right: Any) -> Any:
        """Less or equal."""
        return left <= right

    def apart(self, left: Any, right: Any) -> Any:
        """Told apart whatever rounds."""
        gap = z3.RealVal("1/1024")
        return z3.Or(left - right > gap, right - left > gap)

    def calculated(self, sign: str, left: Any, right: Any) -> Any:
        """Worked out."""
        match sign:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case _:
                return left / right

    def negative(self, value: Any) -> Any:
        """With the other sign."""
        return -value

    def of_int(self, value: Any) -> Any:
        """An int as a double."""
        return z3.ToReal(value)

    def to_int(self, value: Any) -> Term:
        """Without its fraction."""
        return _truncated(value, z3.BoolVal(True))

    def any_double(self, name: str) -> Any:
        """Not told."""
        return z3.Const(name, self.sort())

    def read(self, value: Any) -> float | None:
        """As a Python float."""
        if z3.is_algebraic_value(value):
            value = value.approx(40)
        if not z3.is_rational_value(value):
            return None
        try:
            return float(Fraction(value.numerator_as_long(), value.denominator_as_long()))
        except OverflowError:
            return None


class Rounded:
    """IEEE 754 doubles, rounded to the nearest: what every evaluator here calculates with."""

    rounded = True

    def __init__(self) -> None:
        self.nearest = z3.RNE()

    def apart(self, left: Any, right: Any) -> Any:  # noqa: ARG002 - nothing rounds twice
        """Told apart whatever rounds."""
        return z3.BoolVal(True)

    def sort(self) -> Any:
        """The sort."""
        return z3.Float64()

    def constant(self, value: float) -> Any:
        """A literal."""
        return z3.FPVal(value, z3.Float64())

    def finite(self, value: Any) -> Any:
        """Neither infinite nor NaN."""
        return z3.Not(z3.Or(z3.fpIsNaN(value), z3.fpIsInf(value)))

    def same(self, left: Any, right: Any) -> Any:
        """Equal."""
        return z3.fpEQ(left, right)

    def less(self, left: Any, right: Any) -> Any:
        """Less."""
        return z3.fpLT(left, right)

    def at_most(self, left: Any, right: Any) -> Any:
        """Less or equal."""
        return z3.fpLEQ(left, right)

    def calculated(self, sign: str, left: Any, right: Any) -> Any:
        """Worked out."""
        functions = {"+": z3.fpAdd, "-": z3.fpSub, "*": z3.fpMul, "/": z3.fpDiv}
        return functions[sign](self.nearest, left, right)

    def negative(self, value: Any) -> Any:
        """With the other sign."""
        return z3.fpNeg(value)

    def of_int(self, value: Any) -> Any:
        """An int as a double."""
        return z3.fpRealToFP(self.nearest, z3.ToReal(value), z3.Float64())

    def to_int(self, value: Any) -> Term:
        """Without its fraction."""
        return _truncated(z3.fpToReal(value), self.finite(value))

    def any_double(self, name: str) -> Any:
        """Not told."""
        return z3.Const(name, self.sort())

    def read(self, value: Any) -> float | None:
        """As a Python float."""
        if not z3.is_fp_value(value):
            return None
        if value.isNaN() or value.isInf():
            return (
                math.nan
                if value.isNaN()
                else math.copysign(math.inf, -1 if value.isNegative() else 1)
            )
        if value.isZero():
            return -0.0 if value.isNegative() else 0.0
        exponent = value.exponent_as_long(biased=False)
        fraction = Fraction(value.significand_as_long(), 2**52)
        implied = 0 if value.isSubnormal() else 1
        size = (implied + fraction) * Fraction(2) ** exponent
        return float(-size if value.isNegative() else size)


class Unsettled(Exact):
    """Exact fields, but whatever comes of calculating with them may be any double, NaN too.

    What is ruled out here is ruled out however it rounds; the solver need not look into doubles.
    """

    rounded = True

    def __init__(self) -> None:
        self.made: dict[tuple[str, int, int], Any] = {}
        self.any: list[Any] = []
        self.kept: list[Any] = []

    def finite(self, value: Any) -> Any:
        """Neither infinite nor NaN."""
        return self._compared("finite", value, value, z3.BoolVal(True))

    def same(self, left: Any, right: Any) -> Any:
        """Equal."""
        return self._compared("==", left, right, left == right)

    def less(self, left: Any, right: Any) -> Any:
        """Less."""
        return self._compared("<", left, right, left < right)

    def at_most(self, left: Any, right: Any) -> Any:
        """Less or equal."""
        return self._compared("<=", left, right, left <= right)

    def calculated(self, sign: str, left: Any, right: Any) -> Any:
        """Worked out."""
        return self._once(sign, left, right, lambda: self._any(z3.RealSort()))

    def negative(self, value: Any) -> Any:
        """With the other sign."""
        return self._once("neg", value, value, lambda: self._any(z3.RealSort()))

    def of_int(self, value: Any) -> Any:
        """An int as a double."""
        return self._once("double", value, value, lambda: self._any(z3.RealSort()))

    def to_int(self, value: Any) -> Term:
        """Without its fraction."""
        whole_part = self._once("int", value, value, lambda: self._any(z3.IntSort()))
        ok = self._once("fits", value, value, lambda: self._any(z3.BoolSort()))
        return Term("int", whole_part, z3.And(ok, ints_fit(whole_part)))

    def any_double(self, name: str) -> Any:  # noqa: ARG002 - each is another
        """Not told."""
        return self._any(z3.RealSort())

    def _any(self, sort: Any) -> Any:
        made = z3.FreshConst(sort, "any")
        self.any.append(made)
        return made

    def _compared(self, sign: str, left: Any, right: Any, otherwise: Any) -> Any:
        if not any(_contains(each, self.any) for each in (left, right)):
            return otherwise
        return self._once(sign, left, right, lambda: self._any(z3.BoolSort()))

    def _once(self, sign: str, left: Any, right: Any, make: Callable[[], Any]) -> Any:
        """The same of the same: a calculation gives one answer, whatever it is."""
        key = (sign, left.get_id(), right.get_id())
        if key not in self.made:
            self.kept += [left, right]  # the solver gives a number of its own again once it is free
            self.made[key] = make()
        return self.made[key]


def _contains(value: Any, among: list[Any]) -> bool:
    if any(value.eq(each) for each in among):
        return True
    return any(_contains(each, among) for each in value.children())


def _truncated(real: Any, ok: Any) -> Term:
    fits = z3.And(ok, real > -INT_EDGE, real < INT_EDGE)
    towards_zero = z3.If(real >= 0, z3.ToInt(real), -z3.ToInt(-real))
    return Term("int", towards_zero, z3.And(fits, ints_fit(towards_zero)))
