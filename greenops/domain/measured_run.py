"""One earlier run of a batch workload as its spans tell it, and what many of them taught."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenops.units import Joules, Kwh, Seconds, to_kwh


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A run that ended.

    Attributes:
        started: Wall time of its first span.
        duration: From the first span's start to the last one's end, on the wall clock [s].
        energy: Sum over all spans of its traces that know theirs [J]; none where none does.
        failed: Its own spans say that it did not succeed.
    """

    workload: str
    run_key: str
    started: datetime
    duration: Seconds
    energy: Joules | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """What a figure was in earlier runs.

    Attributes:
        runs: How many runs tell it.
        usual: Median.
        low, high: A next run is below or above with 5 % each; none where too few runs tell.
        method: How `low` and `high` were found, in words.
    """

    runs: int
    usual: float
    low: float | None
    high: float | None
    method: str


@dataclass(frozen=True, slots=True)
class Learned:
    """What earlier runs of a workload teach of the next one.

    Attributes:
        duration: Run time [s].
        energy: Energy [J]; none where no run knows its own.
        left_out: Runs that were not counted, being unlike all others.
    """

    duration: Spread
    energy: Spread | None
    left_out: int = 0

    @property
    def usual_s(self) -> Seconds:
        """Usual run time [s]."""
        return Seconds(self.duration.usual)

    @property
    def p95_s(self) -> Seconds | None:
        """Run time that a next run exceeds with 5 % [s]; none where too few runs tell."""
        return None if self.duration.high is None else Seconds(self.duration.high)

    @property
    def energy_kwh(self) -> Kwh | None:
        """Usual energy [kWh]; none where no run knows its own."""
        return None if self.energy is None else to_kwh(Joules(self.energy.usual))
