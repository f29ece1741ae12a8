"""Texts as numbers: each word's place in one sorted list, so that order and equality are theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from greenops.policy.columns import Column, Values, both

SEARCHES: Final[dict[str, Callable[[str, str], bool]]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}


@dataclass(slots=True)
class Vocabulary:
    """All texts of a batch: its columns' and its rules'."""

    words: list[str]
    code: dict[str, int]
    tables: dict[tuple[str, str], Values] = field(default_factory=dict)

    @classmethod
    def of(cls, words: Iterable[str]) -> Vocabulary:
        """The vocabulary of some words and the empty one, sorted by code point as CEL sorts texts."""
        ordered = sorted({"", *words})
        return cls(ordered, {word: at for at, word in enumerate(ordered)})

    def codes(self, words: Iterable[str | None]) -> Values:
        """Each word's code; an absent one has that of any."""
        return np.array([self.code[w] if w is not None else 0 for w in words], np.int32)

    def search(self, name: str, text: Column, pattern: str) -> Column:
        """`startsWith` and its like, asked once per word."""
        table = self._table((name, pattern), lambda: _answers(name, self.words, pattern), np.bool_)
        return Column("bool", table[text.values], text.ok)

    def search_pairs(self, name: str, text: Column, part: Column) -> Column:
        """The same where the other text varies: asked once per pair that occurs."""
        pairs = text.values.astype(np.int64) * len(self.words) + part.values
        found, places = np.unique(pairs, return_inverse=True)
        given = (divmod(int(each), len(self.words)) for each in found)
        said = [SEARCHES[name](self.words[a], self.words[b]) for a, b in given]
        answers = np.array(said, np.bool_)[places.reshape(pairs.shape)]
        return Column("bool", answers, both(text.ok, part.ok))

    def size(self, text: Column) -> Column:
        """Characters of each text."""
        table = self._table(("size", ""), lambda: [len(each) for each in self.words], np.int64)
        return Column("int", table[text.values], text.ok)

    def _table(self, key: tuple[str, str], make: Callable[[], list[Any]], of: Any) -> Values:
        if key not in self.tables:
            self.tables[key] = np.array(make(), of)
        return self.tables[key]


def _answers(name: str, words: list[str], pattern: str) -> list[bool]:
    if name != "matches":
        return [SEARCHES[name](each, pattern) for each in words]
    import re2  # type: ignore[import-untyped]

    compiled = re2.compile(pattern)
    return [compiled.search(each) is not None for each in words]
