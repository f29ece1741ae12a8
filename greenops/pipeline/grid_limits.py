"""How often a grid provider may be asked, and when it is left alone; all by a monotonic clock that is passed in."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from greenops.units import NS_PER_S

TRIES: Final = 3
"""Times that one question is put before it counts as failed."""
RETRY_S: Final = 0.2
"""Longest pause before the first repetition; twice as long before each next one [s]."""
LONGEST_RETRY_S: Final = 2.0
FAILURES: Final = 3
"""Questions in a row that fail before a provider is left alone."""
ALONE_S: Final = 30.0
"""Longest first time that it is left alone; twice as long after each further failure [s]."""
LONGEST_ALONE_S: Final = 900.0
LONGEST_HELD_S: Final = 86_400.0
"""Longest wait that a provider may ask for and is believed [s]."""
REGAINED: Final = 0.1
"""Seconds of waiting that are regained in each second."""

Jitter = Callable[[float], float]
"""A random number from nothing to its argument."""


def at_random(longest: float) -> float:
    """The jitter that callers are spread by."""
    return random.uniform(0.0, longest)  # noqa: S311 - it spreads callers, it hides nothing


def retry_pause_s(attempt: int, jitter: Jitter) -> float:
    """How long to wait before a repetition [s], with full jitter: callers that failed together do not return together.

    Args:
        attempt: 0 before the first repetition.
        jitter: Draws the pause.
    """
    return jitter(min(LONGEST_RETRY_S, RETRY_S * 2**attempt))


@dataclass(slots=True)
class TokenBucket:
    """Room for so many calls a minute, all of them at once where none came before.

    Attributes:
        per_minute: Calls that come back in a minute, and the most that lie ready.
    """

    per_minute: float
    _tokens: float = field(init=False)
    _at_ns: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin full."""
        self._tokens = self.per_minute

    def left(self, now_ns: int) -> float:
        """Calls that may be made at once."""
        if self._at_ns is not None:
            gone = max(0, now_ns - self._at_ns) / NS_PER_S
            self._tokens = min(self.per_minute, self._tokens + gone * self.per_minute / 60)
        self._at_ns = now_ns
        return self._tokens

    def take(self, now_ns: int) -> float:
        """Take room for one call; else how long until there is some [s]."""
        left = self.left(now_ns)
        if left >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - left) * 60 / self.per_minute


@dataclass(slots=True)
class Breaker:
    """Leaves a provider alone after it failed some times in a row, each time longer; one question then tries it again."""

    jitter: Jitter
    _failures: int = 0
    _until_ns: int | None = None

    def shut_for_s(self, now_ns: int) -> float:
        """How long it is still left alone [s]; 0 where it may be asked."""
        return 0.0 if self._until_ns is None else max(0, self._until_ns - now_ns) / NS_PER_S

    def succeeded(self) -> None:
        """It answered."""
        self._failures, self._until_ns = 0, None

    def failed(self, now_ns: int) -> None:
        """A question failed, with all its repetitions."""
        self._failures += 1
        if self._failures >= FAILURES:
            longest = min(LONGEST_ALONE_S, ALONE_S * 2.0 ** min(10, self._failures - FAILURES))
            self.hold(longest / 2 + self.jitter(longest / 2), now_ns)

    def hold(self, seconds: float, now_ns: int) -> None:
        """Leave it alone for so long, as where it asked for that."""
        until = now_ns + round(min(LONGEST_HELD_S, seconds) * NS_PER_S)
        self._until_ns = until if self._until_ns is None else max(self._until_ns, until)


@dataclass(slots=True)
class Patience:
    """How long callers may still wait for answers, all together: no decision is held up longer than the bound.

    Attributes:
        bound_s: Longest wait [s].
    """

    bound_s: float
    _left_s: float = field(init=False)
    _at_ns: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin rested."""
        self._left_s = self.bound_s

    def left_s(self, now_ns: int) -> float:
        """Seconds that may be waited now."""
        if self._at_ns is not None:
            gone = max(0, now_ns - self._at_ns) / NS_PER_S
            self._left_s = min(self.bound_s, self._left_s + gone * REGAINED)
        self._at_ns = now_ns
        return self._left_s

    def spent(self, seconds: float) -> None:
        """Somebody waited so long [s]."""
        self._left_s = max(0.0, self._left_s - max(0.0, seconds))
