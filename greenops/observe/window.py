"""Energy that this process used in a window of time: all its threads, no idle energy, no other process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from greenops.domain.energy import Category, Method
from greenops.observe.observer import Observer
from greenops.units import Joules

OWN = (Category.ATTRIBUTED, Category.UNATTRIBUTED)
"""Accounts of what the process did; its own meter thread and exporters are `overhead`."""


@dataclass(frozen=True, slots=True)
class Used:
    """Energy of one window [J]; `low` and `high` are the meters' 90 % range."""

    joules: Joules
    low: Joules
    high: Joules
    method: Method
    source: str


class Window:
    """One window after the other; a window ends when every counter has stepped past its end.

    Args:
        observer: Of this process.
        sleep: Waits for the counters [s].
    """

    def __init__(self, observer: Observer, sleep: Callable[[float], None] = time.sleep) -> None:
        self._observer, self._sleep = observer, sleep
        self._before: dict[str, Joules] = {}

    @property
    def source(self) -> str:
        """Names of the meters; empty where there is none."""
        return ",".join(sorted({info.name for info in self._observer.meters}))

    def begin(self) -> None:
        """What is used from now on counts."""
        self._before = self._used()

    def end(self) -> Used | None:
        """What was used since `begin`; none where nothing is metered."""
        meters = self._observer.meters
        if not meters:
            return None
        now = self._used()
        used = {info: max(0.0, now[info.device] - self._before[info.device]) for info in meters}
        spread = sum(joules * info.uncertainty for info, joules in used.items())
        whole = sum(used.values())
        return Used(
            Joules(whole),
            Joules(max(0.0, whole - spread)),
            Joules(whole + spread),
            max((info.method for info in meters), key=list(Method).index),
            self.source,
        )

    def _used(self) -> dict[str, Joules]:
        self._sleep(max((info.update_period for info in self._observer.meters), default=0.0))
        self._observer.look()
        return {
            account.info.device: Joules(sum(account.parts[each] for each in OWN))
            for account in self._observer.accounts()
        }
