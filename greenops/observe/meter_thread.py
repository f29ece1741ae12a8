"""The thread that looks at the meters: while spans run ten times a second, when asked, and once more at the end."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

_log = logging.getLogger(__name__)


class MeterThread:
    """Looks alone, so that a driver that never answers holds up nobody else.

    Args:
        look: Takes one look; may hang, may raise.
        pause: Time until the next look [s]; given what ends it earlier.
        patience_s: How long a caller waits for a look [s].
    """

    def __init__(
        self,
        look: Callable[[], object],
        pause: Callable[[Callable[[], None]], float],
        patience_s: float,
    ) -> None:
        self._look, self._pause, self._patience_s = look, pause, patience_s
        self._looked = threading.Condition()
        self._wake = threading.Lock()
        """Free where a look is due before its time: waiting for a lock is one call into the interpreter, where an event
        takes a dozen lines of Python, and those are cold each time."""
        self._wake.acquire()
        self._asked = self._answered = 0
        self._stop = False
        self.hangs = False
        """True from a wait that was in vain until a look comes to its end."""
        self._thread = threading.Thread(target=self._loop, name="greenops-meter", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        last = False
        while not last:
            self._wake.acquire(timeout=self._pause(self.wake))
            last, asked = self._stop, self._asked
            waits = last or asked != self._answered
            try:
                self._look()
            except Exception:  # noqa: BLE001 - a meter thread that dies would blind the process
                _log.warning("GO0702 a look at the energy meters failed", exc_info=True)
            self.hangs = False
            if waits:
                with self._looked:
                    self._answered = sys.maxsize if last else asked
                    self._looked.notify_all()

    def wake(self) -> None:
        """Let the next look begin now; never waits."""
        # Where another has woken it already, there is nothing to do.
        with suppress(RuntimeError):
            self._wake.release()

    @property
    def alive(self) -> bool:
        """True while it can be asked: it runs, and it is not the one that asks."""
        return self._thread is not threading.current_thread() and self._thread.is_alive()

    @property
    def asked(self) -> bool:
        """True while somebody waits for a look, or the last one comes."""
        return self._stop or self._asked != self._answered

    def ask(self, timeout_s: float) -> bool:
        """One more look that begins after this call; false where it does not end in time, or the last one hangs."""
        if self.hangs:
            return False
        with self._looked:
            self._asked += 1
            mine = self._asked
            self.wake()
            came = self._looked.wait_for(
                lambda: self._answered >= mine, min(timeout_s, self._patience_s)
            )
        self.hangs = not came
        return came

    def end(self) -> None:
        """Take the last look; waits for it no longer than for any other."""
        self._stop = True
        self.wake()
        self._thread.join(0.0 if self.hangs else self._patience_s)
        self.hangs = self._thread.is_alive()
