"""What each strategy promises, for any candidates: figures missing, at the bound, and all alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.pipeline.policies import policy_sources
from greenops.plan.choice import choose
from greenops.policy import compile_policies

TEMPLATES = Path(__file__).parents[3] / "policies" / "templates"
NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


GREEDY = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: greedy, owners: [a@example.com]}
spec:
  match: [{name: all, expression: 'true'}]
  objectives: [{name: cleaner, when: candidate.carbon_g < baseline.carbon_g, minimize: candidate.carbon_g}]
"""
"""A policy that moves whatever it may: a guardrail alone moves nothing, so it is tried beside this one."""


@cache
def read(name):
    sources = policy_sources(TEMPLATES / f"{name}.yaml")
    return compile_policies([*sources, ("greedy.yaml", GREEDY)] if name == "residency" else sources)


def some(*values):
    return st.sampled_from([*values, None])


def ways(ids):
    return st.builds(
        lambda name, hours, **figures: Candidate(
            name, start=NOW + hours * HOUR, end=NOW + (hours + 1) * HOUR, **figures
        ),
        name=ids,
        hours=st.sampled_from([0, 1, 6, 7, 8, 30]),
        region=some("eu-central-1", "eu-north-1"),
        location=some("EU", "US"),
        pool=some("ondemand", "spot"),
        intensity=some(50.0, 199.9, 200.0, 400.0, 400.1, 900.0),
        carbon_g=some(10.0, 90.0, 100.0, 120.0),
        cost_usd=some(0.5, 1.0, 1.1, 1.1001),
        p95_ms=some(80.0, 100.0, 120.0, 120.1, 251.0),
    )


BASELINES = ways(st.just("now"))
OTHERS = st.lists(ways(st.sampled_from("abcdefgh")), max_size=6, unique_by=lambda each: each.id)
ANY = settings(max_examples=150, deadline=None, derandomize=True)


def chosen(template, base, others, *, name="w", kind=WorkloadKind.BATCH):
    """The way that the template's policies and the planner take."""
    policies = read(template)
    team = "template-" + template
    urgency = Urgency.DEFERRABLE if kind is WorkloadKind.BATCH else Urgency.INTERACTIVE
    workload = Workload(name, kind, urgency, "eu-central-1", team=team, duration_s=3600.0)
    job = Job(f"{name}/1", workload, NOW)
    said = policies.judge(job, base, others, NOW)
    assert said.policies
    return choose(job, base, others, said, NOW).chosen


@pytest.mark.feature("C2")
@ANY
@given(base=BASELINES, others=OTHERS)
def test_cleaner_within_moves_only_to_less_carbon_for_at_most_a_tenth_more(base, others):
    way = chosen("cleaner-within", base, others)

    assert way is base or (
        way.carbon_g < base.carbon_g and way.cost_usd <= base.cost_usd * (1 + 0.10)
    )


@pytest.mark.feature("C3")
@ANY
@given(base=BASELINES, others=OTHERS)
def test_cheaper_unless_never_moves_above_the_line_nor_to_more_money_below_it(base, others):
    way = chosen("cheaper-unless", base, others)

    assert way is base or (
        way.intensity <= 400 and (way.cost_usd < (base.cost_usd or 0) or base.intensity > 400)
    )


@pytest.mark.feature("B11")
@ANY
@given(base=BASELINES, others=OTHERS)
def test_the_threshold_moves_only_below_the_line_and_never_past_the_deadline(base, others):
    way = chosen("threshold", base, others)

    assert way is base or (way.intensity < 200 <= base.intensity and way.end <= NOW + 8 * HOUR)


@pytest.mark.feature("C8")
@ANY
@given(base=BASELINES, others=OTHERS)
def test_what_is_pinned_moves_neither_in_place_nor_in_time(base, others):
    way = chosen("pinning", base, others, name="template-pinned")

    assert way is base or (way.region, way.start, way.pool) == (base.region, base.start, base.pool)


@pytest.mark.feature("C9")
@ANY
@given(base=BASELINES, others=OTHERS)
def test_regulated_data_never_moves_outside(base, others):
    way = chosen("residency", base, others)

    assert way is base or way.location == "EU"


def test_regulated_data_moves_within_the_approved_locations():
    base, north, us = (
        Candidate(name, location=where, region=name, start=NOW, carbon_g=carbon, cost_usd=1.0)
        for name, where, carbon in (("now", "EU", 100.0), ("north", "EU", 50.0), ("us", "US", 10.0))
    )

    assert chosen("residency", base, [north, us]) is north


