"""What a decision may know, and what it is bound by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.packaged import packaged
from greenops.config import Settings
from greenops.domain.console import JobRequest, WhatIfQuestion
from greenops.domain.record import canonical
from greenops.pipeline.decide import Decider, decide_again
from greenops.pipeline.grid import load_grid
from greenops.pipeline.policies import read_policies
from greenops.pipeline.what_if import answer
from greenops.policy import compile_policies
from greenops.testing.clock import FakeClock

EVENING = datetime(2021, 10, 8, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
ASKED = WhatIfQuestion("nightly-enrichment", 12.0, 0.10, move_regions=True)
FORECAST = {"CISO": "carboncast/CISO/2021-10-08T00:00Z"}


def decider(state, *more, now=EVENING) -> Decider:
    settings = Settings(state=state)
    clock = FakeClock(now)
    policies = read_policies(packaged("policies"))
    if more:
        added = compile_policies([(f"{n}.yaml", text) for n, text in enumerate(more)])
        workloads = {**policies.workloads, **added.workloads}
        policies = replace(
            policies, policies=(*policies.policies, *added.policies), workloads=workloads
        )
    return Decider(settings, clock, policies, load_grid(settings, clock))


def tomorrow(**given) -> JobRequest:
    return JobRequest("nightly-enrichment", "night/9", EVENING + 12 * HOUR, **given)


def test_a_run_that_is_planned_ahead_rests_on_a_forecast_that_is_out_and_names_it(tmp_path):
    record = decider(tmp_path).decide(tomorrow())

    assert record.decision.forecast_ids == FORECAST
    assert record.candidates[0].forecast_age_s == 32 * 3600


def test_a_question_is_answered_from_a_forecast_that_is_out_and_names_it(tmp_path):
    given = answer(decider(tmp_path), ASKED)

    assert given.decision.baseline.start == EVENING + 12 * HOUR
    assert given.decision.forecast_ids == FORECAST
    assert given.candidates[0].forecast_age_s == 32 * 3600


DEADLINE = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: done-by-lunch, owners: [sre@example.com]}
spec:
  match: [{name: nightly, expression: job.name == "nightly-enrichment"}]
  limits: {deadline: {within: 6h}}
"""


def test_a_policys_deadline_bounds_the_ways_the_choice_and_the_hold(tmp_path):
    record = decider(tmp_path, DEADLINE).decide(tomorrow())

    submitted, decision = EVENING + 12 * HOUR, record.decision
    assert decision.deadline == submitted + 6 * HOUR
    assert decision.latest_safe_start == submitted + 2 * HOUR
    assert record.job.deadline == decision.deadline
    assert max(each.start for each in record.candidates) == decision.latest_safe_start


def test_a_policys_deadline_bounds_a_question(tmp_path):
    given = answer(decider(tmp_path, DEADLINE), ASKED)

    assert given.decision.deadline == EVENING + 18 * HOUR


def test_a_decision_under_a_policys_deadline_is_made_again_to_the_byte(tmp_path):
    made = decider(tmp_path, DEADLINE)
    record = made.decide(tomorrow())

    assert canonical(decide_again(record, made.policies)) == canonical(record.decision)


WORKLOAD = """
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: nightly-enrichment, owners: [sre@example.com]}
spec:
  kind: batch
  urgency: deferrable
  team: catalog
  homeRegion: us-west-1
  allowedRegions: [us-west-1, eu-north-1]
  dataClass: public
  containsPersonalData: false
  duration: 2h
  energyKwh: 1
  deadline: {within: 12h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 5%}
"""


@pytest.mark.parametrize(
    ("target", "triggered", "regions"),
    [
        ("", False, {"us-west-1", "eu-north-1"}),
        ("", True, {"us-west-1"}),
        ("  target: local-process\n", False, {"us-west-1"}),
    ],
    ids=["planned", "held without a target", "local target"],
)
def test_a_run_that_starts_where_it_waits_is_offered_no_other_place(
    tmp_path, target, triggered, regions
):
    record = decider(tmp_path, WORKLOAD + target).decide(tomorrow(triggered=triggered))

    assert {each.region for each in record.candidates} == regions
