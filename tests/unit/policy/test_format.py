"""`greenops policy fmt`: one layout, comments kept, what is said kept."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.errors import InvalidFile
from greenops.policy import compile_policies
from greenops.policy.format import formatted
from greenops.policy.format_cel import respaced, tokens_of
from greenops.policy.parse import parse
from greenops.policy.text import canonical

ROOT = Path(__file__).parents[3] / "policies"
SHIPPED = sorted(ROOT.rglob("*.yaml"))


@pytest.mark.parametrize(
    ("typed", "laid_out"),
    [
        ('a.b<1&&c.d=="x  y"', 'a.b < 1 && c.d == "x  y"'),
        ("( a +b )*  -c", "(a + b) * -c"),
        ("a- -1", "a - -1"),
        ("!  (x in[1,2 ,3])", "!(x in [1, 2, 3])"),
        ("a?b:c", "a ? b : c"),
        ('a?{"k":1}["k"]:2', 'a ? {"k": 1}["k"] : 2'),
        ('{"k" :a?1:2}', '{"k": a ? 1 : 2}'),
        ("x . all( e ,e>0 )", "x.all(e, e > 0)"),
        ("size( x )  >=1u", "size(x) >= 1u"),
        ("job.labels [ 'a' ]", "job.labels['a']"),
        ("a\n  && b", "a && b"),
        ("x.matches(r'\\s+  a')", "x.matches(r'\\s+  a')"),
        ("a // why\n && b", "a // why\n && b"),
        ("a # b", "a # b"),
        ("1.5e-3+.5", "1.5e-3 + .5"),
    ],
)
def test_an_expression_gets_one_white_space(typed, laid_out):
    assert respaced(typed) == laid_out
    assert respaced(laid_out) == laid_out


FILE = """# what this is about
kind: PlacementPolicy
apiVersion: greenops.dev/v1alpha1
# who answers
metadata: {owners: [a@example.com], name: p}
spec:
  constraints:
  # the price
  - expression: "candidate.cost_usd<2"   # USD
    # hard, since finance asked
    level: hard
    name: most
  - {level: soft, name: pool, expression: 'candidate.pool=="a"'}
  match:
  - {name: m, expression: 'job.kind=="batch"'}

  # how far
  enforcement: {rollout: {key: job.name, percent: 50}, mode: shadow}
"""
LAID_OUT = """# what this is about
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
# who answers
metadata: {name: p, owners: [a@example.com]}
spec:
  match:
  - {name: m, expression: 'job.kind == "batch"'}

  constraints:
  # the price
  - name: most
    # hard, since finance asked
    level: hard
    expression: 'candidate.cost_usd < 2'   # USD
  - {name: pool, level: soft, expression: 'candidate.pool == "a"'}
  # how far
  enforcement: {mode: shadow, rollout: {percent: 50, key: job.name}}
