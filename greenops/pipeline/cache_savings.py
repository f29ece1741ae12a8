"""What caches saved, from spans that say what a look into one gave.

The span of a look carries `greenops.cache.name` and `greenops.cache.outcome`. Its own energy is what the cache
took; what lies below a miss is the making of what was not there:

    avoided = hits x mean energy below a miss - energy of all looks (and of what lies below hits)

A stale answer saved nothing: its look is a cost, and its making would have been without a cache, too. Spans without
energy below a miss make the saving smaller, never larger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from greenops.domain.footprint import CacheSavings
from greenops.domain.spans import SpanRow
from greenops.observe import attributes as names
from greenops.pipeline.carried import text
from greenops.pipeline.lineage import Lineage, Recent
from greenops.pipeline.sums import Sum
from greenops.units import Grams, Joules

LONGEST: Final = 200
"""Longest name of a cache that is taken [characters]."""
MOST_CACHES: Final = 1000
"""Caches that are told apart [1]; a name with an id in it must not fill the memory."""


class Outcome(StrEnum):
    """What a look into a cache gave."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"


@dataclass(slots=True)
class _Amount:
    """What looks of one cache took, in one unit."""

    look: Sum = field(default_factory=Sum)
    below_hits: Sum = field(default_factory=Sum)
    made: Sum = field(default_factory=Sum)

    def avoided(self, hits: int, misses: int) -> float | None:
        making = self.made.total()
        return hits * making / misses - self.cost() if misses and making else None

    def cost(self) -> float:
        return self.look.total() + self.below_hits.total()


@dataclass(slots=True)
class _Cache:
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    energy: _Amount = field(default_factory=_Amount)
    carbon: _Amount = field(default_factory=_Amount)
    metered: bool = True
    """Every look has energy."""
    priced: bool = True
    """Whatever of it has energy has carbon, too."""


@dataclass(frozen=True, slots=True)
class _Look:
    cache: _Cache
    outcome: Outcome


Below = tuple[float, float, bool]
"""Energy [J], emissions [gCO2e], and whether some of that energy has no emissions."""
NOTHING: Final[Below] = (0.0, 0.0, False)


class CacheSums:
    """Sums over rows as they come, in any order, within what `lineage` remembers."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._caches: dict[tuple[str, str], _Cache] = {}
        self._looks: Recent[_Look] = Recent(lineage.remembered)
        self._waiting: Recent[Below] = Recent(lineage.remembered)
        """What lies below spans that have not come yet: children end first."""

    def add(
        self,
        key: int,
        above: int,
        energy: float | None,
        carbon: float | None,
        row: SpanRow | None,
    ) -> None:
        """Take one span in, once.

        Args:
            key: Its own.
            above: Its parent's; a root's own.
            energy: [J].
            carbon: [gCO2e].
            row: Itself, where it may be a look into a cache.
        """
        unpriced = energy is not None and carbon is None
        amount: Below = (energy or 0.0, carbon or 0.0, unpriced)
        below = self._waiting.pop(key)
        if below is not None:
            amount = _together(amount, below)
        if row is not None and names.CACHE_OUTCOME in row.attributes:
            self._count(key, row, below or NOTHING, priced=not amount[2])
        if above != key and amount != NOTHING:
            self._hand_up(key, above, amount)

    def _count(self, key: int, row: SpanRow, below: Below, *, priced: bool) -> None:
        look = self._look(row)
        if look is not None:
            self._looks.put(key, look)
            look.cache.counts[look.outcome] += 1
            look.cache.energy.look.add(row.energy_j or 0.0)
            look.cache.carbon.look.add(row.carbon_g or 0.0)
            look.cache.metered &= row.energy_j is not None
            look.cache.priced &= priced
            _below(look, below)

    def _hand_up(self, key: int, parent: int, amount: Below) -> None:
        if self._caches:
            for above in self._lineage.upward(key):
                look = self._looks.get(above)
                if look is not None:
                    _below(look, amount)
                    look.cache.priced &= not amount[2]
        awaited = self._lineage.awaited(parent)
        if awaited is not None:
            before = self._waiting.get(awaited)
            self._waiting.put(awaited, amount if before is None else _together(before, amount))

    def _look(self, row: SpanRow) -> _Look | None:
        said = text(row, names.CACHE_OUTCOME)
        name = (text(row, names.CACHE_NAME) or row.name)[:LONGEST]
        known = (row.service, name) in self._caches
        if said not in set(Outcome) or not (known or len(self._caches) < MOST_CACHES):
            return None
        return _Look(self._caches.setdefault((row.service, name), _Cache()), Outcome(said))

    def caches(self) -> tuple[CacheSavings, ...]:
        """Each cache so far, by service and name."""
        return tuple(_savings(*key, self._caches[key]) for key in sorted(self._caches))


def _together(one: Below, other: Below) -> Below:
    return one[0] + other[0], one[1] + other[1], one[2] or other[2]


def _below(look: _Look, amount: Below) -> None:
    for unit, part in ((look.cache.energy, amount[0]), (look.cache.carbon, amount[1])):
        if look.outcome is Outcome.HIT:
            unit.below_hits.add(part)
        elif look.outcome is Outcome.MISS:
            unit.made.add(part)


def _savings(service: str, name: str, cache: _Cache) -> CacheSavings:
    hits, misses, stale = (cache.counts[each] for each in Outcome)
    energy = cache.energy.avoided(hits, misses) if cache.metered else None
    carbon = cache.carbon.avoided(hits, misses) if cache.metered and cache.priced else None
    making = cache.energy.made.total()
    return CacheSavings(
        service=service,
        cache=name,
        hits=hits,
        misses=misses,
        stale=stale,
        energy_j=None if energy is None else Joules(energy),
        carbon_g=None if carbon is None else Grams(carbon),
        miss_j=Joules(making / misses) if misses and making else None,
        cost_j=Joules(cache.energy.cost()) if cache.metered else None,
    )
