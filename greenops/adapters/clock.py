"""The system's clock, with simulated time beside it where a replay is in force."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from greenops.domain.replay import VARIABLE, Replay, parse_replay


class SystemClock:
    """Wall time, and simulated time as the replay maps it. Stability: beta."""

    def __init__(self, replay: Replay | None = None) -> None:
        self._replay = replay

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> SystemClock:
        """The clock that `GREENOPS_REPLAY` asks for.

        Raises:
            UsageError: The variable is not `<sim start>@<wall start>@<rate>`.
        """
        return cls(parse_replay((os.environ if environ is None else environ).get(VARIABLE)))

    @property
    def replay(self) -> Replay | None:
        """How simulated time runs; none where it is wall time."""
        return self._replay

    def now(self) -> datetime:
        """Simulated instant, aware UTC."""
        wall = self.wall()
        return self._replay.simulated(wall) if self._replay else wall

    def wall(self) -> datetime:
        """Wall instant, aware UTC."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """Monotonic clock [ns]."""
        return time.monotonic_ns()

    def sleep(self, duration: timedelta) -> None:
        """Wait a simulated duration; nothing where it is negative."""
        wall = self._replay.wall_span(duration) if self._replay else duration
        time.sleep(max(0.0, wall.total_seconds()))
