"""What looks up and down traces: calls to elsewhere and looks into caches, over spans as they come.

Most services have neither. Until the first span of either kind comes, spans are kept in columns alone; what
looks at each of them begins with those that are remembered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.pipeline.alike_spans import SERVER
from greenops.pipeline.cache_savings import CacheSums
from greenops.pipeline.lineage import Lineage
from greenops.pipeline.remote_energy import RemoteSums
from greenops.pipeline.span_columns import SpanColumns

ASKING: Final = frozenset({names.ENERGY_REMOTE, names.CACHE_OUTCOME})
"""Attributes of the spans that ask what lies above and below them."""


class _Seen(NamedTuple):
    """Spans in columns: keys, those of their parents, energy [J], carbon [gCO2e], whether metered at a server."""

    key: Any
    above: Any
    energy: Any
    carbon: Any
    served: Any


class Kin:
    """Remote energy and savings of caches, one by one and in the order in which spans came."""

    def __init__(self) -> None:
        self._lineage = Lineage()
        self.remote = RemoteSums(self._lineage)
        self.caches = CacheSums(self._lineage)
        self._waiting: deque[_Seen] | None = deque()
        self._count = 0

    def add(self, spans: SpanColumns) -> None:
        """Take in spans that are new."""
        energy = spans.numbers("energy_j")
        served = spans.is_word("kind", SERVER) & ~np.isnan(energy)
        seen = _Seen(spans.keys, spans.above, energy, spans.numbers("carbon_g"), served)
        places = spans.attributes.carriers(ASKING).tolist()
        if self._waiting is not None:
            if not places:
                self._keep(self._waiting, seen)
                return
            earlier, self._waiting = self._waiting, None
            for each in earlier:
                self._take(each, {})
        self._take(seen, dict(zip(places, spans.rows(places), strict=True)))

    def _keep(self, waiting: deque[_Seen], seen: _Seen) -> None:
        waiting.append(seen)
        self._count += len(seen.key)
        while self._count - len(waiting[0].key) >= self._lineage.remembered:
            self._count -= len(waiting.popleft().key)

    def _take(self, seen: _Seen, asking: Mapping[int, SpanRow]) -> None:
        columns = (column.tolist() for column in seen)
        for place, (key, above, joules, grams, served) in enumerate(zip(*columns, strict=True)):
            row = asking.get(place)
            self._lineage.put(key, above)
            self.remote.add(key, above, row, served=served)
            self.caches.add(key, above, _known(joules), _known(grams), row)


def _known(value: float) -> float | None:
    # What is not known is NaN, which alone is not itself.
    return value if value == value else None  # noqa: PLR0124
