"""A job of a file that is planned together with others: where, when at the latest, how long, at what power."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Site:
    """Where a job runs.

    Attributes:
        place: Region or grid zone, as the file names it.
        zone: Grid zone that feeds it; none where none is known for the region.
        pue: Power usage effectiveness of the place; 1 where the file names a grid zone.
    """

    place: str
    zone: str | None
    pue: float


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One job, as its owner names it.

    Attributes:
        id: Its name in the file; others name it in their `after`.
        place: Region or grid zone, as the file names it; a limit holds for each place by itself.
        zone: Grid zone that feeds it; none where none is known for the region.
        pue: Power usage effectiveness of the place; 1 where the file names a grid zone.
        earliest: First instant it may run.
        deadline: It must have ended by then.
        duration_s: Run time [s]; the P95 where the deadline must hold.
        power_kw: Mean power at the server while it runs [kW].
        interruptible: May it run in pieces?
        resume_s: Energy drawn each time it goes on after a pause, in seconds of its running.
        least_chunk_s: It runs for at least so long once it runs [s].
        after: Ids of the jobs that must have ended before it starts.
        elsewhere: Other places that it may run in, as a whole.
        transfer_gb: Data that are moved where it does [GB].
    """

    id: str
    place: str
    zone: str | None
    pue: float
    earliest: datetime
    deadline: datetime
    duration_s: int
    power_kw: float
    interruptible: bool = False
    resume_s: int = 0
    least_chunk_s: int = 0
    after: tuple[str, ...] = ()
    elsewhere: tuple[Site, ...] = ()
    transfer_gb: float = 0.0

    @property
    def home(self) -> Site:
        """Where it runs if nothing is planned."""
        return Site(self.place, self.zone, self.pue)

    @property
    def chunked(self) -> bool:
        """Has stopping a price?"""
        return self.interruptible and (self.resume_s > 0 or self.least_chunk_s > 0)
