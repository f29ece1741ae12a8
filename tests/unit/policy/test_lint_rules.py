"""Lint of files that compile: each rule with a defect it finds, a file it leaves alone, and never a false alarm."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.pipeline.policies import policy_sources
from greenops.policy.evaluate import compile_node, to_cel
from greenops.policy.lint_findings import findings
from greenops.policy.parse import parse
from greenops.policy.schema import FIELDS

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
ROOT = Path(__file__).parents[3] / "policies"
SHIPPED = sorted(ROOT.rglob("*.yaml"))
HEAD = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {{name: {name}, owners: [a@example.com]}}
spec:
"""
TESTS = """
tests:
- name: nothing moves
  job: {name: a, kind: batch}
  baseline: {id: now}
  expect: {choose: now}
"""
ANY_JOB = "  match: [{name: m, expression: 'job.kind == \"batch\"'}]\n"


def policy(body, name="p", match=ANY_JOB):
    return HEAD.format(name=name) + match + body + TESTS


def constraints(*expressions, level="hard", also=""):
    lines = [
        f"  - {{name: c{at}, level: {level}, expression: '{each}'}}"
        for at, each in enumerate(expressions)
    ]
    return policy("  constraints:\n" + "\n".join(lines) + also)


def said(*texts):
    """Code, line and column of every finding, and its sentence."""
    found, policies = findings([(f"{at}.yaml", text) for at, text in enumerate(texts)], NOW)
    assert policies is not None, found
    return [(e.code, e.at.line, e.at.column, e.severity.value, e.message) for e in found]


def codes(*texts):
    return [each[0] for each in said(*texts)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda each: each.relative_to(ROOT).as_posix())
def test_nothing_is_said_of_a_shipped_policy(path):
    found, _ = findings(policy_sources(path), NOW)

    assert found == []


def test_a_weaker_bound_is_shadowed_by_a_stronger_one():
    bad = constraints("candidate.carbon_g <= 200.0", "candidate.carbon_g <= 400.0")
    fine = constraints("candidate.carbon_g <= 200.0", "candidate.cost_usd <= 400.0")

    assert [each[:4] for each in said(bad)] == [("GO0151", 8, 41, "warning")]
    assert "`c1` is shadowed by hard `c0`" in said(bad)[0][4]
    assert codes(fine) == []


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        ("candidate.carbon_g < 5 && has(candidate.end)", "candidate.carbon_g <= 5"),
        ('candidate.pool == "a"', 'candidate.pool in ["a", "b"]'),
        ('candidate.pool == "abc"', 'candidate.pool.startsWith("ab")'),
        ("candidate.cost_usd < baseline.cost_usd", "baseline.cost_usd >= candidate.cost_usd"),
        (
            "baseline.carbon_g - candidate.carbon_g >= 50",
            "baseline.carbon_g - candidate.carbon_g > 9",
        ),
        ("candidate.start.getHours() == 3", "candidate.start.getHours() < 4"),
        (
            'candidate.end < timestamp("2026-01-01T00:00:00Z")',
            'candidate.end <= timestamp("2026-01-01T00:00:00Z")',
        ),
        ("candidate.cost_usd < 1", 'candidate.cost_usd < 2 || candidate.pool.matches("x")'),
    ],
)
def test_what_implies_a_rule_shadows_it_and_the_other_way_round_too(strong, weak):
    assert codes(constraints(strong, weak)) == ["GO0151"]
    assert codes(constraints(weak, strong)) == ["GO0151"]
    assert "`c0` is shadowed" in said(constraints(weak, strong))[0][4]


def test_a_soft_rule_shadows_nothing_because_it_may_be_waived():
    assert (
        codes(constraints("candidate.cost_usd < 1", "candidate.cost_usd < 2", level="soft")) == []
    )


def test_a_limit_shadows_a_weaker_bound_and_conflicts_with_one_beyond():
    limits = "\n  limits: {maxCarbon: {intensity: 250}, maxCost: {usd: 3}}"

    weak = said(constraints("candidate.intensity <= 300", also=limits))
    beyond = said(constraints("candidate.cost_usd > 3", also=limits))

    assert [each[:2] for each in weak] == [("GO0151", 7)]
    assert "limit `limit/maxCarbon`" in weak[0][4]
    assert [(each[0], each[3]) for each in beyond] == [("GO0152", "error")]
    assert codes(constraints("candidate.intensity <= 200", also=limits)) == []


