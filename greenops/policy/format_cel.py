"""White space of a CEL expression, one way: a space round binary signs, none inside brackets.

Nothing but white space changes: brackets, quotes and numbers stay as their author wrote them.
"""

from __future__ import annotations

import re
from typing import Final

from greenops.policy.ir import ExpressionError
from greenops.policy.parse import parse
from greenops.policy.text import canonical

TOKEN: Final = re.compile(
    r"""(?:[bB]?[rR]?)(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"
      |'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    |`[^`\n]*`
    |0[xX][0-9a-fA-F]+[uU]?
    |[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[uU]?
    |\.[0-9]+(?:[eE][+-]?[0-9]+)?
    |[A-Za-z_][A-Za-z0-9_]*
    |&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}]""",
    re.VERBOSE | re.DOTALL,
)
BINARY: Final = frozenset({"&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%"})
OPENING: Final = frozenset("([{")
CLOSING: Final = frozenset(")]}")


def respaced(text: str) -> str:
    """The expression with its white space put right; as it was where it is not understood."""
    tokens = tokens_of(text)
    if tokens is None:
        return text
    made = _joined(tokens)
    return made if _same(text, made) else text


def tokens_of(text: str) -> list[str] | None:
    """The signs, words and literals of an expression; none where something is neither.

    A comment is neither, so an expression that holds one is left alone.
    """
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = TOKEN.match(text, at)
        if token is None or text.startswith("//", at):
            return None
        found.append(token[0])
        at = token.end()
    return found


def _joined(tokens: list[str]) -> str:
    out: list[str] = []
    opened: list[str] = []
    choices: list[int] = [0]
    before, unary = "", False
    for piece in tokens:
        in_map = piece == ":" and opened[-1:] == ["{"] and not choices[-1]
        if piece in CLOSING and opened:
            opened.pop()
            choices.pop()
        if _spaced(before, piece, unary=unary, in_map=in_map):
            out.append(" ")
        unary = piece == "!" or (piece == "-" and _begins(before))
        choices[-1] += (piece == "?") - (piece == ":" and not in_map)
        if piece in OPENING:
            opened.append(piece)
            choices.append(0)
        out.append(piece)
        before = piece
    return "".join(out)


def _spaced(before: str, piece: str, *, unary: bool, in_map: bool) -> bool:
    """Does a space stand before a piece?"""
    if not before or unary or before in {"(", "[", "{", ".", "!"}:
        return False
    if piece in {")", "]", "}", ",", "."} or in_map:
        return False
    if piece in {"(", "["}:
        return _begins(before)
    return True


def _begins(before: str) -> bool:
    """Does an operand begin after this token: is a `-` there a sign, and a `(` no call?"""
    return before in BINARY | {"", "?", ":", ",", "in", "!"} | OPENING


def _same(text: str, made: str) -> bool:
    """Are both one sequence of tokens, and, where they parse, one tree?"""
    if tokens_of(made) != tokens_of(text):
        return False
    try:
        before = canonical(parse(text))
    except ExpressionError:
        return True
    try:
        return canonical(parse(made)) == before
    except ExpressionError:
        return False
