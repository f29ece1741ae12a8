"""Replays of rules with budgets: each decision is judged under the stages that held when it was made."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenops.adapters.lake_packing import Packer
from greenops.adapters.parquet_lake import DECISIONS, ParquetLake
from greenops.cli.policy_replay_text import markdown, table
from greenops.domain.budget import BudgetState
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.pipeline.decide import decide_again
from greenops.pipeline.policy_replay import Replayer, Side
from greenops.pipeline.policy_replay_report import compare
from greenops.pipeline.policy_replay_sweep import sweep
from greenops.plan.choice import choose
from greenops.policy import compile_policies
from greenops.policy.budget_rules import under
from greenops.policy.budget_state import period

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: [data@example.com]}
spec:
  match: [{name: batch, expression: job.kind == "batch"}]
  params: {most: 9.0}
  limits: {maxCost: {increase: 50%}}
  constraints:
  - {name: dear, level: soft, expression: candidate.cost_usd <= params.most}
  objectives: [{name: less-carbon, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
---
apiVersion: greenops.dev/v1alpha1
kind: Budget
metadata: {name: ml, owners: [ml@example.com]}
spec:
  period: {every: day, timeZone: Europe/Paris}
  limit: {carbonG: 1000}
  mode: enforce
  actions:
  - {at: 50%, do: warn}
  - {at: 80%, do: tighten, limits: {maxCost: {increase: 10%}}}
  - {at: 90%, do: tighten, params: {cleaner: {most: 1.04}}}
  - {at: 100%, do: block, urgencies: [best-effort]}
"""
LOOSER = RULES.replace("increase: 10%", "increase: 25%")
SHARES = (None, 0.3, 0.5, 0.8, 0.95, 1.2)


def policies(text=RULES):
    return compile_policies([("rules.yaml", text)])


def place(name, carbon, cost, start):
    return Candidate(
        name, region="eu", start=start, end=start + HOUR, carbon_g=carbon, cost_usd=cost
    )


def decided(lake, share, name="etl", now=NOON, urgency=Urgency.DEFERRABLE, ways=None, rules=None):
    """A decision of the rules with a share of the budget spent, kept with what was in force."""
    rules = policies() if rules is None else rules
    budget = rules.budgets[0]
    begins, ends = period(budget.every, budget.time_zone, now)
    in_force = under(rules, [BudgetState("ml", begins, ends, share=share)])
    workload = Workload(name, WorkloadKind.BATCH, urgency, "eu")
    baseline, *others = ways or (
        place("now", 100.0, 1.0, now),
        place("cheap", 80.0, 1.02, now + HOUR),
        place("near", 60.0, 1.08, now + 2 * HOUR),
        place("fair", 50.0, 1.2, now + 3 * HOUR),
        place("far", 40.0, 1.4, now + 13 * HOUR),
    )
    job = Job(f"{name}/{now:%H%M%S}", workload, now)
    judgement = in_force.judge(job, baseline, others, now)
    job = replace(job, deadline=judgement.deadline)
    made = choose(job, baseline, others, judgement, now)
    record = DecisionRecord(
        made, (baseline, *others), judgement.verdicts, dict(in_force.documents), job=job
    )
    lake.write_decision(record)
    return record


@pytest.fixture
def lake(tmp_path):
    return ParquetLake(tmp_path)


def replayed(folder, after, before=None):
    return compare(Replayer(folder, (Side("before", before), Side("after", after))))


def choices(folder, rules):
    """Decision → id of the candidate that the columns choose."""
    replayer = Replayer(folder, (Side("rules", rules),))
    found = {}
    for batch, _, (chosen,) in replayer.batches():
        ids = batch.source.column("id").take(pa.array(chosen.rows)).to_pylist()
        found |= dict(zip(batch.decisions.column("id").to_pylist(), ids, strict=True))
    assert replayer.checks.mismatches == {}
    return found


def test_the_rules_that_decided_change_nothing_whatever_was_spent(lake, tmp_path):
    made = [
        decided(lake, share, f"w{at}", urgency=urgency)
        for at, share in enumerate(SHARES)
        for urgency in (Urgency.DEFERRABLE, Urgency.BEST_EFFORT)
    ]

    report = replayed(tmp_path, policies())

    assert report.total.changed == 0
    assert report.differ == {}
    assert {each.decision.chosen.id for each in made} == {"far", "near", "cheap", "now"}


def test_a_looser_stage_changes_those_alone_that_were_made_under_it(lake, tmp_path):
    for at, share in enumerate((0.3, 0.8, 0.8, 0.95)):
        decided(lake, share, f"w{at}")

    report = replayed(tmp_path, policies(LOOSER))

    assert {e.name: e.changed for e in report.by["workload"]} == {
        "w0": 0,
        "w1": 1,
        "w2": 1,
        "w3": 0,
    }
    assert report.total.carbon_g.change == pytest.approx(2 * (50 - 60))
    assert report.differ == {}
    assert replayed(tmp_path, policies(LOOSER), policies()).total.changed == 2


def test_a_new_stage_holds_where_the_record_has_a_higher_one(lake, tmp_path):
    rules = policies(RULES.replace("at: 80%", "at: 60%"))
    decided(lake, 0.8, "reached")
    decided(lake, 0.3, "unspent")

    assert set(choices(tmp_path, rules).values()) == {"near", "far"}


