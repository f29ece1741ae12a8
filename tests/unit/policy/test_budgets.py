"""What is spent, and what a stage of a budget does: it tightens, and never delays a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.budget import Every, Standing
from greenops.domain.decision import Candidate
from greenops.domain.spans import SpanRow
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.plan.choice import choose
from greenops.policy import compile_policies
from greenops.policy.budget_rules import under
from greenops.policy.budget_state import (
    budget_states,
    budget_windows,
    period,
    target_states,
    target_windows,
)
from greenops.testing.usage import usage_of

NOW = datetime(2026, 11, 16, tzinfo=UTC)
HEAD = "apiVersion: greenops.dev/v1alpha1\n"
FILES = (
    HEAD
    + """kind: Workload
metadata: {name: etl}
spec:
  {kind: batch, team: data, urgency: best-effort, homeRegion: eu, deadline: {within: 600h},
   maxCost: {increase: 100%}, maxCarbon: {intensity: 900}, duration: 1h, durationP95: 1h}
---
"""
    + HEAD
    + """kind: Workload
metadata: {name: other}
spec:
  {kind: batch, team: web, homeRegion: eu, deadline: {within: 600h},
   maxCost: {increase: 100%}, maxCarbon: {intensity: 900}}
---
"""
    + HEAD
    + """kind: PlacementPolicy
metadata: {name: rule, owners: [a@example.com]}
spec:
  match: [{name: all, expression: job.kind == "batch"}]
  params: {most: 10.0}
  constraints:
  - {name: cheap, level: soft, expression: candidate.cost_usd < params.most}
  - {name: hint, level: advisory, expression: candidate.cost_usd < params.most}
  exceptions:
  - id: E1
    reason: r
    approvedBy: [boss@example.com]
    notBefore: "2026-11-10T00:00:00Z"
    expires: "2026-11-20T00:00:00Z"
    match: 'true'
    effect: {waive: [cheap]}
  enforcement: {mode: enforce}
---
"""
    + HEAD
    + """kind: Budget
metadata: {name: data, owners: [finops@example.com]}
spec:
  scope: {teams: [data]}
  period: {every: month}
  limit: {carbonG: 1000, costUsd: 10}
  mode: enforce
  actions:
  - {at: 50%, do: warn}
  - {at: 60%, do: tighten, limits: {maxCost: {increase: 0%}}}
  - {at: 70%, do: tighten, harden: [rule/cheap]}
  - {at: 80%, do: tighten, params: {rule: {most: 5}}}
  - {at: 100%, do: block, urgencies: [best-effort]}
