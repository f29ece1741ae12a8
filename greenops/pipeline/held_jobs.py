"""Suspended Jobs of a Kubernetes cluster: seen, planned like any held run, released at their time.

Each look lists them. A new one is decided and ordered as `greenops run` would be; one whose start has come
is released through the outbox. What somebody else changed, started or stopped is told and left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from greenops.act.hold import LONGEST_MARGIN, Hold, remaining
from greenops.act.keys import action_id
from greenops.adapters.kubernetes_job import DECISION, RELEASED, WORKLOAD, Job
from greenops.adapters.kubernetes_jobs import KubernetesJobs, drifted
from greenops.config import Settings
from greenops.domain.action import Action, Outcome, StartJob
from greenops.domain.console import JobRequest
from greenops.domain.decision import Decision
from greenops.errors import AdapterUnavailable, DataMissing, GreenOpsError, UsageError
from greenops.pipeline.decide import Decider
from greenops.pipeline.engine import ORDER_LIFE, Engine
from greenops.pipeline.overdue_jobs import GUARD
from greenops.plan.choice import effective
from greenops.ports import Clock
from greenops.units import NS_PER_S

log = logging.getLogger("greenops.loop")

AGAIN_S: Final = (1.0, 60.0)
"""First and longest wait before a cluster that does not answer is asked again [wall s]; it doubles."""
ALL: Final = "*"
"""In the place of a run key where no Job can be seen."""
LOOK_S: Final = 2.0
"""Longest that one look acts before the loop goes on with other things [wall s]; a call under way ends."""
RETRY: Final = timedelta(minutes=1)
"""Between two releases of one Job that its cluster did not carry out [simulated]."""


@dataclass(slots=True)
class Waiting:
    """What is remembered of a Job that waits.

    Attributes:
        decision: In force.
        release: Sent already, and not carried out yet; none where there is none.
        not_before: No release before this (simulated time); none: when it is due.
        left: Resource version at which it was left alone; none: it is ours.
    """

    decision: Decision
    release: Action | None = None
    not_before: datetime | None = None
    left: str | None = None


class HeldJobs:
    """The Jobs that one control loop holds. Stability: beta."""

    def __init__(
        self, engine: Engine, target: KubernetesJobs, decider: Decider, clock: Clock
    ) -> None:
        self._engine, self._target = engine, target
        self._decider, self._clock = decider, clock
        self._actor = decider.settings.actor
        self._waiting: dict[str, Waiting] = {}
        self._told: dict[str, str] = {}
        self._brought: set[str] = set()
        self._pause_s, self._not_before_ns = 0.0, 0

    def look(self) -> None:
        """Look at every Job once; a cluster that does not answer is not asked again at once."""
        if self._clock.monotonic_ns() < self._not_before_ns:
            return
        try:
            found = {each.run_key: each for each in self._target.jobs()}
        except GreenOpsError as error:
            asked = error.retry_after_s if isinstance(error, AdapterUnavailable) else None
            self._pause_s = min(max(2 * self._pause_s, asked or 0, AGAIN_S[0]), AGAIN_S[1])
            self._not_before_ns = self._clock.monotonic_ns() + int(self._pause_s * NS_PER_S)
            self._tell(ALL, f"not looked at: {error}")
            return
        self._pause_s = 0.0
        self._see_all(found)
        self._forget_all_but(set(found))

    def _see_all(self, found: Mapping[str, Job]) -> None:
        """Those that wait first, then new ones; what takes too long goes on at the next look."""
        until = self._clock.monotonic_ns() + int(LOOK_S * NS_PER_S)
        for key in sorted(found, key=lambda each: each not in self._waiting):
            if self._clock.monotonic_ns() > until:
                return
            try:
                self._see(found[key])
            except GreenOpsError as error:
                self._tell(key, str(error))

    # -- one Job

    def _see(self, job: Job) -> None:
        if not job.suspended:
            self._runs(job)
            return
        if job.began or job.said(RELEASED):
            self._tell(job.run_key, "it ran and was suspended again by someone; it is left alone")
            return
        held = self._held(job)
        if held is None or held.left == job.version:
            return
        if drifted(job):
            self._tell(job.run_key, "someone else changed its order; it is left alone")
            self._engine.waiting.drop(job.run_key)
            return
        if self._due(job, held):
            self._release(job, held)

    def _held(self, job: Job) -> Waiting | None:
        """What is decided for it; none where that was sent just now, and shows at the next look."""
        held = self._waiting.get(job.run_key)
        if held is None:
            self._waiting[job.run_key] = Waiting(self._decided(job))
            return None
        named = job.said(DECISION)
        if named and named != held.decision.id:
            held.decision = self._of(named) or held.decision
        return held

    def _decided(self, job: Job) -> Decision:
        """Decide it, and order it; the same Job again is the same decision and the same order.

        Raises:
            UsageError: Its workload is not declared, or is not one of Kubernetes.
        """
        target = self._decider.workload(job.workload).target
        if target != self._target.name:
            said = f"its target is `{target}`" if target else "it names no target"
            raise UsageError(
                "GO0675",
                f"workload `{job.workload}` cannot be planned as a Job: {said}",
                fix=f"write `target: {self._target.name}`",
            )
        now = self._clock.now()
        # A cluster's own clock is the wall's: in a replay a Job counts as made when it is seen.
        made = now if self._clock.replay else min(job.created, now)
        labels = {"k8s.namespace.name": job.namespace, "k8s.job.name": job.name}
        request = JobRequest(job.workload, job.run_key, made, labels, triggered=True)
        return self._engine.submit(request)

    def _of(self, decision_id: str) -> Decision | None:
        try:
            return self._engine.decision(decision_id).decision
        except DataMissing:
            return None

    def _due(self, job: Job, held: Waiting) -> bool:
        now, decision = self._clock.now(), held.decision
        frozen = job.journal().frozen_until
        if any(each is not None and now < each for each in (frozen, held.not_before)):
            return False
        start, rate = effective(decision).start or now, self._rate
        hold = Hold(start, decision.latest_safe_start, "")
        return remaining(hold, now, LONGEST_MARGIN * rate) <= timedelta()

    @property
    def _rate(self) -> float:
        return self._clock.replay.rate if self._clock.replay else 1.0

    def _release(self, job: Job, held: Waiting) -> None:
        """Let it run; one that was sent is sent again as it was, so that it happens once."""
        if held.release is None:
            held.release = self._start_of(job, held.decision)
        got = self._engine.carry_out(held.release)
        if got is None:
            return
        held.release = None
        if got.outcome in (Outcome.REFUSED, Outcome.CONFLICT):
            held.left = job.version
        elif got.outcome in (Outcome.FAILED, Outcome.EXPIRED):
            held.not_before = self._clock.now() + RETRY
        if got.outcome not in (Outcome.APPLIED, Outcome.UNCHANGED):
            self._tell(job.run_key, f"not released: {got.outcome}, {got.detail}")

    def _start_of(self, job: Job, decision: Decision) -> Action:
        now, target = self._clock.now(), self._target.name
        change = StartJob(job.run_key, now, decision.latest_safe_start or now)
        return Action(
            # Not the id of the order, which may be for this very instant.
            id=f"{action_id(decision.id, target, change)}-release",
            target=target,
            change=change,
            decision_id=decision.id,
            # Late is better than never: it may be sent whatever its latest safe start.
            expires=now + ORDER_LIFE,
            actor=self._actor,
        )

    def _runs(self, job: Job) -> None:
        """It runs: by our release, by that of the guard, or by somebody else's hand."""
        if job.run_key in self._waiting and not job.said(RELEASED):
            self._tell(job.run_key, "someone else let it run before its start")
        self._waiting.pop(job.run_key, None)
        self._engine.waiting.drop(job.run_key)
        if job.run_key in self._brought or not job.said(RELEASED):
            return
        self._brought.add(job.run_key)
        last = job.journal().entries[-1:]
        if last and last[0].action.actor == GUARD and self._of(last[0].action.decision_id):
            self._engine.accept(last[0].receipt)

    def _tell(self, run_key: str, what: str) -> None:
        """Say each thing once, not at every look."""
        if self._told.get(run_key) != what:
            self._told[run_key] = what
            log.warning("%s: %s", "suspended Jobs" if run_key == ALL else f"Job `{run_key}`", what)

    def _forget_all_but(self, found: set[str]) -> None:
        """Let go of Jobs that were deleted, also of those that were while we were away."""
        self._brought &= found
        for key in self._told.keys() - found:
            del self._told[key]
        for key in self._waiting.keys() - found:
            del self._waiting[key]
        for record in self._engine.waiting.all(self._clock.now()):
            ours = record.job is not None and record.job.workload.target == self._target.name
            if ours and record.decision.job_id not in found:
                self._engine.waiting.drop(record.decision.job_id)


def held_jobs(
    settings: Settings, engine: Engine, target: object, decider: Decider, clock: Clock
) -> Callable[[], None] | None:
    """A look at the Jobs of the settings' namespaces; none where they name none.

    Raises:
        UsageError: The mode would leave every Job suspended for ever.
        AdapterUnavailable: Nothing says how the cluster is reached.
    """
    if not isinstance(target, KubernetesJobs) or not target.namespaces:
        return None
    if settings.mode != "act":
        raise UsageError(
            "GO0676",
            f"with `mode: {settings.mode}` nobody would release the Jobs that carry `{WORKLOAD}`",
            fix="set `mode: act`, or leave `kubernetes_namespaces` empty",
        )
    target.connect()
    return HeldJobs(engine, target, decider, clock).look
