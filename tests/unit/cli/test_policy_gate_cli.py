"""`greenops policy check|test` as a gate: strictness, SARIF, JUnit, coverage."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from xml.etree import ElementTree as Xml

import jsonschema  # type: ignore[import-untyped]
import pytest

from greenops.adapters.packaged import packaged
from greenops.cli import policy
from greenops.cli.policy_check_sarif import uri_of
from greenops.errors import InvalidFile
from greenops.pipeline.policies import policy_sources
from greenops.pipeline.policy_test_columns import by_columns_too
from greenops.pipeline.policy_tests import run_tests
from greenops.policy import compile_policies

HEAD = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cheap, owners: [a@example.com]}
spec:
  match: [{name: batch, expression: 'job.kind == "batch"'}]
  constraints:
  - {name: most, expression: candidate.cost_usd < 2}
"""
TESTS = """tests:
- name: the dear one is refused
  job: {name: a, kind: batch}
  baseline: {id: now, cost_usd: 1.0}
  candidates: [{id: dear, cost_usd: 3.0}]
  expect: {choose: now, rejected: {dear: [most]}}
"""
WEAKER = "  - {name: weaker, expression: candidate.cost_usd < 3}\n"
CLASH = "  - {name: clash, expression: candidate.cost_usd > 3}\n"
MORE_TESTS = """- name: without a price it is refused, and inference is left alone
  job: {name: b, kind: batch}
  baseline: {id: now, cost_usd: 1.0}
  candidates: [{id: unknown}]
  expect: {choose: now, rejected: {unknown: [most]}}
- name: inference is left alone
  job: {name: c, kind: inference}
  baseline: {id: now}
  expect: {choose: now, matches: false}
"""


def run(*argv):
    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    args = parser.parse_args(["policy", *map(str, argv)])
    return args.run(args)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "p.yaml").write_text(text)
        return tmp_path

    return write


@pytest.mark.feature("C13")
def test_a_warning_passes_and_fails_where_check_is_strict(folder, capsys):
    at = folder(HEAD + WEAKER + TESTS)

    assert run("check", at) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"GO0151 {at}/p.yaml:8:32: `weaker` is shadowed by hard `most`")
    assert err.endswith(": fine, 1 warning\n")
    assert run("check", at, "--strict") == 1


@pytest.mark.feature("C13")
def test_a_policy_without_tests_fails_the_gate(folder, capsys):
    at = folder(HEAD)

    assert run("check", at, "--strict") == 1
    assert "GO0156" in capsys.readouterr().out
    assert run("check", folder(HEAD + TESTS), "--strict") == 0


def test_rules_that_cannot_hold_fail_without_being_strict(folder, capsys):
    at = folder(HEAD + CLASH + TESTS)

    assert run("check", at) == 1
    assert capsys.readouterr().err.endswith(": 1 error, 0 warnings\n")
    assert run("check", at, "-o", "github") == 1
    assert capsys.readouterr().out.startswith("::error file=")


