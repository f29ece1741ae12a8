"""Series of many grid zones on one grid of time, counted in whole numbers so that sums are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from greenops.domain.grid import IntensitySeries

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

QUANTA: Final = 10**6
"""Parts that one unit of a value is counted in: micrograms per kWh, or millionths of a price. Published
series have two decimals, so nothing that was measured is lost, and windows of equal values tie."""
MOST: Final = 2**62
"""Largest absolute integral that a table may hold; beyond it whole numbers of 64 bits would wrap."""


@dataclass(frozen=True, slots=True, eq=False)
class SlotTable:
    """Values over half-open slots: slot `k` of a zone holds from `k * step_s` to `(k + 1) * step_s`.

    Seconds count from the first slot's start, which the caller keeps (UTC, so that a day of a change
    to daylight saving has its 23 or 25 hours). The flat arrays have a row of `slots + 1` per zone and
    one row more, so that a run of up to `slots + 1` entries may be read from any place.

    Attributes:
        zones: Number of rows, one a grid zone.
        slots: Number of slots.
        step_s: Length of a slot [s].
        values: Values [unit / QUANTA], flat; 0 in a gap and past the end.
        sums: Sum of the values before a slot [unit / QUANTA], flat.
        gaps: Gaps before a slot, flat; none where no zone has a gap.
    """

    zones: int
    slots: int
    step_s: int
    values: Ints
    sums: Ints
    gaps: NDArray[np.int32] | None

    @classmethod
    def of(cls, values: ArrayLike, step_s: int) -> SlotTable:
        """A table of `values` [gCO2e/kWh, or money per kWh], shape (zone, slot) or (slot,).

        NaN is a gap: absent, never zero.

        Raises:
            ValueError: The shape is another, a step is not a whole second above zero, or the sums
                would not fit 64 bits.
        """
        given = np.atleast_2d(np.asarray(values, dtype=float))
        if given.ndim > len(("zone", "slot")) or 0 in given.shape or step_s < 1:
            raise ValueError(
                f"a table needs zones x slots and a step, not {given.shape}, {step_s} s"
            )
        known = np.isfinite(given)
        zones, slots = given.shape
        if (
            np.abs(given, where=known, out=np.zeros_like(given)).max() * QUANTA * slots * step_s
            > MOST
        ):
            raise ValueError("the values are too large to be summed exactly over so long a time")
        whole = np.rint(np.where(known, given, 0.0) * QUANTA).astype(np.int64)
        flat = np.zeros((zones + 1, slots + 1), np.int64)
        flat[:zones, :slots] = whole
        sums = np.zeros_like(flat)
        np.cumsum(whole, axis=1, out=sums[:zones, 1:])
        gaps = None
        if not known.all():
            counts = np.zeros(flat.shape, np.int32)
            np.cumsum(~known, axis=1, out=counts[:zones, 1:])
            gaps = counts.ravel()
        return cls(zones, slots, int(step_s), flat.ravel(), sums.ravel(), gaps)

    @classmethod
    def of_series(cls, series: Sequence[IntensitySeries]) -> SlotTable:
        """One zone per series.

        Raises:
            ValueError: Start, step or length differ, or a step is not in whole seconds.
        """
        shapes = {(each.start, each.step, len(each.values)) for each in series}
        if len(shapes) != 1:
            raise ValueError("the series of a table start together and have one step and length")
        step = series[0].step.total_seconds()
        if step != int(step):
            raise ValueError(f"a step of {step} s is not in whole seconds")
        rows = [[np.nan if v is None else v for v in each.values] for each in series]
        return cls.of(rows, int(step))

    @property
    def end_s(self) -> int:
        """End of the last slot [s]."""
        return self.slots * self.step_s

    def known(self, zone: Ints, start_s: Ints, end_s: Ints) -> NDArray[np.bool_]:
        """Does the table cover `[start, end)` [s] without a gap? An empty run is not covered."""
        inside = (start_s >= 0) & (end_s <= self.end_s) & (start_s < end_s)
        if self.gaps is None:
            return inside
        base = zone * (self.slots + 1)
        first = np.where(inside, start_s, 0) // self.step_s
        after = -(-np.where(inside, end_s, 0) // self.step_s)
        return np.asarray(inside & (self.gaps[base + first] == self.gaps[base + after]))

    def area(self, zone: Ints, start_s: Ints, end_s: Ints) -> Ints:
        """Integral over `[start, end)` [unit / QUANTA x s]; the caller asks `known` before."""
        return self._until(zone, end_s) - self._until(zone, start_s)

    def value_rows(self, base: Ints, slots: int) -> Ints:
        """Values from each place of the flat array on [unit / QUANTA], shape (place, slot)."""
        return sliding_window_view(self.values, slots)[base]

    def gap_rows(self, base: Ints, slots: int) -> NDArray[np.bool_]:
        """Is each slot from a place of the flat array on a gap, shape (place, slot)?"""
        if self.gaps is None:
            return np.zeros((len(base), slots), bool)
        return np.asarray(np.diff(sliding_window_view(self.gaps, slots + 1)[base], axis=1) > 0)

    def same_slots(self, other: SlotTable) -> None:
        """Nothing, where two tables are of the same zones and slots.

        Raises:
            ValueError: They are not.
        """
        shapes = [(each.zones, each.slots, each.step_s) for each in (self, other)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the tables differ: {shapes[0]} and {shapes[1]} zones, slots, step [s]"
            )

    def _until(self, zone: Ints, at_s: Ints) -> Ints:
        slot, part = np.divmod(at_s, self.step_s)
        at = zone * (self.slots + 1) + slot
        return self.sums[at] * self.step_s + self.values[at] * part

    def mean(self, zone: Ints, start_s: Ints, end_s: Ints) -> Floats:
        """Time-weighted mean [unit]; NaN where the run is not covered or touches a gap."""
        known = self.known(zone, start_s, end_s)
        start, end = np.where(known, start_s, 0), np.where(known, end_s, 0)
        length = np.where(known, end - start, 1) * float(QUANTA)
        return np.where(known, self.area(zone, start, end) / length, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class BatchJobs:
    """Many jobs, each with its zone and the times it must keep; every array has shape (job,).

    Attributes:
        zone: Row of the table.
        earliest_s: First instant it may run [s since the table's first slot].
        deadline_s: It must have ended by then [s].
        duration_s: Run time [s], above zero; the P95 where a deadline must hold.
    """

    zone: Ints
    earliest_s: Ints
    deadline_s: Ints
    duration_s: Ints

    @classmethod
    def of(
        cls, zone: ArrayLike, earliest_s: ArrayLike, deadline_s: ArrayLike, duration_s: ArrayLike
    ) -> BatchJobs:
        """Jobs of arrays that broadcast together.

        Raises:
            ValueError: A duration is not above zero, or a time is no whole second.
        """
        given = [np.asarray(each) for each in (zone, earliest_s, deadline_s, duration_s)]
        if any(each.dtype.kind == "f" and (each != np.rint(each)).any() for each in given):
            raise ValueError("zones and times are whole numbers, times in seconds")
        shape = np.broadcast_shapes(*(each.shape for each in given))
        whole = [np.broadcast_to(each, shape).ravel().astype(np.int64) for each in given]
        if (whole[3] < 1).any():
            raise ValueError("a job runs for at least a second")
        return cls(*whole)

    def __len__(self) -> int:
        """How many."""
        return len(self.zone)

    @property
    def latest_s(self) -> Ints:
        """Latest safe start [s]: the deadline less the run time."""
        return self.deadline_s - self.duration_s

    def take(self, at: NDArray[np.intp]) -> BatchJobs:
        """Some of the jobs, by index."""
        return BatchJobs(
            self.zone[at], self.earliest_s[at], self.deadline_s[at], self.duration_s[at]
        )
