"""`greenops policy prove`: answers a line each, rows as tests that `policy test` takes."""

from __future__ import annotations

import argparse
import json

import pytest

from greenops.cli import policy, policy_prove
from greenops.errors import InvalidFile, Unreachable, UsageError
from greenops.pipeline.policy_prove import need_solver

pytest.importorskip("z3")

pytestmark = pytest.mark.timeout(150)  # a solver's time depends on the machine

RULES = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: eu-only, owners: [a@example.com]}
spec:
  match: [{name: personal, expression: job.contains_personal_data}]
  constraints:
  - {name: place, expression: 'candidate.location in ["EU", "EEA"]'}
  objectives: [{name: cleaner, minimize: candidate.carbon_g}]
  verification:
    invariants:
    - {id: never-us, assume: 'candidate.location == "US"', assert: '!eligible'}
    - {id: cheap, assert: '!eligible || candidate.cost_usd <= 5.0'}
"""


def run(*argv):
    parser = argparse.ArgumentParser()
    policy_prove.add_parser(parser.add_subparsers())
    args = parser.parse_args(["prove", *map(str, argv)])
    return args.run(args)


@pytest.fixture
def rules(tmp_path):
    (tmp_path / "p.yaml").write_text(RULES)
    return tmp_path / "p.yaml"


def test_what_holds_and_what_fails_is_told_and_a_failure_exits_1(rules, capsys):
    assert run(rules) == 1

    told = capsys.readouterr().out.splitlines()
    answers = {
        line.split()[1]: line.split()[0] for line in told if line[:3] == "  h" or line[:3] == "  f"
    }
    assert answers["invariant/never-us"] == "holds"
    assert answers["invariant/cheap"] == "fails"
    assert answers["constraint/place"] == "holds"


def test_every_row_found_is_a_test_that_the_policy_passes(rules, capsys):
    run(rules, "--tests")
    out = capsys.readouterr().out
    rules.write_text(RULES + out.split("\n", 1)[1])

    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    args = parser.parse_args(["policy", "test", str(rules)])

    assert args.run(args) == 0
    assert "5 of 5 tests hold" in capsys.readouterr().err


def test_policies_that_decide_alike_exit_0(rules, tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text(
        RULES.replace("eu-only", "renamed").replace(
            'candidate.location in ["EU", "EEA"]',
            'candidate.location == "EEA" || candidate.location == "EU"',
        )
    )

    assert run(rules, "--equal", other) == 0
    assert "5 hold, 0 fail, 0 not known" in capsys.readouterr().err


def test_policies_that_decide_otherwise_are_shown_a_row_as_json(rules, tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text(RULES.replace('["EU", "EEA"]', '["EU"]'))

    assert run(rules, "--equal", other, "-o", "json") == 1

    failed = [each for each in json.loads(capsys.readouterr().out) if each["answer"] == "fails"]
    assert [each["id"] for each in failed] == ["constraints"]
    assert 'location: "EEA"' in failed[0]["test"]


def test_what_differs_as_text_is_told_without_a_row(rules, tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text(RULES + "  priority: 7\n")

    assert run(rules, "--equal", other) == 1
    assert "the two differ in priority" in capsys.readouterr().out


def test_policies_that_are_not_on_both_sides_are_a_usage_error(rules, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(RULES + "---\n" + RULES.replace("eu-only", "eu-also"))

    with pytest.raises(UsageError, match="GO0161 policy `eu-also` is only on one side"):
        run(rules, "--equal", other)


def test_a_wrong_file_is_told_before_anything_is_asked(rules):
    rules.write_text(RULES.replace("contains_personal_data", "contains_personal"))

    with pytest.raises(InvalidFile, match="GO0131"):
        run(rules)


def test_no_file_proves_nothing(tmp_path):
    with pytest.raises(InvalidFile, match="GO0108"):
        run(tmp_path)


def test_a_missing_solver_is_one_line_that_says_how_to_install_it():
    with pytest.raises(Unreachable, match=r"GO0160 .*pip install 'greenops-engine\[prove\]'"):
        need_solver("no_such_solver")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "601", "soon"])
def test_a_time_that_is_none_is_refused(rules, seconds, capsys):
    with pytest.raises(SystemExit):
        run(rules, "--seconds", seconds)
    assert "is no time above 0" in capsys.readouterr().err


def test_a_solver_that_does_not_end_is_stopped_and_nothing_is_claimed(rules, capsys):
    rules.write_text(RULES.split("  objectives", maxsplit=1)[0])

    assert run(rules, "--seconds", "0.000001") == 1
    assert "0 hold, 0 fail, 3 not known" in capsys.readouterr().err