def test_two_hard_constraints_that_no_candidate_keeps_conflict():
    bad = constraints("candidate.cost_usd < 5", "candidate.cost_usd >= 5")

    assert [each[:4] for each in said(bad)] == [("GO0152", 8, 41, "error")]
    assert codes(constraints("candidate.cost_usd < 5", "candidate.cost_usd >= 4.9")) == []


def test_a_conflict_with_a_soft_constraint_is_a_warning():
    text = constraints("candidate.cost_usd < 5", "candidate.cost_usd > 5", level="soft")

    assert [(each[0], each[3]) for each in said(text)] == [("GO0152", "warning")]


def test_three_constraints_can_conflict_where_no_two_do():
    three = (
        'candidate.pool == "a" || candidate.tier == "x"',
        'candidate.pool != "a"',
        'candidate.tier != "x"',
    )

    assert codes(constraints(*three)) == ["GO0152"]
    assert codes(constraints(*three[:2])) == []


MEET = '  match: [{name: m, expression: \'job.kind == "batch" && job.team == "a"\'}]\n'
APART = "  match: [{name: m, expression: 'job.kind == \"inference\"'}]\n"
CHEAP = "  constraints: [{name: cheap, expression: candidate.cost_usd < 5}]"
DEAR = "  constraints: [{name: dear, expression: candidate.cost_usd > 5}]"


def test_two_policies_that_one_job_meets_conflict():
    (found,) = said(policy(CHEAP, "one"), policy(DEAR, "two", MEET))

    assert found[0] == "GO0152"
    assert "`dear` of `two` and `cheap` of `one` conflict" in found[4]


def test_two_policies_that_no_job_meets_do_not_conflict():
    assert codes(policy(CHEAP, "one"), policy(DEAR, "two", APART)) == []


def test_two_policies_that_perhaps_no_job_meets_are_left_alone():
    hidden = (
        "  match: [{name: m, expression: 'job.name.matches(\"^x+$\") && job.name.size() > 99'}]\n"
    )
    hidden = hidden.replace("job.name.size()", "size(job.name)")

    assert codes(policy(CHEAP, "one"), policy(DEAR, "two", hidden)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('job.data_class == "personal"', "job.contains_personal_data == false"),
        ('job.home_region == "a"', 'baseline.region == "b"'),
        ('job.kind == "batch"', 'job.urgency == "interactive"'),
        ('job.name == "a"', 'job.id == "b/1"'),
        ('job.kind.matches("^some")', "true"),
    ],
)
def test_two_policies_that_no_declared_workload_could_meet_do_not_conflict(one, other):
    matches = [f"  match: [{{name: m, expression: '{each}'}}]\n" for each in (one, other)]

    assert codes(policy(CHEAP, "one", matches[0]), policy(DEAR, "two", matches[1])) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('job.data_class == "personal"', "job.contains_personal_data"),
        ('job.home_region == "a"', 'baseline.region in ["a", "b"]'),
        ('job.name.startsWith("fraud-")', 'job.name == "fraud-retrain"'),
        ("baseline.cost_usd > 5", "baseline.cost_usd < 6"),
        ('job.submitted > timestamp("2027-01-01T00:00:00Z")', "has(job.team)"),
    ],
)
def test_two_policies_that_a_workload_can_meet_conflict_whatever_they_ask_for(one, other):
    matches = [f"  match: [{{name: m, expression: '{each}'}}]\n" for each in (one, other)]

    assert codes(policy(CHEAP, "one", matches[0]), policy(DEAR, "two", matches[1])) == ["GO0152"]


@pytest.mark.parametrize(
    "expression",
    [
        "candidate.cost_usd >= 0.0",
        "candidate.cost_usd < 0",
        "candidate.p95_ms > -1",
        "candidate.start.getHours() <= 23",
        'candidate.start.getHours("Europe/Paris") == 24',
        "candidate.end.getDate() == 0",
        'job.urgency == "interactve"',
        "size(job.allowed_regions) >= 0",
    ],
)
def test_a_threshold_that_its_field_never_or_always_meets_is_dead(expression):
    (found,) = said(constraints(f"{expression} || has(candidate.pool)"))

    assert found[:4] == ("GO0153", 7, 42, "warning")


