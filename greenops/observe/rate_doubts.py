"""How well rates are known that a fit without a pull would give: a pull hides that two columns rose and fell together.

Imported only once there is something to learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.observe.rates import Z90

NOISE: Final = 0.01
"""Error of a row that is assumed at least, as a part of the mean row: no meter is better, and a fit may be by chance."""
PULL: Final = 1e-12
"""Keeps columns that are the same from having no answer at all; their doubt comes out large beyond measure."""


class Doubts:
    """Of rates, from the rows that they were learned from.

    Args:
        rows: Energy [J] and use by column, of each row.
        rates: Energy of a unit of use by column [J].
    """

    def __init__(
        self, rows: Sequence[tuple[float, Mapping[str, float]]], rates: Mapping[str, float]
    ) -> None:
        self._columns = list(rates)
        table = np.array([[use.get(each, 0.0) for each in self._columns] for _, use in rows])
        energy = np.array([each for each, _ in rows])
        left = energy - table @ np.array([rates[each] for each in self._columns])
        spare = max(1, len(rows) - len(self._columns))
        spread = max(float(left @ left) / spare, (NOISE * float(energy.mean())) ** 2)
        scale = np.sqrt((table**2).sum(axis=0))
        scale[scale == 0] = 1.0
        square = (table / scale).T @ (table / scale)
        inverse = np.linalg.inv(square + PULL * np.eye(len(scale)))
        self._cov: NDArray[np.float64] = spread * inverse / np.outer(scale, scale)

    def of(self, parts: Mapping[str, float]) -> float:
        """Half width of the 90 % range of a sum of rates, each times its part [J]."""
        weights = np.array([parts.get(each, 0.0) for each in self._columns])
        return float(Z90 * np.sqrt(max(0.0, weights @ self._cov @ weights)))
