"""Figures of many runs in a place, equal to those of a `Candidate` to the last bit; NaN is absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from greenops.plan.fleet import Fleet, Place
from greenops.plan.fleet_intensity import EPOCH, Floats, Ints, Laid, MeanColumns, Runs
from greenops.plan.intensity import TICK
from greenops.units import emissions, to_joules

TEXTS: Final = ("region", "location", "provider", "pool", "zone")
"""What is told of a place in words."""
TIMES: Final = ("start", "end")
NUMBERS: Final = (
    *("energy_kwh", "carbon_g", "carbon_low_g", "carbon_high_g", "intensity"),
    *("cost_usd", "transfer_gb", "forecast_age_s"),
)
PER_SECOND: Final = 10**6
"""Microseconds of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """Some runs of a fleet and starts of each, in regular blocks; means that were asked for stay.

    Attributes:
        jobs: Rows of the fleet.
        blocks: Each with its starts of every one of these runs.
    """

    jobs: Ints
    blocks: tuple[Runs, ...]
    laid: dict[tuple[int, int, int], tuple[Laid, ...]] = field(default_factory=dict)
    means: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def all_of(cls, fleet: Fleet, jobs: Ints, count: int) -> Starts:
        """At once, and at each whole slot after it; some may lie past a run's latest safe start."""
        usual, earliest = fleet.usual[jobs], fleet.earliest[jobs]
        blocks = [Runs(earliest, usual)]
        if count > 1:
            blocks.append(Runs(fleet.aligned[jobs], usual, count - 1, fleet.slot))
        return cls(jobs, tuple(blocks))

    @classmethod
    def one_of(cls, fleet: Fleet, jobs: Ints, start: Ints) -> Starts:
        """One start of each run."""
        return cls(jobs, (Runs(start, fleet.usual[jobs]),))

    def at(self) -> Ints:
        """The starts [us since 1970], shape (job, start)."""
        return np.hstack([each.starts() for each in self.blocks])

    def mean(self, series: MeanColumns) -> Floats:
        """Mean of a series over each run [gCO2e/kWh], shape (job, start)."""
        if id(series) not in self.means:
            steps = (series.start, series.step, series.count)
            if steps not in self.laid:
                self.laid[steps] = tuple(Laid.of(each, *steps) for each in self.blocks)
            told = zip(self.blocks, self.laid[steps], strict=True)
            self.means[id(series)] = np.hstack([series(*each) for each in told])
        return self.means[id(series)]


class Figures:
    """Knows the figures of any runs of a fleet in any of its places."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._series: dict[tuple[int, str], MeanColumns | None] = {}
        self._per_run: Mapping[str, Callable[[Place, Ints], Floats]] = {
            "energy_kwh": lambda _, jobs: fleet.energy[jobs],
            "cost_usd": self._cost,
            "transfer_gb": self._moved,
            "forecast_age_s": self._age,
        }

    def of(self, name: str, place: Place, starts: Starts) -> Any:
        """One figure of each start of each run, in the field's unit; broadcasts to their shape."""
        fleet, jobs = self.fleet, starts.jobs
        if name in TIMES:
            return starts.at() if name == "start" else starts.at() + fleet.usual[jobs][:, None]
        if name in {"carbon_low_g", "carbon_high_g"}:
            return self._range(place, starts, name)
        if name in {"carbon_g", "intensity"}:
            of = self._carbon if name == "carbon_g" else self._mean
            return of(place, starts, "values")
        return self._per_run[name](place, jobs)[:, None]

    def text(self, name: str, place: Place) -> str | None:
        """What is told of a place in words."""
        region = self.fleet.options[place.region].region
        told = {
            "region": region.id,
            "location": region.location,
            "provider": region.provider,
            "pool": place.pool,
            "zone": region.zone,
        }
        return told[name]

    def _means(self, place: Place, of: str) -> MeanColumns | None:
        """Means of a region's forecast, or of an end of its range; regions of one zone share them."""
        forecast = self.fleet.options[place.region].forecast
        key = (id(forecast), of)
        if key not in self._series:
            values: Sequence[Any] | None = None if forecast is None else getattr(forecast, of)
            none = forecast is None or values is None
            self._series[key] = None if none or forecast is None else MeanColumns(forecast, values)
        return self._series[key]

    def _mean(self, place: Place, starts: Starts, of: str) -> Any:
        series = self._means(place, of)
        return np.full((1, 1), np.nan) if series is None else starts.mean(series)

    def _carbon(self, place: Place, starts: Starts, of: str) -> Any:
        mean: Any = self._mean(place, starts, of)
        energy: Any = self.fleet.energy[starts.jobs][:, None]
        return emissions(to_joules(energy), mean, self.fleet.options[place.region].region.pue)

    def _range(self, place: Place, starts: Starts, name: str) -> Any:
        """From the range of each hour of the run, else from the error that the forecast states."""
        carbon = self._carbon(place, starts, "values")
        forecast = self.fleet.options[place.region].forecast
        if forecast is None:
            return carbon
        high = name == "carbon_high_g"
        stated = np.full((1, 1), np.nan)
        if forecast.error is not None:
            factor = 1 + forecast.error if high else 1 - forecast.error
            stated = carbon * max(0.0, factor)
        if forecast.low is None or forecast.high is None:
            return stated
        ends = [self._mean(place, starts, each) for each in ("low", "high")]
        hourly = ~(np.isnan(ends[0]) | np.isnan(ends[1])) & ~np.isnan(carbon)
        own = self._carbon(place, starts, "high" if high else "low")
        return np.where(hourly, own, stated)

    def _moved(self, place: Place, jobs: Ints) -> Floats:
        """Data to be moved to a place [GB]."""
        fleet = self.fleet
        homes = np.array([each.region for each in fleet.places])[fleet.home[jobs]]
        ids = [each.region.id for each in fleet.options]
        same = np.array([each == ids[place.region] for each in ids], np.bool_)
        return np.where(same[homes], 0.0, fleet.moved[jobs])

    def _cost(self, place: Place, jobs: Ints) -> Floats:
        region = self.fleet.options[place.region].region
        hourly = region.usd_per_hour.get(place.pool)
        if hourly is None:
            return np.full(len(jobs), np.nan)
        hours = self.fleet.usual[jobs] / PER_SECOND / 3600
        return np.asarray(hourly * hours + self._moved(place, jobs) * region.usd_per_gb)

    def _age(self, place: Place, jobs: Ints) -> Floats:
        forecast = self.fleet.options[place.region].forecast
        if forecast is None:
            return np.full(len(jobs), np.nan)
        issued = (forecast.issued_at - EPOCH) // TICK
        return np.asarray((self.fleet.now[jobs] - issued) / PER_SECOND)
