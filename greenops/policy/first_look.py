"""What the policies say of the jobs of a table before any way to run them is known.

The tightest deadline of each job, as `PolicySet.deadline_for` gives it; and the policies that could match one of
them: the others need not be asked again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from greenops.policy.batch import Batch
from greenops.policy.evaluate import Expression
from greenops.policy.ir import Has, walk
from greenops.policy.limit_columns import LIMIT_NAMES, limit_columns
from greenops.policy.policy_set import PolicySet
from greenops.policy.rule_columns import matches
from greenops.policy.schema import with_labels
from greenops.policy.tables import ARROW, INDEX, Tables

BASELINE_ID: Final = "baseline"
"""All that is known of a baseline that is not made yet."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What is known before the ways.

    Attributes:
        deadlines: `limits.deadline` of each job by its own numbers and the policies; else null.
        policies: Those that could match some job; data classes of the others stay known.
    """

    deadlines: Any
    policies: PolicySet


def first_look(policies: PolicySet, jobs: pa.Table) -> FirstLook:
    """Ask the matches of all policies, once for all jobs.

    A policy whose match asks for the baseline's figures cannot be told yet, and counts: `has` of one
    is not false.

    Args:
        policies: The policies in force.
        jobs: `job.*`, `limits.*` (own numbers resolved) and `now`.
    """
    known = [each for each in jobs.column_names if not each.startswith("baseline.")]
    named = pa.array([BASELINE_ID] * jobs.num_rows, pa.string())
    labels = [each[11:] for each in known if each.startswith("job.labels.")]
    nowhere = pa.table({INDEX: pa.array([], pa.int32())})
    asked = jobs.select(known).append_column("baseline.id", named)
    tables = Tables(asked, nowhere, with_labels(labels))
    told = [
        replace(each, match=tuple(rule for rule in each.match if not _asks_for_baseline(rule)))
        for each in policies.policies
    ]
    rules = [rule for each in told for rule in each.match]
    batch = Batch.of(tables, rules, also=("now", "job.submitted", *LIMIT_NAMES))
    maybe = [~matches(batch, each)[0] for each in told]
    limit_columns(tables, [(p.limits, mask) for p, mask in zip(told, maybe, strict=True)])
    met = zip(policies.policies, maybe, strict=True)
    kept = tuple(policy for policy, mask in met if mask.any())
    return FirstLook(_deadlines(tables), PolicySet(kept, {}, classes=policies.known_classes()))


def _deadlines(tables: Tables) -> Any:
    ends = tables.source("limits.deadline").column
    none = None if ends.ok is None else ~np.broadcast_to(ends.ok, ends.values.shape).ravel()
    values = ends.values.ravel() if none is None else np.where(none, 0, ends.values.ravel())
    return pa.array(values, pa.int64(), mask=none).cast(ARROW["timestamp"])


def _asks_for_baseline(rule: Expression) -> bool:
    return any(isinstance(each, Has) and each.path[0] == "baseline" for each in walk(rule.node))
