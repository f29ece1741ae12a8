"""What an expression costs to evaluate once, told from its tree before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from greenops.policy.ir import Call, Const, Each, If, ListOf, Local, MapOf, Node, Var, children

LONGEST_LIST: Final = 100
"""Most texts in a list that a file gives, so also the most rounds of a macro over one."""
MAX_COST: Final = 10_000
"""Most steps of all expressions of one policy on one candidate: two hundred rules of fifty parts,
0.1 to 0.2 s row by row, at 9 to 19 microseconds a step as measured on one server core."""
LONG: Final = 50
"""Characters of a text that cost a step: comparing and searching look at each."""
SMALL: Final = 1_000
"""What joining and mapping may make before each further sign or element is a step: `x + x`, again and
again, doubles."""
SAME: Final = frozenset({"dyn", "string", "bytes"})
"""Functions that give as much as they take."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a part may take and give.

    Attributes:
        steps: Parts that are asked.
        length: Most elements of what it gives.
        each: Most signs or elements inside of one of them.
        size: Most signs or elements in all.
    """

    steps: int
    length: int = 1
    each: int = 1
    size: int = 1


def cost(node: Node, longest: int = LONGEST_LIST) -> int:
    """Steps at most: one for each part, times the longest list inside a macro.

    A pattern counts its characters, a search in a list that list, and what grows what it grows to.

    Args:
        node: The expression.
        longest: Most elements of a field, where that is known.
    """
    return _Costs(longest).of(node, {}).steps


@dataclass(frozen=True, slots=True)
class _Costs:
    longest: int

    def of(self, node: Node, local: Mapping[str, int]) -> Extent:
        if isinstance(node, Each):
            return self.rounds(node, local)
        inside = [self.of(each, local) for each in children(node)]
        steps = 1 + sum(each.steps for each in inside)
        match node:
            case Const(value=str() | bytes() as text):
                return Extent(1 + len(text) // LONG, each=len(text), size=max(1, len(text)))
            case Var():
                return Extent(1, self.longest, 1, self.longest)
            case Local(name=name):
                size = local.get(name, self.longest)
                return Extent(1, size, 1, size)
            case ListOf() | MapOf():
                sizes = [each.size for each in inside]
                return Extent(steps, len(inside), max(sizes, default=1), 1 + sum(sizes))
            case If():
                return _most(steps, inside[1:])
            case Call():
                return _called(node, inside, steps)
            case _:
                return _member(steps, inside)

    def rounds(self, node: Each, local: Mapping[str, int]) -> Extent:
        over = self.of(node.over, local)
        body = self.of(node.body, {**local, node.name: over.each})
        steps = 1 + over.steps + over.length * body.steps
        if node.macro == "filter":
            return Extent(steps, over.length, over.each, over.size)
        if node.macro != "map":
            return Extent(steps)
        made = over.length * body.size
        return Extent(steps + max(0, made - SMALL), over.length, body.size, made)


def _most(steps: int, inside: list[Extent]) -> Extent:
    return Extent(
        steps,
        max(each.length for each in inside),
        max(each.each for each in inside),
        max(each.size for each in inside),
    )


def _member(steps: int, inside: list[Extent]) -> Extent:
    """Of what is inside, anything; a field that is only looked for is one."""
    size = inside[0].size if inside else 1
    return Extent(steps, size, 1, size)


def _called(node: Call, inside: list[Extent], steps: int) -> Extent:
    match node:
        case Call(name="in", args=(_, among)) if not isinstance(among, ListOf | MapOf):
            return Extent(steps + inside[1].length)
        case Call(name="matches", args=(_, Const(value=str(pattern)))):
            return Extent(steps + len(pattern))
        case Call(name="+"):
            size = sum(each.size for each in inside)
            most = _most(steps + max(0, size - SMALL), inside)
            return Extent(most.steps, sum(each.length for each in inside), most.each, size)
        case Call(name="[]"):
            return _member(steps, inside)
        case Call(name=name) if name in SAME and inside:
            return _most(steps, inside)
        case _:
            return Extent(steps)
