"""RE2 patterns as the solver's regular expressions: letters, classes, groups, choices, repeats, ends."""

from __future__ import annotations

import re
from typing import Any, Final

import z3

from greenops.policy.prove_terms import Cannot, escaped

CLASSES: Final = {"d": ("09",), "w": ("09", "AZ", "az", "__"), "s": ("\t\n", "\f\r", "  ")}
"""What `\\d`, `\\w` and `\\s` are. Source: RE2 syntax, Perl character classes, which are ASCII."""
MOST: Final = 100
"""Most repeats that are written out."""
HEX: Final = re.compile(r"x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}")
SIGNS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}


def regex(pattern: str) -> Any:
    """Texts in which the pattern is found somewhere.

    Raises:
        Cannot: The pattern uses more than is told to the solver.
    """
    reader = _Reader(pattern)
    found = reader.choices(top=True)
    if reader.at < len(pattern):
        raise reader.cannot()
    return found


def _any() -> Any:
    return z3.Full(z3.ReSort(z3.StringSort()))


def _one() -> Any:
    return z3.AllChar(z3.ReSort(z3.StringSort()))


def _range(ends: str) -> Any:
    low, high = (escaped(each) for each in ends)
    return z3.Range(z3.StringVal(low), z3.StringVal(high))


def _letter(letter: str) -> Any:
    return z3.Re(z3.StringVal(escaped(letter)))


def _union(parts: list[Any]) -> Any:
    return z3.Union(*parts) if len(parts) > 1 else parts[0]


class _Reader:
    """Reads by the grammar: choices of sequences of repeated atoms."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def cannot(self) -> Cannot:
        return Cannot(f"the pattern `{self.text[:40]}` is not told to the solver")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        self.at += 1
        return self.text[self.at - 1 : self.at]

    def choices(self, *, top: bool) -> Any:
        found = [self.sequence(top=top)]
        while self.peek() == "|":
            self.take()
            found.append(self.sequence(top=top))
        return _union(found)

    def sequence(self, *, top: bool) -> Any:
        """At the top, what is not tied to an end may stand anywhere."""
        parts, tied = [], False
        if top and self.peek() == "^":
            self.take()
        elif top:
            parts.append(_any())
        while self.peek() not in {"", "|", ")"}:
            if self.peek() == "$" and top and self.text[self.at + 1 : self.at + 2] in {"", "|"}:
                self.take()
                tied = True
            else:
                parts.append(self.repeated(self.atom()))
        if top and not tied:
            parts.append(_any())
        if not parts:
            return z3.Re(z3.StringVal(""))
        return z3.Concat(*parts) if len(parts) > 1 else parts[0]

    def repeated(self, atom: Any) -> Any:
        """The atom and its `*`, `+`, `?` or `{2,3}`; that it takes as little as it can changes nothing."""
        sign = self.peek()
        if sign not in {"*", "+", "?", "{"}:
            return atom
        if sign == "{":
            atom = self.counted(atom)
        else:
            self.take()
            atom = {"*": z3.Star, "+": z3.Plus, "?": z3.Option}[sign](atom)
        if self.peek() == "?":
            self.take()
        if self.peek() in {"*", "+", "{"}:
            raise self.cannot()
        return atom

    def counted(self, atom: Any) -> Any:
        found = re.compile(r"\{([0-9]{1,3})(,?)([0-9]{0,3})\}").match(self.text, self.at)
        if found is None:
            raise self.cannot()
        self.at = found.end()
        low = int(found[1])
        high = int(found[3]) if found[3] else (0 if found[2] else low)
        if max(low, high) > MOST or (high == 0 and not (low and found[2])):
            raise self.cannot()
        if high:
            return z3.Loop(atom, low, high)
        return z3.Concat(z3.Loop(atom, low, low), z3.Star(atom))

    def atom(self) -> Any:
        sign = self.take()
        match sign:
            case "(":
                return self.group()
            case "[":
                return self.letters()
            case ".":
                return z3.Intersect(_one(), z3.Complement(_letter("\n")))
            case "\\":
                return self.escape()
            case "^" | "$" | "*" | "+" | "?":
                raise self.cannot()
            case _:
                return _letter(sign)

    def group(self) -> Any:
        if self.peek() == "?":
            if self.text[self.at : self.at + 2] != "?:":
                raise self.cannot()
            self.at += 2
        found = self.choices(top=False)
        if self.take() != ")":
            raise self.cannot()
        return found

    def letters(self) -> Any:
        out = self.peek() == "^"
        if out:
            self.take()
        parts: list[Any] = []
        while self.peek() != "]" or not parts:
            if self.peek() in {"", "["}:
                raise self.cannot()
            parts += self.member()
        self.take()
        found = _union(parts)
        return z3.Intersect(_one(), z3.Complement(found)) if out else found

    def member(self) -> list[Any]:
        low = self.take()
        if low == "\\":
            if self.peek() in CLASSES:
                return [_range(each) for each in CLASSES[self.take()]]
            low = self.quoted()
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in {"]", ""}:
            return [_letter(low)]
        self.take()
        high = self.take()
        if high == "\\":
            high = self.quoted()
        return [_range(low + high)]

    def escape(self) -> Any:
        sign = self.peek()
        if sign in CLASSES:
            self.take()
            return _union([_range(each) for each in CLASSES[sign]])
        if sign.lower() in CLASSES:
            self.take()
            inside = _union([_range(each) for each in CLASSES[sign.lower()]])
            return z3.Intersect(_one(), z3.Complement(inside))
        return _letter(self.quoted())

    def quoted(self) -> str:
        """The letter that an escape stands for."""
        if (found := HEX.match(self.text, self.at)) is not None:
            self.at = found.end()
            return chr(int(found[1] or found[2], 16))
        sign = self.take()
        if sign in SIGNS:
            return SIGNS[sign]
        if not sign or sign.isalnum():
            raise self.cannot()
        return sign