"""


def test_keys_come_in_order_and_comments_go_with_the_line_they_stand_above():
    assert formatted("p.yaml", FILE) == LAID_OUT
    assert formatted("p.yaml", LAID_OUT) == LAID_OUT


def test_an_expression_without_quotes_stays_so_where_yaml_reads_all_of_it():
    text = 'spec:\n  match:\n  - name: m\n    expression: job.kind=="batch"\n'

    assert formatted("p", text) == text.replace("==", " == ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("expression: a\n      && b\n", "expression: a && b\n"),
        ("expression: a\n      ? b\n      :c\n", "expression: 'a ? b : c'\n"),
        ("expression: \"it.x == 'y'\"\n", "expression: 'it.x == ''y'''\n"),
        ("expression: {}\n", "expression: {}\n"),
        ("expression: >\n      a  &&\n      b\n", "expression: >\n      a  &&\n      b\n"),
        ('expression: "a == \\"\\u00e9\\""\n', "expression: 'a == \"é\"'\n"),
        ('expression: "a == \\"\\n\\""\n', 'expression: "a == \\"\\n\\""\n'),
    ],
)
def test_quotes_of_expressions_are_single_or_none(before, after):
    head = "spec:\n  match:\n  - name: m\n    "

    assert formatted("p", head + before) in {
        head + after,
        head + after.replace("a && b", "'a && b'"),
    }


def test_texts_keep_their_white_space_and_lines_lose_theirs():
    text = "a: |\n  keep  \n\n  this  \nb: 1  \nc: 'x  \n\n  y'\n\n\n"

    assert formatted("p", text) == "a: |\n  keep  \n\n  this  \nb: 1\nc: 'x  \n\n  y'\n"


def test_ends_of_lines_become_one_kind():
    assert formatted("p", "a: 1\r\nb: 2") == "a: 1\nb: 2\n"


def test_a_kind_that_is_not_known_keeps_its_order():
    text = "kind: Recipe\nspec: {teams: [a], kind: batch}\nmetadata: {name: x}\n"

    assert formatted("p", text) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "kind: Workload\nspec: {team: a, maxCost: {increase: 1%, usd: 2}, kind: batch}\n",
            "kind: Workload\nspec: {kind: batch, maxCost: {usd: 2, increase: 1%}, team: a}\n",
        ),
        (
            "kind: Budget\nspec: {actions: [{do: warn, at: 80%}], limit: {costUsd: 2, carbonG: 1}}\n",
            "kind: Budget\nspec: {limit: {carbonG: 1, costUsd: 2}, actions: [{at: 80%, do: warn}]}\n",
        ),
        (
            "kind: Target\nspec: {baseline: {to: b, from: a}, measure: carbon}\n",
            "kind: Target\nspec: {measure: carbon, baseline: {from: a, to: b}}\n",
        ),
        (
            "kind: ServicePlan\nspec: {tiers: [{maxLoss: 1%, name: a}], workload: w}\n",
            "kind: ServicePlan\nspec: {workload: w, tiers: [{name: a, maxLoss: 1%}]}\n",
        ),
    ],
    ids=["workload", "budget", "target", "plan"],
)
def test_every_kind_has_the_order_of_its_schema(before, after):
    assert formatted("p", before) == after


def test_figures_of_a_test_stay_in_the_order_of_their_author_after_the_id():
    text = (
        "kind: PlacementPolicy\ntests:\n- candidates: [{p95_ms: 1, carbon_g: 2, id: a}]\n"
        "  baseline: {p95_ms: 1, id: b}\n"
    )

    assert formatted("p", text) == (
        "kind: PlacementPolicy\ntests:\n- baseline: {id: b, p95_ms: 1}\n"
        "  candidates: [{id: a, p95_ms: 1, carbon_g: 2}]\n"
    )


def test_a_map_over_several_lines_in_braces_is_left_alone():
    text = "kind: PlacementPolicy\nmetadata: {owners: [a],\n  # why\n  name: p}\n"

    assert formatted("p", text) == text


def test_what_is_not_yaml_is_refused_with_its_place():
    with pytest.raises(InvalidFile) as caught:
        formatted("p.yaml", "a: [1,\n")

    assert caught.value.code == "GO0101"


def test_a_file_of_many_maps_out_of_order_takes_little_time():
    rules = "".join(
        f"  - {{level: hard, name: c{at}, expression: 'a<{at}'}}\n" for at in range(400)
    )
    text = f"kind: PlacementPolicy\nspec:\n  constraints:\n{rules}"

    assert formatted("p", text).count("{name: c") == 400


def compiled(text):
    policies = compile_policies([("p.yaml", text)])
    return policies.hash, [replace_source(each) for each in policies.tests]


def replace_source(test):
    """What a test says, without the lines that it and its workload stand at."""
    job = replace(test.job, workload=replace(test.job.workload, source=None))
    return {name: getattr(test, name) for name in test.__slots__ if name != "source"} | {"job": job}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda each: each.relative_to(ROOT).as_posix())
def test_a_shipped_file_is_laid_out_already(path):
    assert formatted(path.name, path.read_text()) == path.read_text()


def shuffled(value, dice):
    if isinstance(value, dict):
        keys = list(value)
        dice.shuffle(keys)
        return {key: shuffled(value[key], dice) for key in keys}
    return [shuffled(each, dice) for each in value] if isinstance(value, list) else value


ALONE = [path for path in SHIPPED if path.parent in {ROOT, ROOT / "demo"}]


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(ALONE),
    dice=st.randoms(use_true_random=False),
    flow=st.sampled_from([None, True, False]),
    width=st.sampled_from([40, 80, 1000]),
)
def test_a_file_in_any_order_and_style_says_the_same_laid_out(path, dice, flow, width):
    roots = [shuffled(e, dice) for e in yaml.safe_load_all(path.read_text())]
    text = yaml.safe_dump_all(roots, sort_keys=False, default_flow_style=flow, width=width)

    made = formatted(path.name, text)

    assert compiled(made) == compiled(text)
    assert formatted(path.name, made) == made
    if flow is False:
        assert [
            next(iter(each)) for each in yaml.safe_load_all(made) if each["kind"] != "Workload"
        ] == ["apiVersion" for each in roots if each["kind"] != "Workload"]


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(ALONE), dice=st.randoms(use_true_random=False))
def test_no_comment_is_lost_whatever_moves(path, dice):
    roots = [shuffled(e, dice) for e in yaml.safe_load_all(path.read_text())]
    lines = yaml.safe_dump_all(roots, sort_keys=False, width=1000).split("\n")
    for at in range(len(lines) - 1, -1, -1):
        if dice.random() < 0.3 and lines[at]:
            depth = len(lines[at]) - len(lines[at].lstrip(" "))
            lines.insert(at, " " * depth + f"# note {at}")
        elif dice.random() < 0.2 and lines[at]:
            lines[at] += f"  # beside {at}"
    text = "\n".join(lines)

    made = formatted(path.name, text)

    assert compiled(made) == compiled(text)
    assert comments(made) == comments(text)
    assert formatted(path.name, made) == made


def comments(text):
    return sorted(re.findall(r"# (?:note|beside) \d+", text))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (  # a comment that comes to stand above a dash is as deep as the dash
            "spec:\n  constraints:\n  - level: soft\n    # why\n    name: n\n",
            "spec:\n  constraints:\n  # why\n  - name: n\n    level: soft\n",
        ),
        (
            "spec:\n  match: []\n# deep\n  priority: 1\n",
            "spec:\n  # deep\n  priority: 1\n  match: []\n",
        ),
        (
            "spec:\n  match: []\n  priority: 1\n  # end\n",
            "spec:\n  priority: 1\n  match: []\n  # end\n",
        ),
        (
            "metadata:\n  owners: |\n    # no comment\n\n    a\n  name: p\n",
            "metadata:\n  name: p\n  owners: |\n    # no comment\n\n    a\n",
        ),
        ("? spec\n: {}\n? metadata\n: {}\n", "? spec\n: {}\n? metadata\n: {}\n"),
        ("spec:\n  -\n    name: x\n", "spec:\n  -\n    name: x\n"),
    ],
)
def test_comments_and_unusual_layouts(before, after):
    head = "kind: PlacementPolicy\n"
    if before.startswith("?"):
        head, before, after = (
            "",
            f"? kind\n: PlacementPolicy\n{before}",
            f"? kind\n: PlacementPolicy\n{after}",
        )

    assert formatted("p", head + before) == head + after


EXPRESSIONS = sorted(
    {
        each
        for path in SHIPPED
        for root in yaml.safe_load_all(path.read_text())
        for rule in (root["spec"].get("constraints") or [])
        for each in [rule["expression"]]
    }
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(EXPRESSIONS), st.randoms(use_true_random=False))
def test_white_space_typed_anyhow_comes_out_one_way(text, dice: random.Random):
    tokens = tokens_of(text)
    assert tokens is not None
    glue = [" " if a[-1:].isalnum() and b[:1].isalnum() else "" for a, b in pairwise(tokens)]
    typed = tokens[0] + "".join(
        gap + " " * dice.randrange(3) + token for gap, token in zip(glue, tokens[1:], strict=True)
    )
    if tokens_of(typed) != tokens:
        return

    assert respaced(typed) == respaced(text)
    assert canonical(parse(respaced(typed))) == canonical(parse(text))