@pytest.mark.parametrize(
    "expression",
    [
        "candidate.cost_usd > 0.0",
        "candidate.quality >= -1",
        "candidate.start.getHours() <= 22",
        "(candidate.end - candidate.start).getHours() <= 48",
        'job.urgency == "interactive"',
        "candidate.capacity_free < 0.0",
        "baseline.carbon_g - candidate.carbon_g > -5",
    ],
)
def test_a_threshold_that_some_value_crosses_is_not_dead(expression):
    assert codes(constraints(expression)) == []


def test_a_rule_that_every_candidate_of_a_matching_job_keeps_decides_nothing():
    (found,) = said(constraints('job.kind == "batch" || candidate.cost_usd < 1'))

    assert found[0] == "GO0153"
    assert "decides nothing" in found[4]


def test_a_rule_that_no_candidate_keeps_is_an_error_and_a_warning_where_that_is_meant():
    assert [
        each[3] for each in said(constraints('candidate.id == "a" && candidate.id == "b"'))
    ] == ["error"]
    assert [each[3] for each in said(constraints("false"))] == ["warning"]


def test_a_match_that_no_job_meets_is_unreachable():
    nobody = (
        '  match: [{name: m, expression: \'job.kind == "batch" && job.kind == "inference"\'}]\n'
    )

    (found,) = said(policy("  priority: 1", match=nobody))

    assert found[:4] == ("GO0150", 5, 33, "warning")


def test_an_objective_that_no_allowed_candidate_meets_never_counts():
    body = (
        CHEAP
        + "\n  objectives: [{name: o, when: candidate.cost_usd > 6, minimize: candidate.carbon_g}]"
    )

    (found,) = said(policy(body))

    assert found[:2] == ("GO0150", 7)
    assert codes(policy(body.replace("> 6", "> 4"))) == []


EXCEPTION = """  exceptions:
  - id: E1
    reason: r
    approvedBy: [b@example.com]
    notBefore: "2026-11-20T00:00:00Z"
    expires: "2026-11-28T00:00:00Z"
    match: 'job.kind == "KIND"'
    effect: {runNow: true}"""


def test_an_exception_that_no_matching_job_meets_never_applies():
    (found,) = said(policy(EXCEPTION.replace("KIND", "inference")))

    assert found[:2] == ("GO0150", 12)
    assert codes(policy(EXCEPTION.replace("KIND", "batch"))) == []


def test_a_branch_that_is_never_taken_is_unreachable():
    choice = "has({}) ? candidate.carbon_g < 1 : has(candidate.end)"

    (found,) = said(constraints(choice.format("candidate.id")))

    assert found[:2] == ("GO0150", 7)
    assert codes(constraints(choice.format("candidate.pool"))) == []
    assert "never false" in found[4]


def test_a_divisor_that_may_be_zero_is_told_and_a_guarded_one_is_not():
    hours = "candidate.start.getHours()"

    assert codes(constraints(f"24 / {hours} > 1")) == ["GO0154"]
    assert codes(constraints(f"24 % {hours} == 1")) == ["GO0154"]
    assert codes(constraints("ratio(candidate.cost_usd, 0.0) > 1.0")) == ["GO0154"]
    assert codes(constraints(f"{hours} / 2 > 1")) == []
    assert codes(constraints(f"{hours} != 0 && 24 / {hours} > 1")) == []
    assert codes(constraints("ratio(candidate.cost_usd, baseline.cost_usd) > 1.0")) == []


def test_an_expression_that_a_comment_cuts_off_is_told():
    cut = "  constraints:\n  - name: c\n    expression: candidate.cost_usd < 5 # && has(candidate.end)"
    lines = "  constraints:\n  - name: c\n    expression: candidate.cost_usd < 5\n      && has(candidate.end)"
    prose = "  constraints:\n  - name: c\n    expression: candidate.cost_usd < 5   # a small sum"
    quoted = cut.replace("candidate.cost_usd < 5", "'candidate.cost_usd < 5'")

    assert [each[:3] for each in said(policy(cut))] == [("GO0155", 8, 17)]
    assert codes(policy(lines)) == ["GO0155"]
    assert codes(policy(prose), policy(quoted, "other")) == []


