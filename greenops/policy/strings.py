"""CEL's quoted literals: found and decoded here, in linear time, before any grammar sees them.

cel-python's string pattern backtracks without end on an unclosed text full of escapes, and leaves
some escapes undecoded; so the grammar gets texts of the same length without either. Its grammar has
no quoted names such as a.`b-c`; it gets a plain name of the same length.
Source: CEL language definition, section "String and Bytes Values".
"""

from __future__ import annotations

import re
from typing import Final

from greenops.policy.ir import ExpressionError

SIMPLE: Final = dict(zip("abfnrtv\\?\"'`", "\a\b\f\n\r\t\v\\?\"'`", strict=True))
HEX_DIGITS: Final = {"x": 2, "X": 2, "u": 4, "U": 8}
START: Final = re.compile("([bB]?[rR]?)([\"'])")
"""Prefix and first quote of a literal."""
PLAIN: Final = re.compile(r"""(?:\w++(?!["'])|[^\w"'`/]|/(?!/))+""")
"""What begins no literal, name or comment. A word is taken whole, or left whole where a quote follows:
the `r` of `for"x"` begins no raw string."""
WORD: Final = re.compile(r"\w+")
QUOTED_NAME: Final = re.compile(r"`([A-Za-z0-9_.\-/ ]+)`")
Lifted = dict[int, str | bytes]
"""Offset of each literal or quoted name → what it stands for."""


def lift(text: str) -> tuple[str, Lifted]:
    """The text with plain bodies, plain names and no comments, and what was taken out of it.

    Raises:
        ExpressionError: A literal is not closed, or holds an escape that is none.
    """
    out: list[str] = []
    found: Lifted = {}
    at = 0
    while at < len(text):
        start = at
        if (plain := PLAIN.match(text, at)) is not None:
            out.append(plain[0])
            at = plain.end()
        elif (begin := START.match(text, at)) is not None:
            found[at], at = _literal(text, begin)
            mark = "b" if begin[1][:1] in {"b", "B"} else ""
            out.append(f'{mark}"' + "x" * (at - start - 2 - len(mark)) + '"')
        elif (name := QUOTED_NAME.match(text, at)) is not None:
            found[at], at = name[1], name.end()
            out.append("x" * (at - start))
        elif text.startswith("//", at):
            at = text.find("\n", at)
            at = len(text) if at < 0 else at
            out.append(" " * (at - start))
        else:
            word = WORD.match(text, at)
            at = word.end() if word else at + 1
            out.append(text[start:at])
    return "".join(out), found


def decoded(literal: str) -> str | bytes:
    """What a whole literal stands for."""
    begin = START.match(literal)
    assert begin is not None, "the grammar took it for a literal"  # noqa: S101
    return _literal(literal, begin)[0]


def _literal(text: str, begin: re.Match[str]) -> tuple[str | bytes, int]:
    """The value, and where the literal ends."""
    prefix, sign, at = begin[1].lower(), begin[2], begin.start(2)
    quote = sign * 3 if text.startswith(sign * 3, at) else sign
    opened, raw, binary = at, "r" in prefix, "b" in prefix
    out: list[str] = []
    codes = bytearray()
    at += len(quote)
    while at < len(text):
        if text.startswith(quote, at):
            return (bytes(codes) if binary else "".join(out)), at + len(quote)
        if len(quote) == 1 and text[at] in "\r\n":
            break
        value: str | int = text[at]
        if text[at] == "\\" and not raw:
            value, at = _escape(text, at, binary=binary)
        else:
            at += 1
        if not binary:
            out.append(chr(value) if isinstance(value, int) else value)
        elif isinstance(value, int):
            codes.append(value)
        else:
            codes += value.encode("utf-8", "surrogatepass")
    raise ExpressionError("GO0130", "string is not closed", opened, f"add {quote}")


def _escape(text: str, at: int, *, binary: bool) -> tuple[str | int, int]:
    """What an escape stands for, a code where it is given by number, and where it ends."""
    sign = text[at + 1 : at + 2]
    if sign and sign in SIMPLE:
        return SIMPLE[sign], at + 2
    if sign and sign in HEX_DIGITS:
        digits, base, end = text[at + 2 : at + 2 + HEX_DIGITS[sign]], 16, at + 2 + HEX_DIGITS[sign]
        complete = len(digits) == HEX_DIGITS[sign] and not (binary and sign in "uU")
    else:
        digits, base, end = text[at + 1 : at + 4], 8, at + 4
        complete = len(digits) == 3 and digits[0] in "0123"  # noqa: PLR2004 - three octal digits
    if complete and digits.isascii() and digits.isalnum():
        try:
            code = int(digits, base)
            if code < 0x110000 and not 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - surrogates are no characters
                return code, end
        except ValueError:
            pass
    raise ExpressionError("GO0130", f"`\\{sign}` is no escape here", at, "write `\\\\`")
