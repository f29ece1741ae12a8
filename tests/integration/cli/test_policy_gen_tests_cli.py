"""`greenops policy gen-tests` over a lake: rows near each edge become tests that `policy test` takes."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.cli import policy_gen_tests
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.errors import DataMissing, InvalidFile, UsageError
from greenops.pipeline.policy_tests import run_tests
from greenops.plan.choice import choose
from greenops.policy import compile_policies

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
RULES = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: ["data@example.com"]}
spec:
  match: [{name: batch, expression: job.kind == "batch"}]
  limits: {deadline: {within: 6h}, maxCost: {increase: 10%}}
  constraints: [{name: clean, expression: candidate.carbon_g <= 70.0 || candidate.pool == "spot"}]
  objectives: [{name: less-carbon, when: candidate.carbon_g < baseline.carbon_g, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
"""
TESTED = """tests:
  - name: stays
    job: {name: j, kind: batch}
    baseline: {id: now}
    expect: {choose: now}
"""


def place(name, carbon, cost, hours):
    start = NOW + timedelta(hours=hours)
    end = start + timedelta(hours=1)
    return Candidate(name, region="eu", start=start, end=end, carbon_g=carbon, cost_usd=cost)


def record(lake, number, *others, kind=WorkloadKind.BATCH):
    rules = compile_policies([("rules.yaml", RULES)])
    workload = Workload(f"etl-{number}", kind, Urgency.DEFERRABLE, "eu", team="@data")
    baseline = place("baseline", 100.0, 1.0, 0)
    job = Job(f"etl-{number}/1", workload, NOW)
    judged = rules.judge(job, baseline, others, NOW)
    made = choose(replace(job, deadline=judged.deadline), baseline, others, judged, NOW)
    lake.write_decision(DecisionRecord(made, (baseline, *others), judged.verdicts, {}, job=job))


@pytest.fixture
def state(tmp_path):
    lake = ParquetLake(tmp_path / "state" / "lake")
    record(lake, 1, place("a", 69.0, 1.05, 2), place("b", 20.0, 1.3, 3), place("c", 71.0, 0.9, 4))
    record(lake, 2, place("d", 90.0, 1.11, 7), place("e", 99.0, 1.0, 5))
    record(lake, 3, place("f", 70.0, 1.1, 5), kind=WorkloadKind.INFERENCE)
    return tmp_path / "state"


@pytest.fixture
def rules(tmp_path):
    (tmp_path / "p.yaml").write_text(RULES)
    return tmp_path / "p.yaml"


def run(*argv):
    parser = argparse.ArgumentParser()
    policy_gen_tests.add_parser(parser.add_subparsers())
    args = parser.parse_args(["gen-tests", *map(str, argv)])
    return args.run(args)


def made(rules, state, capsys):
    assert run(rules, "--state", state) == 0
    text = capsys.readouterr().out
    return text, compile_policies([("p.yaml", text)])


def test_the_nearest_row_on_either_side_of_each_edge_becomes_a_test_that_holds(
    rules, state, capsys
):
    text, policies = made(rules, state, capsys)

    assert text.startswith(RULES)
    near = {each.name.split(":")[0]: [] for each in policies.tests}
    for each in policies.tests:
        near[each.name.split(":")[0]].append(each.candidates[0].id)
    assert near == {
        "limit/deadline": ["e", "d"],
        "limit/maxCost": ["a"],
        "clean": ["c"],
    }
    assert all(each.passed for each in run_tests(policies))


def test_the_figures_of_a_test_are_those_that_were_recorded(rules, state, capsys):
    _, policies = made(rules, state, capsys)

    test = next(each for each in policies.tests if each.candidates[0].id == "d")

    assert test.candidates[0] == place("d", 90.0, 1.11, 7)
    assert test.baseline == place("baseline", 100.0, 1.0, 0)
    assert (test.now, test.job.id, test.job.workload.team) == (NOW, "etl-2/1", "@data")
    assert test.rejected["d"] == ("limit/deadline", "limit/maxCost", "clean")


def test_a_run_that_the_policy_does_not_meet_gives_no_test(rules, state, capsys):
    _, policies = made(rules, state, capsys)

    assert not [each for each in policies.tests if each.job.workload.name == "etl-3"]


def test_the_same_lake_gives_the_same_tests(rules, state, capsys):
    assert made(rules, state, capsys)[0] == made(rules, state, capsys)[0]


def test_tests_are_put_after_those_that_are_there_with_their_indent(rules, state, capsys):
    rules.write_text(RULES + TESTED + "---\n" + RULES.replace("name: cleaner", "name: other"))

    assert run(rules, "--state", state, "--policy", "cleaner") == 0

    text = capsys.readouterr().out
    policies = compile_policies([("p.yaml", text)])
    assert policies.tests[0].name == "stays"
    assert len(policies.tests) == 5
    assert all(each.passed for each in run_tests(policies))
    assert text.count('\n  - name: "limit/deadline') == 2
    assert text.endswith(RULES.replace("name: cleaner", "name: other"))


def test_tests_in_brackets_are_left_alone(rules, state):
    rules.write_text(
        RULES
        + "tests: [{name: s, job: {name: j, kind: batch}, baseline: {id: now}, expect: {choose: now}}]\n"
    )

    with pytest.raises(InvalidFile, match=r"GO0169 .*:10:8: its `tests` are written in brackets"):
        run(rules, "--state", state)


def test_the_entries_alone_can_be_asked_for(rules, state, capsys):
    run(rules, "--state", state, "--only")

    printed = capsys.readouterr()
    assert printed.out.startswith(
        '- name: "limit/deadline: near an edge where it holds, etl-2/1"\n'
    )
    assert "tests made: 4; comparisons: 4" in printed.err


def test_an_edge_that_no_row_lies_beyond_is_told(rules, state, capsys):
    rules.write_text(RULES.replace("70.0 ||", "900.0 ||"))

    run(rules, "--state", state, "--only")

    assert "no recorded row: clean (does not hold)" in capsys.readouterr().err


def test_a_policy_without_figures_has_no_edges(rules, state, capsys):
    text = RULES.replace("candidate.carbon_g <= 70.0 || ", "").replace(
        ", when: candidate.carbon_g < baseline.carbon_g", ""
    )
    rules.write_text(
        text.replace("  limits: {deadline: {within: 6h}, maxCost: {increase: 10%}}\n", "")
    )

    assert run(rules, "--state", state) == 0
    assert "compares no figures" in capsys.readouterr().err


def test_nothing_recorded_is_told(rules, tmp_path):
    with pytest.raises(DataMissing, match="GO0450"):
        run(rules, "--state", tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        (RULES, "clener", "did you mean `cleaner`"),
        (
            RULES + "---\n" + RULES.replace("name: cleaner", "name: b"),
            None,
            "the file holds 2 policies",
        ),
        ("", None, "the file holds 0 policies"),
    ],
)
def test_a_policy_that_is_not_there_is_told(rules, state, text, name, why):
    rules.write_text(text)

    with pytest.raises(UsageError, match=f"GO0119 .*{why}"):
        run(rules, "--state", state, *(["--policy", name] if name else []))


def test_a_folder_is_no_file(tmp_path, state):
    with pytest.raises(InvalidFile, match="GO0108"):
        run(tmp_path, "--state", state)
