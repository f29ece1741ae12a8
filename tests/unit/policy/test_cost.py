"""What a policy may cost: counted before it runs, refused where it is too much."""

from __future__ import annotations

import time

import pytest

from greenops.policy import lint
from greenops.policy.cost import MAX_COST, cost
from greenops.policy.parse import parse

HEAD = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: rule, owners: [a@example.com]}
spec:
  match: [{name: all, expression: 'true'}]
"""


def problems(spec):
    return lint([("p.yaml", HEAD + spec)])


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("true", 1),
        ("candidate.cost_usd < 2", 3),
        ("job.team in ['a', 'b']", 5),
        ("job.team in job.allowed_regions", 103),
        ("job.allowed_regions.all(r, r == 'a')", 2 + 100 * 3),
        ("job.team.matches('^abc$')", 3 + 5),
        ("[1, 2, 3].all(n, n > 0)", 1 + 4 + 3 * 3),
        ("{'a': 1, 'b': 2}.exists(k, k == 'a')", 1 + 5 + 4 * 3),
        ("[1, 2].map(n, n).filter(n, n > 1)", 1 + (1 + 3 + 2) + 2 * 3),
        ("job.allowed_regions.filter(r, r != 'a').all(r, true)", 1 + (2 + 100 * 3) + 100),
    ],
)
def test_a_part_costs_a_step_and_a_macro_a_round_for_each_member(text, steps):
    assert cost(parse(text)) == steps


@pytest.mark.parametrize(
    "text",
    [
        "[job.team]" + ".map(x, x + x)" * 20,
        "[[1]]" + ".map(x, x + x)" * 20,
        "[1]" + ".map(x, [x, x])" * 20,
        "[1]" + ".map(x, {'a': x, 'b': x})" * 20,
        "[1]" + ".map(x, true ? [x, x] : [x])" * 20,
        "[1]" + ".map(x, [dyn(x), x])" * 20,
        "job.allowed_regions.map(r, job.allowed_regions.map(s, r + s))",
        "job.allowed_regions.all(r, job.allowed_regions.all(s, s == r))",
    ],
)
def test_what_doubles_or_squares_is_over_the_budget_before_it_runs(text):
    assert cost(parse(text)) > MAX_COST


def test_a_variable_brings_no_macro_into_a_macro():
    found = problems(
        "  variables:\n"
        "  - {name: v0, expression: \"job.allowed_regions.all(r, r != 'x')\"}\n"
        '  - {name: v1, expression: "job.allowed_regions.all(s, variables.v0)"}\n'
    )

    assert [each.code for each in found] == ["GO0134"]
    assert "a macro inside a macro" in str(found[0])
    assert found[0].at.line == 8


def test_a_policy_that_costs_too_much_is_refused_once_at_the_first_rule_over_the_budget():
    rule = "job.allowed_regions.all(r, r in params.many)"
    spec = f"  params: {{many: [{', '.join(f'r{i}' for i in range(40))}]}}\n  constraints:\n"
    spec += "".join(f"  - {{name: c{i}, expression: '{rule}'}}\n" for i in range(5))

    (problem,) = problems(spec)

    assert problem.code == "GO0134"
    assert f"over {MAX_COST:,} steps" in problem.message
    assert problem.at.line == 10


@pytest.mark.parametrize(
    ("head", "rule", "count"),
    [
        ("  variables:\n", "  - {{name: v{}, expression: 'true'}}\n", 2_001),
        ("  match:\n", "  - {{name: m{}, expression: 'true'}}\n", 2_000),
        ("  verification:\n    invariants:\n", "    - {{id: i{}, assert: 'true'}}\n", 2_000),
    ],
)
def test_more_rules_than_are_allowed_are_refused_before_any_is_compiled(head, rule, count):
    spec = head + "".join(rule.format(i) for i in range(2_000))
    text = HEAD.split("  match", maxsplit=1)[0] if "match" in head else HEAD
    begun = time.thread_time()

    (problem,) = lint([("p.yaml", text + spec)])

    assert problem.code == "GO0134"
    assert f"{count} rules, over 200" in problem.message
    assert time.thread_time() - begun < 3.0


def test_a_list_that_a_macro_goes_over_has_an_end():
    regions = ", ".join(f"r{i}" for i in range(101))
    text = (
        "apiVersion: greenops.dev/v1alpha1\nkind: Workload\nmetadata: {name: etl}\n"
        f"spec: {{kind: inference, homeRegion: eu, allowedRegions: [{regions}]}}\n"
    )

    (problem,) = lint([("p.yaml", text)])

    assert "has 101 texts, at most 100 are read" in str(problem)
