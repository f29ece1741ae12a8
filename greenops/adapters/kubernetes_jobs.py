"""Jobs of Kubernetes that were created suspended: ordered by annotations, released at their time.

A Job that carries the label `greenops.dev/workload` and `spec.suspend: true` waits for GreenOps. An order
writes its planned start and its latest safe start on it; one whose start has come lets it run. Nothing here
ever suspends a Job: that would delete its pods.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from greenops.adapters.kubernetes_api import KubernetesApi, Patch, Refusal, find_access
from greenops.adapters.kubernetes_job import (
    LATEST,
    PARTS,
    SHORT,
    WORKLOAD,
    Job,
    ordered,
    patch,
    read_job,
    with_journal,
)
from greenops.domain.action import Action, Diff, Outcome, Receipt, SetWeights, StartJob, TargetState
from greenops.domain.outbox import NEVER_SET, Journal, JournalEntry, receipt
from greenops.errors import AdapterUnsupported, UsageError
from greenops.ports import Clock

LABEL: Final = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A namespace's name. Source: RFC 1123, as Kubernetes has it."""
PAGE: Final = "500"
"""Most Jobs in one answer."""
TRIES: Final = 4
"""Patches of one Job that others change at the same time, before it is left for later."""
LOOKS: Final = 20


class HasKubernetes(Protocol):
    """Settings, as far as this target needs them."""

    @property
    def kubernetes_namespaces(self) -> str:
        """Namespaces whose Jobs are looked at, commas between."""

    @property
    def kubernetes_config(self) -> Path | None:
        """Kubeconfig; none: the pod's own account."""


class KubernetesJobs:
    """The target `kubernetes-jobs`. Stability: beta."""

    name = "kubernetes-jobs"

    def __init__(
        self,
        settings: HasKubernetes,
        clock: Clock,
        connect: Callable[[Path | None], KubernetesApi] | None = None,
    ) -> None:
        named = (each.strip() for each in settings.kubernetes_namespaces.split(","))
        self.namespaces = tuple(_namespace(each) for each in named if each)
        self._config, self._clock = settings.kubernetes_config, clock
        self._connect = connect or (lambda config: KubernetesApi(find_access(config)))
        self._found: KubernetesApi | None = None

    # -- the seven verbs ------------------------------------------------------

    def observe(self, scope: str) -> TargetState:
        """The order that stands on a Job; none where there is no such Job."""
        job = self._job(scope)
        return job.state if job else TargetState(NEVER_SET, None)

    def plan(self, change: StartJob | SetWeights) -> Diff:
        """What an order would alter."""
        state = self.observe(_start(change).run_key)
        return Diff(state.change, change, state.version)

    def validate(self, diff: Diff) -> None:
        """Let the server itself say whether it would take the patch (dry run)."""
        change = _start(diff.after)
        job = self._job(change.run_key)
        if job is None:
            raise AdapterUnsupported("GO0603", f"there is no Job `{change.run_key}` any more")
        if not job.suspended:
            raise AdapterUnsupported("GO0603", f"run `{change.run_key}` has started already")
        now = self._clock.now()
        asked = Receipt("dry-run", "dry-run", self.name, "start_job", Outcome.APPLIED, "")
        after = ordered(job, change, asked, release=change.start_at <= now)
        answer = self._api().patch(_path(job), patch(job, after, now), dry_run=True)
        if isinstance(answer, Refusal) and not self._moved_on(job):
            raise _refused(job, answer)

    def apply(self, action: Action) -> Receipt:
        """Write the order on the Job; let it run where its start has come."""
        change = _start(action.change)

        def step(job: Job) -> tuple[Receipt, Patch | None]:
            now = self._clock.now()
            if done := _before(action, change, job, now):
                return done, None
            return _made(action, change, job, now)

        return self._changed(action, change.run_key, step)

    def verify(self, action: Action, within: timedelta) -> bool:
        """True once the Job shows the order, or runs; looks 20 times."""
        change = _start(action.change)
        for _ in range(LOOKS):
            job = self._job(change.run_key)
            stands = job.order if job else None
            if job and (not job.suspended or (stands and stands.start_at == change.start_at)):
                return True
            self._clock.sleep(within / LOOKS)
        return False

    def rollback(self, decision_id: str) -> Receipt:
        """Order the Job as before the decision, or let it run; refused once it runs."""
        for found in self.jobs():
            entry = found.journal().of_decision(decision_id)
            if entry is not None:
                undo = replace(entry.action, id=f"{entry.action.id}-rollback")
                return self._changed(undo, found.run_key, partial(self._undone, undo))
        raise AdapterUnsupported("GO0607", f"no order of decision `{decision_id}` is known here")

    def freeze(self, scope: str, ttl: timedelta) -> None:
        """Refuse every change of a Job until the (simulated) time is over."""
        until = self._clock.now() + ttl

        def step(job: Job) -> tuple[Receipt, Patch | None]:
            frozen = with_journal(job, replace(job.journal(), frozen_until=until))
            return receipt(action, Outcome.APPLIED, ""), patch(job, frozen, until)

        action = Action("freeze", self.name, StartJob(scope, until, until), "", until)
        self._changed(action, scope, step)

    # -- what waits -----------------------------------------------------------

    def connect(self) -> None:
        """Find out how the cluster is reached, before it is asked.

        Raises:
            AdapterUnavailable: Nothing says it, or what says it cannot be used.
        """
        self._api()

    def jobs(self) -> Iterator[Job]:
        """Every Job with the label, in the namespaces of the settings."""
        for namespace in self.namespaces:
            rest: str | None = ""
            while rest is not None:
                params = {"labelSelector": WORKLOAD, "limit": PAGE}
                page = (
                    self._api().get(
                        _jobs(namespace), **params, **({"continue": rest} if rest else {})
                    )
                    or {}
                )
                yield from map(read_job, page.get("items") or ())
                rest = (page.get("metadata") or {}).get("continue") or None

    # -- inside ---------------------------------------------------------------

    def _undone(self, undo: Action, job: Job) -> tuple[Receipt, Patch | None]:
        now, journal = self._clock.now(), job.journal()
        entry = journal.of_decision(undo.decision_id)
        if entry is None:
            return receipt(undo, Outcome.CONFLICT, "its order is not on the Job any more"), None
        if entry.undone:
            return entry.undone, None
        if not job.suspended:
            return receipt(undo, Outcome.REFUSED, "the run has started already"), None
        if job.state.version != entry.receipt.version:
            state = job.state.version
            return receipt(undo, Outcome.CONFLICT, "a later order stands", version=state), None
        change = _start(entry.action.change)
        before = entry.before or replace(change, start_at=now)
        return _made(undo, _start(before), job, now, entry)

    def _changed(
        self, action: Action, run_key: str, step: Callable[[Job], tuple[Receipt, Patch | None]]
    ) -> Receipt:
        """Look, judge and patch; once more where somebody changed the Job in between."""
        for _ in range(TRIES):
            job = self._job(run_key)
            if job is None:
                return receipt(action, Outcome.CONFLICT, f"somebody deleted the Job of `{run_key}`")
            made, changes = step(job)
            if changes is None:
                return made
            answer = self._api().patch(_path(job), changes)
            if not isinstance(answer, Refusal):
                return made
            if not self._moved_on(job):
                raise _refused(job, answer)
        detail = f"others change the Job of `{run_key}` all the time; it was left as it is"
        return receipt(action, Outcome.CONFLICT, detail)

    def _moved_on(self, job: Job) -> bool:
        """Whether a Job is not as it was: then a refusal says nothing of the patch."""
        now = self._job(job.run_key)
        return now is None or now.version != job.version

    def _job(self, run_key: str) -> Job | None:
        """The Job of a run key; none where it is gone, or another has its name now."""
        parts = run_key.rsplit("/", PARTS - 1)
        if len(parts) != PARTS or len(parts[-1]) != SHORT:
            why = f"`{run_key}` is no run of a Job: its key is `workload/namespace/name/uid`"
            raise AdapterUnsupported("GO0603", why)
        _, namespace, name, _ = parts
        found = self._api().get(f"{_jobs(namespace)}/{quote(name, safe='')}")
        job = read_job(found) if found else None
        return job if job and job.run_key == run_key else None

    def _api(self) -> KubernetesApi:
        if self._found is None:
            self._found = self._connect(self._config)
        return self._found


