"""The choice for every job of two tables: `PolicySet.judge`, then the planner's `choose`, in columns.

Law: the row chosen here is the candidate that `greenops.plan.choice.choose` takes with the deadline in
force; constraints, the three numbers, objectives and every tie-break mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from greenops.policy.batch import Batch
from greenops.policy.chooser import Chooser, Ids
from greenops.policy.columns import Column, Mask, Values
from greenops.policy.evaluate import Expression
from greenops.policy.ir import Has, Var, walk
from greenops.policy.job_groups import NONE, job_groups
from greenops.policy.job_rules import ENFORCE, JobRules
from greenops.policy.policy_set import PolicySet
from greenops.policy.rule_columns import NEEDED, expressions
from greenops.policy.schema import with_labels
from greenops.policy.tables import Tables
from greenops.policy.told import Told

PLACE: Final = ("candidate.start", "candidate.region", "candidate.pool")
"""What a choice asks of candidates beside what the rules ask."""


@dataclass(frozen=True, slots=True)
class ChoiceColumns:
    """One choice per job.

    Attributes:
        rows: Row of the candidates that is chosen; the job's first row is its baseline.
        moves: The policies that match enforce it, and the job is not held out.
        by_job: What holds for each job as a whole.
        told: What else is known of each choice.
        ends: `limits.deadline` in force [us since 1970].
        ruler: Policy whose objectives count, by its place in the set; -1 where none does.
        sampled: Answers that were asked again row by row.
        mismatches: Canonical text → how many of them differed; empty where all agree.
        slow: Canonical texts that do not compile and went row by row.
    """

    rows: Values
    moves: Mask
    by_job: JobRules
    told: Told
    ends: Column
    ruler: Values
    sampled: int
    mismatches: Mapping[str, int]
    slow: frozenset[str]


def fields_of(policies: PolicySet) -> frozenset[str]:
    """Every field that a choice by these policies may ask for."""
    asked = {*NEEDED, *PLACE, "baseline.start"}
    for each in _expressions(policies):
        asked |= {".".join(e.path) for e in walk(each.node) if isinstance(e, Var | Has)}
    return frozenset(asked)


def choose_columns(
    policies: PolicySet,
    jobs: pa.Table,
    candidates: pa.Table,
    ids: Ids,
    *,
    sample: int = 0,
    real: Mask | None = None,
) -> ChoiceColumns:
    """What is chosen for each job by these policies.

    Args:
        policies: The policies; their workloads are not looked at, what they say is in `jobs`.
        jobs: One row per run: `job.*`, `baseline.*`, `limits.*` (its own numbers resolved), `now`,
            and `run_time`.
        candidates: `candidate.*`, and `job`, the row of the job; job by job, the baseline first.
        ids: Gives `candidate.id`.
        sample: Rows that are asked again row by row.
        real: Rows that are ways at all, the others only fill a table up; none: all are. A job's
            baseline always is one.
    """
    return choose_each([policies], jobs, candidates, ids, sample=sample, real=real)[0]


def choose_each(
    sets: Sequence[PolicySet],
    jobs: pa.Table,
    candidates: pa.Table,
    ids: Ids,
    *,
    sample: int = 0,
    real: Mask | None = None,
) -> list[ChoiceColumns]:
    """The same by each of some sets of policies; what they have in common is worked out once.

    What was asked again row by row is told by the first, for all of them.
    """
    labels = [name[11:] for name in jobs.column_names if name.startswith("job.labels.")]
    tables = Tables(jobs, candidates, with_labels(labels))
    asked = [each for policies in sets for each in _expressions(policies)]
    batch = Batch.of(tables, asked, sample, also=(*NEEDED, *PLACE))
    choosers = [Chooser(at, each, batch, ids, real) for at, each in enumerate(sets)]
    rows = np.empty((len(sets), jobs.num_rows), np.int64)
    alike: Values = np.zeros(jobs.num_rows, np.int64)
    for each in choosers:
        alike = each.alike(alike)
    for groups in job_groups(tables.layout, alike):
        first = choosers[0].asks(groups.jobs) if len(sets) > 1 else None
        for at, each in enumerate(choosers):
            if at and each.asks(groups.jobs) == first:
                each.take(choosers[0], groups.jobs)
                rows[at, groups.jobs] = rows[0, groups.jobs]
                continue
            batch.turn(at, each.limits)
            rows[at, groups.jobs] = groups.chunk.row(each.choose(groups))
    return [_told(each, rows[at], batch) for at, each in enumerate(choosers)]


def _told(chooser: Chooser, rows: Values, batch: Batch) -> ChoiceColumns:
    by_job, first = chooser.by_job, chooser.side == 0
    return ChoiceColumns(
        rows=rows,
        moves=(by_job.mode == ENFORCE) & ~by_job.held_out,
        by_job=by_job,
        told=chooser.told,
        ends=chooser.ends,
        ruler=np.maximum(by_job.ruler, NONE),
        sampled=batch.sampled if first else 0,
        mismatches=batch.mismatches if first else {},
        slow=frozenset(batch.slow if first else ()),
    )


def _expressions(policies: PolicySet) -> list[Expression]:
    found = list(expressions(policies))
    for policy in policies.policies:
        for each in policy.objectives:
            found += [e for e in (each.when, each.minimize, each.tie_break) if e is not None]
        found += [policy.key] if policy.key else []
    return found