def test_a_policy_without_a_test_is_told():
    text = constraints("candidate.cost_usd < 5").split("\ntests:")[0]

    assert codes(text) == ["GO0156"]


def test_rules_that_are_too_many_to_look_at_are_left_alone():
    many = " && ".join(f"candidate.{each} != {at}.5" for at, each in enumerate(FIGURES * 2))

    assert codes(constraints(many, "candidate.cost_usd >= 0.0")) == ["GO0153"]


FIGURES = ("cost_usd", "carbon_g", "intensity", "p95_ms", "energy_kwh", "transfer_gb", "quality")
VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, None)
POOLS = ("a", "ab", "b", None)
ATOMS = st.one_of(
    st.builds(
        "candidate.{} {} {}".format,
        st.sampled_from(("cost_usd", "quality")),
        st.sampled_from(("<", "<=", ">", ">=", "==", "!=")),
        st.sampled_from(("0.0", "1.0", "2.0", "-1.0")),
    ),
    st.builds(
        "{} {} candidate.cost_usd".format,
        st.sampled_from(("1.0", "candidate.quality")),
        st.sampled_from(("<", ">=", "==", "!=")),
    ),
    st.sampled_from(
        (
            "has(candidate.cost_usd)",
            "has(candidate.pool)",
            'candidate.pool == "a"',
            'candidate.pool != "ab"',
            'candidate.pool in ["a", "b"]',
            'candidate.pool.startsWith("a")',
            'candidate.pool.contains("b")',
            "job.interruptible",
            "job.interruptible == false",
            'job.kind == "batch"',
            "true",
        )
    ),
)
RULE = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
    ),
    max_leaves=4,
)
GRID = [
    {
        "job": {"kind": kind, "interruptible": stop},
        "candidate": {"cost_usd": cost, "quality": quality, "pool": pool},
    }
    for cost, quality, pool, kind, stop in product(
        VALUES, (-2.0, -1.0, 0.5, 1.0, 2.0, None), POOLS, ("batch", "inference"), (True, False)
    )
]


def answers(expression):
    rows = ({name: to_cel(value) for name, value in row.items()} for row in GRID)
    return [expression(row) for row in rows]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(RULE, min_size=2, max_size=2))
def test_no_row_of_a_grid_disproves_what_is_said(expressions):
    lines = "\n".join(
        f"  - {{name: c{at}, expression: '{each}'}}" for at, each in enumerate(expressions)
    )
    text = policy("  constraints:\n" + lines)
    found, policies = findings([("p.yaml", text)], NOW)
    assert policies is not None
    if not found:
        return
    first, second = (answers(each.expression) for each in policies.policies[0].constraints)
    bound = answers(policies.policies[0].match[0])

    for each in found:
        disproof = DISPROOFS[each.code]
        rows = zip(bound, first, second, strict=True)
        if "whatever" in each.message:
            text, always = re.match("`(.*)` is always (true|false),", each.message).groups()
            part = compile_node(parse(text), FIELDS)
            assert not any(e is (always == "false") for e in answers(part)), each
        assert not any(b is not False and disproof(each.message, x, y) for b, x, y in rows), each


def shadow_disproved(message, first, second):
    strong, weak = (first, second) if message.startswith("`c1`") else (second, first)
    return strong is True and weak is not True


def alone_disproved(message, first, second):
    if "whatever" in message:
        return False
    answer = first if "`c0`" in message else second
    if "decides nothing" in message:
        return answer is not True
    return "no candidate can keep" in message and answer is True


DISPROOFS = {
    "GO0150": alone_disproved,
    "GO0151": shadow_disproved,
    "GO0152": lambda _, first, second: first is True and second is True,
    "GO0153": alone_disproved,
}


def test_a_rule_of_a_pack_is_told_in_the_file_that_extends_it(tmp_path):
    limits = "  extends: [greenops/cheaper-unless]\n  limits: {maxCarbon: {intensity: 300}}"
    (tmp_path / "mine.yaml").write_text(policy(limits))

    found, _ = findings(policy_sources(tmp_path), NOW)

    assert [(e.code, e.at.file) for e in found] == [("GO0151", f"{tmp_path}/mine.yaml")]
