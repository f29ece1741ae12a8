"""Elastic jobs: more machines when the grid is clean, fewer or none when it is not; exact.

A job has a profile: what it gets done and what it draws by number of machines. Only the levels on the upper
hull of the profile are worth running at, with a slot shared between two of them where that is best. Going a
level up in a slot then does so much more work for so much more energy; steps are taken by least emissions
per work until the work is done. This is exact: on a hull the steps of a slot come in their own order.

Source: the greedy over marginal work per emissions (Hanafy et al., CarbonScaler, 2023), on the hull.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from greenops.plan.slot_table import QUANTA, BatchJobs, Floats, Ints, SlotTable
from greenops.plan.window_slots import WindowSlots

CELLS: Final = 60_000
"""Steps of slots that are sorted together."""


@dataclass(frozen=True, slots=True, eq=False)
class ScalingProfile:
    """Levels worth running at, least first; level 0 is standing still.

    Attributes:
        machines: Number of machines of each level, shape (level,).
        work: Work done per second, shape (level,).
        power_kw: Power [kW], shape (level,).
    """

    machines: Ints
    work: Floats
    power_kw: Floats

    @classmethod
    def of(cls, machines: ArrayLike, work: ArrayLike, power_kw: ArrayLike) -> ScalingProfile:
        """The upper hull of a measured profile; a level that two others beat together is left out.

        Raises:
            ValueError: A level with machines does no work or draws no power.
        """
        rows = zip(*(np.asarray(each).tolist() for each in (power_kw, work, machines)), strict=True)
        points = sorted((float(kw), float(done), int(count)) for kw, done, count in rows if count)
        if not points or any(kw <= 0 or done <= 0 for kw, done, _ in points):
            raise ValueError("every level of a profile does work and draws power")
        hull = [(0.0, 0.0, 0)]
        for point in points:
            if point[1] <= hull[-1][1]:
                continue  # more power for no more work
            while len(hull) > 1 and _slope(hull[-1], point) >= _slope(hull[-2], hull[-1]):
                hull.pop()
            hull.append(point)
        kw, done, count = zip(*hull, strict=True)
        return cls(np.array(count), np.array(done), np.array(kw))


def _slope(first: tuple[float, float, int], last: tuple[float, float, int]) -> float:
    return (last[1] - first[1]) / (last[0] - first[0])


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """How each job runs.

    Attributes:
        found: Can the work be done in the window, shape (job,)?
        carbon_g: Emissions [g], shape (job,); NaN where it cannot.
        first_slot: Slot of the table that a row of `seconds` begins at, shape (job,).
        seconds: Seconds at each level in each slot, shape (job, slot, level); level 0 is left at 0.
    """

    found: NDArray[np.bool_]
    carbon_g: Floats
    first_slot: Ints
    seconds: Floats


def scale(table: SlotTable, jobs: BatchJobs, work: ArrayLike, profile: ScalingProfile) -> Scaled:
    """The cleanest way to do each job's work in its window.

    Args:
        table: Intensity [gCO2e/kWh], nowhere below zero.
        jobs: Windows; their run time is not used, the profile tells it.
        work: What each job has to do, in the profile's unit, shape (job,).
        profile: What machines do and draw.

    Raises:
        ValueError: An intensity is below zero: then wasting energy would be best.
    """
    if (table.values < 0).any():
        raise ValueError("an elastic job needs intensities of zero or more")
    needs = np.broadcast_to(np.asarray(work, dtype=float), len(jobs))
    windows = WindowSlots.of(table, jobs)
    seconds = np.zeros((len(jobs), windows.widest, len(profile.work)))
    found, carbon = np.zeros(len(jobs), bool), np.full(len(jobs), np.nan)
    for some, slots in windows.alike(CELLS // len(profile.work)):
        room = windows.room(some, slots, table)
        values = table.value_rows(windows.base[some], slots) / QUANTA
        steps = _steps(values, room, needs[some], profile)
        energy_kwh = steps @ np.diff(profile.power_kw) / 3600
        able = room.sum(axis=1) * profile.work[-1] >= needs[some] * (1 - 1e-12)
        found[some] = able
        carbon[some] = np.where(able, (energy_kwh * values).sum(axis=1), np.nan)
        # Seconds in which a step up is taken, less those in which the next one is too.
        taken = steps - np.pad(steps[:, :, 1:], ((0, 0), (0, 0), (0, 1)))
        seconds[some, :slots, 1:] = np.where(able[:, None, None], taken, 0)
    return Scaled(found, carbon, windows.first, seconds)


def _steps(values: Floats, room: Floats, needs: Floats, profile: ScalingProfile) -> Floats:
    """Seconds in which each step up is taken, shape (job, slot, step)."""
    jobs, slots = values.shape
    more, draws = np.diff(profile.work), np.diff(profile.power_kw)
    emits = (values[:, :, None] * (draws / more)).reshape(jobs, -1)
    can = (room[:, :, None] * more).reshape(jobs, -1)
    # Slots before steps where they tie: the earlier slot, and in it the lower step, comes first.
    order = np.argsort(emits, axis=1, kind="stable")
    sorted_can = np.take_along_axis(can, order, axis=1)
    before = np.cumsum(sorted_can, axis=1) - sorted_can
    done = np.empty_like(can)
    np.put_along_axis(done, order, np.clip(needs[:, None] - before, 0, sorted_can), axis=1)
    return np.asarray(done.reshape(jobs, slots, -1) / more)
