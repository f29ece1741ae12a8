"""Budgets, targets and service plans as files: what is read, and what a slip is told to be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenops.domain.budget import (
    Block,
    BudgetMode,
    Every,
    Measure,
    Tighten,
    Warn,
    WorkScope,
)
from greenops.domain.decision import Mode
from greenops.domain.workload import Limits, Urgency
from greenops.policy import compile_policies, lint

HEAD = "apiVersion: greenops.dev/v1alpha1\n"
OTHERS = (
    HEAD
    + """kind: Workload
metadata: {name: etl}
spec:
  {kind: batch, team: data, urgency: best-effort, homeRegion: eu, deadline: {within: 8h},
   maxCost: {increase: 10%}, maxCarbon: {reduction: 15%}}
---
"""
    + HEAD
    + """kind: Workload
metadata: {name: search}
spec: {kind: inference, homeRegion: eu}
---
"""
    + HEAD
    + """kind: PlacementPolicy
metadata: {name: rule, owners: [a@example.com]}
spec:
  match: [{name: all, expression: job.kind == "batch"}]
  params: {most: 10.0, idle: 1.0}
  constraints:
  - {name: cheap, level: soft, expression: candidate.cost_usd < params.most}
  - {name: near, expression: candidate.region == "eu"}
  objectives: [{name: o, minimize: candidate.cost_usd * params.idle}]
"""
)
BUDGET = (
    HEAD
    + """kind: Budget
metadata: {name: data, owners: [finops@example.com]}
spec:
  scope: {teams: [data], workloads: [etl]}
  period: {every: month, timeZone: Europe/Paris}
  limit: {carbonG: 500000, costUsd: 1200}
  mode: enforce
  actions:
  - {at: 100%, do: block, urgencies: [best-effort]}
  - {at: 50%, do: warn}
  - {at: 80%, do: tighten, limits: {maxCost: {increase: 0%}}, harden: [rule/cheap], params: {rule: {most: 5}}}
"""
)
TARGET = (
    HEAD
    + """kind: Target
metadata: {name: data-2027, owners: [cso@example.com]}
spec:
  scope: {teams: [data]}
  measure: carbon
  reduction: 30%
  baseline: {from: "2026-01-01T00:00:00Z", to: "2026-07-01T00:00:00Z"}
  by: "2027-12-31T00:00:00Z"
"""
)
PLAN = (
    HEAD
    + """kind: ServicePlan
metadata: {name: search, owners: [search@example.com]}
spec:
  workload: search
  tiers:
  - {name: int8, maxLoss: 1%}
  - {name: full}
  maxP95Increase: 2%
  enforcement: {mode: enforce}
