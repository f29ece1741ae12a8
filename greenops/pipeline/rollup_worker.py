"""The process in which `greenops serve` makes roll-ups: its memory goes with it, and its faults are lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa

from greenops.adapters.allocator import hold_little
from greenops.adapters.free_memory import free_memory
from greenops.adapters.rollup_files import RollupFiles
from greenops.adapters.rollup_place import SpanFiles
from greenops.errors import DataMissing, ExitCode, GreenOpsError
from greenops.pipeline.rollups import Refreshed, refresh

BASE_BYTES: Final = 250_000_000
SPAN_BYTES: Final = 50
"""What rolling up an hour takes, and more for each of its spans [byte]. Source: docs/explanation/capacity.md."""
PART: Final = 0.5
"""Part of the free memory that it may take [1]."""
ALWAYS: Final = 1_000_000
"""Spans of an hour that are rolled up however little memory is free."""
MOST_LINES: Final = 20
"""Lines that one refresh says at most."""
log = logging.getLogger("greenops.lake")


def main(given: Sequence[str]) -> int:
    """Refresh the lake of the first argument, the days of the others or all; 3: some was left out, 4: ask again."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    hold_little()
    pa.set_cpu_count(1)
    lines: list[str] = []
    code = refreshed(Path(given[0]), [date.fromisoformat(day) for day in given[1:]], lines.append)
    for line in lines[:MOST_LINES]:
        log.warning("%s", line)
    if more := lines[MOST_LINES:]:
        log.warning("%s … and %d lines more", more[0].partition(" ")[0], len(more))
    return code


def refreshed(lake: Path, days: Sequence[date], tell: Callable[[str], None]) -> ExitCode:
    """Refresh a lake day by day, the newest first: what was made stands whenever this ends.

    Args:
        lake: `<state>/lake`; what it has in object storage counts, and roll-ups lie here.
        days: Those that are looked at; empty: all, and what a death left half written is removed.
        tell: Gets a line for each fault.
    """
    left_out = False
    try:
        spans, rollups = SpanFiles.local(lake), RollupFiles.local(lake)
        if not days:
            days = spans.days()
            if days:
                with rollups.alone():
                    rollups.tidy()
        for day in sorted(days, reverse=True):
            try:
                left_out |= _told(
                    refresh(spans, rollups, days=[day], most_spans=most_spans()), tell
                )
            except DataMissing as error:
                # A damaged roll-up stops its own day alone.
                tell(str(error))
                left_out = True
    except GreenOpsError as error:
        tell(str(error))
        return ExitCode.UNREACHABLE
    return ExitCode.DATA if left_out else ExitCode.OK


def most_spans(free: int | None = None) -> int | None:
    """Spans of an hour that there is memory for; none where nothing tells.

    Args:
        free: Free memory [byte]; none: asks the machine.
    """
    free = free_memory() if free is None else free
    if free is None:
        return None
    return max(ALWAYS, int((PART * free - BASE_BYTES) / SPAN_BYTES))


def _told(done: Refreshed, tell: Callable[[str], None]) -> bool:
    """Whether something was left out; says what."""
    for said in done.damaged.values():
        tell(said)
    for day in done.too_large:
        tell(
            f"GO0426 an hour of {day} has more spans than there is memory for, so its roll-ups stay as they are; "
            f"give `greenops serve` more memory, or run `greenops lake rollup --since {day}` where there is more"
        )
    return bool(done.damaged or done.too_large)
