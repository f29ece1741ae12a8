"""The exact choice among candidates: rules first, then the objective, then the name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from greenops.domain.decision import Candidate, Decision, Judgement, Mode, Verdict
from greenops.domain.record import canonical
from greenops.domain.workload import Job
from greenops.plan.guard import latest_safe_start
from greenops.plan.wording import reason

NOTHING: Mapping[str, str] = MappingProxyType({})


def choose(
    job: Job,
    baseline: Candidate,
    candidates: Sequence[Candidate],
    judgement: Judgement,
    now: datetime,
    *,
    forecast_ids: Mapping[str, str] = NOTHING,
    replay: bool = False,
) -> Decision:
    """Choose the allowed and eligible candidate with the least score; the baseline where none is.

    Args:
        job: What is to run.
        baseline: What would happen without GreenOps; always a candidate.
        candidates: The other ways.
        judgement: What the policies say of each, the baseline first.
        now: Instant of the decision; nothing later was known (simulated time).
        forecast_ids: Zone → forecast that the figures rest on.
        replay: The figures are played back.

    Returns:
        A decision whose id and bytes depend on the arguments alone.
    """
    verdicts = {each.candidate: each for each in judgement.verdicts}
    latest = latest_safe_start(job)
    ranked = _ranked(candidates, verdicts, latest)
    own = verdicts.get(baseline.id)
    noncompliant = own is not None and not own.allowed
    chosen, runner_up = _pick(baseline, candidates, verdicts, ranked, judgement.run_now)
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
        reason=reason(chosen, baseline, judgement, job.deadline, len(candidates)),
        mode=judgement.mode,
        policies=judgement.policies,
        policy_hash=judgement.policy_hash,
        objective=judgement.objective,
        limits=judgement.limits,
        deadline=job.deadline,
        latest_safe_start=latest,
        forecast_ids=dict(forecast_ids),
        replay=replay,
        held_out=judgement.held_out,
        exception=judgement.exception,
        noncompliant_baseline=noncompliant,
    )
    return _named(draft)


def effective(decision: Decision) -> Candidate:
    """What really happens: the choice where the policies enforce it, else the baseline."""
    moves = decision.mode is Mode.ENFORCE and not decision.held_out
    return decision.chosen if moves else decision.baseline


def _named(draft: Decision) -> Decision:
    from dataclasses import replace

    digest = hashlib.sha256(canonical(draft)).hexdigest()
    return replace(draft, id=f"dec-{digest[:24]}")


def _ranked(
    candidates: Sequence[Candidate], verdicts: Mapping[str, Verdict], latest: datetime | None
) -> list[Candidate]:
    """Candidates that may be chosen, best first: least score, then earliest start, then name."""

    def open_to(each: Candidate) -> bool:
        said = verdicts[each.id]
        in_time = latest is None or each.start is None or each.start <= latest
        return said.allowed and said.eligible and said.score is not None and in_time

    def rank(each: Candidate) -> tuple[tuple[float, float], float, str]:
        score = verdicts[each.id].score or (float("inf"), float("inf"))
        return score, each.start.timestamp() if each.start else 0.0, each.id

    return sorted((each for each in candidates if open_to(each)), key=rank)


def _pick(
    baseline: Candidate,
    candidates: Sequence[Candidate],
    verdicts: Mapping[str, Verdict],
    ranked: Sequence[Candidate],
    run_now: bool,
) -> tuple[Candidate, Candidate | None]:
    if run_now:
        return _soonest(baseline, candidates, verdicts), None
    if not ranked:
        return baseline, None
    return ranked[0], ranked[1] if len(ranked) > 1 else baseline


def _soonest(
    baseline: Candidate, candidates: Sequence[Candidate], verdicts: Mapping[str, Verdict]
) -> Candidate:
    """The earliest start that no hard rule refuses; the baseline where it is as early."""
    starts = [
        each
        for each in (baseline, *candidates)
        if each.start is not None and each.id in verdicts and verdicts[each.id].allowed
    ]
    return min(
        starts, key=lambda each: each.start.timestamp() if each.start else 0, default=baseline
    )
