"""Which span lies above which, for the newest spans, in whatever order they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

from greenops.domain.spans import SpanRow

REMEMBERED: Final = 100_000
"""Spans whose parent is known [1]: those of a trace arrive within minutes of each other."""

Value = TypeVar("Value")


def key_of(trace_id: str, span_id: str) -> int:
    """A number of 64 bits for two texts: a fifth of the memory, and no two of a million alike."""
    return hash((trace_id, span_id))


def keep(table: dict[int, Value], key: int, value: Value, most: int) -> None:
    """Put a value in; the oldest goes where there are too many."""
    table[key] = value
    if len(table) > most:
        del table[next(iter(table))]


class Lineage:
    """Parents of the newest spans."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.remembered = remembered
        self._parents: dict[int, int | None] = {}

    def add(self, row: SpanRow) -> int:
        """Take a span in; gives its key."""
        key = key_of(row.trace_id, row.span_id)
        above = None if row.parent_id is None else key_of(row.trace_id, row.parent_id)
        keep(self._parents, key, above, self.remembered)
        return key

    def knows(self, key: int) -> bool:
        """Whether a span has come, and not long ago."""
        return key in self._parents

    def upward(self, key: int) -> Iterator[int]:
        """Keys above a span, nearest first; ends with the first that has not come itself."""
        # Whoever sends spans may send a circle.
        seen = {key}
        while (above := self._parents.get(key)) is not None and above not in seen:
            yield above
            seen.add(above)
            key = above
