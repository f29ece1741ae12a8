"""The split that traces propose: each operation hot or around, with what shows it, and the work that could be moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Final

from greenops.pipeline.hot_path import Operation, Root, Seen, Traces

LATE_SHARE: Final = 0.05
"""Least share of an operation's runs that must end late: below it are callers that gave up."""
LATE_RUNS: Final = 2
"""Least number of them; one alone may be an accident."""
UNDER_SHARE: Final = 0.95
"""Share of runs right below something that is around from which on an operation is a part of it."""
DAYS_ALIKE: Final = 3
"""Days on which a run must have begun at the same time of day to be taken for scheduled."""
ALIKE: Final = timedelta(minutes=15)
"""How far such starts may lie apart."""
DAY: Final = timedelta(days=1)


class Part(StrEnum):
    """Whether a person's request waits for an operation."""

    HOT = "hot"
    AROUND = "around"


class Why(StrEnum):
    """What shows it."""

    AWAITED = "a request waits for it"
    AFTER = "goes on after the answer"
    QUEUE = "is taken from a queue"
    JOB = "is a run of a job"
    ALONE = "runs with no request above it"
    START_UP = "runs once when its process starts"
    UNDER = "is part of what is around"


@dataclass(frozen=True, slots=True)
class OperationSplit:
    """One operation.

    Attributes:
        root: What its traces begin with.
        share: Of all energy that the spans tell [1]; none where this one's tell none.
        late: Spans that ended after what could have waited for them.
        latest_s: Most that one ended after its root [s]; below zero: before it.
    """

    service: str
    operation: str
    root: str
    part: Part
    why: Why
    energy_j: float | None
    share: float | None
    spans: int
    traces: int
    late: int
    latest_s: float


@dataclass(frozen=True, slots=True)
class Movable:
    """Work around the hot path that could wait: a job, or what goes on after an answer.

    Attributes:
        workload: As its spans name it, where they do.
        starts_at: Time of day of its runs, UTC, where they begin alike on some days.
        every_s: Usual time between two runs [s]; none where there is but one, or a request sets it off.
        length_s, longest_s: Usual and longest run with all below it [s].
        energy_j: Mean of a run [J]; none where no span tells.
    """

    service: str
    operation: str
    why: Why
    workload: str | None
    region: str | None
    runs: int
    starts_at: timedelta | None
    every_s: float | None
    length_s: float
    longest_s: float
    energy_j: float | None


@dataclass(frozen=True, slots=True)
class Split:
    """What a period's traces propose.

    Attributes:
        hot_share, around_share: Of the energy that spans tell [1]; none where none tell.
        incomplete: Spans left out, for what their trace begins with is not there.
        untold: Spans that tell no energy.
    """

    traces: int
    spans: int
    incomplete: int
    untold: int
    hot_share: float | None
    around_share: float | None
    operations: tuple[OperationSplit, ...]
    movable: tuple[Movable, ...]


def split(traces: Traces) -> Split:
    """Judge every operation, and list the work that could be moved."""
    verdicts = _verdicts(traces)
    energy = sum(each.energy_j for each in traces.seen.values())
    told = [_operation(at, traces.seen[at], why, energy) for at, why in verdicts.items()]
    operations = sorted(told, key=_order)
    shares = {
        part: sum(each.share or 0.0 for each in operations if each.part is part) for part in Part
    }
    movable = [
        _movable(at, traces.seen[at], why)
        for at, why in verdicts.items()
        if why not in (Why.AWAITED, Why.UNDER, Why.START_UP)
    ]
    return Split(
        traces=traces.traces,
        spans=sum(each.spans for each in traces.seen.values()),
        incomplete=traces.incomplete,
        untold=sum(each.untold for each in traces.seen.values()),
        hot_share=shares[Part.HOT] if energy else None,
        around_share=shares[Part.AROUND] if energy else None,
        operations=tuple(operations),
        movable=tuple(sorted(movable, key=lambda e: (-(e.energy_j or 0.0) * e.runs, e.operation))),
    )


def _order(of: OperationSplit) -> tuple[object, ...]:
    """Hot before around, what a trace begins with before its parts, the most energy first."""
    begins = of.operation == of.root
    return of.part is Part.AROUND, of.root, not begins, -(of.energy_j or 0.0), of.operation


