"""Roll-ups of a lake stay up to date by themselves: now and then, in a process of their own, where spans changed."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from greenops.adapters.allocator import ONE_POOL
from greenops.adapters.free_memory import free_memory
from greenops.adapters.lake_store import KEPT
from greenops.adapters.rollup_place import SPANS
from greenops.adapters.side_process import Ended, run_aside
from greenops.errors import ExitCode, GreenOpsError, one_line
from greenops.ports import Clock

FIRST_S: Final = 30.0
"""Longest that a start waits for its first refresh [s]: what came while nobody served should not wait long."""
LEAST_S: Final = 0.1
"""Shortest time from one look to the next [s]: a look at folders is no work, and still should not be all there is."""
REST: Final = 9.0
"""Rest after a refresh, in times of how long it took [1]: it works at most a tenth of the time."""
ALL_S: Final = 6 * 3600.0
"""How often every day is looked at, also those that lie in object storage alone [s]."""
LONGEST_S: Final = 1800.0
"""After so long a refresh is ended [s]; days that it finished stand."""
LONGEST_RETRY_S: Final = 1800.0
"""How long is waited after faults, at most [s]."""
END_S: Final = 5.0
"""How long an end waits for the thread [s]; its process needs two at most."""
PART: Final = 0.5
"""Part of the memory that is free which a refresh may take [1]."""
SETTLED: Final = timedelta(seconds=2)
"""A folder that changed later than this before it was looked at may change again within one tick of its file system's clock."""
WORK: Final = "greenops.pipeline.rollup_worker:main"
"""By name: what it takes to make roll-ups is no memory of the service."""
LINE: Final = re.compile(r"GO\d{4} ")
DAY: Final = re.compile(r"day=\d{4}-\d\d-\d\d")
NS: Final = 1_000_000_000

Run = Callable[[Sequence[str], Callable[[], bool]], Ended | None]
"""Refreshes days of a lake (none given: all); none where it was stopped meanwhile."""
log = logging.getLogger("greenops.lake")


class RollingUp:
    """A thread that keeps roll-ups up to date; its faults are lines in the log.

    Args:
        lake: `<state>/lake`.
        clock: Says how long a refresh took.
        every_s: From one refresh to the next, at least [s]; 0: there is none.
        run: Makes the roll-ups of some days.
    """

    def __init__(self, lake: Path, clock: Clock, every_s: float, run: Run | None = None) -> None:
        self._lake, self._clock = lake, clock
        self._every_s = max(every_s, LEAST_S) if every_s else 0.0
        self._run = run or partial(_in_a_process, lake)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="greenops-rollup", daemon=True)
        self._made: dict[str, int] = {}
        """Day → what its folder's time was when it was looked at with success."""
        self._all_at_ns = 0
        self._wait_s = min(self._every_s, FIRST_S)
        self._failures = 0
        self._said: list[str] = []

    def start(self) -> None:
        """Begin, where a refresh is wanted at all."""
        if self._every_s:
            self._thread.start()

    def close(self) -> None:
        """Stop at once, also in the middle of a refresh: the next one goes on. Twice is once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(END_S)

    def wait_s(self) -> float:
        """How long to wait until the next time [s]."""
        return self._wait_s

    def once(self) -> None:
        """Refresh what changed since the last time; a fault is tried again, later and later."""
        began, settled = self._clock.monotonic_ns(), self._clock.wall() - SETTLED
        found = self._changed_at()
        if not found and not (self._lake / KEPT).exists():
            # Neither here nor in object storage: nobody sent a span yet.
            self._wait_s = self._every_s
            return
        everything = began >= self._all_at_ns
        days = sorted(day for day, at in found.items() if self._made.get(day) != at)
        if (days or everything) and not self._tried([] if everything else days):
            self._failures += 1
        else:
            self._failures = 0
            sure = settled.timestamp() * NS
            self._made = {day: at for day, at in found.items() if at < sure}
            if everything:
                self._all_at_ns = began + int(ALL_S * NS)
        took_s = (self._clock.monotonic_ns() - began) / NS
        later_s = self._every_s * 2.0 ** min(self._failures, 16)
        self._wait_s = max(min(later_s, max(self._every_s, LONGEST_RETRY_S)), REST * took_s)

    def _tried(self, days: Sequence[str]) -> bool:
        """Whether there is nothing that another try would do better."""
        try:
            ended = self._run(days, self._stop.is_set)
        except GreenOpsError as error:
            self._tell([str(error)])
            return False
        except Exception as error:  # noqa: BLE001  (the thread must not end with its fault)
            self._tell(
                [one_line(f"GO0425 roll-ups were not refreshed, which is tried again: {error!r}")]
            )
            return False
        if ended is None:
            return False
        self._tell(lines_of(ended))
        return ended.code in (ExitCode.OK, ExitCode.DATA)

    def _tell(self, lines: list[str]) -> None:
        """Log what was not logged the last time."""
        for line in lines:
            if line not in self._said:
                log.warning("%s", line)
        self._said = lines

    def _changed_at(self) -> Mapping[str, int]:
        """Day that lies here → when a file of it last came, went or was replaced [ns]."""
        found = {}
        # No spans yet, or a day that went meanwhile; a disk that is gone tells those who write.
        with suppress(OSError), os.scandir(self._lake / SPANS) as entries:
            for each in entries:
                if DAY.fullmatch(each.name):
                    found[each.name.removeprefix("day=")] = each.stat().st_mtime_ns
        return found

    def _work(self) -> None:
        while not self._stop.wait(self._wait_s):
            self.once()


def lines_of(ended: Ended) -> list[str]:
    """What is to be logged of a refresh: lines with codes; one of our own where it says none and failed."""
    lines = [one_line(line) for line in ended.said.splitlines()]
    found = [line for line in lines if LINE.match(line)]
    known = (ExitCode.OK, ExitCode.DATA, ExitCode.UNREACHABLE)
    if ended.code in known and (found or ended.code == ExitCode.OK):
        return found
    if ended.code < 0:
        how = f"was ended by a signal ({signal.strsignal(-ended.code)})"
    else:
        how = f"ended with {ended.code}"
    last = f": {lines[-1]}" if lines else ""
    return [*found, f"GO0425 the process that refreshes roll-ups {how}, and is tried again{last}"]


def _in_a_process(lake: Path, days: Sequence[str], stopped: Callable[[], bool]) -> Ended | None:
    free = free_memory()
    most = "-" if free is None else str(int(PART * free))
    return run_aside(WORK, [str(lake), most, *days], stopped, LONGEST_S, ONE_POOL)
