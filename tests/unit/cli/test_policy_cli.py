"""`greenops policy`: problems one per line, tests, and tables that say why."""

from __future__ import annotations

import argparse
import json

import pytest

from greenops.cli import policy
from greenops.errors import InvalidFile, UsageError

GOOD = """apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: etl}
spec:
  kind: batch
  homeRegion: eu
  deadline: {within: 8h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 0%}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cheap, owners: [a@example.com]}
spec:
  match: [{name: etl, expression: job.name == "etl"}]
  constraints: [{name: most, expression: candidate.cost_usd < 2, message: Too dear.}]
  objectives: [{name: cleaner, when: candidate.carbon_g < baseline.carbon_g, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
tests:
- name: the cleaner one wins
  job: {workload: etl, submitted: "2026-11-23T20:00:00Z"}
  baseline: {id: now, region: eu, carbon_g: 10.0, cost_usd: 1.0, end: "2026-11-23T21:00:00Z"}
  candidates:
  - {id: clean, region: eu, carbon_g: 5.0, cost_usd: 1.0, end: "2026-11-23T22:00:00Z"}
  - {id: dear, region: eu, carbon_g: 1.0, cost_usd: 3.0, end: "2026-11-23T22:00:00Z"}
  expect: {choose: clean, rejected: {dear: [most]}}
"""


def run(*argv):
    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    args = parser.parse_args(["policy", *map(str, argv)])
    return args.run(args)


@pytest.fixture
def good(tmp_path):
    (tmp_path / "p.yaml").write_text(GOOD)
    return tmp_path


@pytest.fixture
def bad(tmp_path):
    text = GOOD.replace("job.name ==", "job.nmae ==").replace("8h", "8 hours")
    (tmp_path / "p.yaml").write_text(text)
    return tmp_path


def test_check_says_fine_on_stderr_and_nothing_on_stdout(good, capsys):
    assert run("check", good) == 0

    out, err = capsys.readouterr()
    assert (out, err) == ("", "1 policy, 1 workload, 1 test in 1 file: fine\n")


OTHERS = """---
apiVersion: greenops.dev/v1alpha1
kind: Budget
metadata: {name: all, owners: [a@example.com]}
spec: {period: {every: month}, limit: {carbonG: 9}, actions: [{at: 80%, do: warn}]}
---
apiVersion: greenops.dev/v1alpha1
kind: Target
metadata: {name: less, owners: [a@example.com]}
spec:
  {measure: carbon, reduction: 40%, by: "2027-01-01T00:00:00Z",
   baseline: {from: "2026-01-01T00:00:00Z", to: "2026-02-01T00:00:00Z"}}
---
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: search}
spec: {kind: inference, homeRegion: eu}
---
apiVersion: greenops.dev/v1alpha1
kind: ServicePlan
metadata: {name: search, owners: [a@example.com]}
spec: {workload: search, tiers: [{name: full}], maxP95Increase: 2%, enforcement: {mode: enforce}}
"""


def test_check_counts_budgets_targets_and_plans_where_there_are_some(good, capsys):
    with (good / "p.yaml").open("a") as file:
        file.write(OTHERS)

    assert run("check", good) == 0

    counts = "1 policy, 2 workloads, 1 budget, 1 target, 1 plan, 1 test in 1 file"
    assert capsys.readouterr().err.startswith(counts)


def test_check_prints_every_problem_on_its_line_and_exits_2(bad, capsys):
    assert run("check", bad) == 2

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["GO0212", "GO0131"]
    assert f"{bad}/p.yaml:15:35: unknown field `job.nmae`; did you mean `job.name`?" in lines[1]


def test_check_writes_json_and_github_annotations(bad, capsys):
    run("check", bad, "-o", "json")
    record = json.loads(capsys.readouterr().out)[1]
    run("check", bad, "-o", "github")
    line = capsys.readouterr().out.splitlines()[1]

    assert (record["code"], record["line"], record["column"]) == ("GO0131", 15, 35)
    assert line.startswith(f"::error file={bad}/p.yaml,line=15,col=35,title=GO0131::unknown field")


EXCEPTION = """  exceptions:
  - id: E1
    reason: attack
    approvedBy: [boss@example.com]
    notBefore: "2021-10-01T00:00:00Z"
    expires: "2021-10-08T00:00:00Z"
    match: job.urgency == "break-glass"
    effect: {runNow: true}
tests:
"""


@pytest.mark.parametrize("day", ["09", "30"])
def test_check_warns_of_an_exception_that_has_expired(good, capsys, monkeypatch, day):
    monkeypatch.setenv("GREENOPS_REPLAY", f"2021-10-{day}T00:00:00Z@2026-01-01T00:00:00Z@0.000001")
    (good / "p.yaml").write_text(GOOD.replace("tests:\n", EXCEPTION))

    assert run("check", good) == 0
    out, err = capsys.readouterr()
    assert f"GO0122 {good}/p.yaml:20:9: exception `E1` of `cheap` expired on 2021-10-08" in out
    assert out.endswith("(warning)\n")
    assert err.endswith(": fine, 1 warning\n")

    run("check", good, "-o", "json")
    assert json.loads(capsys.readouterr().out)[0]["level"] == "warning"
    run("check", good, "-o", "github")
    assert capsys.readouterr().out.startswith("::warning file=")


