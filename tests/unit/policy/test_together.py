"""What shows only when declared workloads meet all policies: delays and rival objectives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job
from greenops.policy import compile_policies, lint

HEAD = "apiVersion: greenops.dev/v1alpha1\n"
SEARCH = HEAD + (
    "kind: Workload\nmetadata: {name: search}\n"
    "spec: {kind: inference, urgency: interactive, homeRegion: eu}\n---\n"
)
WAIT = "limits: {deadline: {within: 4h}}"
OBJECTIVE = "objectives: [{name: o, minimize: candidate.carbon_g}]"


def policy(name, match, rest):
    return HEAD + (
        f"kind: PlacementPolicy\nmetadata: {{name: {name}, owners: [{name}@example.com]}}\nspec:\n"
        f"  match: [{{name: m, expression: '{match}'}}]\n  {rest}\n"
    )


def codes(*texts):
    return [each.code for each in lint([("p.yaml", "---\n".join(texts))])]


@pytest.mark.feature("B6")
@pytest.mark.parametrize(
    "match",
    [
        'now > timestamp("2020-01-01T00:00:00Z")',
        'job.submitted > timestamp("2020-01-01T00:00:00Z")',
        "now.getHours() >= 8",
        'job.name == "search" && has(job.submitted)',
        '!has(job.submitted) || job.name == "search"',
        'job.id.startsWith("search/")',
        'baseline.pool == "spot"',
        "has(baseline.p95_ms)",
    ],
)
def test_a_match_about_the_run_may_delay_interactive_work_and_is_refused(match):
    assert codes(SEARCH + policy("rule", match, WAIT)) == ["GO0121"]


@pytest.mark.feature("B6")
def test_a_match_that_never_meets_the_workload_delays_nothing():
    match = 'now > timestamp("2020-01-01T00:00:00Z") && job.kind == "batch"'

    assert codes(SEARCH + policy("rule", match, WAIT)) == []


def test_a_policy_that_lacks_a_fact_about_the_workload_is_no_rival():
    one = policy("one", 'job.team == "x"', OBJECTIVE)
    two = policy("two", 'job.name == "search"', OBJECTIVE)

    assert codes(SEARCH + one, two) == []


def test_policies_that_could_match_at_some_hour_are_rivals():
    one = policy("one", "now.getHours() < 6", OBJECTIVE)
    two = policy("two", 'job.name == "search"', OBJECTIVE)

    assert codes(SEARCH + one, two) == ["GO0118"]


@pytest.mark.feature("B6")
@pytest.mark.parametrize("hour", range(24))
def test_no_hour_brings_a_policy_that_lint_did_not_see(hour):
    matches = ["now.getHours() < 6", "job.submitted.getHours() == 12", "has(baseline.p95_ms)"]
    text = "---\n".join(policy(f"p{i}", match, f"priority: {i}") for i, match in enumerate(matches))
    made = compile_policies([("p.yaml", SEARCH + text)])
    search, now = made.workloads["search"], datetime(2026, 11, 24, hour, tzinfo=UTC)

    said = made.judge(Job("search/1", search, now), Candidate("now", p95_ms=1.0), [], now)

    assert set(said.policies) <= {each.name for each in made.matching(search)}


def test_a_workload_meets_the_policies_that_could_match_a_run_of_it():
    text = "---\n".join(
        policy(f"p{i}", match, OBJECTIVE + f"\n  priority: {i}")
        for i, match in enumerate(
            ["now.getHours() < 6", 'job.kind == "batch"', 'job.team == "x"', 'job.name == "search"']
        )
    )

    made = compile_policies([("p.yaml", SEARCH + text)])

    search = made.workloads["search"]
    assert [each.name for each in made.matching(search)] == ["p0", "p2", "p3"]
    assert [each.name for each in made.rivals(search)] == ["p0", "p3"]
