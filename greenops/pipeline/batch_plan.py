"""Plans the jobs of a file together, each inside its window, on the newest forecasts; no policy is asked.

Law: a planned job ends before its deadline, and no slot of a place bears more than its limit. What cannot be
planned so is told with the reason and the soonest that it would end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from greenops.domain.batch_job import BatchJob
from greenops.pipeline.batch_alone import plan_alone
from greenops.pipeline.batch_draft import Draft, Pieces, Why
from greenops.pipeline.batch_forecasts import Foretold
from greenops.pipeline.batch_jitter import spread_starts
from greenops.pipeline.batch_limits import Limits, shared_places
from greenops.pipeline.batch_shared import SharedPlace, plan_shared


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time in which a job runs, `[start, end)`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job with its times.

    Attributes:
        id: As the file names it.
        place: Where it runs, as the file names that.
        moved_from: Its home where it runs elsewhere; none: it runs at home.
        pieces: When it runs, in order.
        carbon_g: Emissions by the forecast, those of moving its data with them [gCO2e].
        baseline_start: Start if it ran at once, under the same limit; none: not within a week after the forecasts.
        baseline_g: Emissions of that [gCO2e]; none where they are not foretold.
        saving_g: Baseline less plan [gCO2e]; none likewise.
    """

    id: str
    place: str
    pieces: tuple[Piece, ...]
    carbon_g: float
    baseline_start: datetime | None
    baseline_g: float | None
    saving_g: float | None
    moved_from: str | None = None


@dataclass(frozen=True, slots=True)
class NotPlanned:
    """A job without a run in its window.

    Attributes:
        why: A code; `reason` says it in words.
        pieces: When it would end soonest, under the limit; empty: not within a week after the forecasts.
        late_s: How long after its deadline that ends [s]; 0: in time, only not foretold; none: as above.
        carbon_g: Emissions of that [gCO2e]; none where they are not foretold.
    """

    id: str
    place: str
    why: Why
    reason: str
    pieces: tuple[Piece, ...]
    late_s: float | None
    carbon_g: float | None


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """Sums over the planned jobs.

    Attributes:
        carbon_g: Emissions of all of them [gCO2e].
        compared: Those whose baseline is known; the sums below are over these.
        baseline_g, saving_g: Running at once, and that less the plan [gCO2e].
        saving: Saving as a share of the baseline; none where that is zero or less.
        longest_queue: Most planned jobs that run at once in one place.
    """

    jobs: int
    planned: int
    not_planned: int
    carbon_g: float
    compared: int
    baseline_g: float
    saving_g: float
    saving: float | None
    longest_queue: int


