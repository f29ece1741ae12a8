"""Limits that jobs share, and which jobs under them a plan covers: what it does not is refused, never guessed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from greenops.domain.batch_job import BatchJob
from greenops.errors import UsageError
from greenops.plan.capacity import places_for

SAME: Final = 1e-9
"""Share by which powers may differ that count as equal: the rounding of energies over run times."""
COVERED: Final = (
    "under a limit: jobs in pieces or of one slot, of equal power (exact); jobs in one piece, of equal power or "
    "under `--cap-kw` alone (with its gap)"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one place bears in every slot.

    Attributes:
        places: Most jobs at once; none: no limit.
        cap_kw: Most power of all jobs together [kW]; none: no limit.
    """

    places: int | None = None
    cap_kw: float | None = None

    def __bool__(self) -> bool:
        """Is there a limit?"""
        return self.places is not None or self.cap_kw is not None

    def at_once(self, power_kw: float) -> int:
        """Jobs of one power that a place bears at once."""
        by_power = [] if self.cap_kw is None else [int(places_for(self.cap_kw, power_kw))]
        by_count = [] if self.places is None else [self.places]
        return min(by_power + by_count)


@dataclass(frozen=True, slots=True)
class Shared:
    """The jobs of one place under a limit.

    Attributes:
        place: Region or grid zone.
        jobs: By their place in the file.
        power_kw: Power of each where they draw the same [kW]; none where they do not.
        exact: Is the best placement found, or a good one with its gap?
    """

    place: str
    jobs: Sequence[int]
    power_kw: float | None
    exact: bool


def shared_places(jobs: Sequence[BatchJob], limits: Limits, slot_s: int) -> list[Shared]:
    """The places under a limit, with how each is planned.

    Raises:
        UsageError: Nothing plans such jobs together.
    """
    _no_chains_in_pieces(jobs)
    _move_whole_and_alone(jobs)
    if not limits:
        return []
    # A region and a grid zone of one name are two places.
    by_place: dict[tuple[str, str, float], list[int]] = defaultdict(list)
    for at, job in enumerate(jobs):
        if job.after:
            raise _not_covered(f"`{job.id}` waits for other jobs (`after`)")
        if job.chunked:
            raise _not_covered(f"stopping `{job.id}` has a price (`resume_s`, `least_chunk_s`)")
        if job.elsewhere:
            raise _not_covered(f"`{job.id}` may run in other regions (`regions`)")
        by_place[job.place, job.zone or "", job.pue].append(at)
    return [_shared(key[0], some, jobs, limits, slot_s) for key, some in sorted(by_place.items())]


def _shared(
    place: str, some: Sequence[int], jobs: Sequence[BatchJob], limits: Limits, slot_s: int
) -> Shared:
    long = [jobs[at] for at in some if jobs[at].duration_s > slot_s]
    pieces = [job for job in long if job.interruptible]
    whole = [job for job in long if not job.interruptible]
    if pieces and whole:
        raise _not_covered(
            f"in `{place}` `{pieces[0].id}` runs in pieces and `{whole[0].id}` in one"
        )
    by_power = sorted((jobs[at] for at in some), key=lambda job: job.power_kw)
    least, most = by_power[0], by_power[-1]
    if most.power_kw - least.power_kw <= SAME * most.power_kw:
        return Shared(place, some, most.power_kw, exact=not whole)
    differ = f"in `{place}` `{least.id}` draws {least.power_kw:.4g} kW and `{most.id}` {most.power_kw:.4g} kW"
    if pieces:
        raise _not_covered(f"{differ}, and `{pieces[0].id}` runs in pieces")
    if limits.places is not None:
        raise _not_covered(f"{differ}, with `--places`")
    return Shared(place, some, None, exact=False)


def _no_chains_in_pieces(jobs: Sequence[BatchJob]) -> None:
    linked = {each for job in jobs for each in job.after} | {job.id for job in jobs if job.after}
    for job in jobs:
        if job.interruptible and job.id in linked:
            raise UsageError(
                "GO0696",
                f"`{job.id}` runs in pieces and is one of jobs that wait for each other; those run in one piece",
                fix="leave `interruptible` out of it, or plan it without `after`",
            )


def _move_whole_and_alone(jobs: Sequence[BatchJob]) -> None:
    linked = {each for job in jobs for each in job.after} | {job.id for job in jobs if job.after}
    for job in jobs:
        if job.elsewhere and (job.interruptible or job.id in linked):
            what = "runs in pieces" if job.interruptible else "waits for others, or they for it"
            raise UsageError(
                "GO0696",
                f"`{job.id}` {what} and may run in other regions; a job moves in one piece, by itself",
                fix="leave its `regions` empty, or plan it without `interruptible` and `after`",
            )


def _not_covered(what: str) -> UsageError:
    return UsageError("GO0696", f"not planned under a limit: {what}", fix=f"covered {COVERED}")
