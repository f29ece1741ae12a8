"""Roll-ups of a lake, brought up to date: exactly the hours are made anew whose spans changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Final, TypeVar

import pyarrow as pa

from greenops.adapters.rollup_files import DAY, HOUR, MINUTE, RollupFiles
from greenops.adapters.rollup_place import SpanFile, SpanFiles
from greenops.errors import DataMissing, Unreachable
from greenops.pipeline.rollup_cells import Cells
from greenops.pipeline.rollup_merging import merged
from greenops.pipeline.rollup_sources import (
    DAMAGED,
    Source,
    affected,
    digest,
    hours_in,
    kept,
    mask_of,
    of_text,
    text_of,
)
from greenops.pipeline.rollup_spans import DAY_US, HOUR_US
from greenops.pipeline.rollup_survey import TOGETHER, Survey, known, units
from greenops.pipeline.rollup_work import Made, RollUp, Unit, hour_of
from greenops.ports import Engine, Work

TRIES: Final = 8
"""Rounds in which files may be packed away under the reader before it gives up."""

log = logging.getLogger("greenops.lake")
P = TypeVar("P")
R = TypeVar("R")


@dataclass(slots=True)
class Refreshed:
    """What was made anew.

    Attributes:
        days: Days of which something was.
        hours: Hours of them.
        spans: Spans that were counted.
        repeats: Spans that were left out because they had been delivered before.
        damaged: Files that are left out, with what is wrong.
        too_large: Days that stay as they are, for an hour of theirs has too many spans.
    """

    days: int = 0
    hours: int = 0
    spans: int = 0
    repeats: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    too_large: list[date] = field(default_factory=list)


@dataclass(slots=True)
class _Day:
    """A day that is looked at.

    Attributes:
        before: What its roll-ups were made of; none: there are none.
        now: What there is, as far as it is known.
        asked: Files that have to be looked at first.
    """

    day: date
    files: list[SpanFile]
    before: dict[str, Source] | None
    now: dict[str, Source] = field(default_factory=dict)
    asked: list[SpanFile] = field(default_factory=list)
    hours: int = 0


@dataclass(frozen=True, slots=True)
class _Lake:
    """Where spans and roll-ups lie, and how these are made.

    Attributes:
        most_spans: Hours of more are not made together; none: all are.
    """

    spans: SpanFiles
    rollups: RollupFiles
    engine: Engine | None
    work: RollUp
    most_spans: int | None


def refresh(
    spans: SpanFiles,
    rollups: RollupFiles,
    engine: Engine | None = None,
    *,
    days: Sequence[date] | None = None,
    work: RollUp | None = None,
    most_spans: int | None = None,
) -> Refreshed:
    """Bring roll-ups up to date; a day that has no spans any more keeps those it has.

    Args:
        spans: Where the spans lie.
        rollups: Where the roll-ups do; whoever else makes some here is waited for.
        engine: Makes them; none: this process.
        days: Those that are looked at; none: all that have spans.
        work: How spans are rolled up.
        most_spans: A day stays as it is where hours of more than this would be made together; none: no day does.

    Raises:
        Unreachable: The disk, the store or a worker is gone; what was made stands, and the next call goes on.
    """
    done = Refreshed()
    days = spans.days() if days is None else days
    if not days:
        return done
    lake = _Lake(spans, rollups, engine, work or RollUp(), most_spans)
    with rollups.alone():
        for _ in range(TRIES):
            days = _round(days, lake, done)
            if not days:
                return done
    raise Unreachable(
        "GO0411",
        f"files of {days[0]} go away while they are read",
        fix="see what moves them; packing does so once",
    )


def _round(days: Sequence[date], lake: _Lake, done: Refreshed) -> list[date]:
    """Look at some days and make what changed; gives those of which files moved meanwhile."""
    rollups = lake.rollups
    looks = [_looked(day, lake.spans, rollups) for day in days]
    moved = _surveyed(looks, lake.engine, done)
    by_day = {each.day: each for each in looks if each.day not in moved}
    parts: list[Unit] = []
    for look in list(by_day.values()):
        look.hours = _changed(look, rollups)
        found = _units(look)
        if lake.most_spans is not None and any(spans > lake.most_spans for _, spans in found):
            done.too_large.append(look.day)
            del by_day[look.day]
            continue
        parts += [unit for unit, _ in found]
    made = _run(lake.engine, lake.work, parts)
    for day, some in groupby(made, lambda each: each.unit.day):
        # Minutes are written as they come: a day of them is large. Until its hours say so, they do not count as made.
        whole = [_minutes_kept(by_day[day], each, rollups) for each in some]
        if any(each.moved for each in whole):
            moved.add(day)
        else:
            _keep(by_day[day], whole, rollups, done)
    for look in by_day.values():
        if look.before and not look.hours:
            _day_from_hours(look.day, rollups, text_of(look.before))
    return sorted(moved)


def _looked(day: date, spans: SpanFiles, rollups: RollupFiles) -> _Day:
    try:
        before = of_text(rollups.footer(rollups.path(HOUR, day)))
    except DataMissing as error:
        log.warning("%s", error)
        before = None
    look = _Day(day, spans.of_day(day), before)
    for file in look.files:
        found = known(file, before or {})
        if found is None:
            look.asked.append(file)
        else:
            look.now |= found
    return look


def _surveyed(looks: Iterable[_Day], engine: Engine | None, done: Refreshed) -> set[date]:
    pairs = [
        (look, tuple(look.asked[first : first + TOGETHER]))
        for look in looks
        for first in range(0, len(look.asked), TOGETHER)
    ]
    moved = set()
    found = _run(engine, Survey(), [files for _, files in pairs])
    for (look, _), each in zip(pairs, found, strict=True):
        look.now |= each.sources
        done.damaged |= dict(each.damaged)
        if each.moved:
            moved.add(look.day)
    return moved


def _changed(look: _Day, rollups: RollupFiles) -> int:
    """Hours that have to be made: whose spans changed, or whose minutes are gone."""
    if not look.now:
        return 0
    whole = [each for each in look.now.values() if each.rows != DAMAGED]
    expected = mask_of(hour for each in whole for hour in hours_in(each.hours))
    lost = expected & ~mask_of(rollups.hours(look.day))
    return affected(look.before or {}, look.now) | lost


def _units(look: _Day) -> list[tuple[Unit, float]]:
    """Hours that are made together, and of about how many spans."""
    listed = []
    for file in look.files:
        held = [look.now[run.name] for run in file.runs if run.name in look.now]
        rows = sum(max(0, each.rows) for each in held)
        mask = mask_of(hour for each in held for hour in hours_in(each.hours))
        listed.append((file, mask, rows))
    rows_of = {file.path: rows for file, _, rows in listed}
    return [
        (unit, sum(_share(mask, unit.hours) * rows_of[file.path] for file, mask in unit.files))
        for unit in units(look.day, look.hours, listed)
    ]


def _share(mask: int, hours: int) -> float:
    """Part of a file's hours that are among some."""
    return (mask & hours).bit_count() / mask.bit_count()


