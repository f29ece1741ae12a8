"""Rules that kernels do not take: the same verdict from tables as from rows, and named as slow."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.policy import compile_policies
from greenops.policy.record_tables import Choice, candidate_table, job_table
from greenops.policy.verdict_columns import verdict_columns

START = datetime(2026, 11, 23, 17, tzinfo=UTC)
POLICY = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {{name: slow, owners: [a@example.com]}}
spec:
  match: [{{name: all, expression: 'true'}}]
  constraints:
  - {{name: rule, level: advisory, expression: '{rule}', message: No.}}
"""
RULES = [
    'candidate.region in job.allowed_regions.filter(r, r != "ap")',
    "candidate.region == job.allowed_regions[0]",
    "job.allowed_regions[1] == candidate.region || candidate.cost_usd < 2.0",
    '{"eu-west": 100.0, "us-east": 300.0}[candidate.region] >= candidate.intensity',
    "int(candidate.cost_usd) == 1",
    "job.allowed_regions.exists_one(r, r == candidate.region)",
    "size(job.allowed_regions.map(r, size(r))) == 2",
    "[1.5, 2.5].all(n, n < candidate.cost_usd)",
]
REGIONS = ["eu-west", "us-east", "ap", None]
COSTS = [1.0, 1.9, 3.0, None]


def choices():
    def workload(*regions):
        return Workload(
            "w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu-west", allowed_regions=regions
        )

    places = [
        Candidate("c", region=region, start=START, end=START, cost_usd=cost, intensity=200.0)
        for region in REGIONS
        for cost in COSTS
    ]
    jobs = [workload("eu-west", "ap"), workload("us-east"), workload()]
    return [
        Choice(Job(f"w/{at}", of, START), places[0], places, START) for at, of in enumerate(jobs)
    ]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_goes_by_rows_means_in_tables_what_it_means_alone(rule):
    policies = compile_policies([("p.yaml", POLICY.format(rule=rule))])
    asked = choices()

    found = verdict_columns(policies, job_table(asked), candidate_table(asked))

    alone = [
        verdict
        for each in asked
        for verdict in policies.judge(each.job, each.baseline, each.candidates, each.now).verdicts[
            1:
        ]
    ]
    assert len(found.slow) == 1
    assert [set(found.warnings_of(at)) for at in range(len(alone))] == [
        set(each.warnings) for each in alone
    ]
    assert {bool(each.warnings) for each in alone} == {True, False}
