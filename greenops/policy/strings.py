"""CEL string literals: found and decoded here, in linear time, before any grammar sees them.

cel-python's string pattern backtracks without end on an unclosed text full of escapes, and leaves
some escapes undecoded; so the grammar gets texts of the same length without either.
Source: CEL language definition, section "String and Bytes Values".
"""

from __future__ import annotations

from typing import Final

from greenops.policy.ir import ExpressionError

SIMPLE: Final = dict(zip("abfnrtv\\?\"'`", "\a\b\f\n\r\t\v\\?\"'`", strict=True))
HEX_DIGITS: Final = {"x": 2, "X": 2, "u": 4, "U": 8}


def lift(text: str) -> tuple[str, dict[int, str]]:
    """The text with plain string bodies and no comments, and offset → decoded string.

    Raises:
        ExpressionError: A string is not closed, or holds an escape that is none.
    """
    out: list[str] = []
    found: dict[int, str] = {}
    at = 0
    while at < len(text):
        start = at
        at = _string_start(text, at)
        if at >= 0:
            raw = at > start
            body, end = _string(text, at, raw=raw)
            found[start] = body
            out.append('"' + "x" * (end - start - 2) + '"')
            at = end
            continue
        at = start
        if text.startswith("//", at):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            out.append(" " * (end - at))
            at = end
        else:
            word = _word(text, at)
            out.append(word)
            at += len(word)
    return "".join(out), found


def _word(text: str, at: int) -> str:
    """An identifier as a whole, so that the `r` of `for"x"` begins no raw string; else one sign."""
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[at : max(end, at + 1)]


def _string_start(text: str, at: int) -> int:
    """Offset of the opening quote of a string that begins here; -1 where none does."""
    if text[at] in "\"'":
        return at
    after = text[at + 1 : at + 2]
    if after and after in "\"'":
        if text[at] in "rR":
            return at + 1
        if text[at] in "bB":
            raise ExpressionError("GO0133", "bytes are not allowed", at, "write a string")
    return -1


def _string(text: str, at: int, *, raw: bool) -> tuple[str, int]:
    quote = text[at] * 3 if text.startswith(text[at] * 3, at) else text[at]
    begin = at
    out: list[str] = []
    at += len(quote)
    while at < len(text):
        if text.startswith(quote, at):
            return "".join(out), at + len(quote)
        if len(quote) == 1 and text[at] in "\r\n":
            break
        if text[at] == "\\" and not raw:
            sign, at = _escape(text, at)
            out.append(sign)
        else:
            out.append(text[at])
            at += 1
    raise ExpressionError("GO0130", "string is not closed", begin, f"add {quote}")


def _escape(text: str, at: int) -> tuple[str, int]:
    sign = text[at + 1 : at + 2]
    if sign and sign in SIMPLE:
        return SIMPLE[sign], at + 2
    if sign and sign in HEX_DIGITS:
        digits, base, end = text[at + 2 : at + 2 + HEX_DIGITS[sign]], 16, at + 2 + HEX_DIGITS[sign]
        complete = len(digits) == HEX_DIGITS[sign]
    else:
        digits, base, end = text[at + 1 : at + 4], 8, at + 4
        complete = len(digits) == 3 and digits[0] in "0123"  # noqa: PLR2004 - three octal digits
    if complete and digits.isascii() and digits.isalnum():
        try:
            code = int(digits, base)
            if not 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - surrogates are no characters
                return chr(code), end
        except (ValueError, OverflowError):
            pass
    raise ExpressionError("GO0130", f"`\\{sign}` is no escape here", at, "write `\\\\`")
