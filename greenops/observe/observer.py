"""One process observed: what spans and meters tell goes into the books, and results to exporters."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from greenops.domain.energy import MeterInfo
from greenops.errors import GreenOpsError
from greenops.observe.account import Account
from greenops.observe.attribution import Attribution, Finished, Tick
from greenops.observe.glance import Glance
from greenops.observe.host import Host
from greenops.observe.idle import SEPARATE, Idle
from greenops.observe.meter_thread import MeterThread
from greenops.observe.meters import Meters
from greenops.observe.open_spans import SHORT_NS
from greenops.observe.results import KEPT, Results
from greenops.observe.span_log import NEVER_NS, SpanLog

if TYPE_CHECKING:
    from greenops.ports import Clock, EnergyMeter

INTERVAL_S: Final = 0.1
"""Time between two looks [s]; RAPL and NVML give no more than this is worth."""
QUIET_S: Final = 4.0
"""The same while no span is open: the next start wakes the meter thread [s]. A look costs a fifth of a millisecond where
caches are cold, and what it tells then is of nobody."""
PATIENCE_S: Final = 2.0
"""How long spans wait for a look that was asked for [s]; one takes less than a millisecond."""
TOGETHER: Final = 10
"""Looks that are booked together where nobody asks for them earlier: a second's. Code that has rested for 100 ms costs
several times what it costs again at once, so the first of them pays for all."""
MOST_UNTOLD: Final = 256
"""Starts and ends of spans that wait for that; where more come, looks cost little beside spans."""

_log = logging.getLogger(__name__)


class Observer:
    """Spans and meters of one process. Never raises into the traced program. Stability: beta.

    Args:
        meters: Opens the meters; called again in a forked child.
        clock: Simulated time.
        interval_s: Time between two looks [s].
        idle: Who answers for idle energy.
        host: CPU clocks; opened again in a forked child.
        patience_s: How long a caller waits for a look [s].
        clocks: False reads no thread's clock for a span: between two looks CPU time goes by wall time.
    """

    def __init__(
        self,
        meters: Callable[[], Sequence[EnergyMeter]],
        *,
        clock: Clock,
        interval_s: float = INTERVAL_S,
        idle: Idle = SEPARATE,
        host: Callable[[], Host] = Host,
        patience_s: float = PATIENCE_S,
        clocks: bool = True,
    ) -> None:
        self._open_meters, self._clock, self._idle = meters, clock, idle
        self._interval_s, self._open_host, self._patience_s = interval_s, host, patience_s
        self._running = False
        self._kept = KEPT
        self._log = SpanLog(self._know, SHORT_NS if clocks else NEVER_NS)
        self.span_started, self.span_ended = self._log.started, self._log.ended
        self.tokens = self._log.counted
        self.switch = self._log.switched
        self._begin()
        weak = weakref.WeakMethod(self._after_fork)
        os.register_at_fork(after_in_child=lambda: (again := weak()) and again())

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._tick_lock = threading.Lock()
        self._booking = threading.RLock()
        self._log.reset()
        self._closed = False
        self._thread: MeterThread | None = None
        self._seen: deque[Glance] = deque()
        """Looks that are not booked yet."""
        self._untold = 0
        """Notes of spans that waited at the last look."""
        self._doubted: set[str] = set()
        self._host = self._open_host()
        try:
            self._meters = Meters(self._open_meters())
        except GreenOpsError as error:
            _log.warning("%s", error)
            self._meters = Meters([])
        self._books = Attribution(self._meters.infos, self._idle)
        steps = [info.update_period for info in self._meters.infos]
        self._step_s = max(steps, default=0.0) / 2
        self._spans = self._books.spans
        self._results = Results(self._books, self._kept)
        self.tick()

    def _know(self, thread: int) -> None:
        self._host.know(thread)

    def _after_fork(self) -> None:
        if self._closed:
            # A thread that is not in this process may have held it.
            self._lock = threading.RLock()
            return
        running = self._running
        self._running = False
        # Meters let go of their files as the last reference goes; closing them could wait for a thread
        # that is not here, or end a driver's session that the parent goes on with.
        self._host.close()
        self._begin()
        if running:
            self.run()

    @property
    def meters(self) -> Sequence[MeterInfo]:
        """What is measured."""
        return self._meters.infos

    @property
    def idle(self) -> Idle:
        """Who answers for idle energy; the value of `greenops.idle.policy` is its policy."""
        return self._idle

    def run(self) -> None:
        """Start the meter thread; twice is once."""
        if self._running or self._closed:
            return
        self._running = True
        self._thread = MeterThread(self._look, self._pause, self._patience_s)

    def _pause(self, wake: Callable[[], None]) -> float:
        """Time until the meter thread looks again [s]."""
        spans = self._spans
        if spans.open or self._seen or spans.waiting or not self._log.rest(wake):
            return self._interval_s
        return max(QUIET_S, self._interval_s)

    def look(self, timeout_s: float = math.inf) -> bool:
        """One more look that begins after this call; false where a driver hangs.

        The meter thread takes it where there is one.
        """
        thread = self._thread
        if thread is None or not thread.alive:
            return self.tick()
        hung = thread.hangs
        came = thread.ask(timeout_s)
        if not came and not hung:
            self._tell_hangs()
        return came

    def _tell_hangs(self) -> None:
        busy = self._meters.reading
        device = busy.info.device if busy is not None else "unknown"
        _log.warning("GO0707 energy meter `%s` does not answer; spans wait for it no more", device)

    def tick(self) -> bool:
        """Look once, now, on the calling thread, and book it; false where another look does not come to its end."""
        return self._look(book=True)

    def _look(self, *, book: bool = False) -> bool:
        """One look; booked at once where somebody waits for it, else when it pays, as each line here is cold."""
        if not self._tick_lock.acquire(timeout=self._patience_s):
            return False
        try:
            if self._closed:
                return True
            # Without the other lock: exporters go on while every meter and clock is read.
            answers, clocks, at = self._meters.ask(), self._host.glance(), self._clock.now()
            # The span whose start ended a rest belongs to the next look.
            first_ns, thread = self._log.before_first(), self._thread
            asked = thread is None or thread.asked
            until_ns = NEVER_NS if asked else first_ns
            self._seen.append(Glance(answers, clocks, at, until_ns))
            before, self._untold = self._untold, self._log.waiting
            if asked or book or self._is_due(before):
                self._book_all()
        finally:
            self._tick_lock.release()
        return True

    def _is_due(self, before: int) -> bool:
        """True where looks are to be booked; `before` so many notes of spans waited at the one before the last."""
        waiting = self._untold
        if waiting > MOST_UNTOLD or len(self._seen) >= TOGETHER:
            return True
        # Where no note came since, all spans may be over, and then there is nothing to look for.
        return waiting == before if waiting else not self._spans.open

    def _book_all(self) -> None:
        """Book what was seen; also while a driver hangs, since its look is not among that."""
        with self._booking:
            while self._seen:
                glance = self._seen.popleft()
                tick = glance.tick(self._meters, self._host)
                with self._lock:
                    booked = self._book(tick, glance.until_ns)
                # Without that lock, as nobody else learns.
                self._books.learn(tick.at_ns)
                if not booked:
                    # The driver answered after all had been let go but its own meter.
                    self._meters.close()
            self._untold = self._log.waiting
            self._tell_refused()

    def _book(self, tick: Tick, until_ns: int) -> bool:
        if self._closed:
            return False
        # What came after the clocks were read belongs to the next look.
        self._log.tell(self._spans, min(tick.at_ns, until_ns))
        finished = self._books.tick(tick, self._log.ending)
        self._spans.shed()
        self._results.add(finished)
        return True

    def _tell_refused(self) -> None:
        for device, account in self._books.devices.items():
            if device not in self._doubted and any(account.refused.values()):
                self._doubted.add(device)
                _log.warning(
                    "GO0706 energy meter `%s` gave a reading that cannot be energy", device
                )

    def settle(self, keys: Sequence[int], patience_s: float = PATIENCE_S) -> None:
        """Take one more look if a span among `keys` ended after the last one.

        Args:
            keys: Spans that go out now.
            patience_s: How long to wait for a counter that has not stepped since; without it they get what they have [s].
        """
        if self._waits(keys) and not self.look():
            self._book_all()
            with self._lock:
                self._log.tell(self._spans)
                self._spans.shed()
            return
        until = time.monotonic() + patience_s
        while not self._books.late.isdisjoint(keys) and time.monotonic() < until:
            time.sleep(self._step_s)
            if not self.look():
                return

    def _waits(self, keys: Sequence[int]) -> bool:
        with self._lock:
            return self._spans.pending(keys) or self._log.ends(keys)

    def take(self, key: int) -> Finished:
        """The result of a span; what was never seen here is unknown, with its reason."""
        with self._lock:
            return self._results.take(key)

    def keep(self, results: int) -> None:
        """Keep so many results where exporters hold back more spans than usual."""
        self._kept = self._results.kept = max(self._kept, results)

    def unknowns(self) -> list[tuple[str, int]]:
        """How many spans lack a number, by reason."""
        with self._lock:
            return list(self._results.unknown.items())

    def count_unknown(self, reason: str) -> None:
        """Count a span that lacks a number."""
        with self._lock:
            self._results.unknown[reason] += 1

    def accounts(self) -> list[Account]:
        """Where the energy of each device went so far."""
        self._book_all()
        with self._lock:
            held = self._spans.held()
            devices = self._books.devices.items()
            return [Account.of(each, held.get(device, 0)) for device, each in devices]

    def close(self) -> None:
        """One last look; what is still open becomes unattributed; meters are let go. Twice is once."""
        if self._thread is not None and self.look():
            self.settle(list(self._books.late))
        thread = self._thread
        if thread is not None and thread.alive:
            hung = thread.hangs
            thread.end()
            if thread.hangs and not hung:
                self._tell_hangs()
        else:
            self.tick()
        self._book_all()
        with self._lock:
            if self._closed:
                return
            self._closed, self._running = True, False
            self._log.tell(self._spans)
            self._log.close()
            for key in list(self._spans.waiting):
                self._results.missing(key)
            self._books.close()
            self._host.close()
        self._meters.close()
