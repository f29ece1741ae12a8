"""What became of spans, kept until exporters ask for it."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Final

from greenops.domain.energy import Unknown
from greenops.observe.attribution import Attribution, Finished

KEPT: Final = 8_192
"""Results kept for exporters at least; the oldest goes. Four queues of the SDK's batch processor at its default."""


class Results:
    """Results of spans by key, and how many lack a number, by reason. Not thread-safe: the caller locks.

    Args:
        books: They know of spans that have none yet.
        kept: Most that are kept.
    """

    def __init__(self, books: Attribution, kept: int = KEPT) -> None:
        self._books, self.kept = books, kept
        self.found: OrderedDict[int, Finished] = OrderedDict()
        self.unknown: Counter[str] = Counter()

    def add(self, finished: Iterable[Finished]) -> None:
        """Keep what a look settled."""
        for each in finished:
            self.found[each.key] = each
        while len(self.found) > self.kept:
            self.found.popitem(last=False)

    def take(self, key: int) -> Finished:
        """The result of a span; what was never seen here is unknown, with its reason, and counted."""
        found = self.found.get(key)
        if found is None:
            found = self.missing(key)
        if found.unknown is not None:
            self.unknown[found.unknown] += 1
        return found

    def missing(self, key: int) -> Finished:
        """The result of a span that no look has settled."""
        late = self._books.finish(key)
        if late is not None:
            self.found[key] = late
            return late
        # A span that still waits for a look goes out now: its energy will be nobody's.
        if self._books.spans.abandon(key):
            found = self.found[key] = Finished(key, None, Unknown.METER_FAILED, 0, {})
            return found
        why = Unknown.NOT_OBSERVED if self._books.devices else Unknown.NO_METER
        return Finished(key, None, why, 0, {})
