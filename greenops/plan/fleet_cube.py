"""All ways to run some jobs: a cube of job x place x start, laid out as the table `candidates`.

The cube is implied by the fleet. Only a bounded part of it is ever made, and of that only the columns that
somebody asks for. Each run has a line of one length: its baseline, then every place with every start; what is
not a way of this run (a place it may not go to, a start too late, the baseline again) only fills the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.plan.candidates import BASELINE
from greenops.plan.fleet import INSTANT, Fleet
from greenops.plan.fleet_figures import NUMBERS, TEXTS, TIMES, Figures, Starts
from greenops.plan.fleet_intensity import EPOCH, Ints, Mask
from greenops.plan.intensity import TICK

CELLS: Final = 2**19
"""Ways that are made at once: some 80 bytes each under the shipped policies, 40 MB in all."""
FILLED: Final = 2**17
"""Cells of a part that may only fill its lines: one or two parts more would cost as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Cube:
    """Some runs of a fleet with all their ways; flat rows go run by run, the baseline first.

    Attributes:
        jobs: Rows of the fleet.
        places: Places of the cube.
        count: Starts of the cube.
    """

    figures: Figures
    jobs: Ints
    places: tuple[int, ...]
    count: int
    starts: Starts = field(init=False)
    base: Starts = field(init=False)

    def __post_init__(self) -> None:
        fleet = self.figures.fleet
        object.__setattr__(self, "starts", Starts.all_of(fleet, self.jobs, max(1, self.count)))
        base = Starts.one_of(fleet, self.jobs, fleet.scheduled[self.jobs])
        object.__setattr__(self, "base", base)

    @property
    def width(self) -> int:
        """Rows of each run."""
        return 1 + len(self.places) * self.count

    def real(self) -> Mask:
        """Rows that are ways, shape (job, row)."""
        fleet, jobs = self.figures.fleet, self.jobs
        found = np.ones((len(jobs), self.width), np.bool_)
        if not self.count:
            return found
        cells = found[:, 1:].reshape(len(jobs), len(self.places), self.count)
        starts = self.starts.at()
        in_time = np.arange(self.count) < fleet.starts[jobs][:, None]
        if fleet.calendars.every:
            in_time &= fleet.calendars.may_start(jobs, starts)
        open_to = np.array([[e in way for e in self.places] for way in fleet.reaches], np.bool_)
        cells[:] = in_time[:, None, :] & open_to[fleet.reach[jobs]][:, :, None]
        again = starts == fleet.scheduled[jobs][:, None]
        home = np.array(self.places) == fleet.home[jobs][:, None]
        cells &= ~(again[:, None, :] & home[:, :, None])
        return found

    def table(self, names: Iterable[str]) -> pa.Table:
        """`candidate.*` of these names, and `job`, the run's place in the cube."""
        index = np.repeat(np.arange(len(self.jobs), dtype=np.int32), self.width)
        known = (*TEXTS, *TIMES, *NUMBERS)
        columns = {f"candidate.{each}": self._column(each) for each in names if each in known}
        if "id" in names:
            columns["candidate.id"] = self.ids(np.arange(len(index)))
        return pa.table({"job": index, **columns})

    def ids(self, rows: Ints) -> Any:
        """`candidate.id` of some flat rows."""
        fleet, places, starts = self.figures.fleet, self.figures.fleet.places, self.starts.at()
        job, at = np.divmod(rows, self.width)
        place, slot = np.divmod(at - 1, max(1, self.count))
        found = []
        for row, way, which, when in zip(
            *(e.tolist() for e in (job, at, place, slot)), strict=True
        ):
            if not way:
                found.append(BASELINE)
                continue
            of = places[self.places[which]]
            start = EPOCH + int(starts[row, when]) * TICK
            name = fleet.options[of.region].region.id
            found.append(f"{name}/{of.pool}/{start:%Y-%m-%dT%H:%MZ}")
        return pa.array(found, pa.string())

    def way(self, rows: Ints) -> tuple[Ints, Ints]:
        """Place and start [us] of one flat row of each run."""
        fleet, jobs = self.figures.fleet, self.jobs
        at = rows - np.arange(len(jobs)) * self.width - 1
        place, slot = np.divmod(np.maximum(at, 0), max(1, self.count))
        own = at < 0
        named = np.array(self.places, np.int64)[place] if self.places else fleet.home[jobs]
        start = self.starts.at()[np.arange(len(jobs)), slot]
        return np.where(own, fleet.home[jobs], named), np.where(own, fleet.scheduled[jobs], start)

    def _column(self, name: str) -> Any:
        if name in TEXTS:
            return self._texts(name)
        whole = np.empty((len(self.jobs), self.width), np.int64 if name in TIMES else np.float64)
        whole[:, :1] = at_home(self.figures, name, self.base)
        cells = whole[:, 1:].reshape(len(self.jobs), len(self.places), self.count)
        for at, value in enumerate(self._by_place(name) if self.count else ()):
            cells[:, at] = value
        return arrow(name, whole.ravel())

    def _by_place(self, name: str) -> Iterator[Any]:
        """A figure in each place; the pools of a region differ in their price alone."""
        known: dict[object, Any] = {}
        for each in self.places:
            place = self.figures.fleet.places[each]
            of = place if name == "cost_usd" else 0 if name in TIMES else place.region
            if of not in known:
                known = {of: self.figures.of(name, place, self.starts)}
            yield known[of]

    def _texts(self, name: str) -> Any:
        fleet = self.figures.fleet
        words, codes = _words(self.figures, name)
        line = np.repeat(codes[list(self.places)] if self.places else codes[:0], self.count)
        whole = np.empty((len(self.jobs), self.width), codes.dtype)
        whole[:, 0] = codes[fleet.home[self.jobs]]
        whole[:, 1:] = line
        return pa.DictionaryArray.from_arrays(pa.array(whole.ravel()), words)


