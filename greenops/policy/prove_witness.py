"""A row that the solver found, as a run and a candidate, and what the row evaluator says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import z3

from greenops.domain.decision import Candidate, Judgement, Verdict
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.policy.evaluate import Row, to_cel
from greenops.policy.kernel_numbers import EPOCH, microseconds
from greenops.policy.model import Policy
from greenops.policy.policy_set import PolicySet
from greenops.policy.prove_encode import Encoder
from greenops.policy.prove_terms import Items, Term
from greenops.policy.schema import (
    JOB,
    LIMITS,
    PLACE,
    deadline_of,
    job_row,
    limits_row,
    place_row,
    tightest,
)

ESCAPE: Final = re.compile(r"\\u\{([0-9a-fA-F]+)\}|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Witness:
    """A run and one candidate of it.

    Attributes:
        fields: Dotted name → value of each field that was asked about; none where it is absent.
    """

    fields: Mapping[str, Any]
    job: Job
    baseline: Candidate
    candidate: Candidate
    now: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """What the row evaluator says of a witness under one policy.

    Attributes:
        row: The candidate's row, `eligible` among its fields.
        sure: Every match says yes.
        applies: The policy's constraints count.
    """

    row: Row
    judgement: Judgement
    verdict: Verdict
    sure: bool
    applies: bool
    eligible: bool


def witness(encoder: Encoder, model: Any, limits: Sequence[Limits]) -> Witness | None:
    """The row of a model; none where it holds a value that no row can.

    Args:
        encoder: Knows the variables.
        model: The solver's choice.
        limits: Those of the policies; what the model has beside them is the workload's own.
    """
    try:
        fields = {name: _value(encoder, model, field) for name, field in encoder.fields.items()}
    except (ValueError, OverflowError):
        return None
    return of_fields(fields, limits)


def of_fields(fields: Mapping[str, Any], limits: Sequence[Limits]) -> Witness:
    """The run and the candidate that have these fields."""
    own = Limits(**{n: fields.get(f"limits.{n}") for n in LIMITS if n != "deadline"})
    workload = _workload(fields, _looser(own, tightest(limits, EPOCH)))
    job = Job(str(fields["job.id"]), workload, fields["job.submitted"])
    deadline = fields.get("limits.deadline")
    if deadline != deadline_of(job, tightest([*limits, workload.limits], job.submitted)):
        job = replace(job, deadline=deadline)
    return Witness(
        fields, job, _place("baseline", fields), _place("candidate", fields), fields["now"]
    )


def _looser(own: Limits, given: Limits) -> Limits:
    """The limits in force, less those that the policy gives."""
    same = [n for n in LIMITS if n != "deadline" and getattr(own, n) == getattr(given, n)]
    return replace(own, **dict.fromkeys(same))


def _workload(fields: Mapping[str, Any], limits: Limits) -> Workload:
    labels = {n[11:]: v for n, v in fields.items() if n.startswith("job.labels.") and v is not None}
    plain: dict[str, Any] = {n: fields.get(f"job.{n}") for n in JOB if n not in {"id", "submitted"}}
    plain["kind"], plain["urgency"] = WorkloadKind(plain["kind"]), Urgency(plain["urgency"])
    plain["allowed_regions"] = plain["allowed_regions"] or ()
    return Workload(**plain, limits=limits, labels=labels)


def _place(root: str, fields: Mapping[str, Any]) -> Candidate:
    given: dict[str, Any] = {name: fields.get(f"{root}.{name}") for name in PLACE}
    return Candidate(**given)


def _value(encoder: Encoder, model: Any, field: Term | Items) -> Any:  # noqa: C901 - one case per type
    def chosen(of: Any) -> Any:
        return model.eval(of, model_completion=True)

    if z3.is_false(chosen(field.ok)):
        return None
    if isinstance(field, Items):
        inside = zip(field.there, field.items, strict=True)
        return tuple(
            _text(chosen(each.value)) for there, each in inside if z3.is_true(chosen(there))
        )
    value = chosen(field.value)
    match field.kind:
        case "bool":
            return z3.is_true(value)
        case "double":
            number = encoder.numbers.read(value)
            if number is None:
                raise ValueError("no double")
            return number
        case "timestamp":
            return EPOCH + timedelta(microseconds=value.as_long())
        case "duration":
            return timedelta(microseconds=value.as_long())
        case "int":
            return value.as_long()
        case _:
            return _text(value)


def _text(value: Any) -> str:
    return ESCAPE.sub(
        lambda found: chr(int(found[1] or found[2] or found[3], 16)), value.as_string()
    )


def seen(policies: PolicySet, policy: Policy, found: Witness) -> Seen:
    """What the policy, alone, says of a witness."""
    judgement = policies.only(policy.name).judge(
        found.job, found.baseline, [found.candidate], found.now
    )
    verdict = judgement.verdicts[1]
    row: dict[str, Any] = {
        "job": job_row(found.job),
        "baseline": place_row(found.baseline),
        "candidate": place_row(found.candidate),
        "limits": limits_row(judgement.limits, judgement.deadline),
        "now": to_cel(found.now),
    }
    sure = all(each(row) is True for each in policy.match)
    wins = verdict.eligible and verdict.score is not None
    eligible = verdict.allowed and (wins or not sure or not policy.objectives)
    row["eligible"] = to_cel(eligible)
    return Seen(row, judgement, verdict, sure, policy.name in judgement.policies, eligible)


def writable(encoder: Encoder, limits: Sequence[Limits], submitted: datetime) -> Any:
    """What holds of a row that a test in a policy file can give.

    Args:
        encoder: Knows the variables.
        limits: Those of the policies; a test's job has none of its own.
        submitted: Instant of submission, where a limit is a time of day.
    """
    parts = []
    for field in encoder.fields.values():
        if isinstance(field, Items):
            parts += [z3.Length(each.value) > 0 for each in field.items]
        elif field.kind == "double":
            zero = encoder.numbers.constant(0.0)
            parts.append(z3.Implies(field.ok, encoder.numbers.at_most(zero, field.value)))
        elif field.kind == "string":
            parts.append(z3.Implies(field.ok, z3.Length(field.value) > 0))
        elif field.kind == "timestamp":
            inside = z3.And(field.value >= microseconds(EARLY), field.value < microseconds(LATE))
            parts.append(z3.Implies(field.ok, z3.And(inside, field.value % 1_000_000 == 0)))
    parts.append(_personal(encoder))
    return z3.And(parts + _given(encoder, limits, submitted))


EARLY: Final = datetime(2026, 1, 1, tzinfo=EPOCH.tzinfo)
LATE: Final = datetime(2036, 1, 1, tzinfo=EPOCH.tzinfo)
"""Instants of a test lie between these where they can."""


def _personal(encoder: Encoder) -> Any:
    """The data class `personal` says that there is personal data."""
    told, data_class = (
        encoder.scalar("job.contains_personal_data"),
        encoder.scalar("job.data_class"),
    )
    personal = z3.And(data_class.ok, data_class.value == z3.StringVal("personal"))
    return z3.Implies(personal, told.true)


def _given(encoder: Encoder, limits: Sequence[Limits], submitted: datetime) -> list[Any]:
    one = tightest(limits, submitted)
    parts: list[Any] = []
    for name in LIMITS:
        field = encoder.scalar(f"limits.{name}")
        if name == "deadline":
            parts += _deadline(encoder, one, submitted)
        elif (value := getattr(one, name)) is None:
            parts.append(z3.Not(field.ok))
        else:
            parts += [field.ok, field.value == encoder.numbers.constant(float(value))]
    return parts


def _deadline(encoder: Encoder, limits: Limits, submitted: datetime) -> list[Any]:
    field, at = encoder.scalar("limits.deadline"), encoder.scalar("job.submitted").value
    if limits.deadline_at is not None:
        made = Job("any", Workload("any", WorkloadKind.BATCH, Urgency.STANDARD, "any"), submitted)
        due = deadline_of(made, limits) or submitted
        return [at == microseconds(submitted), field.ok, field.value == microseconds(due)]
    if limits.deadline_within is not None:
        return [field.ok, field.value == at + microseconds(limits.deadline_within)]
    return [z3.Not(field.ok)]
