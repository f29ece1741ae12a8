"""Verdicts: constraints on each candidate, then the objective on those that remain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from greenops.domain.decision import Candidate, Verdict
from greenops.policy.builtin import relative_texts
from greenops.policy.evaluate import Expression, Failed, Row
from greenops.policy.model import Constraint, Level, Objective, Policy
from greenops.policy.schema import place_row

MAX_MESSAGE: Final = 5 * 1024
"""Longest message an expression may make. Source: Kubernetes, CEL message expressions."""
CONFLICT: Final = "objective/conflict"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What applies to one job.

    Attributes:
        objectives: The policy whose objectives count; (name, policy) pairs where two claim that.
    """

    constraints: tuple[Constraint, ...]
    objectives: Policy | tuple[tuple[str, Policy], ...] | None


@dataclass(slots=True)
class _Said:
    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)


def judge_candidates(
    ruling: Ruling, row: Row, baseline: Candidate, candidates: Sequence[Candidate]
) -> tuple[tuple[Verdict, ...], str | None]:
    """Verdicts, the baseline's first, and the name of the objective that scored."""
    places = (baseline, *candidates)
    rows = [{**row, "candidate": place_row(each)} for each in places]
    verdicts = [
        _constrained(ruling.constraints, each, place, is_baseline=index == 0)
        for index, (place, each) in enumerate(zip(places, rows, strict=True))
    ]
    if ruling.objectives is None:
        return tuple(verdicts), None
    if isinstance(ruling.objectives, tuple):
        why = "rivals: " + ", ".join(name for name, _ in ruling.objectives)
        unclear = [
            replace(each, eligible=False, errors={**each.errors, CONFLICT: why})
            for each in verdicts
        ]
        return tuple(unclear), None
    return _scored(ruling.objectives.objectives, verdicts, rows)


def _constrained(
    constraints: Sequence[Constraint], row: Row, place: Candidate, *, is_baseline: bool
) -> Verdict:
    said = _Said()
    for each in constraints:
        if is_baseline and each.expression.text in relative_texts():
            continue
        answer = each.expression(row)
        if answer is True or (isinstance(answer, Failed) and each.ignore_errors):
            continue
        names = said.warnings if each.level is Level.ADVISORY else said.reasons
        if each.name not in names:
            names.append(each.name)
        if isinstance(answer, Failed):
            said.errors.setdefault(each.name, answer.why)
        if (message := _message(each, row)) is not None:
            said.messages.setdefault(each.name, message)
    return Verdict(
        candidate=place.id,
        allowed=not said.reasons,
        reasons=tuple(said.reasons),
        warnings=tuple(said.warnings),
        errors=said.errors,
        messages=said.messages,
    )


def _message(constraint: Constraint, row: Row) -> str | None:
    if constraint.speech is None:
        return constraint.message
    made = constraint.speech(row)
    return made[:MAX_MESSAGE] if isinstance(made, str) else None


def _scored(
    objectives: Sequence[Objective], verdicts: Sequence[Verdict], rows: Sequence[Row]
) -> tuple[tuple[Verdict, ...], str | None]:
    """The first objective under which some candidate may win counts; the first, where none may."""
    tried = [_by(each, verdicts, rows) for each in objectives]
    for objective, scored in zip(objectives, tried, strict=True):
        if any(v.allowed and v.eligible and v.score is not None for v in scored[1:]):
            return scored, objective.name
    return tried[0], objectives[0].name


def _by(
    objective: Objective, verdicts: Sequence[Verdict], rows: Sequence[Row]
) -> tuple[Verdict, ...]:
    scored = []
    for verdict, row in zip(verdicts, rows, strict=True):
        eligible = verdict.allowed and (objective.when is None or objective.when(row) is True)
        score = _number(objective.minimize, row) if verdict.allowed else None
        tie = _number(objective.tie_break, row) if score is not None else None
        whole = None if score is None or tie is None else (score, tie)
        scored.append(replace(verdict, eligible=eligible, score=whole))
    return tuple(scored)


def _number(expression: Expression | None, row: Row) -> float | None:
    """A finite number; none where it cannot be had, 0 where there is nothing to compute."""
    if expression is None:
        return 0.0
    value = expression(row)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