def drifted(job: Job) -> bool:
    """Whether somebody else changed what we ordered, or stopped what we let run."""
    changes = [e for e in job.journal().entries if e.receipt.outcome is Outcome.APPLIED]
    return job.state.version != (changes[-1].version if changes else NEVER_SET)


def _before(action: Action, change: StartJob, job: Job, now: datetime) -> Receipt | None:
    """What there is to say without a patch: it is done, or must not be."""
    journal, state = job.journal(), job.state
    if known := journal.entry(action.id):
        return known.receipt
    refused = journal.refusal(action, state, now)
    waits = job.suspended and change.start_at <= now
    if refused and not (waits and refused.outcome is Outcome.UNCHANGED):
        return refused
    return (
        None if job.suspended else receipt(action, Outcome.REFUSED, "the run has started already")
    )


def _made(
    action: Action, change: StartJob, job: Job, now: datetime, undoes: JournalEntry | None = None
) -> tuple[Receipt, Patch]:
    """The receipt of a change, and the patch that makes it; both rest on the Job as it is."""
    release = change.start_at <= now
    said = f"ordered for {change.start_at:%Y-%m-%d %H:%M:%S} UTC; waits until then"
    made = receipt(action, Outcome.APPLIED, "released" if release else said, at=now)
    before = job.instant(LATEST)
    # Law: a latest safe start that was promised never moves later.
    latest = min(change.latest_safe_start, before or change.latest_safe_start)
    if release:
        made = replace(made, on_time=now <= latest)
    after = ordered(job, replace(change, latest_safe_start=latest), made, release=release)
    made = replace(made, version=after.state.version)
    journal = _entered(job, action, made, undoes)
    return made, patch(job, with_journal(after, journal), now)


def _entered(job: Job, action: Action, made: Receipt, undoes: JournalEntry | None) -> Journal:
    journal = job.journal()
    return (
        journal.with_undone(undoes, made) if undoes else journal.with_entry(action, made, job.state)
    )


def _refused(job: Job, answer: Refusal) -> AdapterUnsupported:
    why = f"Kubernetes refuses to change Job `{job.namespace}/{job.name}`: {answer.why}"
    return AdapterUnsupported("GO0674", why)


def _path(job: Job) -> str:
    return f"{_jobs(job.namespace)}/{quote(job.name, safe='')}"


def _jobs(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/jobs"


def _namespace(text: str) -> str:
    if LABEL.fullmatch(text):
        return text
    raise UsageError(
        "GO0677",
        f"`{text}` is no namespace",
        fix="write names, with commas between, as `kubectl` does",
    )


def _start(change: StartJob | SetWeights) -> StartJob:
    if isinstance(change, StartJob):
        return change
    raise AdapterUnsupported("GO0603", "`kubernetes-jobs` starts jobs; it cannot set weights")