def _keep(look: _Day, made: Sequence[Made], rollups: RollupFiles, done: Refreshed) -> None:
    """Write the day's hours, which say what all of it was made of, and then the day."""
    for each in made:
        done.damaged |= dict(each.damaged)
        bad = {path for path, _ in each.damaged}
        for file in look.files:
            if file.path in bad:
                lost = {run.name: look.now[run.name] for run in file.runs}
                look.now |= {name: replace(one, rows=DAMAGED) for name, one in lost.items()}
    for each in made:
        done.hours += each.written
        done.spans += each.spans
        done.repeats += each.repeats
    text = text_of(kept(look.before or {}, look.now))
    parts = [Cells.of_table(each.hours) for each in made if each.hours is not None]
    path = rollups.path(HOUR, look.day)
    old = None if look.before is None else rollups.read(path)
    if old is not None:
        others = [not look.hours >> hour & 1 for hour in hour_of(old["begins"]).tolist()]
        parts.append(Cells.of_table(old.filter(pa.array(others, pa.bool_()))))
    rollups.write(path, merged(parts, HOUR_US).table(), text)
    _day_from_hours(look.day, rollups, text)
    done.days += 1


def _minutes_kept(look: _Day, made: Made, rollups: RollupFiles) -> Made:
    """Write a unit's minutes; gives the unit without them."""
    if made.moved:
        return made
    tables = dict(made.minutes)
    for hour in hours_in(made.unit.hours):
        path = rollups.path(MINUTE, look.day, f"{hour:02d}")
        if hour in tables:
            mine = {name: each for name, each in look.now.items() if each.hours >> hour & 1}
            rollups.write(path, tables[hour], digest(text_of(mine)))
        else:
            rollups.remove(path)
    return replace(made, minutes=(), written=len(tables))


def _day_from_hours(day: date, rollups: RollupFiles, text: bytes) -> None:
    """Make the day's own roll-up, unless it is of these hours already."""
    path, told = rollups.path(DAY, day), digest(text)
    try:
        if rollups.footer(path) == told:
            return
    except DataMissing as error:
        log.warning("%s", error)
    hours = rollups.read(rollups.path(HOUR, day))
    if hours is not None:
        rollups.write(path, merged([Cells.of_table(hours)], DAY_US).table(), told)


def _run(engine: Engine | None, work: Work[P, R], parts: Sequence[P]) -> Iterable[R]:
    return map(work, parts) if engine is None or not parts else engine.run(work, parts)
