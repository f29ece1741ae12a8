"""A grid provider that fails as a test says: away, refusing, talking nonsense, or slow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from greenops.domain.grid import Forecast, GridZone, IntensitySeries
from greenops.testing.grid import FakeGrid

Fault = Exception | Callable[[], None]
"""Is raised, or is called before the answer, as to wait."""


class FaultyGrid(FakeGrid):
    """A fake that fails while the test has set a fault, and counts what it is asked.

    Attributes:
        called: Its name.
        fault: What befalls every question; none: it answers.
        asked: Each question: its kind and the zone.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.called = "faulty"
        self.fault: Fault | None = None
        self.asked: list[tuple[str, str]] = []

    @property
    def name(self) -> str:
        """What the test called it."""
        return self.called

    def zones(self) -> Sequence[GridZone]:
        """The zones, unless it fails."""
        self._meet("zones", "")
        return super().zones()

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What was recorded, unless it fails."""
        self._meet("actual", zone)
        return super().actual(zone, start, end)

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """What was foretold, unless it fails."""
        self._meet("forecast", zone)
        return super().forecast(zone, at)

    def _meet(self, what: str, zone: str) -> None:
        self.asked.append((what, zone))
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            self.fault()
