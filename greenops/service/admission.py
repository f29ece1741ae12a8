"""How much work a receiver takes in at once; whoever comes beyond is asked to come again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

MOST_MESSAGES: Final = 256
"""Messages that are taken or wait to be taken [1], at each door."""
MOST_BYTES: Final = 64 * 2**20
"""Bytes of their bodies as they came [bytes]: four of the largest."""
RETRY_AFTER_S: Final = 1
"""After what time a sender may come again [s]; its own back-off does the rest."""


class Admission:
    """Messages and bytes that are being taken. Thread-safe."""

    def __init__(self, messages: int = MOST_MESSAGES, most_bytes: int = MOST_BYTES) -> None:
        self._messages, self._bytes = messages, most_bytes
        self._lock = threading.Lock()
        self.messages = self.bytes = 0

    def enter(self) -> bool:
        """Ask for room for one more message; who gets it must `leave`."""
        with self._lock:
            if self.messages >= self._messages:
                return False
            self.messages += 1
            return True

    def grow(self, size: int) -> bool:
        """Ask for room for more bytes of one that entered; who gets it gives it back with `leave`."""
        with self._lock:
            if self.bytes + size > self._bytes:
                return False
            self.bytes += size
            return True

    def leave(self, size: int) -> None:
        """Give back what one message and its bytes took."""
        with self._lock:
            self.messages -= 1
            self.bytes -= size


class Pool(ThreadPoolExecutor):
    """Threads that tell how much work waits for them or is done."""

    def __init__(self, workers: int, name: str) -> None:
        super().__init__(workers, thread_name_prefix=name)
        self._counting = threading.Lock()
        self.busy = 0

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        """Do some work when a thread is free."""
        with self._counting:
            self.busy += 1
        try:
            future = super().submit(work, *given, **named)
        except RuntimeError:
            self._done()
            raise
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: Future[Any] | None = None) -> None:
        with self._counting:
            self.busy -= 1
