"""The templates and worked examples: each rule is tested on both sides and at its bound, and none binds what nobody wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from greenops.cli.main import main
from greenops.domain.decision import Mode
from greenops.errors import InvalidFile
from greenops.pipeline.policies import read_policies
from greenops.pipeline.policy_tests import run_test, run_tests
from greenops.policy import PolicySet, compile_policies
from greenops.policy.evaluate import Failed
from greenops.policy.schema import deadline_of, job_row, limits_row, place_row, tightest

ROOT = Path(__file__).parents[3] / "policies"
TEMPLATES = sorted((ROOT / "templates").rglob("*.yaml"))
EXAMPLES = sorted(ROOT.glob("*.yaml"))
CLASSES = sorted((ROOT / "templates" / "classes").glob("*.yaml"))
FLEXIBLE = {
    "training",
    "backfill",
    "batch-features",
    "embeddings",
    "offline-eval",
    "fine-tune",
    "ab-analysis",
}
RETAIL = {
    "enrichment",
    "demand-forecast",
    "image-embeddings",
    "index-rebuild",
    "candidate-sets",
}
each_template = pytest.mark.parametrize("path", TEMPLATES, ids=lambda each: each.stem)
each_file = pytest.mark.parametrize("path", [*EXAMPLES, *TEMPLATES], ids=lambda each: each.stem)
each_class = pytest.mark.parametrize("path", CLASSES, ids=lambda each: each.stem)


@cache
def read(path: Path) -> PolicySet:
    return read_policies(path)


@pytest.mark.feature("B3", "B4")
def test_every_class_of_flexible_work_has_a_template():
    assert {each.stem for each in CLASSES} == FLEXIBLE | RETAIL


@pytest.mark.feature("B3", "B4")
@each_class
def test_a_class_gives_its_workload_three_numbers_and_one_policy(path):
    policies = read(path)
    (workload,) = policies.workloads.values()

    assert workload.labels == {"class": path.stem}
    assert [each.name for each in policies.matching(workload)] == [f"class-{path.stem}"]
    assert policies.rivals(workload)[0].objectives


@pytest.mark.feature("B3", "B4")
@each_class
def test_a_class_passes_the_gate_and_is_explained(path, capsys):
    assert main(["policy", "check", "--strict", str(path)]) == 0
    assert main(["policy", "explain", f"class-{path.stem}", "--path", str(path)]) == 0

    out = capsys.readouterr().out
    assert f"class-{path.stem}: " in out
    assert "chosen" in out


@each_template
def test_a_template_decides_and_sends_nothing_and_names_its_owners(path):
    for each in read(path).policies:
        assert each.mode is Mode.SHADOW
        assert all(owner.endswith("@example.com") for owner in each.owners)


@each_file
def test_every_constraint_of_a_shipped_file_says_why_in_words(path):
    for policy in read(path).policies:
        assert [e.name for e in policy.constraints if not (e.message or e.speech)] == []


@each_file
def test_the_words_of_a_refusal_can_be_written_where_the_figures_are_there(path):
    policies = read(path)
    for test in policies.tests:
        said = run_test(policies, test).judgement
        for verdict in said.verdicts:
            for name in {*verdict.reasons, *verdict.warnings} - set(verdict.errors):
                assert verdict.messages[name]


@pytest.fixture(scope="module")
def folder():
    return read_policies(ROOT)


def test_no_template_meets_a_workload_that_is_no_template(folder):
    own = {policy.name for path in TEMPLATES for policy in read(path).policies}
    others = [each for name, each in folder.workloads.items() if not name.startswith("template-")]

    assert others
    for workload in others:
        assert not own & {each.name for each in folder.matching(workload)}


def test_no_template_meets_a_workload_that_says_little_of_itself(folder):
    own = {policy.name for path in TEMPLATES for policy in read(path).policies}
    bare = replace(folder.workloads["nightly-enrichment"], name="bare", team=None, data_class=None)

    assert not own & {each.name for each in folder.matching(bare)}


def test_a_template_of_the_folder_is_no_service_so_nothing_places_it(folder):
    kinds = {e.kind.value for n, e in folder.workloads.items() if n.startswith("template-")}

    assert kinds == {"batch"}


def test_the_templates_make_no_data_class_known_that_the_demo_does_not(folder):
    demo = read_policies(ROOT / "demo")

    assert folder.known_classes() == demo.known_classes()


def rows(policies: PolicySet, policy: str) -> Iterator[dict[str, object]]:
    """The fields of every place in every test of one policy, as its rules see them."""
    for test in policies.tests:
        if test.policy != policy:
            continue
        (own,) = policies.only(policy).policies
        limits = tightest([test.job.workload.limits, own.limits], test.job.submitted)
        base = {
            "job": job_row(test.job),
            "baseline": place_row(test.baseline),
            "limits": limits_row(limits, deadline_of(test.job, limits)),
            "now": test.now,
        }
        for place in (test.baseline, *test.candidates):
            yield {**base, "candidate": place_row(place)}


def answers(policies, policy, expression):
    found = {expression(row) for row in rows(policies, policy)}
    return {"absent" if isinstance(each, Failed) else each for each in found}


@each_file
def test_the_tests_of_a_shipped_file_see_every_rule_hold_and_not_hold(path):
    policies = read(path)
    for policy in policies.policies:
        for each in policy.constraints:
            said = answers(policies, policy.name, each.expression)
            assert said >= {True, False}, each.name
        for rule in policy.match:
            assert answers(policies, policy.name, rule) >= {True, False}, rule.text
        for each in policy.objectives:
            said = answers(policies, policy.name, each.when)
            assert said >= {True, False}, each.name


@each_file
def test_the_tests_of_a_shipped_file_lack_every_figure_that_a_constraint_asks_of_a_candidate(path):
    policies = read(path)
    for policy in policies.policies:
        for each in policy.constraints:
            assert "absent" in answers(policies, policy.name, each.expression), each.name


@each_file
def test_the_tests_of_a_shipped_file_use_each_exception_and_do_without_it(path):
    policies = read(path)
    for policy in policies.policies:
        for each in policy.exceptions:
            tests = [test for test in policies.tests if test.policy == policy.name]
            used = [test for test in tests if test.exception == each.id]
            at_the_end = [test for test in tests if test.now == each.expires]
            unmatched = [
                test
                for test in tests
                if each.not_before <= test.now < each.expires and test.exception is None
            ]
            assert used, each.id
            assert at_the_end, each.id
            assert unmatched, each.id


SLIPS = (
    (" <= ", " < "),
    (" < ", " <= "),
    (" >= ", " > "),
    (" > ", " >= "),
    (" == ", " != "),
    (" && ", " || "),
    (" || ", " && "),
    ("minimize: candidate.carbon_g", "minimize: -candidate.carbon_g"),
    ("minimize: candidate.cost_usd", "minimize: -candidate.cost_usd"),
    ("minimize: (", "minimize: -("),
    (", tieBreak: candidate.", ", tieBreak: -candidate."),
    ("tieBreak: candidate.carbon_g\n", "tieBreak: -candidate.carbon_g\n"),
    ("(1 + params", "(1.01 + params"),
    ("increase: 0.10 ", "increase: 0.11 "),
    ("!(variables", "(variables"),
    ("[EU, EEA, CH]", "[EU, EEA, CH, US]"),
    ('\'!("plan"', '\'("plan"'),
)
"""What a hand might write instead, one at a time."""


TOLD_ONLY = "candidate.carbon_g < params.told_above_g"
"""A slip in a warning: a test in a file says what is warned, and cannot say that nothing is."""


def test_at_half_the_budget_of_a_run_nothing_is_told():
    policies = read(ROOT / "templates" / "run-budget.yaml")
    (test,) = [each for each in policies.tests if each.name.startswith("half the budget")]

    assert set(run_test(policies, test).decision.warned) == {"now", "dirtier"}


def slips(text: str) -> Iterator[tuple[int, str]]:
    """(line, the whole file) with one slip in the rules of one policy; comments and messages left out."""
    at = 0
    while (start := text.find("kind: PlacementPolicy", at)) >= 0:
        rules = re.compile(r"\ntests:|\n  verification:").search(text, start)
        end = rules.start() if rules else len(text)
        for old, new in SLIPS:
            for found in re.finditer(re.escape(old), text[start:end]):
                where, after = start + found.start(), start + found.end()
                line = text[text.rfind("\n", 0, where) + 1 : where]
                rest = text[after : text.index("\n", after)]
                if is_rule(line) and not (old == " < " and same_with_a_tie(line, rest)):
                    yield text.count("\n", 0, where) + 1, text[:where] + new + text[after:]
        at = end


def is_rule(line: str) -> bool:
    """Is what follows part of a rule; no comment, no message."""
    return "#" not in line and "message" not in line.lower() and line.strip()[:1] != '"'


def same_with_a_tie(line: str, rest: str) -> bool:
    """Nothing breaks a tie with the baseline, which then wins it: `<=` chooses what `<` does."""
    return "when:" in line and "minimize:" in rest and "tieBreak" not in rest


def caught(text: str) -> bool:
    """Is a slip told, by the check or by the file's own tests?"""
    try:
        return not all(each.passed for each in run_tests(compile_policies([("p.yaml", text)])))
    except InvalidFile:
        return True


@pytest.mark.slow
@each_file
def test_a_slip_in_any_rule_of_a_shipped_file_fails_its_own_tests(path):
    text = path.read_text()
    made = list(slips(text))

    survived = [
        f"{path.name}:{line}: {changed.splitlines()[line - 1].strip()}"
        for line, changed in made
        if TOLD_ONLY not in changed and not caught(changed)
    ]

    assert made
    assert survived == []