"""
)
POLICIES = compile_policies([("p.yaml", FILES)])


def span(workload="etl", at=NOW - timedelta(days=1), **figures):
    absent = dict.fromkeys(
        ("parent_id", "instance", "energy_low_j", "energy_high_j", "method", "unknown", "region"),
    )
    known = {"energy_j": 1.0, "carbon_g": 1.0, "cost_usd": 0.0, **figures}
    return SpanRow(
        trace_id="t",
        span_id="s",
        service="svc",
        workload=workload,
        name="n",
        kind="INTERNAL",
        start=at,
        end=at,
        time=at,
        grid_zone=None,
        decision_id=None,
        attributes={},
        **{**absent, **known},
    )


def state(*rows, now=NOW, policies=POLICIES):
    usage = usage_of(rows, budget_windows(policies.budgets, now))
    (found,) = budget_states(policies.budgets, policies.workloads, usage, now)
    return found


def at_share(share):
    return under(POLICIES, [state(span(carbon_g=1000.0 * share))])


# -- what is spent ------------------------------------------------------------


def test_spans_of_the_team_in_the_period_count_and_no_others():
    found = state(
        span(carbon_g=400.0),
        span(carbon_g=100.0, at=datetime(2026, 11, 1, tzinfo=UTC)),
        span(carbon_g=7.0, at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC)),
        span(carbon_g=7.0, at=NOW + timedelta(seconds=1)),
        span("other", carbon_g=7.0),
        span("nobody", carbon_g=7.0),
        span(None, carbon_g=7.0),
    )

    assert (found.carbon_g, found.share) == (500.0, 0.5)
    assert found.burn == pytest.approx(1.0)
    assert found.stage is POLICIES.budgets[0].stages[0]


def test_the_larger_of_the_two_shares_counts():
    assert state(span(carbon_g=100.0, cost_usd=9.0)).share == 0.9
    assert state(span(carbon_g=100.0, cost_usd=None)).share == 0.1


def test_nothing_known_is_no_share_and_not_zero():
    found = state()

    assert (found.carbon_g, found.cost_usd, found.share, found.burn) == (None, None, None, None)
    assert not found.spent


def test_spans_that_lack_a_figure_are_counted():
    found = state(
        span(carbon_g=None),
        span(carbon_g=None, cost_usd=None, energy_j=None, unknown="no_meter"),
        span(carbon_g=None, cost_usd=None, energy_j=None),
        span(carbon_g=5.0),
    )

    assert (found.carbon_g, found.unknown) == (5.0, 2)


@pytest.mark.parametrize(
    ("every", "begins", "ends"),
    [
        (Every.DAY, "2026-11-15T23:00", "2026-11-16T23:00"),
        (Every.WEEK, "2026-11-15T23:00", "2026-11-22T23:00"),
        (Every.MONTH, "2026-10-31T23:00", "2026-11-30T23:00"),
        (Every.QUARTER, "2026-09-30T22:00", "2026-12-31T23:00"),
        (Every.YEAR, "2025-12-31T23:00", "2026-12-31T23:00"),
    ],
)
def test_periods_begin_at_midnight_in_their_time_zone(every, begins, ends):
    found = period(every, "Europe/Paris", NOW)

    assert [f"{each:%Y-%m-%dT%H:%M}" for each in found] == [begins, ends]


@given(
    st.sampled_from(Every),
    st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Pacific/Apia"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
def test_an_instant_lies_in_its_period_and_periods_touch(every, zone, when):
    now = when.replace(tzinfo=UTC)

    begins, ends = period(every, zone, now)

    assert begins <= now < ends
    assert period(every, zone, ends)[0] == ends


# -- what a stage does --------------------------------------------------------

BASE = Candidate("now", region="eu", carbon_g=9.0, cost_usd=1.0, intensity=90.0, start=NOW, end=NOW)


def job(name="etl", urgency=None):
    workload = POLICIES.workloads.get(name) or Workload(
        name, WorkloadKind.BATCH, urgency, "eu", team="data"
    )
    return Job(f"{name}/1", workload, NOW)


def judged(policies, cost, name="etl", when=NOW, **more):
    place = Candidate(
        "it", region="eu", carbon_g=1.0, cost_usd=cost, intensity=9.0, start=when, end=when
    )
    return policies.judge(job(name, **more), BASE, [place], NOW)


def refused(policies, cost, name="etl", **more):
    return judged(policies, cost, name, **more).verdicts[1].reasons


def test_below_every_stage_the_policies_are_the_same():
    assert at_share(0.49) is POLICIES
    assert under(POLICIES, [state()]) is POLICIES


def test_a_warning_changes_nothing():
    assert at_share(0.59) is POLICIES


def test_limits_of_a_stage_hold_for_the_budgets_work_alone():
    assert refused(at_share(0.59), 1.01) == ()
    assert refused(at_share(0.6), 1.01) == ("limit/maxCost",)
    assert refused(at_share(0.6), 1.01, "other") == ()


def test_a_hardened_constraint_is_waived_no_more():
    assert refused(POLICIES, 11.0, "etl") == ("limit/maxCost",)
    assert refused(at_share(0.7), 11.0) == ("limit/maxCost", "cheap")
    assert refused(at_share(0.7), 1.0) == ()


def test_other_parameters_tighten_and_cannot_loosen():
    loose = compile_policies([("p.yaml", FILES.replace("{most: 5}", "{most: 500}"))])
    spent = [state(span(carbon_g=800.0))]

    assert "cheap" in refused(at_share(0.8), 6.0)
    assert "cheap" not in refused(at_share(0.7), 6.0)
    assert "cheap" in refused(under(loose, spent), 11.0)


def test_an_advisory_constraint_with_other_parameters_still_only_warns():
    said = judged(at_share(0.8), 6.0, "etl").verdicts[1]

    assert said.warnings == ("hint",)


def test_what_a_stage_adds_has_its_own_hash_and_documents():
    before, after = POLICIES, at_share(0.7)

    assert after.hash != before.hash
    assert judged(after, 1.0).policy_hash != judged(before, 1.0).policy_hash
    assert "budget/data/70/rule/hard" in after.documents
    assert judged(after, 1.0).policies[-2:] == ("budget/data/70/rule/hard", "rule")


def test_a_budget_that_only_audits_changes_nothing():
    audit = compile_policies(
        [("p.yaml", FILES.replace("mode: enforce\n  actions", "mode: audit\n  actions"))]
    )

    assert under(audit, [state(span(carbon_g=2000.0), policies=audit)]) is audit


@pytest.mark.feature("C12")
def test_a_spent_budget_makes_best_effort_work_wait_for_the_next_period():
    spent, after = at_share(1.0), datetime(2026, 12, 1, tzinfo=UTC)

    assert "budget/data" in refused(spent, 1.0)
    assert "budget/data" in refused(spent, 1.0, when=after - timedelta(seconds=1))
    assert refused(spent, 1.0, when=after) == ()


@pytest.mark.feature("C12")
def test_a_blocked_job_takes_the_first_start_of_the_next_period():
    after = datetime(2026, 12, 1, tzinfo=UTC)
    places = [
        Candidate(
            f"at-{hours}",
            region="eu",
            carbon_g=1.0,
            cost_usd=0.5,
            intensity=9.0,
            start=after + timedelta(hours=hours),
            end=after + timedelta(hours=hours + 1),
        )
        for hours in (-24, 5, 0, 9)
    ]

    said = at_share(1.0).judge(job(), BASE, places, NOW)

    assert choose(job(), BASE, places, said, NOW).chosen.id == "at-0"


@pytest.mark.feature("C12")
@pytest.mark.parametrize(
    "urgency", [Urgency.INTERACTIVE, Urgency.BREAK_GLASS, Urgency.STANDARD, Urgency.DEFERRABLE]
)
def test_a_spent_budget_blocks_no_work_that_it_does_not_name(urgency):
    assert "budget/data" not in refused(at_share(5.0), 1.0, "free", urgency=urgency)
    assert "budget/data" in refused(at_share(5.0), 1.0, "free", urgency=Urgency.BEST_EFFORT)


@pytest.mark.feature("C12")
def test_a_blocked_job_that_cannot_wait_runs_as_without_greenops_and_says_so():
    said = at_share(1.0).judge(job(), BASE, [], NOW)

    made = choose(job(), BASE, [], said, NOW)

    assert made.chosen is BASE
    assert made.noncompliant_baseline


@given(st.floats(0, 3), st.floats(0, 20), st.sampled_from(["etl", "other"]))
def test_a_stage_never_allows_what_was_refused(share, cost, name):
    before, after = refused(POLICIES, cost, name), refused(at_share(share), cost, name)

    assert set(before) <= set(after)


# -- targets ------------------------------------------------------------------

TARGET = (
    HEAD
    + """kind: Target
