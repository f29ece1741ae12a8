"""Tables of candidates: what the policies say of a column is what they say of each row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.domain.decision import Candidate
from greenops.domain.workload import ClockTime, Job, Limits, Urgency, Workload, WorkloadKind
from greenops.policy import compile_policies
from greenops.policy.evaluate import compile_node
from greenops.policy.kernel_numbers import COMPARE
from greenops.policy.kernel_reach import compiles
from greenops.policy.parse import parse
from greenops.policy.record_tables import Choice, candidate_table, job_table
from greenops.policy.schema import FIELDS
from greenops.policy.verdict_columns import baseline_candidates, verdict_columns

ROOT = Path(__file__).parents[3] / "policies"
SHIPPED = sorted(ROOT.rglob("*.yaml"))
START = datetime(2026, 11, 23, 17, tzinfo=UTC)
RULES = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: batch, owners: [a@example.com]}
spec:
  match: [{name: batch, expression: 'job.kind == "batch" && job.team != "free"'}]
  limits: {deadline: {within: 8h}, maxCost: {increase: 10%}, maxCarbon: {reduction: 10%}}
  constraints:
  - {name: off-peak, level: soft, expression: 'candidate.start.getHours("Europe/Paris") >= 20'}
  - {name: clean, level: advisory, expression: candidate.intensity < 200.0}
  - {name: home, level: hard, expression: 'candidate.region.startsWith("eu-") || !has(job.team)'}
  exceptions:
  - id: X-1
    reason: the quarter closes
    approvedBy: [boss@example.com]
    notBefore: "2026-11-20T00:00:00Z"
    expires: "2026-11-28T00:00:00Z"
    match: 'job.team == "urgent"'
    effect: {waive: [off-peak]}
  onError: Reject
  enforcement: {mode: enforce}
"""


@cache
def batch_rules():
    return compile_policies([("batch.yaml", RULES)])


def judged(policies, choices):
    """(allowed, reasons, warnings) of every baseline and of every candidate, row by row."""
    said = [policies.judge(e.job, e.baseline, e.candidates, e.now).verdicts for e in choices]
    baselines = [each[0] for each in said]
    return baselines, [verdict for each in said for verdict in each[1:]]


def told(verdicts):
    return [(each.allowed, set(each.reasons), set(each.warnings)) for each in verdicts]


def columns(found):
    return [
        (bool(allowed), set(found.reasons_of(at)), set(found.warnings_of(at)))
        for at, allowed in enumerate(found.allowed)
    ]


def assert_one_meaning(policies, choices):
    jobs = job_table(choices)
    baselines, candidates = judged(policies, choices)

    found = verdict_columns(policies, jobs, candidate_table(choices), sample=1_000)
    of_baseline = verdict_columns(policies, jobs, baseline_candidates(jobs), of_baseline=True)

    assert columns(found) == told(candidates)
    assert columns(of_baseline) == told(baselines)
    assert not found.mismatches
    assert not found.slow


@pytest.mark.parametrize("path", SHIPPED, ids=lambda each: each.stem)
def test_the_tests_of_a_shipped_policy_hold_on_both_evaluators(path):
    policies = compile_policies([(path.name, path.read_text())])

    choices = [Choice(e.job, e.baseline, e.candidates, e.now) for e in policies.tests]

    assert_one_meaning(policies, choices)


def some(*values):
    return st.sampled_from([None, *values])


