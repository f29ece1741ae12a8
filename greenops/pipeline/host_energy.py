"""One device of one host, as its processes account for it: each sees the whole device, at times of its own.

A process's own energy adds up. What belongs to the host (idle, and what no reporting process used) is
taken from one process at a time, over stretches that do not overlap: from the one that has looked
longest, until it falls silent; then the next goes on from there.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

from greenops.domain.energy import Category
from greenops.domain.spans import IDLE_TAKEN, EnergyAccount
from greenops.pipeline.counters import OWN, Key

NOT_BUSY: Final = (Category.IDLE, IDLE_TAKEN)
NEVER: Final = datetime.min.replace(tzinfo=UTC)
SILENT: Final = 1.5
"""A process has fallen silent when it is so many of its own intervals late [1]."""
TOGETHER: Final = timedelta(seconds=5)
"""An SDK begins the counters of one process one after the other; never this far apart."""
REMEMBERED: Final = 256
"""Silent processes of a device that may still speak [1]; older ones are kept as one sum."""
FORGOTTEN: Final = 100_000
"""Accounts of such older processes that are known not to be new [1]."""


class Point(NamedTuple):
    """What a process has accounted for at an instant, since it began [J]."""

    at: datetime
    own: float
    idle: float
    busy: float
    """All that is not idle, whoever used it."""
    taken: float = 0.0
    """Idle energy that fell to the process itself: `own` and `busy` have it, `idle` has not."""

    @property
    def rest(self) -> float:
        """All that the device drew with nothing running, whoever answers for it."""
        return self.idle + self.taken

    @property
    def dynamic(self) -> float:
        """All that it drew beyond that."""
        return self.busy - self.taken


INSTANT: Final = attrgetter("at")


@dataclass(slots=True)
class Process:
    """One process's readings; `points` are those that may still matter, oldest first."""

    instance: str
    start: datetime | None
    first: datetime
    workload: str | None = None
    parts: dict[str, float] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)

    def take(self, row: EnergyAccount) -> None:
        """Take one account in, unless a newer reading of it is known."""
        if row.at < self.seen.get(row.category, NEVER):
            return
        self.workload = row.workload
        self.seen[row.category], self.parts[row.category] = row.at, row.joules
        parts = self.parts.items()
        own = sum(joules for category, joules in parts if category in OWN)
        busy = sum(joules for category, joules in parts if category not in NOT_BUSY)
        taken = self.parts.get(IDLE_TAKEN, 0.0)
        idle = self.parts.get(Category.IDLE, 0.0)
        if not self.points and self.start is not None and self.start < row.at:
            self.points.append(Point(self.start, 0.0, 0.0, 0.0))
        point = Point(max(row.at, self.last), own, idle, busy, taken)
        if self.points and self.points[-1].at == point.at:
            self.points[-1] = point
        else:
            self.points.append(point)

    @property
    def last(self) -> datetime:
        """Instant of its newest reading."""
        return self.points[-1].at if self.points else NEVER

    @property
    def interval(self) -> timedelta | None:
        """The longer one of its last two intervals; none after a single reading."""
        times = [point.at for point in self.points[-3:]]
        return max((b - a for a, b in pairwise(times)), default=None)

    def value(self, at: datetime) -> Point:
        """What it had accounted for at an instant; between two readings, evenly."""
        if at >= self.points[-1].at:
            return self.points[-1]
        after = bisect_right(self.points, at, key=INSTANT)
        if after == 0:
            return Point(at, 0.0, 0.0, 0.0)
        return between(self.points[after - 1], self.points[after], at)

    def own(self, at: datetime) -> Point:
        """What it had used at an instant; where nothing tells when it began, what it first said."""
        return self.points[0] if at < self.points[0].at else self.value(at)

    def knows(self, at: datetime) -> bool:
        """Whether it can tell what was drawn since an instant."""
        return self.points[0].at <= at or not (self.points[0].idle or self.points[0].busy)

    def forget(self, before: datetime) -> None:
        """Drop readings that nothing asks for any more."""
        while len(self.points) > 3 and self.points[1].at <= before:  # noqa: PLR2004  (two intervals)
            del self.points[0]


def between(before: Point, after: Point, at: datetime) -> Point:
    """The point at an instant on the line through two."""
    part = (at - before.at) / (after.at - before.at)
    return Point(
        at,
        before.own + (after.own - before.own) * part,
        before.idle + (after.idle - before.idle) * part,
        before.busy + (after.busy - before.busy) * part,
        before.taken + (after.taken - before.taken) * part,
    )