@dataclass(frozen=True, slots=True)
class UsedForecast:
    """What the intensity of a zone is from; `end` is its last instant."""

    zone: str
    id: str
    source: str
    signal: str
    replay: bool
    issued_at: datetime
    end: datetime
    degraded: str | None


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What a plan of many jobs says.

    Attributes:
        at: First instant that is planned.
        slot_s: Length of a slot [s].
        rounded: Planned jobs whose run time was rounded up to whole slots: under a limit, in a chain, or where
            stopping has a price.
        forecasts: What it rests on.
        shared: How each limit was shared; empty without one.
        jobs, not_planned: In the order of the file.
    """

    at: datetime
    slot_s: int
    rounded: int
    forecasts: tuple[UsedForecast, ...]
    totals: BatchTotals
    shared: tuple[SharedPlace, ...]
    jobs: tuple[PlannedJob, ...]
    not_planned: tuple[NotPlanned, ...]


def plan_batch(
    jobs: Sequence[BatchJob], foretold: Foretold, at: datetime, limits: Limits, jitter_s: int = 0
) -> BatchPlan:
    """Plan jobs together.

    Args:
        jobs: Ids differ, and what they wait for is among them.
        foretold: Intensity of all their zones.
        at: First instant that is planned.
        limits: What each place bears; without a limit no job competes with another.
        jitter_s: Longest that a start is moved where jobs of a place would start together [s].

    Raises:
        UsageError: Nothing plans such jobs together; says what is covered.
    """
    places = shared_places(jobs, limits, foretold.table.step_s)
    draft = Draft.of(jobs, foretold)
    shared = tuple(plan_shared(draft, each, limits) for each in places)
    if not limits:
        plan_alone(draft)
    spread_starts(draft, jitter_s)
    planned, missed = tuple(_planned(draft)), tuple(_missed(draft))
    return BatchPlan(
        at,
        draft.step_s,
        _rounded(draft, limits),
        tuple(_used(foretold)),
        _totals(planned, missed),
        shared,
        planned,
        missed,
    )


def _planned(draft: Draft) -> Iterator[PlannedJob]:
    carbon, baseline = draft.planned_g(draft.pieces), draft.carbon_g(draft.baseline)
    for job in sorted(draft.pieces):
        of, before = draft.jobs[job], baseline.get(job)
        at_once = draft.baseline.get(job)
        # Law: what is planned is foretold.
        grams = carbon[job]
        yield PlannedJob(
            id=of.id,
            place=draft.site(job).place,
            pieces=_told(draft, draft.pieces[job]),
            carbon_g=grams,
            baseline_start=None if at_once is None else draft.foretold.instant(at_once[0][0]),
            baseline_g=before,
            saving_g=None if before is None else before - grams,
            moved_from=of.place if job in draft.moved else None,
        )


def _missed(draft: Draft) -> Iterator[NotPlanned]:
    carbon = draft.carbon_g(draft.late)
    for job in sorted(draft.why):
        of, why, pieces = draft.jobs[job], draft.why[job], draft.late.get(job, ())
        told = _told(draft, pieces)
        late = (told[-1].end - of.deadline).total_seconds() if told else None
        yield NotPlanned(
            id=of.id,
            place=of.place,
            why=why,
            reason=_reason(draft, of, why),
            pieces=told,
            late_s=None if late is None else max(0.0, late),
            carbon_g=carbon.get(job),
        )


def _reason(draft: Draft, job: BatchJob, why: Why) -> str:
    match why:
        case Why.WINDOW:
            seconds = max(0.0, (job.deadline - job.earliest).total_seconds())
            return f"it runs {job.duration_s} s, and its window has {seconds:.0f} s"
        case Why.SLOTS:
            return f"its window has too few whole slots of {draft.step_s} s"
        case Why.FORECAST if job.zone in draft.foretold.missing:
            return draft.foretold.missing[job.zone]
        case Why.FORECAST:
            end = draft.foretold.forecasts[str(job.zone)].end
            return f"no run in its window is foretold; the forecast ends {end:%Y-%m-%dT%H:%MZ}"
        case Why.CHAIN:
            return "jobs that it waits for, or that wait for it, do not fit"
        case Why.ROOM:
            return "the limit leaves no room for it before its deadline"
        case Why.LIMIT:
            return f"it draws {job.power_kw:.4g} kW, more than the limit by itself"


def _told(draft: Draft, pieces: Pieces) -> tuple[Piece, ...]:
    instant = draft.foretold.instant
    return tuple(Piece(instant(start), instant(end)) for start, end in pieces)


def _rounded(draft: Draft, limits: Limits) -> int:
    linked = {job for pair in draft.links for job in pair}
    return sum(
        draft.jobs[job].duration_s % draft.step_s != 0
        for job in draft.pieces
        if limits or job in linked or draft.jobs[job].chunked
    )


def _used(foretold: Foretold) -> Iterable[UsedForecast]:
    for zone, each in foretold.forecasts.items():
        kind = each.kind
        yield UsedForecast(
            zone,
            each.id,
            kind.source,
            kind.signal,
            kind.replay,
            each.issued_at,
            each.end,
            each.degraded,
        )


def _totals(planned: Sequence[PlannedJob], missed: Sequence[NotPlanned]) -> BatchTotals:
    compared = [(each.baseline_g, each.carbon_g) for each in planned if each.baseline_g is not None]
    baseline = math.fsum(before for before, _ in compared)
    saved = math.fsum(before - after for before, after in compared)
    return BatchTotals(
        jobs=len(planned) + len(missed),
        planned=len(planned),
        not_planned=len(missed),
        carbon_g=math.fsum(each.carbon_g for each in planned),
        compared=len(compared),
        baseline_g=baseline,
        saving_g=saved,
        saving=saved / baseline if baseline > 0 else None,
        longest_queue=longest_queue(planned),
    )


def longest_queue(planned: Iterable[PlannedJob]) -> int:
    """Most jobs that run at one instant in one place."""
    steps: dict[str, list[tuple[datetime, int]]] = {}
    for job in planned:
        edges = steps.setdefault(job.place, [])
        for piece in job.pieces:
            edges += [(piece.start, 1), (piece.end, -1)]
    most = 0
    for edges in steps.values():
        running = 0
        # At one instant who ends goes before who starts.
        for _, change in sorted(edges):
            running += change
            most = max(most, running)
    return most
