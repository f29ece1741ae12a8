"""What the policies say of every candidate of two tables: `PolicySet.judge`, a column at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa

from greenops.policy.batch import Batch
from greenops.policy.columns import Column, Mask, Values
from greenops.policy.frames import Chunk
from greenops.policy.model import Constraint, Level
from greenops.policy.policy_set import PolicySet
from greenops.policy.rule_columns import NEEDED, Rule, all_matches, expressions, rules_of
from greenops.policy.schema import with_labels
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
    batch = Batch.of(tables, expressions(policies), sample, also=NEEDED)
    answers = all_matches(policies, batch)
    rules = rules_of(policies, batch, answers, of_baseline=of_baseline)
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


def _judge(batch: Batch, rule: Rule, chunk: Chunk, words: Values) -> None:
    """Set the rule's bit on the candidates of a chunk that break it."""
    meets = rule.jobs[chunk.jobs]
    if not meets.any():
        return
    found = batch.over(rule.constraint.expression, chunk)
    broken = broken_by(found, rule.constraint)
    if not meets.all():
        broken = broken & meets
    size = words.dtype.itemsize * 8
    part = words[rule.bit // size, chunk.rows].reshape(chunk.shape)
    part |= broken.view(np.uint8) * words.dtype.type(1 << rule.bit % size)


def broken_by(found: Column, constraint: Constraint) -> Mask:
    """Rows that break a constraint, by the answers to its expression."""
    if not constraint.ignore_errors:
        return ~found.holds()
    return ~found.values if found.ok is None else ~found.values & found.ok