class HostDevice:
    """Energy of one device of one host."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str, datetime | None], Process] = {}
        self._active: list[Process] = []
        self._silent: dict[int, Process] = {}
        self._sums: defaultdict[Key, float] = defaultdict(float)
        self._forgotten: dict[int, None] = {}
        self._newest = NEVER
        self._latest: Process | None = None
        """Who reported last."""
        self._leader: Process | None = None
        self._mark = Point(NEVER, 0.0, 0.0, 0.0)
        self._host: deque[Point] = deque([self._mark])
        """Energy of the host where the leader changed or was read; `own` stays zero."""
        self._other, self._others_at = 0.0, NEVER
        self._idle: float | None = None
        """Idle energy that fell to nobody, where processes take a part of it."""
        self._taken = 0.0
        """What older processes took, of which only sums are kept."""

    def take(self, row: EnergyAccount) -> None:
        """Take one account in."""
        if row.at > self._newest:
            # Readings of one instant belong together, so they are settled once the next has come.
            self.settle()
            self._newest = row.at
        process = self._process(row)
        if process is not None:
            process.take(row)
            if self._latest is None or process.last >= self._latest.last:
                self._latest = process

    def _process(self, row: EnergyAccount) -> Process | None:
        key = (row.instance, row.category, row.start)
        if hash(key) in self._forgotten:
            return None
        found = self._accounts.get(key) or self._relative(row)
        if found is None:
            found = Process(row.instance, row.start, row.at)
            self._active.append(found)
        elif self._silent.pop(id(found), None) is not None:
            self._active.append(found)
        self._accounts[key] = found
        return found

    def _relative(self, row: EnergyAccount) -> Process | None:
        """The process that another account of the same instance is of."""
        for process in (*self._active, *self._silent.values()):
            if process.instance == row.instance and _same(process, row):
                return process
        return None

    def settle(self) -> None:
        """Account for the host as far as is known."""
        self._follow()
        active: list[Process] = []
        late: list[Process] = []
        for process in self._active:
            (active if self._speaks(process) else late).append(process)
        until = min((process.last for process in active), default=self._mark.at)
        self._share(min(until, self._host[-1].at))
        for process in active:
            process.forget(self._others_at)
        for process in late:
            if process.last <= self._others_at and process is not self._leader:
                self._silent[id(process)] = process
            else:
                active.append(process)
        self._active = active
        while len(self._silent) > REMEMBERED:
            self._collapse(self._silent.pop(next(iter(self._silent))))

    def _follow(self) -> None:
        """Let the leader, or who comes after it, bring the host's energy up to now."""
        while True:
            leader = self._leader
            if leader is not None and (leader.points[-1] != self._mark):
                self._advance(leader.points[-1])
            if leader is not None and self._speaks(leader):
                return
            reached = self._host[-1].at
            further = [each for each in self._active if each.last > reached]
            if not further:
                return
            self._leader = min(further, key=lambda each: (each.points[0].at, each.instance))
            self._mark = self._leader.value(reached)

    def _advance(self, point: Point) -> None:
        host, mark = self._host[-1], self._mark
        idle = host.idle + max(0.0, point.idle - mark.idle)
        busy = host.busy + max(0.0, point.busy - mark.busy)
        taken = host.taken + max(0.0, point.taken - mark.taken)
        if point.at == host.at:
            self._host.pop()
        self._host.append(Point(max(point.at, host.at), 0.0, idle, busy, taken))
        self._mark = point

    def _speaks(self, process: Process) -> bool:
        latest = self._latest or process
        interval = process.interval or latest.interval
        return interval is None or latest.last - process.last <= interval * SILENT

    def _share(self, until: datetime) -> None:
        """What no reporting process used, up to an instant that every one of them has passed."""
        self._others_at = max(self._others_at, until)
        while len(self._host) > 1 and self._host[1].at <= self._others_at:
            self._host.popleft()
        host = self._host[0]
        if len(self._host) > 1 and self._others_at > host.at:
            host = between(host, self._host[1], self._others_at)
        seen = [process.own(self._others_at) for process in self._active]
        seen += [process.points[-1] for process in self._silent.values()]
        taken = math.fsum([self._taken, *(each.taken for each in seen)])
        own = math.fsum([*self._sums.values(), *(each.own for each in seen)])
        # Each process's view lacks the idle energy it took itself, and takes what others took for work.
        self._other = max(0.0, host.dynamic - (own - taken))
        self._idle = max(0.0, host.rest - taken) if taken else None

    def _collapse(self, process: Process) -> None:
        for category in OWN:
            self._sums[process.workload, category] += process.parts.get(category, 0.0)
        self._taken += process.parts.get(IDLE_TAKEN, 0.0)
        for key in [key for key, each in self._accounts.items() if each is process]:
            del self._accounts[key]
            self._forgotten[hash(key)] = None
        while len(self._forgotten) > FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]

    def _ahead(self) -> float:
        """Idle energy after the leader's newest reading, as who has read since then saw it [J]."""
        reached = self._host[-1].at
        further = [each for each in self._active if each.last > reached and each.knows(reached)]
        if not further:
            return 0.0
        furthest = max(further, key=lambda each: each.last)
        return furthest.points[-1].idle - furthest.value(reached).idle

    def energy(self) -> Iterator[tuple[Key, float]]:
        """(Workload, category) and energy [J], in parts to be added up."""
        self.settle()
        for process in (*self._active, *self._silent.values()):
            for category in OWN:
                yield (process.workload, category), process.parts.get(category, 0.0)
        yield from self._sums.items()
        # What was taken is known up to the instant that all have passed, and idle energy then, too.
        ahead = self._host[-1].idle + self._ahead() if self._idle is None else self._idle
        yield (None, Category.IDLE), ahead
        yield (None, Category.OTHER_PROCESS), self._other


def _same(process: Process, row: EnergyAccount) -> bool:
    begun, start = process.start, row.start
    if row.category in process.parts:
        # Readings of an earlier version lack the start: the process has gone on since.
        known = process.parts[row.category]
        return begun is None and start is not None and start < process.last and row.joules >= known
    if begun is None or start is None:
        return begun is start
    return process.first == row.at or abs(begun - start) <= TOGETHER
