"""Carbon computed anew from energy that was recorded, with other factors; nothing recorded changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np

from greenops.adapters.rollup_files import MINUTE, RollupFiles
from greenops.domain.factors import FactorTable
from greenops.domain.grouping import Groups, combined, ordered
from greenops.grid.factors import intensity_at
from greenops.pipeline.rollup_cells import COUNTS, MEASURES, Cells, Words
from greenops.pipeline.rollup_sums import BITS, added, doubles, sums_of, whole
from greenops.ports import Engine
from greenops.units import Grams, Joules, emissions

QUANTA: Final = 2 ** (2 * BITS)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
KEY: Final = ("service", "method", "region")
ENERGY, CARBON = MEASURES.index("energy_j"), MEASURES.index("carbon_g")
WITH_ENERGY, WITH_CARBON = COUNTS.index("with_energy"), COUNTS.index("with_carbon")


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Carbon of a service's energy by one method, before and after.

    Attributes:
        energy_method: How the energy came about; none where spans do not say.
        intensity: How the new intensity did: `reported`, `estimated`, both, or none where there is none.
        energy_j: Recorded energy [J], the same before and after.
        spans: How many have it.
        before_g: Recorded emissions of `spans_before` of them [gCO2e]; none of none.
        after_g: New emissions of `spans_after` of them [gCO2e]; none of none.
    """

    service: str | None
    energy_method: str | None
    intensity: str | None
    energy_j: Joules
    spans: int
    before_g: Grams | None
    spans_before: int
    after_g: Grams | None
    spans_after: int


@dataclass(slots=True)
class _Row:
    """Sums in whole quanta, so that parts add up in any order."""

    energy: int = 0
    spans: int = 0
    before: int = 0
    spans_before: int = 0
    after: int = 0
    spans_after: int = 0
    methods: set[str] = field(default_factory=set)

    def add(self, other: _Row) -> None:
        for name in ("energy", "spans", "before", "spans_before", "after", "spans_after"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.methods |= other.methods


_Rows = Mapping[tuple[str | None, str | None], _Row]


@dataclass(frozen=True, slots=True)
class Recompute:
    """Work of an engine: carbon of one hour's minutes with other factors.

    Attributes:
        factors: Intensity and PUE by region.
        pue: Takes the place of every region's; none: each has its own.
    """

    rollups: RollupFiles
    factors: FactorTable
    pue: float | None = None

    def __call__(self, part: tuple[date, int]) -> _Rows:
        """By service and method of energy."""
        day, hour = part
        table = self.rollups.read(self.rollups.path(MINUTE, day, f"{hour:02d}"))
        return {} if table is None else self.rows(Cells.of_table(table))

    def rows(self, cells: Cells) -> _Rows:
        """What some cells come to: a cell's energy at the intensity of its minute, and the PUE of its region."""
        cells = cells.some(cells.counts[WITH_ENERGY] > 0)
        service, method, region = map(cells.word, KEY)
        groups, members = _same(service, method)
        together = Groups.of(groups, len(members))
        grams, methods = self._grams(cells, region)
        known = ~np.isnan(grams)
        after = sums_of(grams[known], groups[known], len(members))
        energy, before = (added([cells.sums[at]], together) for at in (ENERGY, CARBON))
        found = {}
        for at, member in enumerate(members.tolist()):
            mine = groups == at
            found[_word(service, member), _word(method, member)] = _Row(
                whole(energy[:, at]),
                int(cells.counts[WITH_ENERGY, mine].sum()),
                whole(before[:, at]),
                int(cells.counts[WITH_CARBON, mine].sum()),
                whole(after[:, at]),
                int(cells.counts[WITH_ENERGY, mine & known].sum()),
                {each for each in methods[mine].tolist() if each},
            )
        return found

    def _grams(self, cells: Cells, region: Words) -> tuple[Any, Any]:
        """Emissions of each cell [gCO2e], NaN where there is no intensity; and how its intensity came about."""
        instants, place = np.unique(cells.at, return_inverse=True)
        width = len(region.known) + 1
        pairs, first = ordered(place * width + region.codes, len(instants) * width)
        intensity, pue = np.full(len(first), np.nan), np.full(len(first), np.nan)
        methods = np.full(len(first), None, object)
        for at, member in enumerate(first.tolist()):
            name = _word(region, member)
            when = EPOCH + timedelta(microseconds=int(cells.at[member]))
            value, method = intensity_at(self.factors, name, when)
            if value is not None and method is not None and name is not None:
                intensity[at], methods[at] = value, method.value
                pue[at] = self.factors.regions[name].pue if self.pue is None else self.pue
        energy: Any = doubles(cells.sums[ENERGY])
        each: Any = intensity[pairs]
        return emissions(energy, each, pue[pairs]), methods[pairs]


def _same(*words: Words) -> tuple[Any, Any]:
    return ordered(*combined([(each.codes, len(each.known) + 1) for each in words]))


def _word(words: Words, row: int) -> str | None:
    code = int(words.codes[row])
    return words.known[code - 1] if code else None


def recompute(
    work: Recompute, days: Iterable[date], engine: Engine | None = None
) -> list[Recomputed]:
    """Carbon of some days before and after, by service and method of energy.

    Raises:
        DataMissing: A roll-up is damaged; names it.
        Unreachable: A worker is gone.
    """
    parts: Sequence[tuple[date, int]] = [
        (day, hour) for day in days for hour in work.rollups.hours(day)
    ]
    total: dict[tuple[str | None, str | None], _Row] = {}
    for rows in map(work, parts) if engine is None else engine.run(work, parts):
        for key, row in rows.items():
            total.setdefault(key, _Row()).add(row)
    order = sorted(total, key=lambda key: tuple(each or "" for each in key))
    return [_told(key, total[key]) for key in order]


def _told(key: tuple[str | None, str | None], row: _Row) -> Recomputed:
    return Recomputed(
        service=key[0],
        energy_method=key[1],
        intensity="+".join(sorted(row.methods)) or None,
        energy_j=Joules(row.energy / QUANTA),
        spans=row.spans,
        before_g=Grams(row.before / QUANTA) if row.spans_before else None,
        spans_before=row.spans_before,
        after_g=Grams(row.after / QUANTA) if row.spans_after else None,
        spans_after=row.spans_after,
    )