def _verdicts(traces: Traces) -> dict[Operation, Why]:
    found: dict[Operation, Why] = {}
    for at, seen in traces.seen.items():
        if at.begins:
            found[at] = _of_root(seen, traces.first_request)
        elif seen.queued * 2 > seen.spans:
            found[at] = Why.QUEUE
        elif seen.root is not Root.REQUEST:
            found[at] = Why.UNDER
        elif seen.late >= max(LATE_RUNS, LATE_SHARE * seen.spans):
            found[at] = Why.AFTER
        else:
            found[at] = Why.AWAITED
    changed = True
    while changed:
        # What lies below something around is part of it, and so on down.
        below = [at for at in found if not at.begins and _is_under(at, traces.seen[at], found)]
        changed = any(found[at] is not Why.UNDER for at in below)
        found |= dict.fromkeys(below, Why.UNDER)
    return found


def _is_under(at: Operation, seen: Seen, found: Mapping[Operation, Why]) -> bool:
    # One that calls itself is where its first call is.
    others = {above: count for above, count in seen.above.items() if above != at}
    under = sum(count for above, count in others.items() if found[above] is not Why.AWAITED)
    return under > 0 and under >= UNDER_SHARE * sum(others.values())


def _of_root(seen: Seen, first_request: Mapping[str, datetime]) -> Why:
    known = {Root.REQUEST: Why.AWAITED, Root.JOB: Why.JOB, Root.QUEUE: Why.QUEUE}
    if seen.root in known:
        return known[seen.root]
    begins = [first_request.get(each.instance or "") for each in seen.runs]
    once = len({each.instance for each in seen.runs}) == len(seen.runs)
    before = all(
        at is not None and run.start < at for run, at in zip(seen.runs, begins, strict=True)
    )
    return Why.START_UP if once and before else Why.ALONE


def _operation(at: Operation, seen: Seen, why: Why, energy: float) -> OperationSplit:
    told = seen.untold < seen.spans
    return OperationSplit(
        service=at.service,
        operation=at.name,
        root=at.root,
        part=Part.HOT if why is Why.AWAITED else Part.AROUND,
        why=why,
        energy_j=seen.energy_j if told else None,
        share=seen.energy_j / energy if told and energy else None,
        spans=seen.spans,
        traces=seen.traces,
        late=seen.late,
        latest_s=seen.latest_s,
    )


def _movable(at: Operation, seen: Seen, why: Why) -> Movable:
    starts = sorted(each.start for each in seen.runs)
    lengths = [each.length_s for each in seen.runs]
    energies = [each.energy_j for each in seen.runs if each.energy_j is not None]
    gaps = [(b - a).total_seconds() for a, b in pairwise(starts)]
    own_time = why in (Why.JOB, Why.ALONE)
    return Movable(
        service=at.service,
        operation=at.name,
        why=why,
        workload=_most(seen.workloads),
        region=_most(seen.regions),
        runs=seen.spans,
        # What a request sets off comes when people come, however regular that looks.
        starts_at=_time_of_day(starts) if own_time else None,
        every_s=median(gaps) if own_time and gaps else None,
        length_s=median(lengths),
        longest_s=max(lengths),
        energy_j=sum(energies) / len(energies) if energies else None,
    )


def _most(counted: Mapping[str, int]) -> str | None:
    return min(counted, key=lambda name: (-counted[name], name), default=None)


def _time_of_day(starts: Sequence[datetime]) -> timedelta | None:
    """Time of day, UTC, at which every run began on some days, once a day; none where they did not."""
    if len({each.date() for each in starts}) < max(DAYS_ALIKE, len(starts)):
        return None
    first = _of_day(starts[0])
    apart = list(_apart(starts, first))
    if max(apart) - min(apart) > ALIKE:
        return None
    return (first + min(apart)) % DAY


def _apart(starts: Sequence[datetime], first: timedelta) -> Iterator[timedelta]:
    """How far each start lies from the first, the shorter way round the clock."""
    for each in starts:
        away = (_of_day(each) - first) % DAY
        yield away - DAY if away > DAY / 2 else away


def _of_day(at: datetime) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
