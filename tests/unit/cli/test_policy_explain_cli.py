"""`greenops policy explain`: five fields for who is on call and for finance, and every constraint."""

from __future__ import annotations

import argparse
import json

import pytest

from greenops.cli import policy
from greenops.errors import UsageError

POLICY = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cheap, owners: [team@example.com, money@example.com]}
spec:
  match: [{name: etl, expression: 'job.kind == "batch"'}]
  limits: {deadline: {within: 8h}, maxCost: {usd: 5.0}}
  constraints:
  - {name: home, level: hard, expression: candidate.region == baseline.region, message: It stays here.}
  - {name: small, level: advisory, expression: candidate.energy_kwh < 2}
  objectives: [{name: cheaper, when: candidate.cost_usd < baseline.cost_usd, minimize: candidate.cost_usd}]
  exceptions:
  - id: E1
    reason: attack
    approvedBy: [boss@example.com]
    notBefore: "2026-11-20T00:00:00Z"
    expires: "2026-11-28T00:00:00Z"
    match: 'job.urgency == "break-glass"'
    effect: {runNow: true}
  enforcement: {mode: shadow, rollout: {percent: 80}}
tests:
- name: the cheap one here wins
  job: {name: a, kind: batch, submitted: "2026-11-23T20:00:00Z"}
  baseline: {id: now, region: eu, carbon_g: 10.0, cost_usd: 2.0, energy_kwh: 1.0, start: "2026-11-23T20:00:00Z", end: "2026-11-23T21:00:00Z"}
  candidates:
  - {id: later, region: eu, pool: spot, cost_usd: 1.0, energy_kwh: 3.0, start: "2026-11-24T01:00:00Z", end: "2026-11-24T02:00:00Z"}
  - {id: away, region: us, carbon_g: 1.0, cost_usd: 0.5, energy_kwh: 1.0, end: "2026-11-24T02:00:00Z"}
  expect: {choose: later, rejected: {away: [home]}, warned: {later: [small]}}
"""


@pytest.fixture
def explain(tmp_path, capsys):
    (tmp_path / "p.yaml").write_text(POLICY)

    def run(*argv):
        parser = argparse.ArgumentParser()
        policy.add_parser(parser.add_subparsers())
        args = parser.parse_args(["policy", "explain", "--path", str(tmp_path), *argv])
        assert args.run(args) == 0
        return capsys.readouterr().out

    return run


ON_CALL = """cheap: the cheap one here wins
  runs        `later` in eu spot from 2026-11-24 01:00 UTC, not `now`
  safe until  its end at 2026-11-24 04:00 UTC; how long it runs is not known
  why         {why}
  refused by  home (1)
  ask         team@example.com, money@example.com; a job that meets E1 runs at once

"""
FINANCE = """cheap: the cheap one here wins
  cost      2 -> 1 USD (-50.0%)
  carbon    10 gCO2e -> not known
  limits    Deadline 2026-11-24 04:00 UTC, Maximum cost 5.00 USD, Maximum carbon not set
  given up  `away` at 0.5 USD, refused by home
  counts    shadow: chosen and recorded, nothing is sent; 20 % of jobs are left alone, to compare with

"""


@pytest.mark.feature("C10")
def test_who_is_on_call_reads_what_runs_until_when_why_what_refuses_and_whom_to_ask(explain):
    out = explain("cheap", "--for", "on-call")

    why = out.splitlines()[3].removeprefix("  why         ")
    assert out == ON_CALL.format(why=why)
    assert "waits from 20:00 until 2026-11-24 01:00 UTC" in why


@pytest.mark.feature("C10")
def test_finance_reads_cost_carbon_limits_what_rules_cost_and_what_counts(explain):
    assert explain("cheap", "--for", "finance") == FINANCE


@pytest.mark.feature("C10")
def test_all_names_every_constraint_of_every_candidate(explain):
    rows = [each.split(maxsplit=3) for each in explain("cheap", "--all").splitlines()[7:] if each]

    assert rows[0] == ["candidate", "rule", "verdict", "why"]
    said = [tuple(each[:3]) for each in rows[1:] if each[1] != "objective"]
    names = ("limit/deadline", "limit/maxCost", "home", "small")
    assert [each[:2] for each in said] == [
        (candidate, name) for candidate in ("now", "later", "away") for name in names
    ]
    assert ("later", "small", "warns") in said
    assert ("away", "home", "refuses") in said
    assert sum(each[2] == "holds" for each in said) == 10


def test_json_holds_the_fields_and_the_constraints(explain):
    (record,) = json.loads(explain("cheap", "--for", "finance", "--all", "-o", "json"))

    assert list(record["fields"]) == ["cost", "carbon", "limits", "given up", "counts"]
    assert {"candidate": "away", "rule": "home", "verdict": "refuses", "why": "It stays here."} in (
        record["constraints"]
    )


def test_a_workload_is_told_when_an_objective_counts_and_whom_to_ask(tmp_path, capsys):
    text = POLICY.split("tests:", maxsplit=1)[0]
    (tmp_path / "p.yaml").write_text(text)
    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    args = parser.parse_args(["policy", "explain", "--path", str(tmp_path), "cheap"])

    args.run(args)

    out = capsys.readouterr().out
    assert "cheap (priority 0, shadow), ask team@example.com, money@example.com" in out
    assert "minimize candidate.cost_usd when (candidate.cost_usd < baseline.cost_usd)" in out


def test_fields_of_a_decision_are_refused_where_nothing_is_decided(tmp_path):
    (tmp_path / "p.yaml").write_text(POLICY.split("tests:", maxsplit=1)[0])
    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    argv = ["policy", "explain", "--path", str(tmp_path), "cheap", "--for", "finance"]
    args = parser.parse_args(argv)

    with pytest.raises(UsageError) as caught:
        args.run(args)

    assert "`greenops plan` decides a run" in str(caught.value)
