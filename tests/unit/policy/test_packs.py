"""Policies that extend those of packs: one document results, and a slip is told where it stands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.policy import compile_policies, lint
from greenops.policy.packs import packs_named

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
HEAD = "apiVersion: greenops.dev/v1alpha1\nkind: PlacementPolicy\n"
BASE = HEAD + (
    "metadata: {pack: acme, name: cheap, owners: [a@example.com]}\n"
    "spec:\n"
    "  params: {most: 10.0, pools: [spot], tries: 3, strict: true}\n"
    "  limits: {maxCost: {increase: 10%}, maxCarbon: {intensity: 400}}\n"
    "  constraints:\n"
    "  - {name: cheap, expression: candidate.cost_usd < params.most}\n"
    "  - {name: pool, level: soft, expression: candidate.pool in params.pools}\n"
)
OWN = HEAD + (
    "metadata: {name: mine, owners: [me@example.com]}\n"
    "spec:\n"
    "  extends: [acme/cheap]\n"
    '  match: [{name: m, expression: job.team == "mine"}]\n'
    "  params: {most: 5}\n"
    "  limits: {maxCost: {usd: 40}}\n"
)


def problems(*texts):
    return [str(each) for each in lint([(f"{n}.yaml", text) for n, text in enumerate(texts)])]


def compiled(*texts):
    return compile_policies([(f"{n}.yaml", text) for n, text in enumerate(texts)])


def test_an_extending_policy_is_what_it_would_be_written_out():
    written = HEAD + (
        "metadata: {name: mine, owners: [me@example.com]}\n"
        "spec:\n"
        '  match: [{name: m, expression: job.team == "mine"}]\n'
        "  params: {most: 5.0, pools: [spot]}\n"
        "  limits: {maxCost: {usd: 40}, maxCarbon: {intensity: 400}}\n"
        "  constraints:\n"
        "  - {name: cheap, expression: candidate.cost_usd < params.most}\n"
        "  - {name: pool, level: soft, expression: candidate.pool in params.pools}\n"
    )

    assert compiled(BASE, OWN).documents == compiled(written).documents
    assert compiled(BASE, OWN).hash == compiled(written).hash


def test_the_order_of_files_does_not_matter():
    assert compiled(OWN, BASE).hash == compiled(BASE, OWN).hash


def test_another_parameter_is_another_hash():
    assert compiled(BASE, OWN).hash != compiled(BASE, OWN.replace("most: 5", "most: 6")).hash


def test_a_policy_of_a_pack_says_nothing_of_any_job_by_itself():
    made = compiled(BASE)
    job = Job("x", Workload("x", WorkloadKind.BATCH, Urgency.STANDARD, "eu"), NOW)

    said = made.judge(job, Candidate("now"), [Candidate("dear", cost_usd=99.0)], NOW)

    assert made.policies == ()
    assert made.documents == {}
    assert said.policies == ()
    assert said.verdicts[1].allowed


def test_several_bases_hold_together_and_the_later_one_counts_where_both_say():
    second = BASE.replace("name: cheap", "name: clean").replace("most: 10.0", "most: 7.0")
    both = OWN.replace("[acme/cheap]", "[acme/cheap, acme/clean]").replace("most: 5", "tries: 1")

    (policy,) = compiled(BASE, second.replace("{name: pool", "{name: other"), both).policies

    assert [each.name for each in policy.constraints] == ["cheap", "pool", "clean", "other"]
    assert {e.expression.text for e in policy.constraints if e.name in {"cheap", "clean"}} == {
        "(candidate.cost_usd < 7.0)"
    }


def test_a_pack_may_build_on_a_pack():
    middle = OWN.replace("{name: mine", "{pack: team, name: mine")
    last = OWN.replace("acme/cheap", "team/mine").replace("most: 5", "most: 4")

    (policy,) = compiled(BASE, middle, last).policies

    assert [each.text for each in policy.match] == ['(job.team == "mine")'] * 2
    assert policy.constraints[0].expression.text == "(candidate.cost_usd < 4.0)"


def test_policies_that_extend_each_other_are_refused_with_the_circle():
    one = OWN.replace("{name: mine", "{pack: p, name: one").replace("acme/cheap", "p/two")
    two = OWN.replace("{name: mine", "{pack: p, name: two").replace("acme/cheap", "p/one")

    found = problems(one, two)

    assert all(each.startswith("GO0124 ") for each in found)
    assert "1.yaml:5:13: policies extend each other: `p/one` -> `p/two` -> `p/one`" in found[0]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "acme/cheap",
            "acmee/cheap",
            "GO0123 1.yaml:5:13: unknown pack `acmee`; did you mean `acme`",
        ),
        ("acme/cheap", "x/y", "GO0123 1.yaml:5:13: unknown pack `x`; known: acme, greenops"),
        (
            "acme/cheap",
            "acme/chaep",
            "GO0123 1.yaml:5:13: pack `acme` has no policy `chaep`; did you mean `acme/cheap`",
        ),
        (
            "[acme/cheap]",
            "acme/cheap",
            "GO0112 1.yaml:5:12: `spec.extends` has `acme/cheap`; write",
        ),
        ("[acme/cheap]", "[cheap]", "GO0112 1.yaml:5:13: `spec.extends` has `cheap`"),
        ("[acme/cheap]", "[]", "GO0112 1.yaml:5:12: `spec.extends` has a list"),
        ("[acme/cheap]", "[{a: b}]", "GO0112 1.yaml:5:13: `spec.extends` has a map"),
        (
            "extends: [acme",
            "extend: [acme",
            "GO0110 1.yaml:5:3: unknown key in `spec` `extend`; did",
        ),
        (
            'match: [{name: m, expression: job.team == "mine"}]',
            "match: []",
            "`spec.match` is empty",
        ),
        ("most: 5", "msot: 5", "GO0125 1.yaml:7:18: the policies that this one extends have no"),
        ("most: 5", "msot: 5", "did you mean `most`?"),
        ("most: 5", "x: 5", "name it in a rule, or remove it; known: most, pools, strict, tries"),
        ("most: 5", "most: dear", "is a text, not a number as at 0.yaml:5:18; write a number"),
        ("most: 5", "pools: spot", "is a text, not a list of texts as at 0.yaml:5:31"),
        ("most: 5", "pools: [1, 2]", "is a list of whole numbers, not a list of texts"),
        ("most: 5", "pools: []", "is a list of nothing, not a list of texts"),
        ("most: 5", "pools: [a, 1]", "is a list of several kinds, not a list of texts"),
        ("most: 5", "tries: 1.5", "is a number, not a whole number"),
        ("most: 5", "strict: 1", "is a whole number, not true or false"),
        ("most: 5", "most:", "GO0125 1.yaml:7:17: `spec.params.most` is nothing"),
    ],
)
def test_a_slip_in_extends_is_one_line_with_its_place(old, new, says):
    assert old in OWN

    found = problems(BASE, OWN.replace(old, new))

    assert any(says in each for each in found), found
    assert all("\n" not in each for each in found)


def test_a_slip_in_a_pack_is_told_once_at_its_own_place():
    found = problems(BASE.replace("candidate.cost_usd", "candidate.cots_usd"), OWN)

    assert [each[: len("GO0131 0.yaml:8:31")] for each in found] == ["GO0131 0.yaml:8:31"]


def test_a_parameter_of_ones_own_is_one_that_ones_own_rules_name():
    own = OWN.replace("most: 5", "mine: 3.0") + (
        "  constraints: [{name: p95, expression: candidate.p95_ms < params.mine}]\n"
    )

    (policy,) = compiled(BASE, own).policies

    assert [each.name for each in policy.constraints] == ["cheap", "pool", "p95"]


def test_a_rule_named_as_one_of_its_base_is_refused_and_does_not_replace_it():
    own = OWN + "  constraints: [{name: cheap, expression: 'true'}]\n"

    (found,) = problems(BASE, own)

    assert "two constraints are named `cheap`" in found


def test_a_policy_of_a_pack_approves_no_exception():
    exception = (
        '  exceptions: [{id: E, reason: r, approvedBy: [a], notBefore: "2026-11-01T00:00:00Z", '
        'expires: "2026-11-02T00:00:00Z", match: "true", effect: {runNow: true}}]\n'
    )

    (found,) = problems(BASE + exception)

    assert "a policy of a pack has no exceptions" in found


def test_two_policies_of_one_pack_with_one_name_are_refused_and_of_two_packs_not():
    assert [each[:6] for each in problems(BASE, BASE)] == ["GO0117"]
    assert problems(BASE, BASE.replace("pack: acme", "pack: other")) == []


def test_a_pack_that_grows_without_end_is_refused():
    texts = [BASE]
    for level in range(12):
        below = "acme/cheap" if not level else f"acme/level-{level - 1}"
        name = f"{{pack: acme, name: level-{level}"
        own = OWN.replace("{name: mine", name).replace("acme/cheap", f"{below}, {below}")
        texts.append(own)

    assert any("GO0134" in each for each in problems(*texts))


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        ([OWN], {"acme"}),
        ([OWN, BASE], set()),
        ([BASE], set()),
        (["extends: [", OWN], {"acme"}),
        (["spec: {extends: [a/b, c/d]}"], {"a", "c"}),
        (["spec: {extends: }\n---\nextends: x"], set()),
    ],
)
def test_packs_that_are_extended_and_not_held_are_named(texts, named):
    assert packs_named([(f"{n}.yaml", text) for n, text in enumerate(texts)]) == named
