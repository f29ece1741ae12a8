"""A held run that was decided on its own machine is planned anew there, while it waits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from greenops.act.hold import Hold, hold_for
from greenops.adapters.local_process import RunFolder
from greenops.adapters.spool import Spool
from greenops.config import Settings
from greenops.domain.console import DecisionRecord
from greenops.ports import Clock

EVERY: Final = timedelta(minutes=5)
"""Simulated time between two looks: no grid publishes more often."""
AT_LEAST: Final = timedelta(seconds=1)
"""Wall time between two looks, however fast simulated time runs."""
CLEAR: Final = timedelta(minutes=1)
"""Simulated time before the start in which nothing is asked any more: an answer may be slow."""


class PlanHere:
    """Looks now and then whether a held run should start at another time.

    Whatever fails leaves the start that was planned.

    Args:
        again: What takes the place of a decision; none: nothing does.
        made: The decision in force, made here.
    """

    def __init__(
        self,
        again: Callable[[DecisionRecord], DecisionRecord | None],
        made: DecisionRecord,
        folder: RunFolder,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._again, self._made = again, made
        self._folder, self._settings, self._clock = folder, settings, clock
        rate = clock.replay.rate if clock.replay else 1.0
        self._every = max(EVERY, AT_LEAST * rate)
        self._clear = max(CLEAR, AT_LEAST * rate)
        self._looked: datetime = clock.now()

    def __call__(self, hold: Hold) -> Hold:
        """What to wait for from now on."""
        now = self._clock.now()
        soon = hold.start_at - now < self._clear or self._settings.mode != "act"
        if soon or now - self._looked < self._every:
            return hold
        self._looked = now
        try:
            found = self._again(self._made)
            if found is None:
                return hold
            # Law: a start that the ledger cannot come to know of is not taken.
            Spool(self._settings.state / "spool").drop_decision(found)
        except Exception:  # noqa: BLE001  (law: whatever fails here, the plan that is made stays)
            return hold
        self._made = found
        with suppress(OSError):
            self._folder.keep_decision(found.decision)
        return hold_for(found.decision, self._clock.now(), self._settings.mode)