@dataclass(frozen=True, slots=True)
class Ids:
    """`candidate.id` of a cube's rows; only those that are taken are ever made."""

    cube: Cube

    def take(self, rows: Any) -> Any:
        """As an Arrow array gives some of its rows."""
        return self.cube.ids(rows.to_numpy(zero_copy_only=False))


def figures_at(
    figures: Figures, jobs: Ints, places: Ints, starts: Ints, names: Iterable[str]
) -> Mapping[str, Any]:
    """Figures of one way of each run, by name: Arrow arrays."""
    found: dict[str, Any] = {}
    of_place = [(each, np.flatnonzero(places == each)) for each in np.unique(places).tolist()]
    told = [(p, at, Starts.one_of(figures.fleet, jobs[at], starts[at])) for p, at in of_place]
    for name in names:
        if name in TEXTS:
            words, codes = _words(figures, name)
            found[name] = pa.DictionaryArray.from_arrays(pa.array(codes[places]), words)
            continue
        whole = np.empty(len(jobs), np.int64 if name in TIMES else np.float64)
        for place, at, ways in told:
            value = figures.of(name, figures.fleet.places[place], ways)
            whole[at] = np.broadcast_to(value, (len(at), 1))[:, 0]
        found[name] = arrow(name, whole)
    return found


def at_home(figures: Figures, name: str, base: Starts) -> Any:
    """A figure of each run's baseline, shape (job, 1)."""
    homes = figures.fleet.home[base.jobs]
    of = figures_at(figures, base.jobs, homes, base.at()[:, 0], (name,))[name]
    plain = of.view(pa.int64()) if name in TIMES else of
    return plain.to_numpy(zero_copy_only=False).reshape(-1, 1)


def arrow(name: str, values: Any) -> Any:
    """Numbers, or instants [us since 1970], as an Arrow array; NaN becomes null."""
    if name in TIMES:
        return pa.array(values).view(INSTANT)
    absent = np.isnan(values)
    return pa.array(values, mask=absent) if absent.any() else pa.array(values)


def _words(figures: Figures, name: str) -> tuple[Any, Any]:
    """Each word of the places once, and which of them each place has."""
    told = [figures.text(name, each) for each in figures.fleet.places]
    places = {word: at for at, word in enumerate(dict.fromkeys(told))}
    return pa.array(list(places), pa.string()), np.array([places[e] for e in told], np.int32)


def cubes(figures: Figures, cells: int = CELLS) -> Iterator[Cube]:
    """The whole fleet in parts of at most so many cells, or one run's own where those are more.

    Runs of about as many starts and the same places come together, so that little only fills lines.
    """
    fleet = figures.fleet
    about = np.frexp(fleet.starts.astype(np.float64))[1]
    order = np.lexsort((fleet.starts, fleet.reach, about))
    part = _Part(fleet)
    for run in _alike(fleet, order):
        rest = run
        while len(rest):
            fits = part.room(rest, cells)
            if not fits:
                yield part.cube(figures)
                part = _Part(fleet)
                continue
            part.take(rest[:fits])
            rest = rest[fits:]
    if part.jobs:
        yield part.cube(figures)
    elif not len(fleet):
        yield Cube(figures, order, (), 0)


def _alike(fleet: Fleet, order: Ints) -> list[Ints]:
    """Runs of the same places and number of starts, in order."""
    reach, starts = fleet.reach[order], fleet.starts[order]
    turns = np.flatnonzero((np.diff(reach) != 0) | (np.diff(starts) != 0)) + 1
    return np.split(order, turns) if len(order) else []


@dataclass(slots=True)
class _Part:
    """A cube that is being put together."""

    fleet: Fleet
    jobs: list[Ints] = field(default_factory=list)
    places: frozenset[int] = frozenset()
    count: int = 0
    size: int = 0
    real: int = 0

    def room(self, run: Ints, cells: int) -> int:
        """How many of these like runs may come in too; the first may always."""
        places, count = self.places | self._reach(run), self._count(run)
        wider = 1 + len(places) * count
        most = cells // wider - self.size
        if not self.size:
            return min(len(run), max(1, most))
        fits = min(len(run), most)
        filled = wider * (self.size + fits) - self.real - self._width(run) * fits
        return fits if fits > 0 and filled <= FILLED else 0

    def take(self, run: Ints) -> None:
        """Take in like runs."""
        self.jobs.append(run)
        self.places, self.count = self.places | self._reach(run), self._count(run)
        self.size += len(run)
        self.real += self._width(run) * len(run)

    def _reach(self, run: Ints) -> frozenset[int]:
        return frozenset(self.fleet.reaches[int(self.fleet.reach[run[0]])])

    def _count(self, run: Ints) -> int:
        return max(self.count, int(self.fleet.starts[run[0]]))

    def _width(self, run: Ints) -> int:
        return 1 + len(self._reach(run)) * int(self.fleet.starts[run[0]])

    def cube(self, figures: Figures) -> Cube:
        """What was put together."""
        return Cube(figures, np.concatenate(self.jobs), tuple(sorted(self.places)), self.count)