"""
)


def compiled(text):
    return compile_policies([("others.yaml", OTHERS), ("p.yaml", text)])


def problems(text):
    return [str(each) for each in lint([("others.yaml", OTHERS), ("p.yaml", text)])]


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


def test_a_budget_is_read_with_its_stages_by_rising_share():
    (budget,) = compiled(BUDGET).budgets

    assert budget.scope == WorkScope(("data",), ("etl",))
    assert (budget.every, budget.time_zone) == (Every.MONTH, "Europe/Paris")
    assert (budget.carbon_g, budget.cost_usd) == (500_000.0, 1200.0)
    assert budget.mode is BudgetMode.ENFORCE
    assert [(each.at, type(each.action)) for each in budget.stages] == [
        (0.5, Warn),
        (0.8, Tighten),
        (1.0, Block),
    ]
    assert budget.stages[1].action == Tighten(
        Limits(max_cost_increase=0.0), (("rule", "cheap"),), ("rule",)
    )
    assert budget.stages[2].action == Block((Urgency.BEST_EFFORT,))


def test_a_budget_audits_for_all_work_unless_it_says_otherwise():
    text = changed(BUDGET, "  scope: {teams: [data], workloads: [etl]}\n", "")

    (budget,) = compiled(changed(text, "  mode: enforce\n", "")).budgets

    assert budget.mode is BudgetMode.AUDIT
    assert budget.scope.holds(None, None)


def test_a_target_is_read():
    (target,) = compiled(TARGET).targets

    assert (target.measure, target.reduction) == (Measure.CARBON, 0.3)
    assert target.begins == datetime(2026, 1, 1, tzinfo=UTC)
    assert target.ends == datetime(2026, 7, 1, tzinfo=UTC)
    assert target.by == datetime(2027, 12, 31, tzinfo=UTC)


def test_a_service_plan_is_a_policy_of_its_workload():
    made = compiled(PLAN)

    (plan,) = [each for each in made.policies if each.name == "plan/search"]
    assert plan.mode is Mode.ENFORCE
    assert [each.name for each in plan.constraints] == ["plan/tier", "plan/certified", "plan/p95"]
    assert plan in made.matching(made.workloads["search"])
    assert plan not in made.matching(made.workloads["etl"])


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (BUDGET, "500000", "400000"),
        (BUDGET, "{most: 5}", "{most: 6}"),
        (BUDGET, "at: 50%", "at: 60%"),
        (BUDGET, "mode: enforce", "mode: audit"),
        (TARGET, "30%", "40%"),
        (PLAN, "maxLoss: 1%", "maxLoss: 2%"),
    ],
)
def test_every_number_of_a_document_is_in_the_hash_and_its_form_is_not(text, old, new):
    there = compiled(text).hash

    assert compiled(changed(text, old, new)).hash != there
    assert compiled(f"# a remark\n{text}\n\n").hash == there


B, T, P = BUDGET, TARGET, PLAN


@pytest.mark.parametrize(
    ("text", "old", "new", "says"),
    [
        (B, "owners:", "owner:", "GO0111 p.yaml:3:11: `metadata.owners` is missing"),
        (B, "spec:", "spek:", "GO0111 p.yaml:1:1: `spec` is missing"),
        (
            B,
            "kind: Budget",
            "kind: Bugdet",
            "GO0113 p.yaml:2:7: unknown kind `Bugdet`; did you mean",
        ),
        (B, "mode: enforce", "mode: shadow", "GO0113 p.yaml:8:9: unknown `spec.mode` `shadow`"),
        (B, "mode: enforce", "mod: enforce", "GO0110 p.yaml:8:3: unknown key in `spec` `mod`"),
        (
            B,
            "[data]",
            "[dta]",
            "GO0115 p.yaml:5:19: unknown team of a workload `dta`; did you mean",
        ),
        (B, "[etl]", "[elt]", "GO0115 p.yaml:5:38: unknown workload `elt`; did you mean `etl`?"),
        (B, "{teams: [data], workloads: [etl]}", "{}", "GO0111 p.yaml:5:10: `spec.scope` is empty"),
        (B, "teams: [data]", "teams: []", "GO0111 p.yaml:5:18: `spec.scope.teams` is empty"),
        (
            B,
            "teams: [data]",
            "team: data",
            "GO0110 p.yaml:5:11: unknown key in `spec.scope` `team`",
        ),
        (B, "every: month", "every: fortnight", "GO0113 p.yaml:6:19: unknown `spec.period.every`"),
        (B, "every: month, ", "", "GO0111 p.yaml:6:11: `spec.period.every` is missing"),
        (
            B,
            "Europe/Paris",
            "Mars/Base",
            "GO0112 p.yaml:6:36: `spec.period.timeZone` is `Mars/Base`",
        ),
        (B, "carbonG: 500000", "carbonG: 500 kg", "GO0112 p.yaml:7:20: `spec.limit.carbonG`"),
        (B, "carbonG: 500000", "carbonG: 0", "write a number above 0"),
        (
            B,
            "carbonG: 500000, costUsd: 1200",
            "",
            "GO0111 p.yaml:7:10: `spec.limit` is empty; give",
        ),
        (
            B,
            "carbonG",
            "carbonKg",
            "unknown key in `spec.limit` `carbonKg`; did you mean `carbonG`?",
        ),
        (
            B,
            "at: 50%",
            "at: 50",
            "GO0112 p.yaml:11:10: `spec.actions[1].at` is `50`; write a percent",
        ),
        (B, "at: 50%, ", "", "GO0111 p.yaml:11:5: `spec.actions[1].at` is missing"),
        (B, "at: 50%", "at: 0%", "write a share of the budget, such as `80%`, above 0"),
        (B, "at: 50%", "at: 80%", "two actions stand at 80%; put what happens there in one"),
        (B, "do: warn", "do: shout", "GO0113 p.yaml:11:19: unknown `spec.actions[1].do` `shout`"),
        (B, "do: warn", "do: warn, urgencies: [x]", "GO0110 p.yaml:11:25: unknown key in"),
        (B, ", urgencies: [best-effort]", "", "GO0111 p.yaml:10:5: `spec.actions[0].urgencies` is"),
        (B, "[best-effort]", "[interactive]", "GO0121 p.yaml:10:39: `interactive` work is never"),
        (B, "[best-effort]", "[break-glass]", "GO0121 p.yaml:10:39: `break-glass` work is never"),
        (B, "[best-effort]", "[lazy]", "GO0113 p.yaml:10:39: unknown `spec.actions[0].urgencies`"),
        (B, "rule/cheap", "rule/chaep", "GO0115 p.yaml:12:72: unknown soft or advisory constraint"),
        (
            B,
            "rule/cheap",
            "rule/near",
            "GO0112 p.yaml:12:72: `rule/near` is hard already; remove it",
        ),
        (B, "rule/cheap", "rool/cheap", "unknown policy `rool`; known: rule"),
        (
            B,
            "rule/cheap",
            "cheap",
            "`spec.actions[2].harden` has `cheap`; write `policy/constraint`",
        ),
        (
            B,
            "{rule: {most: 5}}",
            "{rool: {most: 5}}",
            "GO0115 p.yaml:12:94: unknown policy `rool`",
        ),
        (
            B,
            "{most: 5}",
            "{msot: 5}",
            "GO0125 p.yaml:12:101: policy `rule` has no parameter `msot`",
        ),
        (
            B,
            "{most: 5}",
            "{most: dear}",
            "parameter `most` is a text, not a number as at others.yaml",
        ),
        (B, "{most: 5}", "{most: 10}", "these parameters change no constraint of `rule`"),
        (B, "{most: 5}", "{idle: 5}", "these parameters change no constraint of `rule`"),
        (B, "{most: 5}", "{}", "`spec.actions[2].params.rule` is empty"),
        (
            B,
            "{maxCost: {increase: 0%}}",
            "{deadline: {within: 1h}}",
            "a budget sets no deadline; keep",
        ),
        (B, "{maxCost: {increase: 0%}}", "{}", "`spec.actions[2].limits` is empty"),
        (
            B,
            "limits: {maxCost: {increase: 0%}}, harden: [rule/cheap], params: {rule: {most: 5}}",
            "",
            "`spec.actions[2]` tightens nothing; give `limits`, `harden` or `params`",
        ),
        (B, B[B.index("  actions:") :], "", "GO0111 p.yaml:5:3: `spec.actions` is missing"),
        (
            B,
            B[B.index("  actions:") :],
            "  actions: []\n",
            "`spec.actions` is empty; write `{at: 100%",
        ),
        (B, "spec:", "tests: []\nspec:", "GO0110 p.yaml:4:1: unknown key `tests`"),
        (
            T,
            "reduction: 30%",
            "reduction: 0%",
            "GO0112 p.yaml:7:14: `spec.reduction` is `0%`; write",
        ),
        (T, "reduction: 30%", "reduction: 130%", "at most 100%"),
        (T, "  reduction: 30%\n", "", "GO0111 p.yaml:5:3: `spec.reduction` is missing"),
        (T, "measure: carbon", "measure: co2", "GO0113 p.yaml:6:12: unknown `spec.measure` `co2`"),
        (
            T,
            "2026-07-01T",
            "2025-07-01T",
            "the baseline period ends before it begins; write a later",
        ),
        (T, "2027-12-31T", "2026-06-30T", "due before its baseline period ends; write a later"),
        (
            T,
            '"2027-12-31T00:00:00Z"',
            "2027",
            "GO0112 p.yaml:9:7: `spec.by` is `2027`; write an instant",
        ),
        (T, "baseline:", "base:", "GO0110 p.yaml:8:3: unknown key in `spec` `base`; did you mean"),
        (
            P,
            "workload: search",
            "workload: serach",
            "GO0115 p.yaml:5:13: unknown workload `serach`",
        ),
        (
            P,
            "workload: search",
            "workload: etl",
            "`etl` is a batch workload, and has no tiers; name",
        ),
        (P, "{name: full}", "{name: int8}", "two tiers are named `int8`; names are unique"),
        (P, "{name: full}", "{name: full, maxLoss: 0%}", "every tier needs a certificate"),
        (P, "{name: full}", "{name: full, loss: 1%}", "GO0110 p.yaml:8:18: unknown key"),
        (
            P,
            "maxLoss: 1%",
            "maxLoss: 0.01",
            "GO0112 p.yaml:7:27: `spec.tiers[0].maxLoss` is `0.01`",
        ),
        (P, "mode: enforce", "mode: canary", "unknown `spec.enforcement.mode` `canary`"),
        (P, P[P.index("  - {name: int8") : P.index("  maxP95")], "", "`spec.tiers` is empty"),
    ],
)
def test_a_slip_is_one_line_with_its_place_and_what_to_do(text, old, new, says):
    found = problems(changed(text, old, new))

    assert any(says in each for each in found), found
    assert all("\n" not in each and "; " in each for each in found)
    assert all(each.split()[1].count(":") == 3 for each in found)


@pytest.mark.parametrize(("text", "kind"), [(BUDGET, "Budget"), (TARGET, "Target"), (PLAN, "Serv")])
def test_two_documents_of_one_kind_and_name_are_refused(text, kind):
    found = problems(f"{text}---\n{text}")

    assert any(each.startswith("GO0117") and f": {kind}" in each for each in found)


def test_two_plans_of_one_workload_are_refused():
    (found,) = problems(f"{PLAN}---\n" + changed(PLAN, "{name: search", "{name: other"))

    assert "`plan/search` and `plan/other` are both plans of one workload" in found


def test_what_names_a_faulty_document_is_not_told_a_second_time():
    faulty = OTHERS.replace("kind: batch", "kind: bach").replace("candidate.cost_usd <", "x <")
    texts = [("others.yaml", faulty), ("p.yaml", BUDGET)]

    assert {each.at.file for each in lint(texts) if each.at} == {"others.yaml"}
