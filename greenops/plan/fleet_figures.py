"""Figures of many runs in a place, equal to those of a `Candidate` to the last bit; NaN is absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from greenops.plan.fleet import Fleet, Place
from greenops.plan.fleet_intensity import EPOCH, Floats, Ints, Laid, MeanColumns, Runs
from greenops.plan.intensity import TICK
from greenops.plan.transfer import NETWORK, moving
from greenops.units import emissions, to_joules

TEXTS: Final = ("region", "location", "provider", "pool", "zone")
"""What is told of a place in words."""
TIMES: Final = ("start", "end")
CARBON: Final = {"carbon_g": "values", "carbon_low_g": "low", "carbon_high_g": "high"}
"""Which values of a forecast make which emissions."""
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
    at_home: dict[str, Any] = field(default_factory=dict)

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
        if name == "intensity":
            return self._mean(place.region, starts, "values")
        if name in CARBON:
            return self._carbon(place, starts, CARBON[name])
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

    def _means(self, region: int, of: str) -> MeanColumns | None:
        """Means of a region's forecast, or of an end of its range; regions of one zone share them."""
        forecast = self.fleet.options[region].forecast
        key = (id(forecast), of)
        if key not in self._series:
            values: Sequence[Any] | None = None if forecast is None else getattr(forecast, of)
            none = forecast is None or values is None
            self._series[key] = None if none or forecast is None else MeanColumns(forecast, values)
        return self._series[key]

    def _mean(self, region: int, starts: Starts, of: str) -> Any:
        series = self._means(region, of)
        return np.full((1, 1), np.nan) if series is None else starts.mean(series)

    def _carbon(self, place: Place, starts: Starts, of: str) -> Any:
        """Emissions of the run and of moving its data."""
        here: Any = self._over(place.region, starts, of)
        energy: Any = self.fleet.energy[starts.jobs][:, None]
        own = emissions(to_joules(energy), here, self.fleet.options[place.region].region.pue)
        gb = self._moved(place, starts.jobs)[:, None]
        if not gb.any():  # NaN is some
            return own
        network = moving(gb, here, self._at_home(starts, of), NETWORK[of])
        return np.where(gb == 0, own, own + network)

    def _at_home(self, starts: Starts, of: str) -> Any:
        """Intensity over each run in the grid of its own home."""
        if of not in starts.at_home:
            homes = self._homes(starts.jobs)
            found = np.full((len(homes), sum(each.count for each in starts.blocks)), np.nan)
            for region in np.unique(homes).tolist():
                theirs = (homes == region)[:, None]
                np.copyto(found, self._over(region, starts, of), where=theirs)
            starts.at_home[of] = found
        return starts.at_home[of]

    def _over(self, region: int, starts: Starts, of: str) -> Any:
        """Mean intensity or an end of its range: of each hour, else of the error that the forecast states."""
        mean = self._mean(region, starts, "values")
        forecast = self.fleet.options[region].forecast
        if of == "values" or forecast is None:
            return mean
        stated = np.full((1, 1), np.nan)
        if forecast.error is not None:
            stated = mean * max(0.0, 1 + forecast.error if of == "high" else 1 - forecast.error)
        if forecast.low is None or forecast.high is None:
            return stated
        ends = {each: self._mean(region, starts, each) for each in ("low", "high")}
        hourly = ~(np.isnan(ends["low"]) | np.isnan(ends["high"])) & ~np.isnan(mean)
        return np.where(hourly, ends[of], stated)

    def _homes(self, jobs: Ints) -> Ints:
        """Region of each run's home."""
        return np.array([each.region for each in self.fleet.places])[self.fleet.home[jobs]]

    def _moved(self, place: Place, jobs: Ints) -> Floats:
        """Data to be moved to a place [GB]."""
        fleet = self.fleet
        ids = [each.region.id for each in fleet.options]
        same = np.array([each == ids[place.region] for each in ids], np.bool_)
        return np.where(same[self._homes(jobs)], 0.0, fleet.moved[jobs])

    def _cost(self, place: Place, jobs: Ints) -> Floats:
        region = self.fleet.options[place.region].region
        hourly = region.usd_per_hour.get(place.pool)
        if hourly is None:
            return np.full(len(jobs), np.nan)
        hours = self.fleet.usual[jobs] / PER_SECOND / 3600
        out = np.array([each.region.usd_per_gb for each in self.fleet.options])[self._homes(jobs)]
        return np.asarray(hourly * hours + self._moved(place, jobs) * out)

    def _age(self, place: Place, jobs: Ints) -> Floats:
        forecast = self.fleet.options[place.region].forecast
        if forecast is None:
            return np.full(len(jobs), np.nan)
        issued = (forecast.issued_at - EPOCH) // TICK
        return np.asarray((self.fleet.now[jobs] - issued) / PER_SECOND)