def test_work_that_waits_for_the_next_period_waits_for_the_one_of_its_own_day(lake, tmp_path):
    # Midnight in Paris is 23:00 UTC: the day of the lake holds two days of the budget.
    late = NOON.replace(hour=23, minute=30)
    before = decided(lake, 1.0, "before", NOON, Urgency.BEST_EFFORT)
    after = decided(lake, 1.0, "after", late, Urgency.BEST_EFFORT)

    found = choices(tmp_path, policies())

    assert found == {each.decision.id: each.decision.chosen.id for each in (before, after)}
    report = replayed(tmp_path, policies(), policies(RULES.replace("best-effort", "deferrable")))
    assert report.differ == {}


def test_who_answers_for_a_budget_owns_what_its_block_ruled(lake, tmp_path):
    rules = policies(
        RULES.split("---")[1]
        .replace("increase: 10%", "increase: 90%")
        .replace("  - {at: 90%, do: tighten, params: {cleaner: {most: 1.04}}}\n", "")
    )
    decided(lake, 1.0, "late", urgency=Urgency.BEST_EFFORT, rules=rules)

    report = replayed(tmp_path, rules)

    assert [each.name for each in report.by["owner"]] == ["ml@example.com"]


def test_rows_and_columns_agree_on_random_decisions_at_random_stages(lake, tmp_path):
    draw = random.Random(7)
    records = []
    for at in range(120):
        now = NOON + timedelta(minutes=draw.randrange(0, 36 * 60))
        starts = [now + draw.randrange(0, 30) * HOUR for _ in range(6)]
        ways = [place("now", 100.0, 1.0, now)] + [
            place(
                f"c{n}",
                draw.choice([40.0, 60.0, 80.0, 120.0, None]),
                draw.choice([0.9, 1.02, 1.08, 1.2, 1.4]),
                start,
            )
            for n, start in enumerate(starts)
        ]
        urgency = draw.choice([Urgency.DEFERRABLE, Urgency.BEST_EFFORT])
        records.append(decided(lake, draw.choice(SHARES), f"w{at}", now, urgency, ways))

    for text in (
        RULES,
        LOOSER,
        RULES.replace("at: 80%", "at: 45%"),
        RULES.replace("best-effort", "deferrable"),
    ):
        rules = policies(text)

        wanted = {e.decision.id: decide_again(e, rules).chosen.id for e in records}

        assert choices(tmp_path, rules) == wanted


def test_the_head_says_that_stages_are_taken_as_they_were(lake, tmp_path):
    decided(lake, 0.8, "one")
    decided(lake, 0.1, "two")

    report = replayed(tmp_path, policies(LOOSER))

    said = (
        "budget stages as they were recorded, 1 decision under one: a changed spend does not change"
        " them, and a budget that was not kept then counts as unspent"
    )
    assert report.assumed == (said,)
    assert said in table(report)
    assert said in markdown(report)


def test_rules_whose_budgets_bind_nothing_assume_nothing(lake, tmp_path):
    decided(lake, 0.8)

    for text in (
        RULES.split("---", maxsplit=1)[0],
        RULES.replace("mode: enforce\n  actions", "mode: audit\n  actions"),
    ):
        assert replayed(tmp_path, policies(text)).assumed == ()


def test_a_sweep_takes_stages_as_they_were(lake, tmp_path):
    decided(lake, 0.8, "one")

    found = sweep(tmp_path, [("rules.yaml", RULES)], "cleaner", "limits.maxCost.increase", [0, 50])

    assert [each.changed for each in found.points] == [1, 0]
    assert "as they were recorded, 1 decision under one" in found.assumed[0]


def rewritten(folder, *, without):
    """Files of an earlier version: without some columns."""
    for path in folder.glob("v1/decisions/day=*/*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(without), path)


def test_a_file_without_the_column_tells_its_stages_in_the_record(lake, tmp_path):
    decided(lake, 0.8, "one")
    before = choices(tmp_path, policies(LOOSER))

    rewritten(tmp_path, without=["stages"])

    assert choices(tmp_path, policies(LOOSER)) == before
    assert set(before.values()) == {"fair"}


def test_a_packed_file_without_the_column_does_too(lake, tmp_path):
    decided(lake, 0.8, "one")
    rewritten(tmp_path, without=["stages"])
    decided(lake, 0.3, "two")
    before = choices(tmp_path, policies(LOOSER))

    packed = Packer(tmp_path, {"decisions": DECISIONS}).pack(NOON.date() + timedelta(days=2))

    assert packed.files
    assert choices(tmp_path, policies(LOOSER)) == before
    assert set(before.values()) == {"fair", "far"}


def test_decisions_that_tell_no_stage_are_counted(lake, tmp_path):
    decided(lake, 0.8)
    rewritten(tmp_path, without=["stages", "record"])

    report = replayed(tmp_path, policies())

    assert report.total.changed == 1
    assert report.assumed[1] == "no stages are told by 1 of the decisions: judged as if none held"


@pytest.mark.parametrize("name", ["budget/ml/all", "budget/ml/", "budget/ml/1e", "budget/ml/-8/x"])
def test_a_record_that_names_no_share_was_made_under_no_stage(lake, tmp_path, name):
    record = decided(lake, 0.3)
    odd = replace(record, policies={**record.policies, name: "{}"})

    assert decide_again(odd, policies()) == record.decision


def test_the_lake_keeps_the_names_of_stages_alone(lake, tmp_path):
    record = decided(lake, 0.95)

    (path,) = tmp_path.glob("v1/decisions/day=*/*.parquet")
    (kept,) = pq.read_table(path).column("stages").to_pylist()

    assert json.loads(kept) == ["budget/ml/80", "budget/ml/90/cleaner/params"]
    assert "budget/ml" in record.policies
