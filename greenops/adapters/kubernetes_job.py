"""One Job of Kubernetes as it stands, and the patch that orders or releases it.

What GreenOps orders is written on the Job itself: annotations for people and for whoever releases what is
overdue, and a journal of what was done. Order, journal and release are one patch, so they happen together
or not at all, whatever dies in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from greenops.adapters.kubernetes_api import Patch
from greenops.domain.action import Receipt, StartJob, TargetState
from greenops.domain.outbox import NEVER_SET, Journal, content_version
from greenops.domain.record import canonical, parse, plain
from greenops.errors import AdapterUnavailable

OURS: Final = "greenops.dev/"
WORKLOAD: Final = f"{OURS}workload"
"""Label of a Job that is planned: the name of a declared workload."""
START: Final = f"{OURS}start-at"
LATEST: Final = f"{OURS}latest-safe-start"
DECISION: Final = f"{OURS}decision-id"
ACTION: Final = f"{OURS}action-id"
RELEASED: Final = f"{OURS}released-at"
JOURNAL: Final = f"{OURS}journal"
RUN_KEY: Final = f"{OURS}run-key"
ORDER: Final = (START, LATEST, DECISION, ACTION)
KEPT: Final = 12
"""Newest entries of a journal that stay on a Job: some 12 KiB of the 256 KiB that annotations may have."""
PARTS: Final = 4
"""Parts of a run key: workload, namespace, name, and the beginning of the uid."""
SHORT: Final = 8
"""Characters of a uid in a run key; two Jobs of one name in a row do not share them."""


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of Kubernetes.

    Attributes:
        version: Its resource version; anything that changes it changes that.
        workload: What its label names; empty where it has none.
        suspended: Whether it waits for somebody to let it run.
        began: Its pods ran once; suspending such a Job has deleted them.
        template: Annotations of its pods; none where they have none.
        template_known: Its pods have metadata that annotations can be put into.
    """

    namespace: str
    name: str
    uid: str
    version: str
    created: datetime
    workload: str
    suspended: bool
    began: bool
    annotations: Mapping[str, str] | None
    template: Mapping[str, str] | None
    template_known: bool = True

    @property
    def run_key(self) -> str:
        """`<workload>/<namespace>/<name>/<uid>`: a Job that is made anew is another run."""
        return f"{self.workload}/{self.namespace}/{self.name}/{self.uid[:SHORT]}"

    def said(self, name: str) -> str | None:
        """One annotation; none where it is not there."""
        return (self.annotations or {}).get(name)

    def instant(self, name: str) -> datetime | None:
        """One annotation as an instant; none where it is none."""
        try:
            found = datetime.fromisoformat(self.said(name) or "")
        except ValueError:
            return None
        return found if found.tzinfo else None

    @property
    def order(self) -> StartJob | None:
        """The order that stands on it; none where none does."""
        start, latest = self.instant(START), self.instant(LATEST)
        return StartJob(self.run_key, start, latest) if start and latest else None

    @property
    def state(self) -> TargetState:
        """What it is set to, with a version that only an order, a release or a meddler changes."""
        return TargetState(_version(self), self.order)

    def journal(self) -> Journal:
        """What was done to it.

        Raises:
            AdapterUnavailable: Somebody damaged it.
        """
        text = self.said(JOURNAL)
        try:
            return parse(Journal, text) if text else Journal()
        except ValueError as error:
            raise AdapterUnavailable(
                "GO0605",
                f"journal of Job `{self.namespace}/{self.name}` is damaged",
                fix=f"remove its annotation `{JOURNAL}`, or let it run by hand",
            ) from error


def read_job(document: Any) -> Job:
    """A Job from its JSON.

    Raises:
        AdapterUnavailable: It is none.
    """
    try:
        meta, spec = document["metadata"], document["spec"]
        labels, pods = meta.get("labels") or {}, spec["template"].get("metadata")
        return Job(
            namespace=str(meta["namespace"]),
            name=str(meta["name"]),
            uid=str(meta["uid"]),
            version=str(meta["resourceVersion"]),
            created=datetime.fromisoformat(meta["creationTimestamp"]),
            workload=str(labels.get(WORKLOAD, "")),
            suspended=spec.get("suspend") is True,
            began=bool((document.get("status") or {}).get("startTime")),
            annotations=meta.get("annotations"),
            template=(pods or {}).get("annotations"),
            template_known=pods is not None,
        )
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise AdapterUnavailable("GO0674", f"Kubernetes gave no Job: {error!r}"[:300]) from error


def ordered(job: Job, change: StartJob, made: Receipt, *, release: bool) -> Job:
    """The Job once a change stands on it, without its journal.

    Args:
        job: As it is.
        change: What is ordered.
        made: Receipt of it.
        release: Let it run now.
    """
    values = {
        START: plain(change.start_at),
        LATEST: plain(change.latest_safe_start),
        DECISION: made.decision_id,
        ACTION: made.action_id,
    }
    return replace(
        job,
        annotations={**(job.annotations or {}), **values},
        suspended=job.suspended and not release,
    )


def with_journal(job: Job, journal: Journal) -> Job:
    """The Job with what was done to it; the newest entries only."""
    kept = replace(journal, entries=journal.entries[-KEPT:])
    return replace(job, annotations={**(job.annotations or {}), JOURNAL: canonical(kept).decode()})


def patch(before: Job, after: Job, now: datetime) -> Patch:
    """What turns one into the other, and nothing where anybody changed the Job in between.

    Law: it never suspends. Pods of a Job that is let go learn which decision let them.
    """
    release = before.suspended and not after.suspended
    wanted = dict(after.annotations or {})
    if release:
        wanted[RELEASED] = plain(now)
    changes: list[Mapping[str, object]] = [
        _test("/metadata/uid", before.uid),
        _test("/metadata/resourceVersion", before.version),
        *_annotated("/metadata/annotations", before.annotations, wanted),
    ]
    if release:
        changes.append(_test("/spec/suspend", value=True))
        # Pods of a Job that never ran may still get annotations; later its template is fixed.
        if not before.began and before.template_known:
            told = {DECISION: wanted.get(DECISION, ""), RUN_KEY: before.run_key}
            changes += _annotated("/spec/template/metadata/annotations", before.template, told)
        changes.append({"op": "replace", "path": "/spec/suspend", "value": False})
    return changes


def _annotated(
    path: str, before: Mapping[str, str] | None, wanted: Mapping[str, str]
) -> list[Mapping[str, object]]:
    if before is None:
        return [{"op": "add", "path": path, "value": dict(wanted)}]
    return [
        {
            "op": "add",
            "path": f"{path}/{name.replace('~', '~0').replace('/', '~1')}",
            "value": value,
        }
        for name, value in wanted.items()
        if before.get(name) != value
    ]


def _test(path: str, value: object) -> Mapping[str, object]:
    return {"op": "test", "path": path, "value": value}


def _version(job: Job) -> str:
    order = {name: job.said(name) for name in ORDER}
    if job.suspended and not any(order.values()):
        return NEVER_SET
    return content_version(canonical({"uid": job.uid, "suspended": job.suspended, "order": order}))
