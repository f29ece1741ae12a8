"""The fields expressions may name, their types, and the rows made from records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from greenops.domain.decision import Candidate
from greenops.domain.wall_clock import next_local
from greenops.domain.workload import Job, Limits, Workload
from greenops.policy.evaluate import to_cel

TEXT, NUMBER, TIME = "string", "double", "timestamp"
JOB: Final = {
    **dict.fromkeys(("id", "name", "kind", "team", "urgency", "criticality"), TEXT),
    **dict.fromkeys(("data_class", "home_region"), TEXT),
    **dict.fromkeys(("contains_personal_data", "interruptible"), "bool"),
    "allowed_regions": "list(string)",
    "submitted": TIME,
    **dict.fromkeys(("duration_s", "energy_kwh", "transfer_gb"), NUMBER),
}
PLACE: Final = {
    **dict.fromkeys(("id", "region", "location", "provider", "pool", "tier", "zone"), TEXT),
    **dict.fromkeys(("start", "end"), TIME),
    **dict.fromkeys(("energy_kwh", "carbon_g", "carbon_low_g", "carbon_high_g"), NUMBER),
    **dict.fromkeys(("intensity", "cost_usd", "p95_ms", "quality", "quality_low"), NUMBER),
    **dict.fromkeys(("transfer_gb", "capacity_free", "forecast_age_s"), NUMBER),
}
LIMITS: Final = {
    "deadline": TIME,
    **dict.fromkeys(("max_cost_usd", "max_cost_increase"), NUMBER),
    **dict.fromkeys(("max_carbon_reduction", "max_intensity"), NUMBER),
}
FIELDS: Final = {
    **{f"job.{name}": kind for name, kind in JOB.items()},
    **{f"candidate.{name}": kind for name, kind in PLACE.items()},
    **{f"baseline.{name}": kind for name, kind in PLACE.items()},
    **{f"limits.{name}": kind for name, kind in LIMITS.items()},
    "now": TIME,
}
"""Dotted name → CEL type of every field; labels come from the workloads that declare them."""
JOB_ROOTS: Final = frozenset({"job", "baseline", "limits", "now"})
"""What a rule about a job may name; candidates are not known yet."""
MATCH_ROOTS: Final = JOB_ROOTS - {"limits"}
"""What tells whether a policy matches; the limits are known only after that."""


def with_labels(labels: Iterable[str]) -> dict[str, str]:
    """All fields and `job.labels.*`."""
    return {**FIELDS, **{f"job.labels.{name}": TEXT for name in labels}}


def job_row(job: Job) -> Mapping[str, Any]:
    """`job.*` of one job as CEL values; what is not known is absent."""
    of: Workload = job.workload
    plain = {
        **{name: getattr(of, name, None) for name in JOB},
        "id": job.id,
        "kind": of.kind.value,
        "urgency": of.urgency.value,
        "submitted": job.submitted,
        "allowed_regions": of.allowed_regions or None,
        "labels": dict(of.labels),
    }
    return _row(plain, JOB)


def place_row(place: Candidate) -> Mapping[str, Any]:
    """`candidate.*` or `baseline.*` as CEL values."""
    return _row({name: getattr(place, name) for name in PLACE}, PLACE)


def limits_row(limits: Limits, deadline: datetime | None) -> Mapping[str, Any]:
    """`limits.*` as CEL values, the deadline resolved to an instant."""
    plain: dict[str, Any] = {name: getattr(limits, name, None) for name in LIMITS}
    return _row({**plain, "deadline": deadline}, LIMITS)


def _row(plain: Mapping[str, Any], kinds: Mapping[str, str]) -> Mapping[str, Any]:
    """An int where a double is declared becomes one; `1` and `1.0` are one figure."""
    cast = {
        name: float(value) if kinds.get(name) == NUMBER and value is not None else value
        for name, value in plain.items()
    }
    return to_cel(cast)  # type: ignore[no-any-return]


def deadline_of(job: Job, limits: Limits) -> datetime | None:
    """The earliest of the job's own deadline and what the limits make of its submission."""
    found = [job.deadline] if job.deadline is not None else []
    if limits.deadline_within is not None:
        found.append(job.submitted + limits.deadline_within)
    if limits.deadline_at is not None:
        found.append(next_local(limits.deadline_at, job.submitted))
    return min(found, default=None)


def tightest(limits: Iterable[Limits], submitted: datetime) -> Limits:
    """Limits that hold exactly where all the given hold."""
    given = list(limits)

    def least(name: str) -> Any:
        return min((v for each in given if (v := getattr(each, name)) is not None), default=None)

    clocks = [each.deadline_at for each in given if each.deadline_at is not None]
    reductions = [
        each.max_carbon_reduction for each in given if each.max_carbon_reduction is not None
    ]
    return Limits(
        deadline_within=least("deadline_within"),
        deadline_at=min(clocks, key=lambda c: next_local(c, submitted), default=None),
        max_cost_usd=least("max_cost_usd"),
        max_cost_increase=least("max_cost_increase"),
        max_carbon_reduction=max(reductions, default=None),
        max_intensity=least("max_intensity"),
    )
