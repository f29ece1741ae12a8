"""The tests of policies a second time, by columns, as a replay or a big plan judges them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from greenops.domain.decision import Verdict
from greenops.pipeline.policies import TestResult
from greenops.plan.guard import run_time
from greenops.policy import PolicySet
from greenops.policy.choose_columns import RUN_TIME, choose_columns
from greenops.policy.record_tables import Choice, candidate_table, job_table
from greenops.policy.verdict_columns import (
    VerdictColumns,
    baseline_candidates,
    verdict_columns,
)


def by_columns_too(policies: PolicySet, result: TestResult) -> TestResult:
    """The result with a failure for each thing that the columns say differently.

    Law: row by row and by columns a policy says one thing; a difference is a fault of GreenOps.
    """
    differs = [
        f"by columns {each}: a fault of GreenOps, report it"
        for each in _differences(policies, result)
    ]
    return replace(result, failures=(*result.failures, *differs)) if differs else result


def _differences(policies: PolicySet, result: TestResult) -> Iterator[str]:
    test, only = result.test, policies.only(result.test.policy)
    choice = Choice(test.job, test.baseline, test.candidates, test.now)
    jobs = job_table([choice])
    baseline, *others = result.judgement.verdicts
    by_baseline = verdict_columns(only, jobs, baseline_candidates(jobs), of_baseline=True, sample=0)
    yield from _verdict(by_baseline, 0, baseline)
    if others:
        found = verdict_columns(only, jobs, candidate_table([choice]), sample=0)
        for at, verdict in enumerate(others):
            yield from _verdict(found, at, verdict)
    places = (test.baseline, *test.candidates)
    chosen = places[_chosen(only, replace(choice, candidates=places), jobs)].id
    if chosen != result.decision.chosen.id:
        yield f"`{chosen}` is chosen, not `{result.decision.chosen.id}`"


def _verdict(found: VerdictColumns, at: int, verdict: Verdict) -> Iterator[str]:
    for word, given, wanted in (
        ("refused", found.reasons_of(at), verdict.reasons),
        ("warned", found.warnings_of(at), verdict.warnings),
    ):
        if set(given) != set(wanted):
            names = ", ".join(given) or "nothing", ", ".join(wanted) or "nothing"
            yield f"`{verdict.candidate}` is {word} by {names[0]}, not by {names[1]}"


def _chosen(policies: PolicySet, choice: Choice, jobs: Any) -> int:
    times = pa.array([run_time(choice.job.workload)], pa.duration("us"))
    candidates = candidate_table([choice])
    ids = candidates.column("candidate.id").cast(pa.string())
    with_times = jobs.append_column(RUN_TIME, times)
    return int(choose_columns(policies, with_times, candidates, lambda: ids).rows[0])
