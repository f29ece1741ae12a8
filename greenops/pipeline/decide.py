"""Deciding: candidates from the plan room, verdicts from the policies, the choice of both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from greenops.config import Settings
from greenops.domain.console import DecisionRecord, JobRequest
from greenops.domain.decision import Candidate, Decision, Judgement
from greenops.domain.grid import Forecast
from greenops.domain.measured_run import Learned
from greenops.domain.route import Front
from greenops.domain.workload import Job, Workload, WorkloadKind
from greenops.errors import DataMissing, UsageError, nearest
from greenops.pipeline.grid import GridContext
from greenops.pipeline.intensity_now import Ways, by_intensity_now
from greenops.pipeline.site_prices import Priced, priced_ways, unpriced_wait
from greenops.plan.candidates import (
    BASELINE,
    LOCAL,
    RegionOption,
    allowed,
    batch_candidates,
    placement_candidates,
)
from greenops.plan.careful import Care, by_upper_bound, needs_care
from greenops.plan.choice import choose
from greenops.plan.crowd import Span, with_room
from greenops.plan.guard import deadline_of, due_since
from greenops.plan.learned import may_learn, with_learned
from greenops.plan.routes import Backend, Weights, route_candidates, shared
from greenops.plan.threshold import QUEUED
from greenops.policy import PolicySet
from greenops.policy.budget_rules import as_recorded
from greenops.ports import Clock
from greenops.units import NS_PER_S, Seconds

PLACEMENT_P95_MS: Final = 80.0
"""Latency taken for a service that has none measured [ms], an assumption of ours: equal at every
place, so that no choice rests on it; rules that compare latencies then hold with equality."""

Judged = Callable[[str, int, Seconds], None]
"""Told of each look of the policies: the workload, how many ways they judged, and what that took [s]."""


def _untold(workload: str, ways: int, took: Seconds) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides one thing at a time; what it was given is all it knows."""

    settings: Settings
    clock: Clock
    policies: PolicySet
    grid: GridContext
    judged: Judged = _untold
    in_force: Callable[[datetime], PolicySet] | None = None
    """The policies at an instant, with what budgets add to them; none: as they are declared."""
    learned: Callable[[str], Learned | None] | None = None
    """What earlier runs of a workload teach; none: nobody looks."""
    planned: Callable[[str, str, datetime], Sequence[Span]] | None = None
    """When other runs of a workload than one run are planned to run; none: nobody plans them together."""
    priced: Priced | None = None
    """What electricity costs where machines are owned; none: ways cost their rents alone."""

    def decide(self, request: JobRequest) -> DecisionRecord:
        """Decide one run, or where a service runs.

        Raises:
            UsageError: The workload is not declared, or lacks what a plan needs.
        """
        now = max(self.clock.now(), request.submitted)
        job = self.job(request, now)
        options = self.options(now, self.places(job))
        if job.workload.kind is WorkloadKind.BATCH:
            found: Ways = self.with_prices(batch_candidates(job, options, now), now)
            if now <= self.clock.now():
                found = self._by_now(job, found, options, now)
            baseline, candidates = self._with_room(job, found, now)
        else:
            ways = placement_candidates(job, options, now, PLACEMENT_P95_MS)
            baseline, candidates = self.with_prices(ways, now)
        return self.judge(job, baseline, candidates, now, options)

    def decide_anew(self, held: DecisionRecord, options: Sequence[RegionOption]) -> DecisionRecord:
        """Decide a run that waits once more, by what is known now, in the place of a decision on it.

        Where the baseline's start has passed it keeps the figures that it had: no forecast reaches back.

        Raises:
            UsageError: The record does not hold its job.
        """
        job, now = self.bounded(_job_of(held), self.clock.now()), self.clock.now()
        baseline: Candidate
        candidates: Sequence[Candidate]
        baseline, candidates = self.with_prices(batch_candidates(job, options, now), now)
        if baseline.start is not None and baseline.start < now:
            baseline = held.decision.baseline
        waited = held.decision.chosen.id == QUEUED
        found = self._by_now(job, (baseline, candidates), options, now, waited=waited)
        baseline, candidates = self._with_room(job, found, now)
        return self.judge(job, baseline, candidates, now, options, held.decision.id)

    def with_prices(self, ways: Ways, now: datetime) -> Ways:
        """The ways with what their electricity costs, where it is paid by the hour."""
        return ways if self.priced is None else priced_ways(self.priced, ways, now)

    def _by_now(
        self,
        job: Job,
        ways: Ways,
        options: Sequence[RegionOption],
        now: datetime,
        *,
        waited: bool = False,
    ) -> Ways:
        policies = self._in_force(now)
        found = by_intensity_now(job, ways, options, self.grid, policies, now, waited=waited)
        return found if self.priced is None else unpriced_wait(self.priced, found)

    def _with_room(self, job: Job, ways: Ways, now: datetime) -> Ways:
        if self.planned is None:
            return ways
        planned = self.planned(job.workload.name, job.id, now)
        baseline, *others = with_room(job, (ways[0], *ways[1]), planned)
        return baseline, tuple(others)

    def decide_route(
        self, front: Front, current: Weights
    ) -> tuple[DecisionRecord, Mapping[str, Weights]]:
        """Decide how a route is shared among its backends from now on.

        Returns:
            The record, and the weights of each way by its candidate's id [percent].
        """
        now = self.clock.now()
        workload = self.workload(front.workload)
        backends = self._backends(front, now)
        found = route_candidates(backends, current, workload.energy_kwh, now)
        baseline, candidates, weights = found
        job = Job(f"{front.name}/{now:%Y-%m-%dT%H:%M}Z", workload, now)
        options = [each.option for each in backends]
        return self.judge(job, baseline, candidates, now, options), weights

    def broken_by(self, front: Front, record: DecisionRecord, weights: Weights) -> tuple[str, ...]:
        """Rules that a route breaks while it is shared so, at the instant of a decision on it.

        Args:
            front: The route.
            record: What was decided.
            weights: A share that would stand, such as a step on the way to the choice [percent].
        """
        now, job = record.decision.decided_at, record.job
        if job is None:
            return ()
        # As the baseline: limits that compare with it ask of a choice, not of a step to it.
        stands = shared(BASELINE, weights, self._backends(front, now), job.workload.energy_kwh, now)
        return self._in_force(now).judge(job, stands, (), now).verdicts[0].reasons

    def _backends(self, front: Front, now: datetime) -> list[Backend]:
        among = {each.region for each in front.backends}
        options = {each.region.id: each for each in self.options(now, among)}
        for each in front.backends:
            self.grid.regions[each.region]  # an unknown region is an error that names the nearest
        return [Backend(b.name, options[b.region], b.p95_ms) for b in front.backends]

    def judge(
        self,
        job: Job,
        baseline: Candidate,
        candidates: Sequence[Candidate],
        now: datetime,
        options: Iterable[RegionOption],
        supersedes: str | None = None,
    ) -> DecisionRecord:
        """Ask the policies, choose, and keep all that the choice rests on.

        Args:
            job: What is to run.
            baseline: What would happen without GreenOps.
            candidates: The other ways.
            now: Instant of the decision.
            options: Regions and forecasts that the figures were made of.
            supersedes: Decision on the same run that this one may take the place of.
        """
        policies = self._in_force(now)
        made = partial(
            choose,
            job,
            baseline,
            candidates,
            now=now,
            forecast_ids={each.zone: each.id for each in _forecasts(job, options)},
            degraded={
                each.zone: each.degraded for each in _forecasts(job, options) if each.degraded
            },
            replay=self.clock.replay is not None,
            supersedes=supersedes,
        )
        judgement = self._judged(policies, job, (baseline, *candidates), now)
        decision = made(judgement)
        why = needs_care(decision.chosen, job, self._care())
        bounds = by_upper_bound((baseline, *candidates)) if why else None
        if bounds is not None:
            judgement = self._judged(policies, job, bounds, now)
            decision = made(judgement, by_upper_bound=why)
        return DecisionRecord(
            decision=decision,
            candidates=(baseline, *candidates),
            verdicts=judgement.verdicts,
            policies=dict(policies.documents),
            job=job,
        )

    def _in_force(self, now: datetime) -> PolicySet:
        return self.policies if self.in_force is None else self.in_force(now)

    def _judged(
        self, policies: PolicySet, job: Job, ways: Sequence[Candidate], now: datetime
    ) -> Judgement:
        began_ns = self.clock.monotonic_ns()
        judgement = policies.judge(job, ways[0], ways[1:], now)
        took_s = (self.clock.monotonic_ns() - began_ns) / NS_PER_S
        self.judged(job.workload.name, len(ways), Seconds(took_s))
        return judgement

    def _care(self) -> Care:
        slack, age = self.settings.careful_slack_s, self.settings.careful_age_s
        return Care(timedelta(seconds=slack), timedelta(seconds=age))

    def job(self, request: JobRequest, now: datetime) -> Job:
        """The run that a request asks for, with the tightest deadline that anything gives it."""
        workload = self.workload(request.workload)
        labelled = replace(
            workload,
            labels={**workload.labels, **request.labels},
            schedule=None if request.triggered else workload.schedule,
            # Who stands ready to start it does so where it stands.
            target=workload.target or (LOCAL if request.triggered else None),
        )
        labelled, told = self._with_learned(labelled)
        due = due_since(workload, request.submitted)
        job = Job(request.run_key, labelled, due, deadline_of(workload, due), told or None)
        return self.bounded(job, now)

    def _with_learned(self, workload: Workload) -> tuple[Workload, tuple[str, ...]]:
        if self.learned is None or not may_learn(workload):
            return workload, ()
        found = self.learned(workload.name)
        return (workload, ()) if found is None else with_learned(workload, found)

    def bounded(self, job: Job, now: datetime) -> Job:
        """A run with its own deadline or that of a policy that matches it, whichever is tighter.

        Known before its ways are: none of them, and no hold, may go beyond it. A service has none.
        """
        if job.workload.kind is not WorkloadKind.BATCH:
            return job
        return replace(job, deadline=self.policies.deadline_for(job, now))

    def workload(self, name: str) -> Workload:
        """A declared workload.

        Raises:
            UsageError: None has this name; names the nearest.
        """
        known = self.policies.workloads
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean `{near}`?" if near else "declare it with `kind: Workload`"
            raise UsageError("GO0643", f"no workload `{name}` is declared", fix=hint)
        return known[name]

    def options(self, now: datetime, among: Collection[str] | None = None) -> list[RegionOption]:
        """Every region, with the newest forecast that is fresh enough.

        A run may be planned ahead of time; a forecast that is not issued yet is not known.

        Args:
            now: Instant of the plan.
            among: Regions that matter: no forecast is asked for on account of another; none: all do.
        """
        now = min(now, self.clock.now())
        forecasts: dict[str, Forecast | None] = {}
        for region in self.grid.regions:
            matters = among is None or region.id in among
            if matters and region.zone and region.zone not in forecasts:
                forecasts[region.zone] = self._forecast(region.zone, now)
        return [RegionOption(r, forecasts.get(r.zone or "")) for r in self.grid.regions]

    def places(self, job: Job) -> set[str] | None:
        """Regions that a run may go to; none: a service may be anywhere."""
        if job.workload.kind is not WorkloadKind.BATCH:
            return None
        return {each.region.id for each in allowed(job, map(RegionOption, self.grid.regions))}

    def _forecast(self, zone: str, now: datetime) -> Forecast | None:
        try:
            found = self.grid.provider.forecast(zone, now)
        except DataMissing:
            return None
        age = (now - found.issued_at).total_seconds()
        return found if age <= self.settings.forecast_max_age_s else None


