"""Packs days of the lake that are over, sends and removes what is due, now and then, beside everything else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from greenops.adapters.lake_packing import Packed, Packer
from greenops.adapters.parquet_lake import TABLES
from greenops.errors import GreenOpsError
from greenops.pipeline.lake_upkeep import Upkeep
from greenops.ports import Clock

EVERY_S: Final = 900.0
"""Wall seconds from one look for finished days to the next [s]."""
MARGIN: Final = timedelta(hours=2)
"""Simulated time after midnight in which rows of the day before still come; later ones are merged later."""
END_S: Final = 5.0
"""How long an end waits for packing to notice [s]; what is not packed then is read as it is."""

T = TypeVar("T")
log = logging.getLogger("greenops.lake")


def pack(lake: Path, clock: Clock, stopped: Callable[[], bool] = lambda: False) -> Packed:
    """Pack every simulated day that is over.

    Args:
        lake: `<state>/lake`.
        clock: Says which days are over.
        stopped: True ends the packing between two files.

    Raises:
        Unreachable: The disk is full or gone; nothing is lost.
    """
    return Packer(lake, TABLES, stopped).pack((clock.now() - MARGIN).date())


class Packing:
    """A thread that packs a lake and keeps it up; its faults are one line in the log."""

    def __init__(
        self, lake: Path, clock: Clock, every_s: float = EVERY_S, upkeep: Upkeep | None = None
    ) -> None:
        self._clock, self._every_s = clock, every_s
        self._stop = threading.Event()
        self._upkeep = upkeep or Upkeep(lake, clock)
        self._upkeep.stopped = self._stop.is_set
        # One packer for all rounds: it remembers which files cannot be packed.
        self._packer = Packer(lake, TABLES, self._stop.is_set)
        self._thread = threading.Thread(target=self._run, name="greenops-pack", daemon=True)

    def start(self) -> None:
        """Begin; the first look comes after the first interval."""
        self._thread.start()

    def close(self) -> None:
        """Stop soon; twice is once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(END_S)

    def once(self) -> Packed:
        """Do what is due now; a fault is one line in the log, and the next look tries again."""
        over = (self._clock.now() - MARGIN).date()
        done = self._tried("packing", lambda: self._packer.pack(over)) or Packed()
        # On a full disk nothing can be packed, and what was sent can go.
        self._tried("upkeep of the lake", lambda: self._upkeep.once(over))
        return done

    def _tried(self, what: str, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except GreenOpsError as error:
            log.warning("%s", error)
        except Exception as error:  # noqa: BLE001  (the thread must not end with its fault)
            log.warning("GO0411 %s failed, and is tried again: %r", what, error)
        return None

    def _run(self) -> None:
        while not self._stop.wait(self._upkeep.wait_s(self._every_s)):
            self.once()
