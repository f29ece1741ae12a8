"""Many runs to be planned at once: their times as arrays, and the places each may go to.

The table of runs has the columns `job.*` of the tables between rooms, `limits.deadline`, `now` where a run is
decided later than the others, and five that no rule names: `run_time`, the longest a run is expected to take;
`scheduled`, when it would start without GreenOps (absent: when submitted); `movable`, false where nothing can
carry it to another place; `calendar` (see `fleet_calendar`); and `phase`, how far after a slot it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.errors import UsageError
from greenops.plan.candidates import ON_DEMAND, SLOT, RegionOption
from greenops.plan.fleet_calendar import Calendars
from greenops.plan.fleet_intensity import EPOCH, Floats, Ints, Mask
from greenops.plan.intensity import TICK

RUN_TIME, SCHEDULED, MOVABLE, NOW = "run_time", "scheduled", "movable", "now"
PHASE: Final = "phase"
INSTANT: Final = pa.timestamp("us", "UTC")
SPAN: Final = pa.duration("us")
ABSENT: Final = -(2**63)
"""An instant that there is none of [us]."""


@dataclass(frozen=True, slots=True)
class Place:
    """A pool of a region, by its row among the regions."""

    region: int
    pool: str


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Runs and places; instants and lengths in microseconds since 1970, one value per run.

    Attributes:
        options: The regions.
        places: All pools of all regions, and the usual pool where a region has no such price.
        home: Place of each baseline.
        reach: Which set of places each run may go to.
        reaches: The sets, places in order.
        now: Instant of each decision.
        earliest: First start.
        aligned: The next, on a slot.
        latest: Latest safe start; without a deadline the scheduled one.
        late: The baseline would miss the deadline.
        scheduled: Start of the baseline.
        usual: Usual run time.
        energy: Usual energy of a run [kWh]; NaN where absent.
        moved: Data that a run in another region needs [GB]; NaN where absent.
        starts: How many starts each may have; none where its slack is gone.
        calendars: When each may start.
        slot: From one start to the next.
    """

    options: tuple[RegionOption, ...]
    places: tuple[Place, ...]
    home: Ints
    reach: Ints
    reaches: tuple[tuple[int, ...], ...]
    now: Ints
    earliest: Ints
    aligned: Ints
    latest: Ints
    late: Mask
    scheduled: Ints
    usual: Ints
    energy: Floats
    moved: Floats
    starts: Ints
    calendars: Calendars
    slot: int

    def __len__(self) -> int:
        """How many runs."""
        return len(self.now)

    def foretold(self) -> Mask:
        """For each set of places: has the grid of one of them a forecast?"""
        known = [self.options[each.region].forecast is not None for each in self.places]
        return np.array([any(known[at] for at in each) for each in self.reaches], np.bool_)

    @classmethod
    def of(
        cls, jobs: pa.Table, options: Sequence[RegionOption], now: datetime, slot: timedelta = SLOT
    ) -> Fleet:
        """The runs of a table, decided now, when they are submitted, or at their own `now`: the latest.

        Raises:
            UsageError: A run has no run time, or its home region is not among the options.
        """
        every = _places(options)
        submitted = instants(jobs, "job.submitted")
        longest, home = _longest(jobs), _home(jobs, options)
        reach, reaches = _reaches(jobs, options, every)
        then = np.maximum(submitted, (now - EPOCH) // TICK)
        earliest = np.maximum(then, instants(jobs, NOW))
        told = instants(jobs, SCHEDULED)
        scheduled = np.where(told == ABSENT, submitted, told)
        ends = instants(jobs, "limits.deadline")
        calendars, bounded = Calendars.read(jobs), ends != ABSENT
        safe = calendars.latest(submitted, np.where(bounded, ends - longest, scheduled))
        latest = np.where(bounded, safe, scheduled)
        step = slot // TICK
        phase = spans(jobs, PHASE)
        aligned = ((earliest - phase) // step + 1) * step + phase
        more = (latest - aligned) // step + 1
        # Slack is gone: waiting for the schedule would only make a late run later.
        scheduled = np.where(latest < earliest, calendars.next_open(earliest), scheduled)
        starts = np.where(latest < earliest, 0, 1 + np.maximum(more, 0))
        return cls(
            options=tuple(options),
            places=every,
            home=np.array([every.index(Place(at, ON_DEMAND)) for at in range(len(options))])[home],
            reach=reach,
            reaches=reaches,
            now=earliest,
            earliest=earliest,
            aligned=aligned,
            latest=latest,
            late=bounded & (scheduled > latest),
            scheduled=scheduled,
            usual=_usual(jobs, longest),
            energy=numbers(jobs, "job.energy_kwh"),
            moved=numbers(jobs, "job.transfer_gb"),
            starts=starts,
            calendars=calendars,
            slot=step,
        )


def instants(jobs: pa.Table, name: str) -> Ints:
    """A column of instants [us since 1970]; `ABSENT` where there is none."""
    if name not in jobs.column_names:
        return np.full(jobs.num_rows, ABSENT)
    found = jobs.column(name).combine_chunks().cast(INSTANT).view(pa.int64())
    return np.asarray(found.fill_null(ABSENT).to_numpy(zero_copy_only=False))


def spans(jobs: pa.Table, name: str) -> Ints:
    """A column of lengths of time [us]; 0 where there is none."""
    if name not in jobs.column_names:
        return np.zeros(jobs.num_rows, np.int64)
    found = jobs.column(name).combine_chunks().cast(SPAN).view(pa.int64())
    return np.asarray(found.fill_null(0).to_numpy(zero_copy_only=False))


def numbers(jobs: pa.Table, name: str) -> Floats:
    """A column of numbers; NaN where there is none."""
    if name not in jobs.column_names:
        return np.full(jobs.num_rows, np.nan)
    found = jobs.column(name).combine_chunks().cast(pa.float64())
    return np.asarray(found.to_numpy(zero_copy_only=False))


def _places(options: Sequence[RegionOption]) -> tuple[Place, ...]:
    return tuple(
        Place(at, pool)
        for at, option in enumerate(options)
        for pool in sorted({*option.region.usd_per_hour, ON_DEMAND})
    )


def _longest(jobs: pa.Table) -> Ints:
    found = jobs.column(RUN_TIME).combine_chunks().cast(SPAN)
    if found.null_count:
        raise _unplannable(jobs, found.is_null(), "no run time")
    return np.asarray(found.view(pa.int64()).to_numpy(zero_copy_only=False))


def _usual(jobs: pa.Table, longest: Ints) -> Ints:
    """Usual run time [us], rounded as `timedelta` rounds; the longest where there is none."""
    found, places = np.unique(numbers(jobs, "job.duration_s"), return_inverse=True)
    spans = [timedelta(seconds=each) // TICK if each > 0 else 0 for each in found.tolist()]
    usual = np.array(spans, np.int64)[places]
    return np.where(usual == 0, longest, usual)


def _home(jobs: pa.Table, options: Sequence[RegionOption]) -> Ints:
    """Row of each home among the regions."""
    rows: dict[str | None, int] = {
        option.region.id: at for at, option in reversed(list(enumerate(options)))
    }
    codes, words = coded(jobs.column("job.home_region"))
    found = np.array([rows.get(each, -1) for each in words], np.int64)[codes]
    if (found < 0).any():
        name = words[codes[int((found < 0).argmax())]]
        raise _unplannable(jobs, pa.array(found < 0), f"unknown region `{name}`")
    return found


def _unplannable(jobs: pa.Table, which: Any, lacks: str) -> UsageError:
    name = jobs.column("job.name").filter(which)[0].as_py()
    return UsageError("GO0640", f"`{name}` cannot be planned: {lacks}")


def coded(column: Any) -> tuple[Ints, list[str | None]]:
    """A column of texts as places in a list of words."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    words = [*whole.dictionary.to_pylist(), None]
    codes = whole.indices.cast(pa.int64()).fill_null(len(words) - 1)
    return np.asarray(codes.to_numpy(zero_copy_only=False)), words


def _reaches(
    jobs: pa.Table, options: Sequence[RegionOption], places: tuple[Place, ...]
) -> tuple[Ints, tuple[tuple[int, ...], ...]]:
    """The sets of places that runs may go to, each once, and the set of each run."""
    homes, words = coded(jobs.column("job.home_region"))
    movable: Mask = np.ones(jobs.num_rows, np.bool_)
    if MOVABLE in jobs.column_names:
        told = jobs.column(MOVABLE).combine_chunks().fill_null(True)
        movable = told.to_numpy(zero_copy_only=False)
    lists: list[list[str] | None] = [None] * jobs.num_rows
    if "job.allowed_regions" in jobs.column_names:
        lists = jobs.column("job.allowed_regions").to_pylist()
    seen: dict[tuple[tuple[str, ...], int, bool], int] = {}
    sets: dict[tuple[int, ...], int] = {}
    reach = np.empty(jobs.num_rows, np.int64)
    given = zip(lists, homes.tolist(), movable.tolist(), strict=True)
    for at, (allowed, home, moves) in enumerate(given):
        key = (tuple(allowed or ()), home, moves)
        if key not in seen:
            names = {words[home], *(key[0] if moves else ())}
            found = _open_to(names, options, places, moves=moves)
            seen[key] = sets.setdefault(found, len(sets))
        reach[at] = seen[key]
    return reach, tuple(sets)


def _open_to(
    names: set[str | None],
    options: Sequence[RegionOption],
    places: tuple[Place, ...],
    *,
    moves: bool,
) -> tuple[int, ...]:
    """Every priced pool of some regions; where nothing can move a run, the usual pool alone."""

    def opens(place: Place) -> bool:
        region = options[place.region].region
        if region.id not in names:
            return False
        if not moves or not region.usd_per_hour:
            return place.pool == ON_DEMAND
        return place.pool in region.usd_per_hour

    return tuple(at for at, each in enumerate(places) if opens(each))
