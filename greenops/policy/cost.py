"""What an expression costs to evaluate once, told from its tree before anything runs."""

from __future__ import annotations

from typing import Final

from greenops.policy.ir import Call, Const, Each, Node, Var, children

LONGEST_LIST: Final = 100
"""Most texts in a list that a file gives, so also the most rounds of a macro."""
MAX_COST: Final = 10_000
"""Most steps of all expressions of one policy on one candidate: two hundred rules of fifty parts,
0.1 to 0.2 s row by row, at 9 to 19 microseconds a step as measured on one server core."""


def cost(node: Node) -> int:
    """Steps at most: one for each part, times the longest list inside a macro.

    A pattern counts its characters, and a search in a list field the longest list.
    """
    inside = [cost(each) for each in children(node)]
    match node:
        case Each():
            over, body = inside
            return 1 + over + LONGEST_LIST * body
        case Call(name="in", args=(_, Var())):
            return 1 + sum(inside) + LONGEST_LIST
        case Call(name="matches", args=(_, Const(value=str(pattern)))):
            return 1 + sum(inside) + len(pattern)
        case _:
            return 1 + sum(inside)
