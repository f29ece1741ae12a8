"""What an expression is to a solver: a value, and whether there is one; CEL's errors are its absence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import z3

from greenops.policy.kernel_numbers import FIRST, LAST, SPAN

LAST_SIGN: Final = 0x2FFFF
"""Last character of the solver's texts. Source: SMT-LIB, theory of Unicode strings."""
YES: Final = z3.BoolVal(True)
NO: Final = z3.BoolVal(False)


class Cannot(Exception):
    """This is not told to a solver; the text says why."""


@dataclass(frozen=True, slots=True)
class Term:
    """A checked expression.

    Attributes:
        kind: CEL type: bool, int, double, string, timestamp, duration.
        value: The solver's value; instants and durations are whole microseconds.
        ok: Is there a value? False: an error, or an absent field.
    """

    kind: str
    value: Any
    ok: Any = YES

    @property
    def true(self) -> Any:
        """It has a value, which is true."""
        return z3.And(self.ok, self.value)

    @property
    def false(self) -> Any:
        """It has a value, which is false."""
        return z3.And(self.ok, z3.Not(self.value))


@dataclass(frozen=True, slots=True)
class Items:
    """A list.

    Attributes:
        items: As many as there may be at most.
        there: Is the list that long? None is there after one that is not.
        ok: Is there a list?
    """

    kind: str
    items: tuple[Term, ...]
    there: tuple[Any, ...]
    ok: Any = YES


def both(terms: Sequence[Term]) -> Term:
    """`&&`: a side that is false decides, whatever the others are."""
    false = z3.Or([each.false for each in terms])
    return Term("bool", z3.Not(false), z3.Or(false, z3.And([each.ok for each in terms])))


def either(terms: Sequence[Term]) -> Term:
    """`||`: a side that is true decides, whatever the others are."""
    true = z3.Or([each.true for each in terms])
    return Term("bool", true, z3.Or(true, z3.And([each.ok for each in terms])))


def escaped(text: str) -> str:
    """A text as the solver reads it: characters outside of ASCII, and its own sign, by number.

    Raises:
        Cannot: A character is beyond those that the solver has.
    """
    if any(ord(each) > LAST_SIGN for each in text):
        raise Cannot("a character beyond U+2FFFF is not told to the solver")
    return "".join(e if " " <= e <= "~" and e != "\\" else f"\\u{{{ord(e):x}}}" for e in text)


def ints_fit(value: Any) -> Any:
    """Is a whole number one of CEL's ints?"""
    return z3.And(value >= -(2**63), value < 2**63)


def in_range(kind: str, value: Any) -> Any:
    """Does a calculated int, instant or duration exist?"""
    match kind:
        case "int":
            return ints_fit(value)
        case "timestamp":
            return z3.And(value >= FIRST, value <= LAST)
        case _:
            return z3.And(value >= -SPAN, value <= SPAN)


def divided(left: Any, right: Any) -> Any:
    """Whole quotient towards zero."""
    size = _size(left) / _size(right)
    return z3.If((left < 0) == (right < 0), size, -size)


def _size(value: Any) -> Any:
    return z3.If(value < 0, -value, value)
