"""Sums of what a replay changes, for all and by owner, workload and region; batches add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.pipeline.policy_replay import NEVER

COUNTS: Final = ("decisions", "changed", "missed_before", "missed_after")
CARBON: Final = ("carbon", "low", "high", "carbon_known", "carbon_ranged", "carbon_before")
OTHER: Final = ("cost", "cost_known", "p95", "p95_known")
SUMS: Final = (*COUNTS, *CARBON, *OTHER)
NO_FIGURE: Final = -np.inf


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the candidates that a side chose, one per job; NaN is absent.

    Attributes:
        ends: When they end [us]; `NEVER` where that is absent.
    """

    carbon: Any
    low: Any
    high: Any
    cost: Any
    p95: Any
    ends: Any

    @classmethod
    def of(cls, candidates: pa.Table, rows: Any) -> Figures:
        """The figures of some rows."""
        taken = pa.array(rows)

        def number(name: str) -> Any:
            return candidates.column(name).take(taken).to_numpy().astype(np.float64, copy=False)

        ends = candidates.column("end").take(taken).combine_chunks().view(pa.int64())
        return cls(
            carbon=number("carbon_g"),
            low=number("carbon_low_g"),
            high=number("carbon_high_g"),
            cost=number("cost_usd"),
            p95=number("p95_ms"),
            ends=ends.fill_null(NEVER).to_numpy(zero_copy_only=False),
        )


@dataclass(frozen=True, slots=True)
class Two:
    """Both sides of a batch, job by job.

    Attributes:
        changed: Another candidate is chosen.
        missed: Before and after: the choice ends after the deadline in force.
    """

    before: Figures
    after: Figures
    changed: Any
    missed: tuple[Any, Any]


@dataclass(slots=True)
class Sums:
    """Sums by name of a group."""

    names: dict[str, int] = field(default_factory=dict)
    sums: dict[str, Any] = field(default_factory=lambda: {each: np.zeros(0) for each in SUMS})
    p95_most: Any = field(default_factory=lambda: np.zeros(0))

    def add(self, two: Two, words: Sequence[str], codes: Any, codes_after: Any = None) -> None:
        """Take one batch in.

        Args:
            two: What was chosen before and after.
            words: Name of each code.
            codes: Group of each job.
            codes_after: Group of the choice after, where that may be another, as with regions: what
                leaves one comes to the other.
        """
        places = np.array(
            [self.names.setdefault(each, len(self.names)) for each in words], np.int64
        )
        self._grow()
        old = places[codes]
        new = old if codes_after is None else places[codes_after]
        before, after, changed = two.before, two.after, two.changed
        known = changed & np.isfinite(after.carbon - before.carbon)
        ranged = known & np.isfinite(after.low + after.high + before.low + before.high)
        priced = changed & np.isfinite(after.cost - before.cost)
        timed = changed & np.isfinite(after.p95 - before.p95)
        self._count("decisions", old, np.ones(len(old), np.bool_))
        self._count("changed", old, changed)
        self._count("changed", new, changed & (old != new))
        self._count("missed_before", old, two.missed[0])
        self._count("missed_after", new, two.missed[1])
        self._count("carbon_known", old, known)
        self._count("carbon_known", new, known & (old != new))
        self._count("carbon_ranged", old, ranged)
        self._count("carbon_ranged", new, ranged & (old != new))
        self._count("cost_known", old, priced)
        self._count("cost_known", new, priced & (old != new))
        self._count("p95_known", old, timed)
        self._add("carbon_before", old, before.carbon, np.isfinite(before.carbon))
        self._differ("carbon", known, new, after.carbon, old, before.carbon)
        self._differ("low", ranged, new, after.low, old, before.high)
        self._differ("high", ranged, new, after.high, old, before.low)
        self._differ("cost", priced, new, after.cost, old, before.cost)
        self._add("p95", old, after.p95 - before.p95, timed)
        np.maximum.at(self.p95_most, old[timed], (after.p95 - before.p95)[timed])

    def _grow(self) -> None:
        more = len(self.names) - len(self.p95_most)
        if more:
            self.sums = {n: np.append(each, np.zeros(more)) for n, each in self.sums.items()}
            self.p95_most = np.append(self.p95_most, np.full(more, NO_FIGURE))

    def _count(self, name: str, codes: Any, mask: Any) -> None:
        self.sums[name] += np.bincount(codes[mask], minlength=len(self.names))

    def _add(self, name: str, codes: Any, values: Any, mask: Any, sign: float = 1.0) -> None:
        found = np.bincount(codes[mask], values[mask], minlength=len(self.names))
        self.sums[name] += sign * found

    def _differ(self, name: str, mask: Any, new: Any, after: Any, old: Any, before: Any) -> None:
        if new is old:
            self._add(name, new, after - before, mask)
            return
        self._add(name, new, after, mask)
        self._add(name, old, before, mask, -1.0)
