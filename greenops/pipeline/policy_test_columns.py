"""The tests of policies a second time, by columns, as a replay or a big plan judges them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import pyarrow as pa

from greenops.domain.decision import Verdict
from greenops.pipeline.policy_tests import TestResult
from greenops.plan.guard import run_time
from greenops.policy import PolicySet
from greenops.policy.choose_columns import choose_columns
from greenops.policy.chooser import RUN_TIME
from greenops.policy.record_tables import Choice, candidate_table, job_table
from greenops.policy.verdict_columns import (
    VerdictColumns,
    baseline_candidates,
    verdict_columns,
)


def by_columns_too(policies: PolicySet, results: Sequence[TestResult]) -> list[TestResult]:
    """The results, each with a failure for each thing that the columns say differently.

    Law: row by row and by columns a policy says one thing; a difference is a fault of GreenOps.
    All tests of a policy are one table: what a table costs is paid once for each policy.
    """
    of_policy: dict[str, list[int]] = {}
    for at, each in enumerate(results):
        of_policy.setdefault(each.test.policy, []).append(at)
    checked = list(results)
    for name, places in of_policy.items():
        found = _Columns.of(policies.only(name), [results[at] for at in places])
        for number, at in enumerate(places):
            differs = tuple(
                f"by columns {each}: a fault of GreenOps, report it"
                for each in found.differences(number, results[at])
            )
            checked[at] = replace(results[at], failures=(*results[at].failures, *differs))
    return checked


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the columns say of the tests of one policy.

    Attributes:
        starts: Row of the first candidate of each test.
        chosen: Id of the place that is chosen in each test.
    """

    baselines: VerdictColumns
    candidates: VerdictColumns
    starts: Sequence[int]
    chosen: Sequence[str]

    @classmethod
    def of(cls, only: PolicySet, results: Sequence[TestResult]) -> _Columns:
        tests = [each.test for each in results]
        choices = [Choice(e.job, e.baseline, e.candidates, e.now) for e in tests]
        jobs = job_table(choices)
        starts = [0, *accumulate(len(each.candidates) for each in tests)]
        return cls(
            verdict_columns(only, jobs, baseline_candidates(jobs), of_baseline=True, sample=0),
            verdict_columns(only, jobs, candidate_table(choices), sample=0),
            starts,
            _chosen(only, choices, jobs),
        )

    def differences(self, at: int, result: TestResult) -> Iterator[str]:
        """What they say differently of one test."""
        baseline, *others = result.judgement.verdicts
        yield from _verdict(self.baselines, at, baseline)
        for number, verdict in enumerate(others):
            yield from _verdict(self.candidates, self.starts[at] + number, verdict)
        if self.chosen[at] != result.decision.chosen.id:
            yield f"`{self.chosen[at]}` is chosen, not `{result.decision.chosen.id}`"


def _verdict(found: VerdictColumns, at: int, verdict: Verdict) -> Iterator[str]:
    for word, given, wanted in (
        ("refused", found.reasons_of(at), verdict.reasons),
        ("warned", found.warnings_of(at), verdict.warnings),
    ):
        if set(given) != set(wanted):
            names = ", ".join(given) or "nothing", ", ".join(wanted) or "nothing"
            yield f"`{verdict.candidate}` is {word} by {names[0]}, not by {names[1]}"


def _chosen(policies: PolicySet, choices: Sequence[Choice], jobs: Any) -> list[str]:
    whole = [replace(each, candidates=(each.baseline, *each.candidates)) for each in choices]
    times = pa.array([run_time(each.job.workload) for each in choices], pa.duration("us"))
    candidates = candidate_table(whole)
    ids = candidates.column("candidate.id").cast(pa.string())
    with_times = jobs.append_column(RUN_TIME, times)
    rows = choose_columns(policies, with_times, candidates, lambda: ids).rows
    return [str(ids[int(at)].as_py()) for at in rows]
