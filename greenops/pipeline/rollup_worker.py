"""The process in which `greenops serve` makes roll-ups: its memory goes with it, and its faults are lines."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa

from greenops.adapters.allocator import hold_little
from greenops.adapters.free_memory import held_memory
from greenops.adapters.rollup_files import RollupFiles
from greenops.adapters.rollup_place import SpanFiles
from greenops.adapters.side_process import begin_again
from greenops.errors import DataMissing, ExitCode, GreenOpsError
from greenops.pipeline.rollup_upkeep import WORK
from greenops.pipeline.rollups import refresh

SPAN_BYTES: Final = 50
"""What rolling up an hour takes at least for each of its spans [byte]. Source: docs/explanation/capacity.md."""
ALWAYS: Final = 1_000_000
"""Spans of an hour that are tried however little memory there is."""
LOOK_S: Final = 0.1
"""How often the memory that is held is looked at [s]."""
MOST_LINES: Final = 20
"""Lines of the same kind that one refresh says at most."""
LEFT_OUT: Final = "left-out"
"""Word among the days: something was left out before this began again."""
log = logging.getLogger("greenops.lake")


@dataclass(slots=True)
class Refreshing:
    """A refresh, and how far it is.

    Attributes:
        lake: `<state>/lake`; what it has in object storage counts, and roll-ups lie here.
        most_bytes: Memory that it may take [byte]; none: there is no limit.
        tell: Gets a line for each fault.
        day: That is worked on.
        left: Days that come after it.
        left_out: Something was left out of roll-ups.
    """

    lake: Path
    most_bytes: int | None
    tell: Callable[[str], None]
    day: date | None = None
    left: list[date] = field(default_factory=list)
    left_out: bool = False

    def run(self, days: Sequence[date]) -> ExitCode:
        """Refresh day by day, the newest first: what was made stands whenever this ends.

        Args:
            days: Those that are looked at; empty: all, and what a death left half written is removed.
        """
        try:
            spans, rollups = SpanFiles.local(self.lake), RollupFiles.local(self.lake)
            if not days:
                days = spans.days()
                if days:
                    with rollups.alone():
                        rollups.tidy()
            self.left = sorted(days)
            while self.left:
                self.day = self.left.pop()
                self._refresh(self.day, spans, rollups)
        except GreenOpsError as error:
            self.tell(str(error))
            return ExitCode.UNREACHABLE
        return ExitCode.DATA if self.left_out else ExitCode.OK

    def too_large(self, day: date) -> None:
        """Say that there is too little memory for a day."""
        self.left_out = True
        self.tell(
            f"GO0426 there is too little memory to roll {day} up, so its roll-ups stay as they are; "
            f"give `greenops serve` more, or run `greenops lake rollup --since {day}` where there is more"
        )

    def _refresh(self, day: date, spans: SpanFiles, rollups: RollupFiles) -> None:
        most = None if self.most_bytes is None else max(ALWAYS, self.most_bytes // SPAN_BYTES)
        try:
            done = refresh(spans, rollups, days=[day], most_spans=most)
        except DataMissing as error:
            # A damaged roll-up stops its own day alone.
            self.tell(str(error))
            self.left_out = True
            return
        for said in done.damaged.values():
            self.tell(said)
            self.left_out = True
        if done.too_large:
            self.too_large(day)


def main(given: Sequence[str]) -> int:
    """Refresh a lake; 3: something was left out, 4: ask again.

    Args:
        given: The lake; memory that may be taken [byte], or `-`; days, or none for all.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    hold_little()
    pa.set_cpu_count(1)
    lake, most, *words = given
    work = Refreshing(Path(lake), None if most == "-" else int(most), _first(MOST_LINES))
    work.left_out = LEFT_OUT in words
    if work.most_bytes is not None:
        threading.Thread(target=_watch, args=(work, work.most_bytes), daemon=True).start()
    return work.run([date.fromisoformat(each) for each in words if each != LEFT_OUT])


def _watch(work: Refreshing, most_bytes: int) -> None:
    """Where a day takes too much memory, leave it as it is and go on with the next, without what it took."""
    before = held_memory()
    while before is not None and (held_memory() or 0) - before < most_bytes:
        time.sleep(LOOK_S)
    if before is None or work.day is None:
        return
    work.too_large(work.day)
    if not work.left:
        os._exit(ExitCode.DATA)
    days = [day.isoformat() for day in work.left]
    begin_again(WORK, [str(work.lake), str(most_bytes), LEFT_OUT, *days])


def _first(most: int) -> Callable[[str], None]:
    """Logs so many lines of each code."""
    told: dict[str, int] = {}

    def tell(line: str) -> None:
        code = line.partition(" ")[0]
        told[code] = told.get(code, 0) + 1
        if told[code] <= most:
            log.warning("%s", line)
        elif told[code] == most + 1:
            log.warning("%s … and more of these; `greenops lake rollup` names all", code)

    return tell
