"""A clock that moves only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenops.domain.replay import Replay

START = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)


class FakeClock:
    """Time under the test's hand; `sleep` moves it on at once."""

    def __init__(self, now: datetime = START, replay: Replay | None = None) -> None:
        self._now = now
        self._replay = replay
        self._ns = 0
        self.slept: list[timedelta] = []

    @property
    def replay(self) -> Replay | None:
        """What the test gave."""
        return self._replay

    def now(self) -> datetime:
        """The instant the test set."""
        return self._now

    def wall(self) -> datetime:
        """The wall instant that belongs to `now`."""
        return self._replay.wall(self._now) if self._replay else self._now

    def monotonic_ns(self) -> int:
        """Nanoseconds the clock was moved on so far."""
        return self._ns

    def sleep(self, duration: timedelta) -> None:
        """Move on by a duration."""
        self.slept.append(duration)
        self.advance(max(duration, timedelta()))

    def advance(self, duration: timedelta) -> None:
        """Move on by a duration."""
        self._now += duration
        self._ns += int(duration.total_seconds() * 1e9)
