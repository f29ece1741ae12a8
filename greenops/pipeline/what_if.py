"""What would be chosen under other bounds; the policies hold all the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from greenops.domain.console import (
    Cadence,
    DecisionRecord,
    FrontierPoint,
    WhatIfAnswer,
    WhatIfQuestion,
)
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.evidence import AvoidedEmissions, Grade
from greenops.domain.record import canonical
from greenops.domain.workload import Job, Workload, WorkloadKind
from greenops.errors import UsageError
from greenops.pipeline.decide import Decider
from greenops.pipeline.run import default_key
from greenops.plan.cadence import Refresh, cadences
from greenops.plan.candidates import RegionOption, batch_candidates
from greenops.plan.guard import deadline_of, run_time, scheduled_start
from greenops.units import Grams, Usd

FRONTIER: Final = 12
"""Points of the frontier: longest delays from none to the question's own, evenly spaced."""


def answer(decider: Decider, question: WhatIfQuestion) -> WhatIfAnswer:
    """Decide the workload's next run as if the bounds of the question were its own.

    Raises:
        UsageError: The workload is not declared or is no batch workload.
    """
    asked = _job(decider, question)
    now = max(decider.clock.now(), asked.submitted)
    job, options = decider.bounded(asked, now), decider.options(now)
    baseline, candidates = decider.with_prices(batch_candidates(job, options, now), now)
    within = [each for each in candidates if _within(each, baseline, question)]
    record = decider.judge(job, baseline, within, now, options)
    decision = record.decision
    name = hashlib.sha256(canonical(question) + canonical(decision)).hexdigest()[:24]
    why_not = _why_not(decision)
    return WhatIfAnswer(
        id=f"ask-{name}",
        question=question,
        decision=decision,
        avoided=avoided(decision),
        extra_cost_usd=_extra_cost(decision),
        frontier=_frontier(record, question, job),
        sendable=why_not is None,
        why_not=why_not,
        candidates=record.candidates,
        verdicts=record.verdicts,
        policies=record.policies,
        job=record.job,
        cadences=_cadences(job.workload, options, now),
    )


def _cadences(
    workload: Workload, options: Sequence[RegionOption], now: datetime
) -> tuple[Cadence, ...]:
    """What refreshing at home every so often would emit and cost a day; none without a run time."""
    home = next((each for each in options if each.region.id == workload.home_region), None)
    longest = run_time(workload)
    if home is None or longest is None:
        return ()
    usual = timedelta(seconds=workload.duration_s or longest.total_seconds())
    refresh = Refresh(usual, workload.energy_kwh)
    return cadences(refresh, home.region, home.forecast, now)


def _job(decider: Decider, question: WhatIfQuestion) -> Job:
    workload = decider.workload(question.workload)
    if workload.kind is not WorkloadKind.BATCH:
        raise UsageError("GO0642", f"`{workload.name}` serves; only batch workloads can wait")
    submitted = scheduled_start(workload, decider.clock.now())
    # The key that the holder of that run will use: an order that is sent finds it.
    key = default_key(workload, submitted)
    regions = workload.allowed_regions if question.move_regions else (workload.home_region,)
    asked = replace(workload, allowed_regions=regions)
    asked_for = submitted + timedelta(hours=question.max_delay_h)
    declared = deadline_of(workload, submitted)
    deadline = asked_for if declared is None else min(asked_for, declared)
    return Job(key, asked, submitted, deadline)


def _within(candidate: Candidate, baseline: Candidate, question: WhatIfQuestion) -> bool:
    if candidate.cost_usd is None or baseline.cost_usd is None:
        return False
    return candidate.cost_usd <= baseline.cost_usd * (1 + question.max_cost_increase)


def avoided(decision: Decision) -> AvoidedEmissions | None:
    """What a decision is expected to avoid: on forecasts, so of grade D [gCO2e].

    Returns:
        Baseline less choice, the range from the ends of both forecasts' ranges; nothing avoided is
        zero, a figure that is not known is none.
    """
    chosen, baseline = decision.chosen, decision.baseline
    if chosen.id == baseline.id:
        return AvoidedEmissions(Grams(0.0), Grams(0.0), Grams(0.0), Grade.D)
    now, then = _range(chosen), _range(baseline)
    if now is None or then is None:
        return None
    return AvoidedEmissions(
        Grams(then[0] - now[0]), Grams(then[1] - now[2]), Grams(then[2] - now[1]), Grade.D
    )


def _range(place: Candidate) -> tuple[Grams, Grams, Grams] | None:
    figures = place.carbon_g, place.carbon_low_g, place.carbon_high_g
    known = tuple(each for each in figures if each is not None)
    return (known[0], known[1], known[2]) if len(known) == len(figures) else None


def _extra_cost(decision: Decision) -> Usd | None:
    chosen, baseline = decision.chosen.cost_usd, decision.baseline.cost_usd
    return None if chosen is None or baseline is None else Usd(chosen - baseline)


def _why_not(decision: Decision) -> str | None:
    if decision.chosen.id == decision.baseline.id:
        return "nothing would change: the baseline is the best that the policies allow"
    if decision.mode is not Mode.ENFORCE:
        return f"the policies are in {decision.mode} mode"
    return "the run is in the hold-out" if decision.held_out else None


def _frontier(
    record: DecisionRecord, question: WhatIfQuestion, job: Job
) -> tuple[FrontierPoint, ...]:
    verdicts = {each.candidate: each for each in record.verdicts}
    able = [
        each
        for each in record.candidates
        if each.carbon_g is not None
        and each.cost_usd is not None
        and each.end is not None
        and (each is record.candidates[0] or verdicts[each.id].allowed)
    ]
    points = []
    for step in range(FRONTIER + 1):
        delay = question.max_delay_h * step / FRONTIER
        best = _best(able, job, delay)
        if best is not None:
            points.append(FrontierPoint(delay, best[0], best[1]))
    return tuple(points)


def _best(able: Sequence[Candidate], job: Job, delay_h: float) -> tuple[Grams, Usd] | None:
    until = job.submitted + timedelta(hours=delay_h)
    figures = [
        (each.carbon_g, each.cost_usd)
        for each in able
        if each.end is not None
        and each.end <= until
        and each.carbon_g is not None
        and each.cost_usd is not None
    ]
    return min(figures, default=None)
