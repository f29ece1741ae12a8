"""Sums of what is known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

FOLD: Final = 4096
"""Parts that are kept apart before they are added up [1], so that memory stays bounded."""


@dataclass(slots=True)
class Sum:
    """A sum of what is known, and whether anything is; the order of its parts does not matter."""

    parts: list[float] = field(default_factory=list)

    def add(self, value: float | None) -> None:
        """Take a number in; none is not known and changes nothing."""
        if value is not None:
            self.parts.append(value)
            if len(self.parts) > FOLD:
                self._fold()

    def extend(self, values: Iterable[float | None]) -> None:
        """Take numbers in, as one by one."""
        self.parts += [value for value in values if value is not None]
        if len(self.parts) > FOLD:
            self._fold()

    def _fold(self) -> None:
        # With what rounding left off, so that it does not matter when parts are added up.
        whole = math.fsum(self.parts)
        self.parts = [whole, math.fsum([*self.parts, -whole])]

    def value(self) -> float | None:
        """The sum; none before anything is known."""
        return math.fsum(self.parts) if self.parts else None

    def total(self) -> float:
        """The sum; zero of nothing."""
        return math.fsum(self.parts)
