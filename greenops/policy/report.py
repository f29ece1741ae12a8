"""Gathers everything that is wrong with a set of files, so that one look shows all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from greenops.errors import InvalidFile, Location, nearest

MAX_READ: Final = 80_000
"""Most characters of expressions for each file; each takes about seven microseconds."""
Problem = InvalidFile
"""One thing that is wrong: a code, a place, a sentence, what to do."""


@dataclass(slots=True)
class Report:
    """Problems in the order they were found.

    Attributes:
        files: How many files are read together.
        read: Characters of expressions read so far, those of a pack each time it is extended.
    """

    problems: list[Problem] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    files: int = 1
    read: int = 0

    def add(self, code: str, message: str, at: Location, fix: str | None = None) -> None:
        """Note one problem, once; the caller goes on."""
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

    @property
    def full(self) -> bool:
        """Were there too many? Then the files were refused, and reading on costs time."""
        return self.read > MAX_READ * self.files

    def unknown(self, code: str, what: str, word: str, known: Iterable[str], at: Location) -> None:
        """Note a word that is not known, with the nearest one that is."""
        names = sorted(known)
        near = nearest(word, names)
        fix = f"did you mean `{near}`?" if near else f"known: {', '.join(names)}"
        self.add(code, f"unknown {what} `{word}`", at, fix)