@ANY
@given(base=BASELINES, others=OTHERS)
def test_the_guard_of_the_p95_never_takes_a_slower_way_than_it_says(base, others):
    way = chosen("p95-guard", base, others, name="template-p95-guard", kind=WorkloadKind.INFERENCE)

    assert way is base or way.p95_ms <= min(250, base.p95_ms * (1 + 0.20))


@pytest.mark.feature("F3")
@ANY
@given(base=BASELINES, others=OTHERS)
def test_a_result_without_a_class_is_never_moved_beyond_the_shortest_age(base, others):
    way = chosen("freshness", base, others)

    assert way is base or way.end - NOW <= HOUR


AGES = {"hourly": HOUR, "daily": 24 * HOUR, "weekly": 168 * HOUR, "yearly": HOUR, None: HOUR}
"""Class → oldest that a result may get; of a class that is not listed, the shortest."""


@pytest.mark.feature("F3")
@ANY
@given(of=st.sampled_from(list(AGES)), hours=st.lists(st.integers(0, 400), max_size=6, unique=True))
def test_an_age_above_the_limit_of_its_class_is_refused_and_never_chosen(of, hours):
    base = Candidate("now", start=NOW, end=NOW + HOUR, carbon_g=100.0, cost_usd=1.0)
    others = [
        replace(base, id=str(each), end=NOW + each * HOUR, carbon_g=90.0 - each / 10)
        for each in hours
    ]
    labels = {"freshness": of} if of else {}
    workload = Workload(
        *("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu"),
        team="template-freshness",
        labels=labels,
    )
    job = Job("w/1", workload, NOW)

    said = read("freshness").judge(job, base, others, NOW)

    for verdict, way in zip(said.verdicts[1:], others, strict=True):
        assert verdict.allowed == (way.end - NOW <= AGES[of])
        assert verdict.reasons == (() if verdict.allowed else ("fresh-enough",))
    assert choose(job, base, others, said, NOW).chosen.end - NOW <= AGES[of]


@pytest.mark.feature("C8")
@pytest.mark.parametrize("urgency", list(Urgency))
def test_what_is_pinned_stays_under_failover_unless_its_policy_says_otherwise(urgency):
    full = Candidate(
        "now",
        "eu",
        pool="spot",
        start=NOW,
        end=NOW + HOUR,
        carbon_g=9.0,
        cost_usd=1.0,
        capacity_free=0.0,
    )
    away = replace(full, id="away", region="us", carbon_g=1.0, capacity_free=100.0)
    job = Job("w/1", Workload("template-pinned", WorkloadKind.INFERENCE, urgency, "eu"), NOW)
    (text,) = (text for _, text in policy_sources(TEMPLATES / "pinning.yaml"))
    freed = text.replace("waive: [same-pool]", "waive: [same-region]").replace("2100-11", "2026-11")
    freed = freed.replace('job.urgency == "break-glass"', "'true'")
    level = "- name: same-region\n    level: "

    def place(rules):
        said = compile_policies([("p.yaml", rules)]).judge(job, full, [away], NOW)
        return choose(job, full, [away], said, NOW).chosen.id

    assert place(text) == "now"
    assert place(freed.replace(level + "hard", level + "soft")) == "away"


def tiers(ids):
    return st.builds(
        lambda name, **figures: Candidate(name, "eu", start=NOW, end=NOW + HOUR, **figures),
        name=ids,
        tier=some("large", "small"),
        quality=some(0.5),
        quality_low=some(0.47, 0.48, 0.5),
        intensity=some(50.0, 400.0, 400.1, 900.0),
        carbon_g=some(10.0, 90.0, 100.0),
        cost_usd=some(0.5, 1.0),
    )


@pytest.mark.feature("M1")
@ANY
@given(
    plan=st.sampled_from(["eco", "protected", "other", None]),
    base=tiers(st.just("now")),
    others=st.lists(tiers(st.sampled_from("abcdef")), max_size=5, unique_by=lambda each: each.id),
)
def test_only_the_eco_plan_is_degraded_and_only_above_the_line_within_its_contract(
    plan, base, others
):
    labels = {"plan": plan} if plan else {}
    workload = Workload(
        *("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu"),
        team="template-two-tier",
        labels=labels,
    )
    job = Job("w/1", workload, NOW)

    said = read("two-tier").judge(job, base, others, NOW)
    way = choose(job, base, others, said, NOW).chosen

    if way is not base and way.tier != base.tier:
        assert plan == "eco"
        assert base.intensity > 400
        assert way.quality_low >= base.quality - 0.02
