"""Mean intensity over many runs at once, with the very bits that `MeanIntensity` gives one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenops.domain.grid import IntensitySeries
from greenops.plan.intensity import QUANTA, TICK, MeanIntensity
from greenops.units import GramsPerKwh

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
WHOLE: Final = 2**53
"""Whole numbers below it are exact as floats, and so is the rounding of their quotient."""
MOST: Final = 2**62
"""Beyond it an area might wrap."""
SHIFT: Final = 20
"""Bits that a long number is split at, so that each part of an area fits one of 64."""
LONG: Final = 2**40
HIGH: Final = 2**42
"""Longest run or step [ticks] and highest value [quanta] of which that is so."""
UNSURE: Final = 2.0**-48
"""What the errors of a few roundings of numbers about one stay well below."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Starts of some jobs: `count` of each, one stride from the next [us since 1970].

    Attributes:
        begin: First start of each job, shape (job,).
        length: How long each job runs, shape (job,).
    """

    begin: Ints
    length: Ints
    count: int = 1
    stride: int = 0

    def starts(self) -> Ints:
        """All starts, shape (job, count)."""
        return self.begin[:, None] + np.arange(self.count, dtype=np.int64) * self.stride

    def tick(self, start: int, step: int) -> int:
        """Longest time that all starts and ends, and all steps from `start` on, are multiples of."""
        lengths, begins = np.gcd.reduce(self.length), np.gcd.reduce(self.begin - start)
        return math.gcd(step, int(lengths), int(begins), self.stride)


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """Runs laid over the steps of a series, in ticks.

    Attributes:
        first, last: Step that a run begins and ends in, shape (job, start).
        before, after: How much of that step lies before it.
        inside: The series covers the run.
        length: How long each job runs, shape (job, 1).
        step: Length of a step.
    """

    first: Ints
    before: Ints
    last: Ints
    after: Ints
    inside: Mask
    length: Ints
    step: int

    @classmethod
    def of(cls, runs: Runs, start: int, step: int, count: int) -> Laid:
        """The runs over a series of `count` steps of `step` from `start` on [us]."""
        tick = runs.tick(start, step)
        width, length = step // tick, (runs.length // tick)[:, None]
        begins = ((runs.begin - start) // tick)[:, None]
        begins = begins + np.arange(runs.count, dtype=np.int64) * (runs.stride // tick)
        inside = (begins >= 0) & (begins + length <= count * width) & (length > 0)
        if not inside.all():
            begins, length = np.where(inside, begins, 0), np.where(inside, length, 0)
        ends = begins + length
        first, last = begins // width, ends // width
        before, after = begins - first * width, ends - last * width
        return cls(first, before, last, after, inside, length, width)


class MeanColumns:
    """Time-weighted means of one series over many runs.

    Whole numbers throughout, as in `MeanIntensity`. Sums may wrap at 64 bits; differences that are
    divided do not: areas that might are kept in two parts.
    """

    def __init__(
        self, series: IntensitySeries, values: Sequence[GramsPerKwh | None] | None = None
    ) -> None:
        told = series.values if values is None else values
        given = np.array([np.nan if each is None else each for each in told], dtype=float)
        known = np.isfinite(given)
        whole = np.rint(np.where(known, given, 0.0) * QUANTA).astype(np.int64)
        self.start, self.step = (series.start - EPOCH) // TICK, series.step // TICK
        self.count = len(whole)
        self._values = np.append(whole, 0)
        self._sums = np.concatenate([[0], np.cumsum(whole)])
        self._gaps = None if known.all() else np.concatenate([[0], np.cumsum(~known)])
        self._most = int(np.abs(whole).max(initial=0))
        self._one_by_one = MeanIntensity(series, values)

    def __call__(self, runs: Runs, laid: Laid) -> Floats:
        """Means [gCO2e/kWh], shape (job, start); NaN where a gap is in a run or it is not covered.

        Args:
            runs: The runs.
            laid: The same over this series' steps.
        """
        known = laid.inside
        if self._gaps is not None:
            ends = laid.last + (laid.after > 0)
            known = known & (self._gaps[ends] == self._gaps[laid.first])
        longest = int(laid.length.max(initial=0))
        length = laid.length if known.all() else np.where(known, laid.length, 1)
        bound = self._most * longest
        if bound >= MOST or longest * QUANTA >= WHOLE:
            means = self._in_parts(runs, laid, length, longest)
        else:
            area = self._until(laid.last, laid.after, laid.step)
            area -= self._until(laid.first, laid.before, laid.step)
            over = length * QUANTA
            means = area / over if bound < WHOLE else _quotient(area, over)
        return means if known.all() else np.where(known, means, np.nan)

    def _in_parts(self, runs: Runs, laid: Laid, length: Ints, longest: int) -> Floats:
        """Quotients of areas that do not fit 64 bits; those near the middle of two floats one by one."""
        wide = self._most * (longest + 2 * laid.step) >= MOST << SHIFT
        if max(longest, laid.step) >= LONG or self._most >= HIGH or wide:
            return self._each(runs, laid.inside)
        upper, lower = self._area_parts(laid)
        whole = upper // length
        rest = ((upper - whole * length) << SHIFT) + lower
        more = rest // length
        # The mean is (quanta + fraction) / QUANTA; shifted once more, so that its whole part is large.
        fraction = (rest - more * length) / length
        scaled = ((whole << SHIFT) + more) << SHIFT
        whole = scaled // QUANTA
        part = ((scaled - whole * QUANTA) + fraction * 2**SHIFT) / QUANTA
        found = whole + part
        lost, place = np.abs(part - (found - whole)), np.spacing(np.abs(found))
        near = (np.abs(lost * 2 - place) < UNSURE) | (np.abs(lost * 4 - place) < UNSURE)
        found /= 2**SHIFT
        if near.any():
            found[near] = self._each(runs, near & laid.inside)[near]
        return found

    def _area_parts(self, laid: Laid) -> tuple[Ints, Ints]:
        """Areas as an upper part, which counts 2**SHIFT, and a lower."""

        def of(take: Callable[[Ints], Ints]) -> Ints:
            steps = take(self._sums[laid.last] - self._sums[laid.first]) * laid.step
            ends = take(self._values[laid.last]) * laid.after
            return np.asarray(steps + ends - take(self._values[laid.first]) * laid.before)

        return of(lambda each: each >> SHIFT), of(lambda each: each & (2**SHIFT - 1))

    def _until(self, whole: Ints, part: Ints, step: int) -> Ints:
        found: Ints = self._sums[whole]
        found *= step
        if part.any():
            found += self._values[whole] * part
        return found

    def _each(self, runs: Runs, known: Mask) -> Floats:
        """One by one, each pair of start and length once."""
        found = np.full(known.shape, np.nan)
        starts, cache = runs.starts(), dict[tuple[int, int], float]()
        lengths = np.broadcast_to(runs.length[:, None], known.shape)
        told = zip(starts[known].tolist(), lengths[known].tolist(), strict=True)
        found[known] = [
            cache[each] if each in cache else cache.setdefault(each, self._mean(*each))
            for each in told
        ]
        return found

    def _mean(self, start: int, length: int) -> float:
        begin = EPOCH + start * TICK
        mean = self._one_by_one(begin, begin + length * TICK)
        return math.nan if mean is None else mean


def _quotient(area: Ints, over: Ints) -> Floats:
    """Exactly rounded quotients of whole numbers of which the lower is below 2**53.

    Whole part and rest are exact, and so is what their sum loses. Where that is not half of the last
    place, rounding twice is rounding once; those few others are divided as Python's numbers.
    """
    over = np.broadcast_to(over, area.shape)
    whole = area // over
    part = (area - whole * over) / over
    found = whole + part
    lost = np.abs(part - (found - whole))
    place = np.spacing(np.abs(found))
    for at in np.argwhere((lost * 2 == place) | (lost * 4 == place)):
        found[tuple(at)] = int(area[tuple(at)]) / int(over[tuple(at)])
    return np.asarray(found)
