"""The `tests` of a policy document, read into records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.policy.fields import Fields
from greenops.policy.model import PolicyTest
from greenops.policy.schema import NUMBER, PLACE, TIME
from greenops.policy.workload_file import personal_data, regions

DEFAULT_NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
"""Instant of a test that gives none; fixed, so that a test means the same tomorrow."""

Workloads = Mapping[str, Workload | None]
"""Every workload that is declared; none where its own faults are told already."""


def read_test(policy: str, fields: Fields, workloads: Workloads) -> PolicyTest | None:
    """One test; none, with problems noted, where it cannot be read."""
    before = len(fields.report.problems)
    name = fields.text("name", required=True)
    now = fields.instant("now")
    job_map = fields.map("job", required=True)
    base_map = fields.map("baseline", required=True)
    baseline = _candidate(base_map) if base_map else None
    candidates = [_candidate(each) for each in fields.maps("candidates")]
    job = _job(job_map, baseline, now, workloads) if job_map else None
    expect = fields.map("expect", required=True)
    choose = expect.text("choose", required=True) if expect else None
    rejected = _lists(expect, "rejected")
    warned = _lists(expect, "warned")
    exception = expect.text("exception") if expect else None
    matches = expect.flag("matches") if expect else None
    if expect:
        expect.done()
    fields.done()
    _check_ids(fields, baseline, candidates, {choose or "", *rejected, *warned} - {""})
    if len(fields.report.problems) > before or not (name and job and baseline and choose):
        return None
    return PolicyTest(
        policy=policy,
        name=name,
        now=now or job.submitted,
        job=job,
        baseline=baseline,
        candidates=tuple(each for each in candidates if each),
        choose=choose,
        rejected=rejected,
        warned=warned,
        exception=exception,
        matches=matches is not False,
        source=fields.node.at,
    )


def _lists(fields: Fields | None, name: str) -> dict[str, tuple[str, ...]]:
    """Candidate → names of rules; a list that names none would assert nothing, and is refused."""
    inner = fields.map(name) if fields else None
    if inner is None:
        return {}
    if not inner.node.entries and fields:
        fields.is_empty(name)
    return {each: inner.texts(each, required=True) for each in inner.entries()}


def _check_ids(
    fields: Fields,
    baseline: Candidate | None,
    candidates: list[Candidate | None],
    named: set[str],
) -> None:
    ids = [each.id for each in (baseline, *candidates) if each]
    for each in sorted(name for name, count in Counter(ids).items() if count > 1):
        fields.bad("candidates", f"two candidates are named `{each}`", "ids are unique")
    for each in sorted(named - set(ids)):
        fields.report.unknown("GO0115", "candidate in `expect`", each, ids, fields.at("expect"))


def _candidate(fields: Fields) -> Candidate | None:
    values: dict[str, Any] = {}
    for name, kind in PLACE.items():
        if kind == NUMBER:
            values[name] = fields.number(name)
        elif kind == TIME:
            values[name] = fields.instant(name)
        else:
            values[name] = fields.text(name, required=name == "id")
    fields.done()
    return Candidate(**values) if values["id"] is not None else None


def _job(
    fields: Fields, baseline: Candidate | None, now: datetime | None, known: Workloads
) -> Job | None:
    """A job as the test writes it, or, with `workload`, a run of a declared one."""
    submitted = fields.instant("submitted") or now or DEFAULT_NOW
    declared = fields.text("workload")
    if declared is not None:
        fields.done()
        if declared not in known:
            fields.report.unknown("GO0115", "workload", declared, known, fields.at("workload"))
            return None
        workload = known[declared]
        return Job(f"{declared}/test", workload, submitted) if workload else None
    name = fields.text("name", required=True)
    kind = fields.choice("kind", WorkloadKind, required=True)
    urgency = fields.choice("urgency", Urgency)
    values: dict[str, Any] = {
        **{each: fields.text(each) for each in ("team", "criticality", "data_class")},
        **{each: fields.number(each) for each in ("duration_s", "energy_kwh", "transfer_gb")},
        "allowed_regions": regions(fields, "allowed_regions"),
        "interruptible": fields.flag("interruptible") or False,
    }
    told = personal_data(fields, "contains_personal_data", values["data_class"])
    values["contains_personal_data"] = told
    home = fields.text("home_region") or (baseline.region if baseline else None) or "home"
    job_id = fields.text("id") or name
    labels = fields.map("labels")
    if labels:
        values["labels"] = {each: labels.text(each) or "" for each in labels.entries()}
    fields.done()
    if name is None or kind is None or job_id is None:
        return None
    usual = Urgency.STANDARD if kind is WorkloadKind.BATCH else Urgency.INTERACTIVE
    workload = Workload(name, kind, urgency or usual, home, limits=Limits(), **values)
    return Job(job_id, workload, submitted)