metadata: {name: less, owners: [cso@example.com]}
spec:
  measure: carbon
  reduction: 40%
  baseline: {from: "2026-01-01T00:00:00Z", to: "2026-01-11T00:00:00Z"}
  by: "2026-05-11T00:00:00Z"
"""
)
TARGETS = compile_policies([("t.yaml", TARGET)]).targets
DAY = timedelta(days=1)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def stands(now, daily, first=BEGIN):
    days = range((now - BEGIN) // DAY)
    rows = [
        span(at=BEGIN + DAY * n, carbon_g=10.0 if n < 10 else daily)
        for n in days
        if BEGIN + DAY * n >= first
    ]
    (found,) = target_states(TARGETS, {}, usage_of(rows, target_windows(TARGETS, now)), now)
    return found


@pytest.mark.parametrize(
    ("now", "daily", "standing"),
    [
        ("2026-03-12", 6.0, Standing.MET),
        ("2026-03-12", 7.9, Standing.ON_TRACK),
        ("2026-03-12", 8.1, Standing.BEHIND),
        ("2026-03-12", 11.0, Standing.BEHIND),
        ("2026-05-12", 6.1, Standing.MISSED),
        ("2026-05-12", 5.9, Standing.MET),
    ],
)
def test_a_target_stands_where_the_last_weeks_do_against_a_straight_line(now, daily, standing):
    found = stands(datetime.fromisoformat(f"{now}T00:00:00+00:00"), daily)

    assert found.standing is standing
    assert (found.baseline, found.current) == (pytest.approx(10.0), pytest.approx(daily))
    assert found.reduction == pytest.approx(1 - daily / 10)


@pytest.mark.parametrize(
    ("now", "first", "why"),
    [
        ("2026-01-11", BEGIN, "not over for a day yet"),
        ("2026-03-12", BEGIN + 3 * DAY, "spans begin on 2026-01-04, after"),
        ("2026-03-12", BEGIN + 20 * DAY, "no spans in the baseline period"),
    ],
)
def test_a_target_that_cannot_be_told_is_unknown_and_says_why(now, first, why):
    found = stands(datetime.fromisoformat(f"{now}T00:00:00+00:00"), 5.0, first)

    assert found.standing is Standing.UNKNOWN
    assert why in found.why
    assert found.reduction is None


def test_weeks_without_a_span_are_unknown_and_no_saving():
    rows = [span(at=BEGIN + DAY * n) for n in range(10)]

    now = BEGIN + DAY * 90
    (found,) = target_states(TARGETS, {}, usage_of(rows, target_windows(TARGETS, now)), now)

    assert (found.standing, found.why) == (Standing.UNKNOWN, "no spans in the last four weeks")


# -- service plans ------------------------------------------------------------

PLAN = (
    HEAD
    + """kind: Workload
