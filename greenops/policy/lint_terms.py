"""What rules compare with constants, and what each comparison says of one value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from greenops.policy.evaluate import Expression, Failed
from greenops.policy.ir import Call, Const, Has, ListOf, Local, Node, Var, walk
from greenops.policy.kernel_numbers import COMPARE, microseconds
from greenops.policy.text import canonical
from greenops.policy.vocabulary import SEARCHES

FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class Cell:
    """A cell that is no value."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = Cell("absent")
"""Not there, or in error."""
OTHER: Final = Cell("other")
"""A text that no rule in sight names, or a value of which only its presence is asked."""
NAN: Final = math.nan
NO_CONSTANT: Final = object()


def constant(node: Node) -> Any:
    """What a tree without fields gives; `NO_CONSTANT` where it has some, or errs."""
    if isinstance(node, Const):
        return node.value
    if any(isinstance(each, Var | Has | Local) for each in walk(node)):
        return NO_CONSTANT
    value = Expression(node, canonical(node), "")({})
    return NO_CONSTANT if isinstance(value, Failed) else value


def ordered(value: object) -> float | int | None:
    """A number, instant [us since 1970] or duration [us] as one number; none for anything else."""
    match value:
        case bool():
            return None
        case int() | float():
            return value
        case datetime() | timedelta():
            return microseconds(value)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A term beside constants: `candidate.cost_usd <= 2.0`, `job.team in ["a"]`, a text's method."""

    term: Node
    sign: str
    values: tuple[Any, ...]

    @property
    def key(self) -> str:
        """The term's canonical text."""
        return canonical(self.term)


def comparison(node: Node) -> Comparison | None:
    """The node as a comparison with constants; none where it is something else."""
    if not isinstance(node, Call) or len(node.args) != 2:  # noqa: PLR2004 - two sides
        return None
    left, right = node.args
    if node.name == "in" and isinstance(right, ListOf):
        values = tuple(map(constant, right.items))
        plain = constant(left) is NO_CONSTANT and all(map(_is_cut, values))
        return Comparison(left, "in", values) if plain else None
    if node.name in SEARCHES and isinstance(right, Const):
        return Comparison(left, node.name, (right.value,))
    if node.name not in FLIPPED:
        return None
    sides = constant(left), constant(right)
    if (sides[0] is NO_CONSTANT) == (sides[1] is NO_CONSTANT):
        return None
    term, value, sign = (
        (left, sides[1], node.name)
        if sides[0] is NO_CONSTANT
        else (right, sides[0], FLIPPED[node.name])
    )
    text_order = isinstance(value, str) and sign not in {"==", "!="}
    return Comparison(term, sign, (value,)) if _is_cut(value) and not text_order else None


def _is_cut(value: object) -> bool:
    return isinstance(value, str | bool) or ordered(value) is not None


def holds(found: Comparison, cell: object) -> bool | None:
    """What a comparison says in one cell; none where the cell does not tell."""
    if found.sign in SEARCHES:
        return bool(SEARCHES[found.sign](cell, found.values[0])) if isinstance(cell, str) else None
    given = [each if isinstance(each, str | bool) else ordered(each) for each in found.values]
    if found.sign == "in":
        return cell in given
    return bool(COMPARE[found.sign](cell, given[0]))
