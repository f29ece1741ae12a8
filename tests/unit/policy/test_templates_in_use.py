"""The templates as a team uses them: copied, with a budget that is spent, and with a plan of a service."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from greenops.domain.budget import BudgetMode, BudgetState
from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency
from greenops.pipeline.policies import policy_sources, read_policies
from greenops.pipeline.policy_tests import run_tests
from greenops.plan.choice import choose
from greenops.policy import compile_policies
from greenops.policy.budget_rules import under
from greenops.policy.compile import looked_at

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "policies"
TEMPLATES = sorted((FOLDER / "templates").rglob("*.yaml"))
PAGE = ROOT / "docs" / "reference" / "policy-templates.md"
NOW = datetime(2026, 11, 10, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTH_ENDS = datetime(2026, 11, 30, 23, tzinfo=UTC)


def copied(text: str) -> str:
    """A template as a team copies it: other names, teams and ids, nothing else."""
    names = re.findall(r"^metadata: \{name: ([a-z0-9-]+)", text, re.MULTILINE)
    own = text.replace("template-", "ours-").replace("EXC-TEMPLATE", "EXC-OURS")
    for name in {each for each in names if not each.startswith("template-")}:
        for old in (f"{{name: {name},", f"harden: [{name}/", f"{{{name}: {{"):
            own = own.replace(old, old.replace(name, f"our-{name}"))
    return own


@pytest.mark.slow
def test_copies_of_all_templates_hold_beside_all_that_is_shipped():
    copies = [(f"ours/{path.stem}.yaml", copied(path.read_text())) for path in TEMPLATES]
    sources = [*policy_sources(FOLDER), *copies]

    policies, problems = looked_at(sources)
    assert [str(each) for each in problems] == []
    tests = tuple(each for each in policies.tests if str(each.source).startswith("ours/"))
    results = run_tests(replace(policies, tests=tests))
    assert [(each.test.name, each.failures) for each in results if not each.passed] == []
    assert len(results) == sum(path.read_text().count("\n  expect:") for path in TEMPLATES)


@cache
def budget_file():
    policies = read_policies(FOLDER / "templates" / "budget.yaml")
    return replace(
        policies,
        budgets=tuple(replace(each, mode=BudgetMode.ENFORCE) for each in policies.budgets),
    )


def place(name, start=NOW, intensity=400.0, carbon=100.0, cost=1.0):
    return Candidate(
        name,
        region="eu-central-1",
        start=start,
        end=start + 2 * HOUR,
        intensity=intensity,
        carbon_g=carbon,
        cost_usd=cost,
    )


def decided(share, *candidates, policies=None, **changed):
    """Id of the choice once a share of the month's budget is spent."""
    policies = policies or budget_file()
    state = BudgetState("template-budget", MONTH_ENDS - 30 * 24 * HOUR, MONTH_ENDS, share=share)
    workload = replace(policies.workloads["template-budget"], **changed)
    job = Job("template-budget/1", workload, NOW)
    said = under(policies, [state]).judge(job, place("now"), candidates, NOW)
    return choose(
        replace(job, deadline=said.deadline), place("now"), candidates, said, NOW
    ).chosen.id


LATER = place("later", NOW + 5 * HOUR, intensity=350.0, carbon=60.0, cost=1.05)
CLEAN = place("clean", NOW + 9 * HOUR, intensity=300.0, carbon=70.0)
NEXT_MONTH = place("next-month", MONTH_ENDS, intensity=300.0, carbon=94.0)


@pytest.mark.feature("C12")
def test_below_four_fifths_the_budget_changes_nothing():
    assert decided(0.79, LATER, CLEAN, NEXT_MONTH) == "later"


@pytest.mark.feature("C12")
def test_from_four_fifths_on_the_line_is_lower_and_nothing_may_cost_more():
    assert decided(0.8, LATER, CLEAN, NEXT_MONTH) == "clean"


@pytest.mark.feature("C12")
def test_a_spent_budget_makes_flexible_work_wait_for_the_next_month():
    assert decided(1.0, LATER, CLEAN, NEXT_MONTH) == "next-month"


@pytest.mark.feature("C12")
def test_a_spent_budget_that_a_deadline_does_not_allow_to_wait_lets_the_work_run():
    limits = replace(
        budget_file().workloads["template-budget"].limits, deadline_within=timedelta(hours=24)
    )

    assert decided(1.0, LATER, CLEAN, NEXT_MONTH, limits=limits) == "now"


@pytest.mark.feature("C12")
@pytest.mark.parametrize("urgency", [Urgency.STANDARD, Urgency.BREAK_GLASS])
def test_a_spent_budget_does_not_make_other_work_wait(urgency):
    assert decided(1.0, LATER, CLEAN, NEXT_MONTH, urgency=urgency) == "clean"


def test_a_budget_that_audits_changes_nothing():
    shipped = read_policies(FOLDER / "templates" / "budget.yaml")

    assert decided(1.0, LATER, CLEAN, NEXT_MONTH, policies=shipped) == "later"


def test_every_template_has_its_row_on_the_page_and_every_row_its_template():
    rows = set(re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(), re.MULTILINE))

    assert rows == {each.stem for each in TEMPLATES}


@cache
def plan():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return compile_policies([("page.yaml", block)])


def tier(name, kind, carbon, **figures):
    return Candidate(name, region="eu-central-1", tier=kind, start=NOW, carbon_g=carbon, **figures)


def answered(intensity, *candidates):
    """(id of the choice, candidate → what refused it) under the service plan of the page."""
    job = Job("recommendations/1", plan().workloads["recommendations"], NOW)
    base = tier("now", "full", 100.0, quality=0.5, p95_ms=100.0, intensity=intensity)
    said = plan().judge(job, base, candidates, NOW)
    made = choose(job, base, candidates, said, NOW)
    return made.chosen.id, {name: set(rules) for name, rules in made.rejected.items()}


@pytest.mark.feature("M1")
def test_the_plan_of_the_page_uses_the_smaller_tier_at_the_peak_within_what_it_may_lose():
    chosen, refused = answered(
        400.1,
        tier("at-bounds", "small", 50.0, quality_low=0.49, p95_ms=110.0),
        tier("worse", "small", 10.0, quality_low=0.489, p95_ms=90.0),
        tier("slow", "small", 10.0, quality_low=0.5, p95_ms=111.0),
        tier("not-certified", "small", 10.0, p95_ms=90.0),
        tier("not-named", "tiny", 10.0, quality_low=0.5, p95_ms=90.0),
    )

    assert chosen == "at-bounds"
    assert refused == {
        "worse": {"plan/certified"},
        "slow": {"plan/p95"},
        "not-certified": {"plan/certified"},
        "not-named": {"plan/tier"},
    }


@pytest.mark.feature("M1")
def test_the_plan_of_the_page_degrades_nothing_at_the_line():
    chosen, refused = answered(400.0, tier("small", "small", 50.0, quality_low=0.5, p95_ms=90.0))

    assert chosen == "now"
    assert refused == {"small": {"smaller-only-at-the-peak"}}