def test_check_refuses_an_exception_that_expired_over_thirty_days_ago(good, capsys, monkeypatch):
    monkeypatch.setenv("GREENOPS_REPLAY", "2021-11-08T00:00:00Z@2026-01-01T00:00:00Z@0.000001")
    (good / "p.yaml").write_text(GOOD.replace("tests:\n", EXCEPTION))

    assert run("check", good) == 2
    assert capsys.readouterr().out.startswith("GO0122 ")
    assert run("test", good) == 0  # what is in use is not stopped by its age


def test_test_exits_0_where_all_hold(good, capsys):
    assert run("test", good) == 0

    out, err = capsys.readouterr()
    assert out == "ok   cheap: the cleaner one wins\n"
    assert err == "1 of 1 tests hold\n"


@pytest.mark.parametrize("output", ["table", "json", "github"])
def test_test_exits_1_where_one_fails_and_says_why(good, capsys, output):
    path = good / "p.yaml"
    path.write_text(GOOD.replace("choose: clean", "choose: now"))

    assert run("test", good, "-o", output) == 1
    assert "chose `clean`, expected `now`" in capsys.readouterr().out


def test_test_refuses_files_that_are_not_fine(bad):
    with pytest.raises(InvalidFile):
        run("test", bad)


def test_test_of_no_file_is_an_error_and_of_no_test_says_so(good, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()

    with pytest.raises(InvalidFile) as caught:
        run("test", empty)
    assert str(caught.value).startswith(f"GO0108 {empty}: no policy file to test")

    (good / "p.yaml").write_text(GOOD.split("tests:", maxsplit=1)[0])
    assert run("test", good) == 0
    assert capsys.readouterr().err == "no test in 1 file: nothing was tested\n"


EXPLAINED = """cheap: the cleaner one wins
  chosen     clean (baseline now)
  reason     {reason}
  limits     Deadline 2026-11-24 04:00 UTC, Maximum cost baseline + 10 %, Maximum carbon baseline - 0 %
  policies   cheap (enforce)
  exception  none

  candidate  verdict     rule           why
  now        not better  -              10 g, 1 USD
  clean      chosen      -              5 g, 1 USD
  dear       refused     limit/maxCost  It would cost more above the baseline than allowed.
  dear       refused     most           Too dear.

"""


@pytest.mark.feature("C10")
def test_explain_is_a_table_constraint_by_constraint(good, capsys):
    assert run("explain", "--path", good, "--test", "the cleaner one wins") == 0

    out = capsys.readouterr().out
    reason = out.splitlines()[2].removeprefix("  reason     ")
    assert out == EXPLAINED.format(reason=reason)
    assert "less carbon" in reason


@pytest.mark.feature("C10")
def test_explain_of_a_workload_names_the_rules_that_it_meets(good, capsys):
    assert run("explain", "etl", "--path", good) == 0

    out = capsys.readouterr().out
    assert "etl: batch, standard, home eu" in out
    assert "most     hard       (candidate.cost_usd < 2.0)" in out


def test_explain_writes_json(good, capsys):
    assert run("explain", "cheap", "--path", good, "-o", "json") == 0

    (record,) = json.loads(capsys.readouterr().out)
    assert record["judgement"]["objective"] == "cleaner"


def test_explain_of_a_workload_writes_json(good, capsys):
    assert run("explain", "etl", "--path", good, "-o", "json") == 0

    record = json.loads(capsys.readouterr().out)
    (policy,) = record["policies"]
    assert (record["workload"], policy["policy"]) == ("etl", "cheap")
    assert {"name": "most", "kind": "hard", "expression": "(candidate.cost_usd < 2.0)"} in policy[
        "rules"
    ]


@pytest.mark.parametrize("output", ["table", "json"])
def test_explain_of_a_policy_without_tests_names_its_rules(good, capsys, output):
    limits = "  limits: {maxCost: {usd: 7.5}}\n"
    (good / "p.yaml").write_text(GOOD.split("tests:", maxsplit=1)[0] + limits)

    assert run("explain", "cheap", "--path", good, "-o", output) == 0

    out = capsys.readouterr().out
    assert "limit/max_cost_usd" in out
    assert "(candidate.cost_usd < 2.0)" in out
    assert 'job.name == \\"etl\\"' in out or 'job.name == "etl"' in out


@pytest.mark.parametrize(
    ("argv", "near"),
    [(["elt"], "etl"), (["--test", "the cleaner one win"], "the cleaner one wins"), ([], "--test")],
)
def test_explain_of_nothing_known_names_the_nearest(good, argv, near):
    with pytest.raises(UsageError) as caught:
        run("explain", *argv, "--path", good)

    assert caught.value.code == "GO0119"
    assert near in str(caught.value)
