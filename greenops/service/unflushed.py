"""Rows whose segment of the log is not in the lake yet, so that a flush need not read them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from greenops.domain.spans import EnergyAccount
from greenops.pipeline.span_columns import SpanColumns

MOST: Final = 64 * 2**20
"""Most bytes of rows that are kept [bytes]; what comes beyond is read from the log when it is wanted."""
ACCOUNT_BYTES: Final = 500
"""What one reading of an account takes in memory, about [bytes]."""


@dataclass(slots=True)
class Rows:
    """Rows of one segment."""

    spans: list[SpanColumns] = field(default_factory=list)
    accounts: list[EnergyAccount] = field(default_factory=list)
    size: int = 0


class Unflushed:
    """Rows by segment, within bounds. Not thread-safe: whoever owns it locks."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._size = most, 0
        self._segments: dict[str, Rows | None] = {}

    def add(
        self,
        segment: str,
        spans: SpanColumns | None = None,
        accounts: Sequence[EnergyAccount] = (),
    ) -> None:
        """Keep rows of a segment; where there is no room, none of that segment are kept."""
        size = len(accounts) * ACCOUNT_BYTES + (0 if spans is None else spans.nbytes())
        rows = self._segments.setdefault(segment, Rows())
        if rows is None:
            return
        if self._size + size > self._most:
            self.drop(segment)
            return
        if spans is not None:
            rows.spans.append(spans)
        rows.accounts.extend(accounts)
        rows.size += size
        self._size += size

    def drop(self, segment: str) -> None:
        """Forget the rows of a segment, and those that are still to come."""
        rows = self._segments.get(segment)
        self._size -= 0 if rows is None else rows.size
        self._segments[segment] = None

    def take(self, segment: str) -> Rows | None:
        """All rows of a segment, once; none where they are in the log alone."""
        rows = self._segments.pop(segment, None)
        self._size -= 0 if rows is None else rows.size
        return rows
