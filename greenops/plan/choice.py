"""The exact choice among candidates: rules first, then the objective, then the name."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from greenops.domain.decision import Candidate, Decision, Judgement, Mode, Verdict
from greenops.domain.record import canonical
from greenops.domain.workload import Job
from greenops.plan.calendar import may_start
from greenops.plan.crowd import crowded
from greenops.plan.guard import latest_safe_start
from greenops.plan.threshold import QUEUED
from greenops.plan.wording import reason

NOTHING: Mapping[str, str] = MappingProxyType({})
OF_SAVING = frozenset({"limit/maxCarbon", "limit/maxCost"})
"""Rules that a start must keep to be worth it; a run that waits for room does not wait to save."""


def choose(
    job: Job,
    baseline: Candidate,
    candidates: Sequence[Candidate],
    judgement: Judgement,
    now: datetime,
    *,
    forecast_ids: Mapping[str, str] = NOTHING,
    replay: bool = False,
    supersedes: str | None = None,
    degraded: Mapping[str, str] = NOTHING,
    by_upper_bound: str | None = None,
) -> Decision:
    """Choose the allowed and eligible candidate with the least score; the baseline where none is.

    The baseline competes like the others and wins ties: nothing is moved for nothing. Once its
    start has passed it stands for starting at once, and its place and pool at once compete for it.

    Args:
        job: What is to run.
        baseline: What would happen without GreenOps; always a candidate.
        candidates: The other ways.
        judgement: What the policies say of each, the baseline first.
        now: Instant of the decision; nothing later was known (simulated time).
        forecast_ids: Zone → forecast that the figures rest on.
        replay: The figures are played back.
        supersedes: Decision on the same run that this one takes the place of; none: the first.
        degraded: Zone → why its forecast only stood in.
        by_upper_bound: Why `judgement` is of the upper bounds of carbon; none: it is of the means.

    Returns:
        A decision whose id and bytes depend on the arguments alone.
    """
    verdicts = {each.candidate: each for each in judgement.verdicts}
    latest = latest_safe_start(job)
    stays = _staying(baseline, candidates, now)
    # A run that waited starts late whatever it is called: its own baseline is the start it missed.
    stands = baseline if supersedes is None or stays is None else stays
    ranked = [
        stands if each is stays else each
        for each in _ranked(job, stays, candidates, verdicts, latest)
    ]
    own = verdicts.get(baseline.id)
    noncompliant = own is not None and not own.allowed
    late = latest is not None and baseline.start is not None and baseline.start > latest
    # Nothing may start yet: its calendar, not its holder, says when a run without slack goes.
    held_by_calendar = late and not may_start(job.workload.calendar, now)
    # There only where nothing is foretold, and the grid of now is what the rules refuse.
    stands = next((each for each in candidates if each.id == QUEUED), stands)
    if not ranked and crowded(job, stands):
        # Too many run where it would stay; the deadline alone is stronger than that.
        stands = _first_with_room(job, candidates, verdicts, latest) or stands
    chosen, runner_up = ranked[0] if ranked else stands, _second(ranked, baseline)
    won = chosen is baseline and runner_up is not None
    if judgement.run_now or (late and not ranked):
        # Break-glass, or the schedule itself would miss the deadline and no rule offers better.
        chosen, runner_up = _soonest(baseline, candidates, verdicts), None
    draft = Decision(
        id="",
        job_id=job.id,
        workload=job.workload.name,
        decided_at=now,
        chosen=chosen,
        baseline=baseline,
        runner_up=runner_up,
        rejected={v.candidate: v.reasons for v in judgement.verdicts if v.reasons},
        warned={v.candidate: v.warnings for v in judgement.verdicts if v.warnings},
        reason=reason(
            chosen, baseline, judgement, job.deadline, len(candidates), late=late, won=won
        )
        + _for_room(job, chosen, baseline),
        mode=judgement.mode,
        policies=judgement.policies,
        policy_hash=judgement.policy_hash,
        objective=judgement.objective,
        limits=judgement.limits,
        deadline=job.deadline,
        latest_safe_start=baseline.start if held_by_calendar else latest,
        forecast_ids=dict(forecast_ids),
        replay=replay,
        # Law: break-glass is never held back to measure something.
        held_out=judgement.held_out and not judgement.run_now,
        exception=judgement.exception,
        noncompliant_baseline=noncompliant,
        supersedes=supersedes,
        by_upper_bound=by_upper_bound,
        # Absent where nothing is degraded: such a decision keeps its bytes, and its id.
        degraded=dict(degraded) or None,
    )
    return _named(draft)


def effective(decision: Decision) -> Candidate:
    """What really happens: the choice where the policies enforce it, else the baseline."""
    moves = decision.mode is Mode.ENFORCE and not decision.held_out
    return decision.chosen if moves else decision.baseline


def _named(draft: Decision) -> Decision:
    digest = hashlib.sha256(canonical(draft)).hexdigest()
    return replace(draft, id=f"dec-{digest[:24]}")


def _staying(
    baseline: Candidate, candidates: Sequence[Candidate], now: datetime
) -> Candidate | None:
    """What really happens where nothing is moved: the baseline, or its place at once; none: neither."""
    if baseline.start is None or baseline.start >= now:
        return baseline
    place = baseline.region, baseline.pool
    at_once = (
        each for each in candidates if each.start == now and (each.region, each.pool) == place
    )
    return next(at_once, None)


def _ranked(
    job: Job,
    stays: Candidate | None,
    candidates: Sequence[Candidate],
    verdicts: Mapping[str, Verdict],
    latest: datetime | None,
) -> list[Candidate]:
    """All that may be chosen, best first: least score, what stays, earliest start, name."""

    def open_to(each: Candidate) -> bool:
        said = verdicts.get(each.id)
        if said is None or said.score is None or any(map(math.isnan, said.score)):
            return False
        in_time = latest is None or each.start is None or each.start <= latest
        return said.allowed and said.eligible and in_time and not crowded(job, each)

    def rank(each: Candidate) -> tuple[tuple[float, float], bool, float, str]:
        score = verdicts[each.id].score or (float("inf"), float("inf"))
        start = each.start.timestamp() if each.start else 0.0
        return score, each is not stays, start, each.id

    others = (each for each in candidates if each is not stays)
    able = (each for each in (stays, *others) if each is not None and open_to(each))
    return sorted(able, key=rank)


def _for_room(job: Job, chosen: Candidate, baseline: Candidate) -> str:
    most = job.workload.max_concurrent
    if crowded(job, chosen):
        return f", though {most} of its runs are planned for then, as many as may be"
    return f", as {most} of its runs are planned before" if crowded(job, baseline) else ""


def _first_with_room(
    job: Job,
    candidates: Sequence[Candidate],
    verdicts: Mapping[str, Verdict],
    latest: datetime | None,
) -> Candidate | None:
    """The earliest way at home that the rules allow, in time and with room; none where there is none."""
    home = job.workload.home_region
    able = [
        each
        for each in candidates
        if each.region == home
        and each.start is not None
        and (latest is None or each.start <= latest)
        and not crowded(job, each)
        and each.id in verdicts
        and not set(verdicts[each.id].reasons) - OF_SAVING
    ]
    return min(
        able,
        key=lambda each: (each.start.timestamp() if each.start else math.inf, each.id),
        default=None,
    )


def _second(ranked: Sequence[Candidate], baseline: Candidate) -> Candidate | None:
    if not ranked:
        return None
    if len(ranked) > 1:
        return ranked[1]
    return None if ranked[0] is baseline else baseline


def _soonest(
    baseline: Candidate, candidates: Sequence[Candidate], verdicts: Mapping[str, Verdict]
) -> Candidate:
    """The earliest start that the rules allow, as near to the baseline's place as can be.

    The baseline where it is as early, or where nothing is allowed: haste is no reason to move.
    """

    def rank(each: Candidate) -> tuple[float, bool, bool, bool, str]:
        start = each.start.timestamp() if each.start else math.inf
        place = each.id != baseline.id, each.region != baseline.region, each.pool != baseline.pool
        return start, *place, each.id

    allowed = (
        each
        for each in (baseline, *candidates)
        if each.id in verdicts and verdicts[each.id].allowed
    )
    return min(allowed, key=rank, default=baseline)
