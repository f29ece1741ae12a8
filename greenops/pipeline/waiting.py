"""Waiting for a held run's start, while orders may still move it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from greenops.act.hold import Hold, margin_of, obey, on_time, remaining
from greenops.adapters.local_process import RunFolder
from greenops.ports import Clock

STEP: Final = timedelta(seconds=0.2)
"""Longest wall time between two looks at the orders."""

Say = Callable[[str], None]
Look = Callable[[Hold], Hold]


def as_it_is(hold: Hold) -> Hold:
    """Nobody plans anew."""
    return hold


def wait(folder: RunFolder, hold: Hold, clock: Clock, tell: Say, look: Look = as_it_is) -> Hold:
    """Sleep until the start of a hold, or until another holder has claimed the run.

    Args:
        folder: Of the run.
        hold: What is waited for.
        clock: Simulated time.
        tell: Told what is held, and what changes.
        look: May plan the run anew while no order holds it.

    Returns:
        The hold with the newest order in it.
    """
    rate = clock.replay.rate if clock.replay else 1.0
    hold = _ordered(folder, hold)
    margin = margin_of(hold, clock.now(), rate)
    if remaining(hold, clock.now(), margin) > timedelta():
        tell(_held(folder.run_key, hold))
    while (left := remaining(hold, clock.now(), margin)) > timedelta():
        if folder.claimed():
            return hold
        clock.sleep(min(left, STEP * rate))
        before, hold = hold, _ordered(folder, hold)
        if hold.action_id is None:
            hold = look(hold)
        if hold.start_at == before.start_at:
            continue
        if remaining(hold, clock.now(), margin) > timedelta():
            tell(_held(folder.run_key, hold))
        else:
            tell(
                f"`{folder.run_key}` {'starts' if hold.action_id is None else 'is ordered to start'} now"
            )
    if on_time(hold, clock.now()) is False:
        tell(
            f"`{folder.run_key}` is late: latest safe start was {hold.latest_safe_start}; "
            "running now"
        )
    return hold


def _ordered(folder: RunFolder, hold: Hold) -> Hold:
    order = folder.order()
    if order is None or order.action_id == hold.action_id:
        return hold
    same = order.decision_id == hold.decision_id
    obeyed = obey(hold, order.change, order.action_id, order.decision_id)
    return obeyed if same else replace(obeyed, why="ordered")


def _held(run_key: str, hold: Hold) -> str:
    latest = hold.latest_safe_start
    bound = f", at the latest {_short(latest)}" if latest else ""
    return f"holding `{run_key}` until {_short(hold.start_at)}{bound}: {hold.why}"


def _short(instant: datetime) -> str:
    return instant.isoformat(timespec="minutes").replace("+00:00", "Z")
