"""Least squares over ticks from sums alone: no tick is kept. Imported only once there is something to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fold:
    """Sums over ticks, enough for least squares: use x use, use x energy, energy^2, use, energy, ticks."""

    square: Floats
    cross: Floats
    energy_square: float
    use: float
    energy: float
    ticks: float

    @classmethod
    def of(cls, table: Floats, energy: Floats) -> Fold:
        """Ticks: use, shape (tick, operation), and energy [J], shape (tick,)."""
        return cls(
            table.T @ table,
            table.T @ energy,
            float(energy @ energy),
            float(table.sum()),
            float(energy.sum()),
            len(energy),
        )

    def __add__(self, other: Fold) -> Fold:
        """Both together."""
        return Fold(
            self.square + other.square,
            self.cross + other.cross,
            self.energy_square + other.energy_square,
            self.use + other.use,
            self.energy + other.energy,
            self.ticks + other.ticks,
        )

    def faded(self, by: float) -> Fold:
        """As if there had been fewer ticks."""
        return Fold(
            self.square * by,
            self.cross * by,
            self.energy_square * by,
            self.use * by,
            self.energy * by,
            self.ticks * by,
        )

    def resized(self, kept: list[int], more: int) -> Fold:
        """With those columns kept, and so many new ones that nothing is known of."""
        size, wide = len(kept), len(kept) + more
        square, cross = np.zeros((wide, wide)), np.zeros(wide)
        square[:size, :size] = self.square[np.ix_(kept, kept)]
        cross[:size] = self.cross[kept]
        return Fold(square, cross, self.energy_square, self.use, self.energy, self.ticks)

    def mean(self) -> float:
        """One rate for all [J per unit of use]."""
        return self.energy / self.use if self.use > 0 else 0.0

    def error(self, rates: Floats) -> float:
        """Squared error that rates leave [J^2]."""
        return max(
            0.0,
            float(self.energy_square - 2 * rates @ self.cross + rates @ self.square @ rates),
        )

    def _pulled(self, ridge: float) -> tuple[Floats, float]:
        pull = ridge * float(np.trace(self.square)) / max(1, int(np.count_nonzero(self.cross)))
        return self.square + pull * np.eye(len(self.cross)), pull

    def rates(self, ridge: float) -> Floats:
        """Least squares, near the mean rate and nowhere below zero."""
        square, pull = self._pulled(ridge)
        rates: Floats = np.zeros(len(self.cross))
        if pull <= 0:
            return rates
        free = np.ones(len(rates), dtype=bool)
        # What comes out below zero is held at zero, and the rest solved again.
        for _ in range(len(rates)):
            goal = self.cross[free] + pull * self.mean()
            found = np.linalg.solve(square[np.ix_(free, free)], goal)
            rates[:] = 0.0
            rates[free] = np.maximum(found, 0.0)
            if (found >= 0).all():
                break
            free[np.flatnonzero(free)[found < 0]] = False
        return rates

    def standard_errors(self, ridge: float, rates: Floats) -> Floats:
        """Of each rate [J per unit of use]."""
        square, _ = self._pulled(ridge)
        inverse = np.linalg.inv(square)
        spare = max(1.0, self.ticks - len(rates))
        spread = self.error(rates) / spare * (inverse @ self.square @ inverse)
        found: Floats = np.sqrt(np.maximum(spread.diagonal(), 0.0))
        return found


def whole(folds: Sequence[Fold]) -> Fold:
    """All folds together; there is at least one."""
    return sum(folds[1:], folds[0])


def error(folds: Sequence[Fold], ridge: float | None) -> float:
    """Squared error on each fold of what the others teach [J^2]; no ridge means one rate for all."""
    left = 0.0
    for out in folds:
        rest = whole([fold for fold in folds if fold is not out])
        one = np.full(len(rest.cross), rest.mean())
        left += out.error(one if ridge is None else rest.rates(ridge))
    return left