metadata: {name: search}
spec: {kind: inference, homeRegion: eu}
---
"""
    + HEAD
    + """kind: ServicePlan
metadata: {name: search, owners: [search@example.com]}
spec:
  workload: search
  tiers: [{name: int8, maxLoss: 1%}, {name: full}]
  maxP95Increase: 2%
  enforcement: {mode: enforce}
"""
)
FULL = Candidate("now", tier="full", quality=0.8, quality_low=0.79, p95_ms=100.0)


@pytest.mark.parametrize(
    ("figures", "reasons"),
    [
        ({"tier": "int8", "quality_low": 0.793, "p95_ms": 100.0}, ()),
        ({"tier": "int8", "quality_low": 0.791, "p95_ms": 100.0}, ("plan/certified",)),
        ({"tier": "int8", "p95_ms": 100.0}, ("plan/certified",)),
        ({"tier": "int8", "quality": 0.8, "p95_ms": 100.0}, ("plan/certified",)),
        ({"tier": "int4", "quality_low": 0.9, "p95_ms": 100.0}, ("plan/tier",)),
        ({"tier": "full", "p95_ms": 102.0}, ()),
        ({"tier": "full", "p95_ms": 102.1}, ("plan/p95",)),
        ({"p95_ms": 100.0}, ("plan/tier", "plan/certified")),
    ],
)
def test_a_service_plan_allows_named_tiers_that_are_certified(figures, reasons):
    policies = compile_policies([("p.yaml", PLAN)])
    place = Candidate("it", **figures)

    said = policies.judge(Job("s", policies.workloads["search"], NOW), FULL, [place], NOW)

    assert said.verdicts[0].allowed
    assert said.verdicts[1].reasons == reasons
