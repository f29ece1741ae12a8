"""What each operation draws while it is on the CPU, learned from the ticks of one meter.

Two operations may draw 5 and 8 W of the same core. Ticks in which they ran to different parts tell how much: energy is
fitted as the sum of rate times use, by least squares that stay above zero and near the mean rate. Where the
rates do not foretell ticks they were not fitted to better than one rate for all, one rate for all it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from greenops.units import NS_PER_S

if TYPE_CHECKING:
    from greenops.observe.folds import Fold

FIT_EVERY_NS: Final = 60 * NS_PER_S
"""Time between two fits [ns]."""
ENOUGH: Final = 300
"""Ticks before the first fit: half a minute at ten a second, and before them numpy is not even imported."""
MOST_ROWS: Final = 2_048
"""Ticks kept between two fits; the oldest go where looks are taken more often."""
MOST_IN_ROW: Final = 256
"""Operations told apart in one row; the rest count as others."""
MOST_OPERATIONS: Final = 64
"""Operations with a rate of their own; the smallest make room for new ones, which share one rate till then."""
MEMORY: Final = 0.9
"""What a fit leaves of the ticks before the last fit: they fade over ten minutes."""
FOLDS: Final = 5
BLOCK: Final = 10
"""Ticks in a row that fall into one fold, so that a counter's late step does not leak from one to another."""
GATE: Final = 0.9
"""Operations draw alike until shown otherwise: rates must take a tenth off the error."""
RIDGES: Final = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Pull toward the mean rate, as a part of the mean square of the columns; the folds choose."""
SCARCE: Final = 0.02
"""An operation with less than this part of all use tells nothing apart; two others are needed for a fit."""
Z90: Final = 1.645
"""Half width of a 90 % range in standard errors."""

OUTSIDE: Final = "\0outside"
"""Use outside every span, as an operation."""
OTHERS: Final = "\0others"
"""Operations beyond the most that have rates of their own."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Rates relative to the mean; `doubt` is the half width of their 90 % range, relative to each rate."""

    rates: Mapping[str, float] = field(default_factory=dict)
    doubt: Mapping[str, float] = field(default_factory=dict)

    def rate(self, operation: str) -> float:
        """Relative power of an operation; those without a rate of their own draw like the others."""
        found = self.rates.get(operation)
        return self.rates.get(OTHERS, 1.0) if found is None else found

    def doubted(self, operation: str) -> float:
        """Relative half width of the 90 % range of its rate."""
        found = self.doubt.get(operation)
        return self.doubt.get(OTHERS, 0.0) if found is None else found

    def __bool__(self) -> bool:
        return bool(self.rates)


FLAT: Final = Learned()
"""Every operation draws alike."""


class Rates:
    """Learns for one device; memory does not grow with time or with operations. Not thread-safe.

    Args:
        gate: Rates must bring the error on ticks they were not fitted to down to this part of one rate's.
        ticks: So many make one row: more where the counter comes late.
    """

    def __init__(self, gate: float = GATE, ticks: int = 1) -> None:
        self._gate, self._ticks = gate, ticks
        self.learned = FLAT
        self.gain: float | None = None
        """Error on ticks not fitted to, as a part of one rate's; none before the first fit."""
        self._rows: deque[tuple[float, dict[str, float]]] = deque(maxlen=MOST_ROWS)
        self._use: dict[str, float] = {}
        self._energy, self._gathered = 0.0, 0
        self._columns: list[str] = [OTHERS]
        self._folds: list[Fold] = []
        self._fitted_ns: int | None = None

    def record(self, energy: float, use: Mapping[str, float]) -> None:
        """One tick of the device.

        Args:
            energy: What this process used of it, idle left out [J].
            use: By operation, CPU time [s] or whatever else its energy follows.
        """
        mine = self._use
        for operation, amount in use.items():
            name = operation if operation in mine or len(mine) < MOST_IN_ROW else OTHERS
            mine[name] = mine.get(name, 0.0) + amount
        self._energy += energy
        self._gathered += 1
        # A counter that has not moved tells later what this tick used.
        if energy > 0 and self._gathered >= self._ticks:
            self._rows.append((self._energy, self._use))
            self._use, self._energy, self._gathered = {}, 0.0, 0

    def due(self, at_ns: int) -> bool:
        """True once per interval, and not before there is enough to learn from."""
        if self._fitted_ns is None:
            return len(self._rows) * self._ticks >= ENOUGH
        return at_ns - self._fitted_ns >= FIT_EVERY_NS

    def fit(self, at_ns: int) -> None:
        """Learn anew; takes milliseconds."""
        self._fitted_ns = at_ns
        sums = self._sums()
        whole = sum(sums.values())
        if not self._folds and sum(each >= SCARCE * whole for each in sums.values()) < 2:  # noqa: PLR2004
            self._rows.clear()
            return
        self._make_room(sums)
        self._gather()
        self.learned = self._learn()

    def _sums(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for _, use in self._rows:
            for operation, amount in use.items():
                sums[operation] = sums.get(operation, 0.0) + amount
        return sums

    def _gather(self) -> None:
        """Add the rows to the folds, and let the older ones fade."""
        # The import is heavy: a service that never gets here does without.
        import numpy as np

        from greenops.observe.folds import Fold

        where = {operation: index for index, operation in enumerate(self._columns)}
        table = np.zeros((len(self._rows), len(self._columns)))
        for row, (_, use) in zip(table, self._rows, strict=True):
            for operation, amount in use.items():
                row[where.get(operation, 0)] += amount
        energy = np.array([each for each, _ in self._rows])
        fold_of = np.arange(len(energy)) // BLOCK % FOLDS
        fresh = [Fold.of(table[fold_of == each], energy[fold_of == each]) for each in range(FOLDS)]
        if self._folds:
            fresh = [old + new for old, new in zip(self._folds, fresh, strict=True)]
        self._folds = fresh
        self._rows.clear()

    def _make_room(self, sums: Mapping[str, float]) -> None:
        """Columns for the largest of the new operations, in place of the smallest of the old."""
        new = sorted(sums.keys() - set(self._columns), key=lambda name: (-sums[name], name))
        kept = list(range(len(self._columns)))
        if len(kept) + len(new) > MOST_OPERATIONS:
            squares = [sum(fold.square[i, i] for fold in self._folds) for i in kept]
            largest = sorted(kept[1:], key=lambda i: -squares[i])[: MOST_OPERATIONS * 3 // 4]
            kept = [0, *sorted(largest)]
        new = new[: MOST_OPERATIONS - len(kept)]
        self._columns = [*(self._columns[i] for i in kept), *new]
        self._folds = [fold.faded(MEMORY).resized(kept, len(new)) for fold in self._folds]

    def _learn(self) -> Learned:
        from greenops.observe.folds import error, whole

        every = whole(self._folds)
        flat, mean = error(self._folds, None), every.mean()
        errors = {ridge: error(self._folds, ridge) for ridge in RIDGES}
        best = min(errors, key=errors.__getitem__)
        self.gain = (errors[best] / flat) ** 0.5 if flat > 0 else 1.0
        if self.gain > self._gate or mean <= 0:
            return FLAT
        rates = every.rates(best)
        doubts = Z90 * every.standard_errors(best, rates)
        seen = [(i, name) for i, name in enumerate(self._columns) if every.square[i, i] > 0]
        return Learned(
            {name: float(rates[i] / mean) for i, name in seen},
            {name: float(doubts[i] / max(rates[i], mean / 10)) for i, name in seen},
        )
