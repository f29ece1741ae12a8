"""Gathers everything that is wrong with a set of files, so that one look shows all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from greenops.errors import InvalidFile, Location
from greenops.policy.ir import Fix, did_you_mean

MAX_READ: Final = 80_000
"""Most characters of expressions for each file; each takes about seven microseconds."""
MOST_HINTS: Final = 100
"""Problems for which a word that could be meant is looked for: thousands take half a minute."""
PART: Final = 2
"""Characters that one part counts as which a variable or a parameter puts into an expression: copying
and checking it takes about sixteen microseconds."""
Problem = InvalidFile
"""One thing that is wrong: a code, a place, a sentence, what to do."""


@dataclass(slots=True)
class Report:
    """Problems in the order they were found.

    Attributes:
        files: How many files are read together.
        read: Characters of expressions read so far, those of a pack each time it is extended, and
            what variables and parameters put into them.
    """

    problems: list[Problem] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    files: int = 1
    read: int = 0

    def add(self, code: str, message: str, at: Location, fix: Fix = None) -> None:
        """Note one problem, once; the caller goes on."""
        if callable(fix):
            fix = fix() if len(self.problems) < MOST_HINTS else None
        problem = InvalidFile(code, message, at=at, fix=fix)
        if str(problem) not in self.told:  # a rule of a pack is read by all that extend it
            self.told.add(str(problem))
            self.problems.append(problem)

    def room_for(self, text: str) -> bool:
        """Count an expression; false where all files together hold more than they may.

        Law: time to compile is bounded by the number of files, whatever extends whatever.
        """
        self.read += len(text)
        return not self.full

    def room_for_parts(self, count: int) -> bool:
        """Count what variables and parameters put into an expression; false where it is too much."""
        self.read += PART * count
        return not self.full

    @property
    def full(self) -> bool:
        """Were there too many? Then the files were refused, and reading on costs time."""
        return self.read > MAX_READ * self.files

    def unknown(self, code: str, what: str, word: str, known: Iterable[str], at: Location) -> None:
        """Note a word that is not known, with the nearest one that is."""

        def fix() -> str:
            names = sorted(known)
            return did_you_mean(word, names, f"known: {', '.join(names)}")

        self.add(code, f"unknown {what} `{word}`", at, fix)
