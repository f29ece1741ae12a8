"""Sums as counters show them, which never fall."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from greenops.domain.energy import Category

Key = tuple[str | None, str]
"""Workload and category; what belongs to a host has no workload."""
OWN: Final = (Category.ATTRIBUTED, Category.UNATTRIBUTED, Category.OVERHEAD)
"""Categories that are a process's own; the others are of its host."""


class Counters:
    """Sums as counters show them: never lower than before.

    Energy of a process moves between its categories when spans stay open at its end. A fall is not
    shown; what it leaves too much is taken off the next rises of the same process's categories, so
    that their sum stays what it is.
    """

    def __init__(self) -> None:
        self._shown: dict[Key, float] = {}
        self._before: dict[Key, float] = {}
        """What was shown before a start, beyond what has been read again since."""

    def resume(self, shown: Mapping[Key, float], exact: Mapping[Key, float]) -> None:
        """Go on from what was shown before a start, though less may be left to be summed [J]."""
        now = {**dict.fromkeys(shown, 0.0), **self.show(exact)}
        self._before = {key: max(0.0, joules - now[key]) for key, joules in shown.items()}

    def show(self, exact: Mapping[Key, float]) -> dict[Key, float]:
        """What to show for sums [J]."""
        for workload in {workload for workload, _ in exact}:
            self._raise({key: exact[key] for key in exact if key[0] == workload and key[1] in OWN})
        for key, joules in exact.items():
            if key[1] not in OWN:
                self._shown[key] = max(self._shown.get(key, 0.0), joules)
        return {
            key: self._shown.get(key, 0.0) + self._before.get(key, 0.0)
            for key in {**self._before, **self._shown}
        }

    def _raise(self, exact: Mapping[Key, float]) -> None:
        shown = {key: self._shown.get(key, 0.0) for key in exact}
        owed = math.fsum(max(0.0, shown[key] - exact[key]) for key in exact)
        rises = {key: max(0.0, exact[key] - shown[key]) for key in exact}
        whole = math.fsum(rises.values())
        part = max(0.0, 1.0 - owed / whole) if whole else 0.0
        for key, rise in rises.items():
            self._shown[key] = exact[key] if rise and not owed else shown[key] + rise * part
