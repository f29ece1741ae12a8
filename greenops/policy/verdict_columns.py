"""What the policies say of every candidate of two tables: `PolicySet.judge`, a column at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa

from greenops.policy import builtin
from greenops.policy.batch import Batch
from greenops.policy.columns import Column, Mask, Values
from greenops.policy.evaluate import Expression, compile_node
from greenops.policy.frames import Chunk
from greenops.policy.ir import Call, Const, ListOf, Var
from greenops.policy.kernel_numbers import EPOCH, MICROSECOND
from greenops.policy.limit_columns import LIMIT_NAMES, limit_columns
from greenops.policy.model import Constraint, Level, Policy, PolicyException
from greenops.policy.parse import parse
from greenops.policy.policy_set import PolicySet
from greenops.policy.schema import FIELDS, with_labels
from greenops.policy.tables import Tables

SAMPLE: Final = 8
"""Rows of a batch that are asked again row by row; each costs about half a millisecond a rule."""
WIDTHS: Final = (np.uint8, np.uint16, np.uint32, np.uint64)


@dataclass(frozen=True, slots=True)
class VerdictColumns:
    """Verdicts, one row per candidate.

    Attributes:
        names: Constraints, in the order of their bits.
        reasons: Bit set → that constraint refused the candidate; (words, candidates).
        warnings: The same for advisory constraints, which refuse nothing.
        sampled: Answers that were asked again row by row.
        mismatches: Canonical text → how many of them differed; empty where all agree.
        slow: Canonical texts that do not compile and went row by row.
    """

    allowed: Mask
    names: tuple[str, ...]
    reasons: Values
    warnings: Values
    sampled: int
    mismatches: Mapping[str, int]
    slow: frozenset[str]

    def reasons_of(self, candidate: int) -> tuple[str, ...]:
        """Names of the constraints that refused a candidate."""
        return self._named(self.reasons, candidate)

    def warnings_of(self, candidate: int) -> tuple[str, ...]:
        """Names of the advisory constraints it breaks."""
        return self._named(self.warnings, candidate)

    def _named(self, words: Values, candidate: int) -> tuple[str, ...]:
        size = words.dtype.itemsize * 8
        bits = [int(each) for each in words[:, candidate]]
        return tuple(n for at, n in enumerate(self.names) if bits[at // size] >> at % size & 1)


@dataclass(frozen=True, slots=True)
class _Rule:
    constraint: Constraint
    jobs: Mask
    bit: int


def verdict_columns(
    policies: PolicySet,
    jobs: pa.Table,
    candidates: pa.Table,
    *,
    now: datetime | None = None,
    of_baseline: bool = False,
    sample: int = SAMPLE,
) -> VerdictColumns:
    """What all matching policies and the workloads' own numbers say of every candidate.

    Args:
        policies: The policies; their workloads are not looked at, what they say is in `jobs`.
        jobs: One row per run: `job.*`, `baseline.*`, and `limits.*`, its own numbers resolved.
        candidates: `candidate.*`, and `job`, the row of the job.
        now: Instant of the decisions; none: the jobs have a column `now`.
        of_baseline: The candidates are the baselines, which relative limits never refuse.
        sample: Rows that are asked again row by row.

    Returns:
        The verdicts; an expression that errs, or an absent figure, refuses.
    """
    labels = [n[11:] for n in jobs.column_names if n.startswith("job.labels.")]
    tables = Tables(jobs, candidates, with_labels(labels), now)
    batch = Batch.of(tables, _expressions(policies), sample, also=NEEDED)
    rules = _rules(policies, batch, of_baseline=of_baseline)
    names = tuple(dict.fromkeys(each.constraint.name for each in rules))
    dtype = next((w for w in WIDTHS if np.dtype(w).itemsize * 8 >= len(names)), np.uint64)
    shape = (max(1, -(-len(names) // 64)), candidates.num_rows)
    reasons, warnings = np.zeros(shape, dtype), np.zeros(shape, dtype)
    for chunk in tables.layout.chunks():
        for rule in rules:
            advisory = rule.constraint.level is Level.ADVISORY
            _judge(batch, rule, chunk, warnings if advisory else reasons)
    return VerdictColumns(
        allowed=(reasons == 0).all(axis=0) if len(reasons) > 1 else reasons[0] == 0,
        names=names,
        reasons=reasons,
        warnings=warnings,
        sampled=batch.sampled,
        mismatches=batch.mismatches,
        slow=frozenset(batch.slow),
    )


def baseline_candidates(jobs: pa.Table) -> pa.Table:
    """The baseline of each job as its one candidate."""
    places = [each for each in jobs.column_names if each.startswith("baseline.")]
    columns = {f"candidate.{each[9:]}": jobs.column(each) for each in places}
    return pa.table({"job": pa.array(np.arange(jobs.num_rows, dtype=np.int32)), **columns})


def _judge(batch: Batch, rule: _Rule, chunk: Chunk, words: Values) -> None:
    """Set the rule's bit on the candidates of a chunk that break it."""
    meets = rule.jobs[chunk.jobs]
    if not meets.any():
        return
    found = batch.over(rule.constraint.expression, chunk)
    broken = _broken(found, rule.constraint)
    if not meets.all():
        broken = broken & meets
    size = words.dtype.itemsize * 8
    part = words[rule.bit // size, chunk.rows].reshape(chunk.shape)
    part |= broken.view(np.uint8) * words.dtype.type(1 << rule.bit % size)


def _broken(found: Column, constraint: Constraint) -> Mask:
    if not constraint.ignore_errors:
        return ~found.holds()
    return ~found.values if found.ok is None else ~found.values & found.ok


def _expressions(policies: PolicySet) -> Iterable[Expression]:
    for policy in policies.policies:
        yield from policy.match
        yield from (each.expression for each in policy.constraints)
        yield from (each.match for each in policy.exceptions)
    yield from (_compiled(each.text) for each in BUILTIN)
    yield from (_when(each, policies) for each in BUILTIN)


@dataclass(frozen=True, slots=True)
class _Builtin:
    """A constraint nobody has to write; see `builtin.constraints_for`.

    Attributes:
        when: Jobs that it holds for; none: those whose data class is not known.
    """

    name: str
    text: str
    when: str | None


BUILTIN: Final = (
    _Builtin("interactive/no-delay", builtin.NO_DELAY, 'job.urgency == "interactive"'),
    _Builtin("residency/home-region", builtin.HOME_ONLY, None),
    _Builtin("workload/allowed-regions", builtin.ALLOWED, "size(job.allowed_regions) > 0"),
    _Builtin("limit/deadline", builtin.DEADLINE, "has(limits.deadline)"),
    _Builtin("limit/maxCost", builtin.COST, "has(limits.max_cost_usd)"),
    _Builtin("limit/maxCost", builtin.COST_INCREASE, "has(limits.max_cost_increase)"),
    _Builtin("limit/maxCarbon", builtin.CARBON_REDUCTION, "has(limits.max_carbon_reduction)"),
    _Builtin("limit/maxCarbon", builtin.INTENSITY, "has(limits.max_intensity)"),
)
NEEDED: Final = ("now", "job.submitted", *LIMIT_NAMES)


@cache
def _compiled(text: str) -> Expression:
    return compile_node(parse(text), FIELDS)


def _when(of: _Builtin, policies: PolicySet) -> Expression:
    if of.when is not None:
        return _compiled(of.when)
    return _unknown_class(policies.known_classes())


@cache
def _unknown_class(classes: frozenset[str]) -> Expression:
    known = ListOf(tuple(Const("string", each) for each in sorted(classes)))
    inside = Call("in", (Var(("job", "data_class")), known))
    return compile_node(Call("!", (inside,)), FIELDS)


def _rules(policies: PolicySet, batch: Batch, *, of_baseline: bool) -> list[_Rule]:
    """Every constraint with the jobs that it holds for, after the limits are known."""
    answers = {each.name: _matches(batch, each) for each in policies.policies}
    maybe = {name: ~some_false for name, (some_false, _) in answers.items()}
    limit_columns(batch.tables, [(each.limits, maybe[each.name]) for each in policies.policies])
    said = [
        (Constraint(e.name, Level.HARD, _compiled(e.text)), batch.over_jobs(_when(e, policies)))
        for e in BUILTIN
    ]
    found = [(constraint, when.holds()) for constraint, when in said]
    for policy in policies.policies:
        found += _own_rules(batch, policy, maybe[policy.name], answers[policy.name][1])
    if of_baseline:
        found = [(c, m) for c, m in found if c.expression.text not in builtin.relative_texts()]
    bits: dict[str, int] = {}
    kept = [(c, mask) for c, mask in found if mask.any()]
    return [_Rule(c, mask, bits.setdefault(c.name, len(bits))) for c, mask in kept]


def _matches(batch: Batch, policy: Policy) -> tuple[Mask, Mask]:
    """Jobs for which some part of the match is false, and those for which all are true."""
    jobs = (batch.tables.layout.jobs, 1)
    some_false, sure = np.zeros(jobs, np.bool_), np.ones(jobs, np.bool_)
    for each in policy.match:
        found = batch.over_jobs(each)
        ok = True if found.ok is None else found.ok
        some_false = some_false | (~found.values & ok)
        sure = sure & found.holds()
    return some_false, sure


def _in_force(now: Column, exception: PolicyException) -> Mask:
    begins, ends = ((e - EPOCH) // MICROSECOND for e in (exception.not_before, exception.expires))
    return Column("bool", (now.values >= begins) & (now.values < ends), now.ok).holds()


def _own_rules(
    batch: Batch, policy: Policy, maybe: Mask, sure: Mask
) -> list[tuple[Constraint, Mask]]:
    waived: dict[str, Mask] = {}
    now = batch.tables.source("now").column
    for each in policy.exceptions:
        if not each.waive:
            continue
        active = sure & _in_force(now, each)
        active = active & batch.over_jobs(each.match).holds()
        for name in each.waive:
            waived[name] = waived.get(name, np.zeros_like(active)) | active
    return [(c, maybe & ~waived[c.name] if c.name in waived else maybe) for c in policy.constraints]