SARIF_NEEDS = {
    "type": "object",
    "required": ["version", "runs", "$schema"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id", "shortDescription", "help"],
                                            "properties": {
                                                "shortDescription": {"required": ["text"]},
                                                "help": {"required": ["text"]},
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "ruleIndex", "partialFingerprints"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {"required": ["text"]},
                                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                                "locations": {
                                    "items": {
                                        "required": ["physicalLocation"],
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {"required": ["uri"]},
                                                    "region": {
                                                        "properties": {
                                                            "startLine": {"minimum": 1},
                                                            "startColumn": {"minimum": 1},
                                                        }
                                                    },
                                                },
                                            }
                                        },
                                    }
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What SARIF 2.1.0 asks of the parts that are written here. Source: OASIS, sections 3.13 to 3.49."""


def sarif_of(at, capsys):
    run("check", at, "-o", "sarif")
    return json.loads(capsys.readouterr().out)


def test_sarif_holds_what_the_standard_requires(folder, capsys):
    log = sarif_of(folder(HEAD + WEAKER + CLASH + TESTS), capsys)

    jsonschema.validate(log, SARIF_NEEDS)
    (only,) = log["runs"]
    rules = only["tool"]["driver"]["rules"]
    assert [(e["ruleId"], e["level"]) for e in only["results"]] == [
        ("GO0151", "warning"),
        ("GO0152", "error"),
        ("GO0152", "error"),
    ]
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in only["results"])
    place = only["results"][0]["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "p.yaml"},
        "region": {"startLine": 8, "startColumn": 32},
    }


def test_sarif_of_a_file_that_is_refused_names_the_rule_it_has_no_words_for(folder, capsys):
    log = sarif_of(folder(HEAD.replace("cost_usd", "cots_usd") + TESTS), capsys)

    jsonschema.validate(log, SARIF_NEEDS)
    assert [each["ruleId"] for each in log["runs"][0]["results"]] == ["GO0131"]


def test_sarif_of_a_file_that_cannot_be_read_is_whole(folder, capsys):
    at = folder("")
    (at / "p.yaml").write_bytes(b"\xff")

    with pytest.raises(InvalidFile):
        run("check", at, "-o", "sarif")

    log = json.loads(capsys.readouterr().out)
    jsonschema.validate(log, SARIF_NEEDS)
    assert [each["ruleId"] for each in log["runs"][0]["results"]] == ["GO0109"]


def test_a_fingerprint_outlives_lines_that_are_put_in_above(folder, capsys):
    text = HEAD + WEAKER + TESTS

    prints = [
        sarif_of(folder(each), capsys)["runs"][0]["results"][0]["partialFingerprints"]
        for each in (text, "# a remark\n\n" + text)
    ]

    assert prints[0] == prints[1]


def test_two_findings_of_one_sentence_have_two_fingerprints(folder, capsys):
    dead = "  - {{name: {}, level: soft, expression: candidate.pool == 'a' || candidate.p95_ms >= 0}}\n"
    dead = dead.replace("'a'", '"a"')

    log = sarif_of(folder(HEAD + dead.format("x") + dead.format("y") + TESTS), capsys)

    prints = [e["partialFingerprints"]["greenopsFinding/v1"] for e in log["runs"][0]["results"]]
    assert len(prints) == len(set(prints)) >= 2


def test_a_file_elsewhere_has_an_absolute_address(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert uri_of(str(tmp_path / "a b.yaml")).startswith("file:///")
    assert uri_of("a b.yaml") == "a%20b.yaml"


def test_coverage_names_each_outcome_that_no_test_shows(folder, capsys):
    at = folder(HEAD + TESTS)

    assert run("test", at, "--coverage") == 0
    out = capsys.readouterr().out
    assert " 60 % cheap: 3 of 5 outcomes shown" in out
    assert f"{at}/p.yaml:5:37: match `batch` is never false in a test" in out
    assert f"{at}/p.yaml:7:30: hard `most` is never in error in a test" in out


def test_tests_that_show_all_reach_a_hundred_percent(folder, capsys):
    at = folder(HEAD + TESTS + MORE_TESTS)

    assert run("test", at, "--min-coverage", "100") == 0
    assert "100.0 % of outcomes shown" in capsys.readouterr().err


def test_too_little_coverage_fails(folder, capsys):
    at = folder(HEAD + TESTS)

    assert run("test", at, "--min-coverage", "60") == 0
    assert run("test", at, "--min-coverage", "61%") == 1
    assert "GO0157 coverage of 60.0 % is under the least of 61 %" in capsys.readouterr().err


def test_a_policy_without_tests_covers_nothing(folder):
    assert run("test", folder(HEAD), "--min-coverage", "1") == 1


@pytest.mark.parametrize("text", ["lots", "-1", "101", "nan"])
def test_a_least_coverage_that_is_no_percentage_is_refused(folder, text):
    with pytest.raises(SystemExit) as caught:
        run("test", folder(HEAD + TESTS), f"--min-coverage={text}")

    assert caught.value.code == 2


BRANCHES = """  - name: branch
    expression: 'candidate.carbon_g < 5 ? candidate.pool == "a" && has(candidate.end) : candidate.tier == "x"'
    messageExpression: '"pool " + candidate.pool'
  objectives:
  - {name: cleaner, when: candidate.carbon_g < baseline.carbon_g, minimize: candidate.carbon_g}
  exceptions:
  - id: E1
    reason: r
    approvedBy: [b@example.com]
    notBefore: "2026-11-20T00:00:00Z"
    expires: "2026-11-28T00:00:00Z"
    match: 'job.name == "urgent"'
    effect: {runNow: true}
"""


def missed(at, capsys):
    run("test", at, "--coverage", "-o", "json")
    (one,) = json.loads(capsys.readouterr().out)["coverage"]["policies"]
    return {(e["rule"], e["part"], e["outcome"]) for e in one["missed"]}


def test_branches_exceptions_objectives_and_sentences_are_asked_for(folder, capsys):
    text = HEAD + BRANCHES + TESTS

    before = missed(folder(text), capsys)
    branch = """- name: a branch
  now: "2026-11-24T00:00:00Z"
  job: {name: urgent, kind: batch}
  baseline: {id: now, cost_usd: 1.0, carbon_g: 9.0, tier: x}
  candidates: [{id: b, cost_usd: 1.0, carbon_g: 4.0, pool: b, end: "2026-11-24T01:00:00Z"}]
  expect: {choose: now, exception: E1}
"""
    after = missed(folder(text + branch), capsys)

    part = '(candidate.pool == "a")'
    assert {
        ("branch", "(candidate.carbon_g < 5.0)", "true"),
        ("branch", part, "false"),
        ("branch", None, "spoken"),
        ("E1", None, "true"),
        ("cleaner", None, "true"),
        ("cleaner", None, "the one that counts"),
    } <= before
    assert before - after == {
        ("branch", "(candidate.carbon_g < 5.0)", "true"),
        ("branch", "(candidate.carbon_g < 5.0)", "false"),
        ("branch", part, "false"),
        ("branch", "has(candidate.end)", "true"),
        ("branch", None, "true"),
        ("branch", None, "false"),
        ("branch", None, "spoken"),
        ("E1", None, "true"),
        ("cleaner", None, "false"),
    }


def test_a_choice_inside_what_is_minimized_is_asked_for(folder, capsys):
    number = 'candidate.pool == "spot" ? candidate.cost_usd * 2.0 : candidate.cost_usd'
    aim = f"  objectives: [{{name: least, minimize: '{number}'}}]\n"
    pool = TESTS.replace("{id: now, cost_usd: 1.0}", "{id: now, cost_usd: 1.0, pool: spot}")

    before = missed(folder(HEAD + aim + TESTS), capsys)
    after = missed(folder(HEAD + aim + pool), capsys)

    asked = ("least", '(candidate.pool == "spot")')
    assert {(*asked, "true"), (*asked, "false")} <= before
    assert before - after == {(*asked, "true")}


def test_an_outcome_that_cannot_come_is_not_asked_for(folder, capsys):
    always = "  - {name: known, expression: has(candidate.pool)}\n"

    assert ("known", None, "in error") not in missed(folder(HEAD + always + TESTS), capsys)


def test_junit_has_a_suite_for_each_policy_and_a_failure_with_its_place(folder, capsys):
    at = folder(HEAD + TESTS.replace("choose: now", "choose: dear") + MORE_TESTS)

    assert run("test", at, "-o", "junit", "--min-coverage", "99") == 1

    root = Xml.fromstring(capsys.readouterr().out)
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "4", "1")
    suite, coverage = root.findall("testsuite")
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("cheap", "3", "1")
    failed = [case for case in suite.findall("testcase") if case.find("failure") is not None]
    assert [(e.get("file"), e.get("line")) for e in failed] == [(f"{at}/p.yaml", "9")]
    assert "chose `now`, expected `dear`" in failed[0].find("failure").text
    assert coverage.find("testcase").find("failure") is None


def test_junit_fails_a_case_where_too_little_is_covered(folder, capsys):
    run("test", folder(HEAD + TESTS), "-o", "junit", "--min-coverage", "99")

    failure = Xml.fromstring(capsys.readouterr().out).find(".//failure")
    assert failure.get("message") == "60.0 % are shown"


def test_github_gets_a_notice_for_each_outcome_that_no_test_shows(folder, capsys):
    at = folder(HEAD + TESTS)

    run("test", at, "--coverage", "-o", "github")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"::notice file={at}/p.yaml,line=5,col=37,title=cheap::match")


def test_a_test_fails_where_the_two_evaluators_disagree(folder):
    sources = policy_sources(folder(HEAD + TESTS))
    policies = compile_policies(sources)
    (result,) = run_tests(policies)
    first, second = result.judgement.verdicts
    swapped = replace(result.judgement, verdicts=(first, replace(second, reasons=())))

    assert by_columns_too(policies, [result])[0].passed
    (differs,) = by_columns_too(policies, [replace(result, judgement=swapped)])
    assert differs.failures == (
        "by columns `dear` is refused by most, not by nothing: a fault of GreenOps, report it",
    )


@pytest.mark.parametrize("path", sorted(packaged("policies").glob("*.yaml")), ids=lambda e: e.stem)
def test_every_test_of_a_shipped_policy_holds_on_both_evaluators(path):
    policies = compile_policies(policy_sources(path))

    results = by_columns_too(policies, run_tests(policies))

    assert results
    assert [each.failures for each in results if not each.passed] == []
