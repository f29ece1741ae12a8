"""What the policies say of each job of a table as a whole: mode, hold-out, haste, whose objectives count."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from greenops.policy.batch import Batch
from greenops.policy.columns import Mask, Values
from greenops.policy.model import Policy
from greenops.policy.policy_set import CAUTION, PolicySet
from greenops.policy.rule_columns import Answers, in_force

ENFORCE: Final = len(CAUTION) - 1
"""Place of the boldest mode."""
NOBODY, RIVALS = -1, -2


@dataclass(frozen=True, slots=True)
class JobRules:
    """One value per job.

    Attributes:
        ruler: Policy whose objectives count, by its place in the set; `NOBODY` where none has any,
            `RIVALS` where two of one priority claim it: then nothing is moved.
        run_now: An exception says so.
        held_out: It is in the hold-out of that policy.
        mode: The most cautious mode of the policies that match, by its place in `CAUTION`.
        matched: Policies that match, or of which that cannot be told.
    """

    ruler: Values
    run_now: Mask
    held_out: Mask
    mode: Values
    matched: Values


def job_rules(policies: PolicySet, batch: Batch, answers: Answers) -> JobRules:
    """What holds for each job; the limits are in the tables already."""
    jobs = batch.tables.layout.jobs
    mode, run_now = np.full(jobs, ENFORCE), np.zeros(jobs, np.bool_)
    ruler, priority = np.full(jobs, NOBODY), np.full(jobs, -np.inf)
    matched = np.zeros(jobs, np.int64)
    for at, policy in enumerate(policies.policies):
        some_false, sure = (each.ravel() for each in answers[policy.name])
        mode = np.where(some_false, mode, np.minimum(mode, CAUTION.index(policy.mode)))
        matched += ~some_false
        run_now |= sure & _hastens(batch, policy)
        if not policy.objectives:
            continue
        rivals = sure & (priority == policy.priority)
        higher = sure & (priority < policy.priority)
        ruler = np.where(higher, at, np.where(rivals, RIVALS, ruler))
        priority = np.where(higher, policy.priority, priority)
    held_out = np.zeros(jobs, np.bool_)
    for at, policy in enumerate(policies.policies):
        ruled = ruler == at
        if policy.percent < 100 and ruled.any():  # noqa: PLR2004 - per cent
            held_out |= ruled & _held_out(batch, policy)
    return JobRules(ruler, run_now, held_out & ~run_now, mode, matched)


def _hastens(batch: Batch, policy: Policy) -> Mask:
    found = np.zeros(batch.tables.layout.jobs, np.bool_)
    now = batch.tables.source("now").column
    for each in policy.exceptions:
        if each.run_now:
            applies = in_force(now, each) & batch.over_jobs(each.match).holds()
            found |= np.broadcast_to(applies, (len(found), 1)).ravel()
    return found


def _held_out(batch: Batch, policy: Policy) -> Mask:
    """Jobs on the far side of the policy's draw; a key that cannot be told is on it."""
    if policy.key is None:
        ids = batch.tables.jobs.column("job.id").to_pylist()
        return np.array([_beyond(policy, each) for each in ids], np.bool_)
    key = batch.over_jobs(policy.key)
    codes, places = np.unique(key.values.ravel(), return_inverse=True)
    words = batch.tables.vocabulary.words
    said = np.array([_beyond(policy, words[each]) for each in codes], np.bool_)
    beyond = np.broadcast_to(said[places], (batch.tables.layout.jobs,))
    return beyond if key.ok is None else beyond | ~key.ok.ravel()


def _beyond(policy: Policy, key: str) -> bool:
    return _drawn(policy.name, key) >= policy.percent


@lru_cache(maxsize=4096)
def _drawn(policy: str, key: str) -> float:
    """The place of a key in a policy's draw, from 0 to 100; the same as `policy_set` gives."""
    digest = hashlib.sha256(f"{policy}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 * 100
