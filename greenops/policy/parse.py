"""CEL text to the expression tree, by cel-python's grammar, behind limits that cost nothing to check."""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import Final

import celpy
import lark
from celpy.celparser import CELParseError

from greenops.policy.interpreter import Runner
from greenops.policy.ir import ExpressionError, Node, walk
from greenops.policy.reading import MAX_DEPTH, Reader
from greenops.policy.strings import lift

MAX_TEXT: Final = 1_000
"""Longest expression, characters. Source: Google Cloud organization policy, custom constraints."""
MAX_NODES: Final = 200
LAST_COMMA: Final = re.compile(r"([^\[{,\s]\s*),(\s*[\]}])")
"""A comma after the last element, which CEL allows and cel-python's grammar does not."""


@cache
def environment() -> celpy.Environment:
    """cel-python's environment; it raises the process's recursion limit, which is put back."""
    before = sys.getrecursionlimit()
    try:
        return celpy.Environment(runner_class=Runner)
    finally:
        sys.setrecursionlimit(before)


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises:
        ExpressionError: Too long, too deep, not CEL, or a construct that is not allowed.
    """
    if len(text) > MAX_TEXT:
        raise ExpressionError(
            "GO0134",
            f"expression has {len(text):,} characters, over {MAX_TEXT:,}",
            0,
            "name parts of it in `variables`",
        )
    plain, lifted = lift(text)
    plain = LAST_COMMA.sub(r"\1 \2", plain)
    _check_brackets(plain)
    try:
        tree = environment().compile(plain)
    except CELParseError as error:
        at = _offset(plain, error.line, error.column)
        raise ExpressionError(
            "GO0130", _syntax(plain, at), at, "check operators and quotes"
        ) from error
    except lark.exceptions.LarkError as error:
        raise ExpressionError("GO0130", "not a CEL expression", 0) from error
    node = Reader(lifted).read(tree, frozenset(), 1)
    if (count := sum(1 for _ in walk(node))) > MAX_NODES:
        raise ExpressionError(
            "GO0134", f"expression has {count} parts, over {MAX_NODES}", 0, "split the rule"
        )
    return node


def _check_brackets(text: str) -> None:
    if sum(map(text.count, "([{")) <= MAX_DEPTH:
        return
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth > MAX_DEPTH:
            raise ExpressionError("GO0134", f"nested deeper than {MAX_DEPTH}", at, "split the rule")


def _offset(text: str, line: int | None, column: int | None) -> int:
    if not line or line < 1 or not column or column < 1:
        return max(0, len(text) - 1)
    lines = text.split("\n")
    return min(sum(len(each) + 1 for each in lines[: line - 1]) + column - 1, len(text))


def _syntax(text: str, at: int) -> str:
    rest = text[at : at + 12].split()
    return f"not a CEL expression near `{rest[0]}`" if rest else "expression ends too early"
