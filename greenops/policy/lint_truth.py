"""When rules are true, false or in error, over all that their fields could be.

A field, or a sum that is compared with constants, is cut into cells which every comparison in sight
treats alike: one at each constant, one on each side, one for absent. What cannot be cut is free to be
true, false or an error. Law: every row there could be lies in some cell, so what holds in no cell
holds nowhere; what holds in a cell need not hold anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from greenops.policy.ir import Call, Has, If, Node, Var, children
from greenops.policy.lint_ranges import ALWAYS, WORDS, between, is_whole
from greenops.policy.lint_terms import (
    ABSENT,
    FLIPPED,
    NAN,
    NO_CONSTANT,
    OTHER,
    Comparison,
    comparison,
    constant,
    holds,
    ordered,
)
from greenops.policy.text import canonical
from greenops.policy.vocabulary import SEARCHES

MOST_CELLS: Final = 2**16
"""Most combinations of cells that are looked at; above it nothing is said."""
MOST_AXES: Final = 24
Mask = npt.NDArray[np.bool_]
RELATIONS: Final = {
    "==": ("=",),
    "!=": ("<", ">", "?"),
    "<": ("<",),
    "<=": ("<", "="),
    ">": (">",),
    ">=": (">", "="),
}
"""How two terms may stand to each other under each sign; `?`: one is no number, or texts differ."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Where a rule is true and where it is false; an error in neither. Arrays over the space."""

    true: Mask
    false: Mask

    def __and__(self, other: Truth) -> Truth:
        """Kleene's and."""
        return Truth(self.true & other.true, self.false | other.false)

    def __or__(self, other: Truth) -> Truth:
        """Kleene's or."""
        return Truth(self.true | other.true, self.false & other.false)

    def __invert__(self) -> Truth:
        return Truth(self.false, self.true)


class Space:
    """All cells of the terms of some rules; `truth` says where each rule holds."""

    def __init__(self, rules: Iterable[Node]) -> None:
        self.axes: dict[str, Sequence[Any]] = {}
        self.terms: dict[str, Node] = {}
        self.rules: set[str] = set()
        self._cuts: dict[str, list[Any]] = {}
        for each in rules:
            self.rules.add(canonical(each))
            self._collect(each)
        for key, term in self.terms.items():
            self.axes[key] = cells_of(term, self._cuts[key])
        self._places = {key: at for at, key in enumerate(self.axes)}
        size = math.prod(len(each) for each in self.axes.values())
        self.decided = size <= MOST_CELLS and len(self.axes) <= MOST_AXES
        """False: too many combinations; then nothing may be asked."""

    def truth(self, node: Node) -> Truth:
        """Where one of the rules is true, and where it is false."""
        known = constant(node) if not isinstance(node, Var | Has) else NO_CONSTANT
        if isinstance(known, bool):
            return _always(known)
        if isinstance(node, Call) and node.name in {"&&", "||"}:
            left, right = map(self.truth, node.args)
            return left & right if node.name == "&&" else left | right
        if isinstance(node, Call) and node.name == "!":
            return ~self.truth(node.args[0])
        if isinstance(node, If):
            test, then, other = map(self.truth, children(node))
            return Truth(
                (test.true & then.true) | (test.false & other.true),
                (test.true & then.false) | (test.false & other.false),
            )
        return self._atom(node)

    def _atom(self, node: Node) -> Truth:
        if isinstance(node, Has):
            there = self._over(".".join(node.path), lambda cell: cell is not ABSENT)
            return Truth(there, ~there)
        if isinstance(node, Var):
            key = canonical(node)
            return Truth(
                self._over(key, lambda c: c is True), self._over(key, lambda c: c is False)
            )
        if (found := comparison(node)) is not None:
            return self._compared(found, node)
        if (pair := _pair(node)) is not None:
            sign, key = pair
            cells = RELATIONS[sign]
            return Truth(
                self._over(key, lambda c: c in cells),
                self._over(key, lambda c: c is not ABSENT and c not in cells),
            )
        return self._free(canonical(node))

    def _compared(self, found: Comparison, node: Node) -> Truth:
        def said(wanted: bool | None) -> Mask:
            return self._over(found.key, lambda c: c is not ABSENT and holds(found, c) is wanted)

        true, false = said(wanted=True), said(wanted=False)
        if found.sign not in SEARCHES:
            return Truth(true, false)
        free, untold = self._free(canonical(node)), said(wanted=None)
        return Truth(true | (untold & free.true), false | (untold & free.false))

    def _free(self, key: str) -> Truth:
        return Truth(self._over(key, lambda c: c is True), self._over(key, lambda c: c is False))

    def _over(self, key: str, says: Any) -> Mask:
        """One flag per cell of an axis, shaped to stand beside the other axes."""
        shape = [1] * len(self.axes)
        shape[self._places[key]] = len(self.axes[key])
        return np.array([says(each) for each in self.axes[key]], np.bool_).reshape(shape)

    def _collect(self, rule: Node) -> None:
        stack = [rule]
        while stack:
            node = stack.pop()
            if isinstance(node, If) or (isinstance(node, Call) and node.name in {"&&", "||", "!"}):
                stack.extend(children(node))
            else:
                self._collect_atom(node)

    def _collect_atom(self, node: Node) -> None:
        if isinstance(node, Has):
            self._add(Var(node.path), ())
        elif isinstance(node, Var):
            self._add(node, (True,))
        elif (found := comparison(node)) is not None:
            self._add(found.term, found.values)
            if found.sign in SEARCHES:
                self.axes[canonical(node)] = (True, False, ABSENT)
        elif (pair := _pair(node)) is not None:
            self.axes[pair[1]] = ("<", "=", ">", "?", ABSENT)
        elif constant(node) is NO_CONSTANT:
            self.axes[canonical(node)] = (True, False, ABSENT)

    def _add(self, term: Node, cuts: Sequence[Any]) -> None:
        key = canonical(term)
        self.terms.setdefault(key, term)
        self._cuts.setdefault(key, []).extend(cuts)


def cells_of(term: Node, cuts: Sequence[Any]) -> Sequence[Any]:
    """The cells of a term that is compared with some constants, within what it can be."""
    key = canonical(term)
    missing = () if key in ALWAYS else (ABSENT,)
    if any(isinstance(each, bool) for each in cuts):
        return (True, False, *missing)
    if key in WORDS:
        return (*WORDS[key], *missing)
    texts = [each for each in cuts if isinstance(each, str)]
    if texts or not cuts:
        return (*dict.fromkeys(texts), OTHER, *missing)
    numbers = sorted({value for each in cuts if (value := ordered(each)) is not None})
    timed = any(isinstance(each, datetime | timedelta) for each in cuts)
    whole = timed or is_whole(term)
    return (*between(term, numbers, whole=whole), *(() if whole else (NAN,)), *missing)


def _pair(node: Node) -> tuple[str, str] | None:
    """Sign and key of a comparison between two terms; `a < b` and `b > a` have one key."""
    if not isinstance(node, Call) or node.name not in FLIPPED:
        return None
    left, right = map(canonical, node.args)
    if left <= right:
        return node.name, f"{left} <> {right}"
    return FLIPPED[node.name], f"{right} <> {left}"


def _always(value: bool) -> Truth:
    yes, no = np.ones((), np.bool_), np.zeros((), np.bool_)
    return Truth(yes, no) if value else Truth(no, yes)
