"""Asking one grid provider: one thread beside, within its limits, each failure told once and none raised."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from greenops.errors import (
    AdapterUnavailable,
    AdapterUnsupported,
    DataMissing,
    GreenOpsError,
    MixedQuantities,
    one_line,
)
from greenops.pipeline.beside import Run, in_background
from greenops.pipeline.grid_limits import (
    LONGEST_ALONE_S,
    TRIES,
    Breaker,
    Jitter,
    TokenBucket,
    retry_pause_s,
)
from greenops.ports import Clock
from greenops.units import NS_PER_S

log = logging.getLogger("greenops.grid")

MOST_WAITING: Final = 512
"""Questions that wait at most; further ones are refused."""
LONGEST_PACE_S: Final = 5.0
"""Longest pause for room in the rate limit [s]; a question that would wait longer is refused."""


@dataclass(slots=True, eq=False)
class Question:
    """One question to a provider, and whether it is over.

    Attributes:
        ask: Puts it, and keeps the answer.
        over: Set when it was answered or failed.
        error: Why it failed; none while it is open or where it was answered.
    """

    ask: Callable[[], None]
    over: threading.Event = field(default_factory=threading.Event)
    error: GreenOpsError | None = None


@dataclass(slots=True)
class Worker:
    """Puts questions to one provider, one after the other, the urgent ones first.

    Attributes:
        name: The provider, as the log names it.
        clock: For limits, pauses and the time of the last success.
        bucket: Its rate limit.
        jitter: A random number from nothing to its argument.
        run: How the thread is started; tests work at once.
        problem: Why it cannot be used now; none where its last answer was one.
        problem_since, last_success: Wall time; none where there was none.
    """

    name: str
    clock: Clock
    bucket: TokenBucket
    jitter: Jitter
    run: Run = in_background
    problem: GreenOpsError | None = None
    problem_since: datetime | None = None
    last_success: datetime | None = None
    refused: MixedQuantities | None = None
    """Set once its answers are of another kind; it is never asked again."""
    _breaker: Breaker = field(init=False)
    _urgent: deque[tuple[object, Question]] = field(default_factory=deque)
    _idle: deque[tuple[object, Question]] = field(default_factory=deque)
    _open: dict[object, Question] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _working: bool = False

    def __post_init__(self) -> None:
        """Begin with a breaker that is closed."""
        self._breaker = Breaker(self.jitter)

    def submit(self, key: object, ask: Callable[[], None], *, urgent: bool = True) -> Question:
        """Put a question when its turn comes; the same key while it is open is the same question."""
        with self._lock:
            known = self._open.get(key)
            if known is not None:
                return known
            question = Question(ask)
            if len(self._open) >= MOST_WAITING:
                return _ended(question, _busy(self.name))
            self._open[key] = question
            (self._urgent if urgent else self._idle).append((key, question))
            start = not self._working
            self._working = True
        if start:
            try:
                self.run(self._work)
            except RuntimeError as error:
                # No thread can be had, as at the end of the process.
                self._give_up(_unexpected(self.name, error))
        return question

    def shut_for_s(self) -> float:
        """How long it is still left alone after failures, or because it asked for that [s]."""
        return self._breaker.shut_for_s(self.clock.monotonic_ns())

    def _work(self) -> None:
        while True:
            with self._lock:
                waiting = self._urgent or self._idle
                if not waiting:
                    self._working = False
                    return
                key, question = waiting.popleft()
            error = self._put(question.ask)
            with self._lock:
                self._open.pop(key, None)
            _ended(question, error)

    def _give_up(self, error: GreenOpsError) -> None:
        with self._lock:
            left = [*self._open.values()]
            self._open.clear()
            self._urgent.clear()
            self._idle.clear()
            self._working = False
        for each in left:
            _ended(each, error)

    def _put(self, ask: Callable[[], None]) -> GreenOpsError | None:
        """Ask until it is answered or given up; why it failed."""
        if self.refused is not None:
            return self.refused
        if self._breaker.shut_for_s(self.clock.monotonic_ns()) > 0:
            return self.problem or _busy(self.name)
        error: GreenOpsError | None = None
        for attempt in range(TRIES):
            if not self._has_room():
                return _busy(self.name)
            error = self._once(ask)
            if not isinstance(error, AdapterUnavailable):
                return error
            if error.retry_after_s is not None:
                self._breaker.hold(error.retry_after_s, self.clock.monotonic_ns())
                return error
            if attempt + 1 < TRIES:
                self._pause(retry_pause_s(attempt, self.jitter))
        self._breaker.failed(self.clock.monotonic_ns())
        return error

    def _once(self, ask: Callable[[], None]) -> GreenOpsError | None:
        try:
            ask()
        except DataMissing as error:
            # It answers, and does not have this.
            self._answers()
            return error
        except MixedQuantities as error:
            self.refused = error
            return self._told(error)
        except AdapterUnavailable as error:
            return self._told(error)
        except AdapterUnsupported as error:
            self._breaker.hold(LONGEST_ALONE_S, self.clock.monotonic_ns())
            return self._told(error)
        except Exception as error:  # noqa: BLE001 - an adapter from elsewhere may raise anything
            return self._told(_unexpected(self.name, error))
        self._answers()
        self.last_success = self.clock.wall()
        return None

    def _answers(self) -> None:
        self._breaker.succeeded()
        if self.problem is not None:
            log.warning("grid provider `%s` answers again", self.name)
        self.problem, self.problem_since = None, None

    def _told(self, error: GreenOpsError) -> GreenOpsError:
        """A problem, which the log tells once until it is over."""
        if self.problem is None or self.problem.code != error.code:
            log.warning("grid provider `%s`: %s", self.name, error)
        if self.problem is None:
            self.problem_since = self.clock.wall()
        self.problem = error
        return error

    def _has_room(self) -> bool:
        with self._lock:
            wait = self.bucket.take(self.clock.monotonic_ns())
        if wait == 0:
            return True
        if wait > LONGEST_PACE_S:
            return False
        self._pause(wait)
        with self._lock:
            return self.bucket.take(self.clock.monotonic_ns()) == 0

    def _pause(self, seconds: float) -> None:
        """Wait on the wall; a replay's clock counts in simulated time."""
        replay = self.clock.replay
        self.clock.sleep(timedelta(seconds=seconds) * (replay.rate if replay else 1.0))


def waited_s(question: Question, longest_s: float, clock: Clock) -> float:
    """Wait until a question is over, or for the longest time; how long that was [s]."""
    if longest_s <= 0 or question.over.is_set():
        return 0.0
    began = clock.monotonic_ns()
    question.over.wait(longest_s)
    return (clock.monotonic_ns() - began) / NS_PER_S


def answered(ask: Callable[[], None], error: GreenOpsError) -> Question:
    """A question that is over before it was put."""
    return _ended(Question(ask), error)


def _ended(question: Question, error: GreenOpsError | None) -> Question:
    question.error = error
    question.over.set()
    return question


def _busy(name: str) -> AdapterUnavailable:
    return AdapterUnavailable(
        "GO0341",
        f"`{name}` is not asked more often than `grid_calls_per_minute` allows",
        fix="raise the setting where its plan allows more",
    )


def _unexpected(name: str, error: Exception) -> AdapterUnavailable:
    return AdapterUnavailable(
        "GO0342", f"`{name}` failed: {one_line(f'{type(error).__name__}: {error}', 200)}"
    )