def _forecasts(job: Job, options: Iterable[RegionOption]) -> list[Forecast]:
    """Those that the figures rest on."""
    used = allowed(job, options) if job.workload.kind is WorkloadKind.BATCH else options
    return [each.forecast for each in used if each.forecast is not None]


def _job_of(record: DecisionRecord) -> Job:
    if record.job is None:
        raise UsageError("GO0641", f"record of `{record.decision.id}` does not hold its job")
    return record.job


def decide_again(record: DecisionRecord, policies: PolicySet) -> Decision:
    """Decide from a record alone; the same policies give the same bytes, stages of budgets included.

    Raises:
        UsageError: The record does not hold its job.
    """
    job, made = _job_of(record), record.decision
    baseline, *candidates = record.candidates
    in_force = as_recorded(policies, record.policies, made.decided_at)
    bounds = by_upper_bound(record.candidates) if made.by_upper_bound else None
    ways = record.candidates if bounds is None else bounds
    judgement = in_force.judge(job, ways[0], ways[1:], made.decided_at)
    return choose(
        job,
        baseline,
        candidates,
        judgement,
        made.decided_at,
        forecast_ids=made.forecast_ids,
        replay=made.replay,
        supersedes=made.supersedes,
        by_upper_bound=made.by_upper_bound,
        degraded=made.degraded or {},
    )