PLACES = st.builds(
    Candidate,
    id=st.just("c"),
    region=some("eu-west", "us-east"),
    start=some(START, START + timedelta(hours=3), START + timedelta(days=1)),
    end=some(START + timedelta(hours=4), START + timedelta(hours=8), START + timedelta(hours=13)),
    carbon_g=some(0.0, 89.0, 90.0, 100.0),
    cost_usd=some(1.0, 1.1, 1.2),
    intensity=some(100.0, 300.0),
)
LIMITS = st.builds(
    Limits,
    deadline_within=some(timedelta(hours=6)),
    deadline_at=some(ClockTime(datetime(2026, 1, 1, 6).time(), "Europe/Paris")),
    max_cost_usd=some(1.05),
    max_cost_increase=some(0.2),
    max_carbon_reduction=some(0.05, 0.5),
    max_intensity=some(250.0),
)
WORKLOADS = st.builds(
    Workload,
    name=st.just("w"),
    kind=st.sampled_from(WorkloadKind),
    urgency=st.sampled_from([Urgency.INTERACTIVE, Urgency.DEFERRABLE]),
    home_region=st.sampled_from(["eu-west", "us-east"]),
    allowed_regions=st.sampled_from([(), ("eu-west",), ("eu-west", "ap")]),
    team=some("urgent", "free", "data"),
    data_class=some("personal", "secret"),
    limits=LIMITS,
)
CHOICES = st.builds(
    Choice,
    job=st.builds(Job, id=st.just("w/1"), workload=WORKLOADS, submitted=st.just(START)),
    baseline=PLACES,
    candidates=st.lists(PLACES, max_size=3),
    now=st.sampled_from([START, START + timedelta(days=6)]),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(CHOICES, min_size=1, max_size=4))
def test_columns_say_what_rows_say_of_any_jobs(choices):
    assert_one_meaning(batch_rules(), choices)


def one_choice():
    workload = Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu-west", team="data")
    place = Candidate("c", region="eu-west", start=START + timedelta(hours=4), end=START)
    numbers = replace(place, carbon_g=1.0, cost_usd=1.0, intensity=300.0)
    return Choice(Job("w/1", workload, START), numbers, [numbers], START)


def test_a_kernel_that_is_wrong_is_counted(monkeypatch):
    monkeypatch.setitem(COMPARE, "<", COMPARE[">"])
    choices = [one_choice()]
    policies = batch_rules()

    found = verdict_columns(policies, job_table(choices), candidate_table(choices))

    assert found.mismatches == {"(candidate.intensity < 200.0)": 1}


def test_an_expression_that_does_not_compile_goes_row_by_row(monkeypatch):
    monkeypatch.setattr("greenops.policy.batch.compiles", lambda node, schema: False)
    choices = [one_choice(), one_choice()]
    policies = batch_rules()

    found = verdict_columns(policies, job_table(choices), candidate_table(choices), sample=0)

    assert columns(found) == told(judged(policies, choices)[1])
    assert found.warnings_of(0) == ("clean",)
    assert "(candidate.intensity < 200.0)" in found.slow


def test_more_constraints_than_bits_of_a_word_are_told_apart():
    rules = "".join(
        f"  - {{name: r{at}, level: hard, expression: 'candidate.cost_usd < {at}.0'}}\n"
        for at in range(70)
    )
    text = RULES[: RULES.index("  - {name: off-peak")] + rules + "  onError: Reject\n"
    policies = compile_policies([("batch.yaml", text)])
    choices = [one_choice()]

    assert_one_meaning(policies, choices)


def test_tables_without_a_candidate_give_no_verdict():
    choices = [replace(one_choice(), candidates=[])]
    policies = batch_rules()

    found = verdict_columns(policies, job_table(choices), candidate_table(choices))

    assert len(found.allowed) == 0


def test_plain_texts_and_other_units_are_read_as_declared():
    choices = [one_choice()]
    policies = batch_rules()
    candidates = candidate_table(choices)
    region, start = (
        candidates.schema.get_field_index(f"candidate.{n}") for n in ("region", "start")
    )
    texts = candidates.column(region).cast(pa.string())
    nanoseconds = candidates.column(start).cast(pa.timestamp("ns", "UTC"))
    plain = candidates.set_column(region, "candidate.region", texts)
    plain = plain.set_column(start, "candidate.start", nanoseconds)

    found = verdict_columns(policies, job_table(choices), plain)

    assert columns(found) == told(judged(policies, choices)[1])
    assert not found.mismatches


@pytest.mark.parametrize(
    "text",
    [
        '(candidate.region + "x") == "eu-westx"',
        "size(job.interruptible ? job.allowed_regions : job.allowed_regions) > 0",
        'size(["a", "b"]) == 2',
    ],
)
def test_what_has_no_column_does_not_compile(text):
    expression = compile_node(parse(text), FIELDS, message=True)

    assert not compiles(expression.node, FIELDS)
