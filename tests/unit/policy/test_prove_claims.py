"""Known answers of proofs, and random policies whose answers every row of a grid confirms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.policy import compile_policies
from greenops.policy.builtin import constraints_for
from greenops.policy.schema import FIELDS
from greenops.units import GramsPerKwh, Usd

pytest.importorskip("z3")
from greenops.policy.prove_claims import Kind, Subject, claims
from greenops.policy.prove_encode import Encoder
from greenops.policy.prove_equal import differences, equal
from greenops.policy.prove_invariants import read_invariants
from greenops.policy.prove_numbers import Exact
from greenops.policy.prove_rules import told
from greenops.policy.prove_solve import Answer, decide
from greenops.policy.prove_witness import Witness, seen

pytestmark = pytest.mark.timeout(150)  # a solver's time depends on the machine

HEAD = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {{name: {name}, owners: [a@example.com]}}
spec:
"""
EVERY = "  match: [{expression: 'true'}]\n"


def policy(body, name="p"):
    return HEAD.format(name=name) + ("" if "  match: [" in body else EVERY) + body


def answers(*texts, seconds=5.0):
    sources = [(f"{i}.yaml", each) for i, each in enumerate(texts)]
    policies = compile_policies(sources)
    asked = claims(policies, read_invariants(sources, policies))
    return {(c.policy, c.id): decide(c, seconds) for c in asked}


def said(body, claim, seconds=5.0):
    return answers(policy(body), seconds=seconds)["p", claim]


def constraints(*texts):
    lines = [f"  - {{name: c{i}, expression: '{text}'}}\n" for i, text in enumerate(texts)]
    return "  constraints:\n" + "".join(lines)


def invariant(assume, claim):
    first = f"assume: '{assume}', " if assume else ""
    return f"  verification: {{invariants: [{{id: i, {first}assert: '{claim}'}}]}}\n"


def test_a_policy_that_meets_no_run_is_told():
    found = said(
        '  match: [{expression: \'job.kind == "batch" && job.kind == "train"\'}]\n', "match"
    )

    assert found.answer is Answer.FAILS
    assert found.because == ("match",)


def test_constraints_that_no_candidate_can_pass_are_named():
    found = said(
        constraints("candidate.cost_usd < 5.0", "true", "candidate.cost_usd >= 5.0"), "constraints"
    )

    assert found.answer is Answer.FAILS
    assert found.because == ("c0", "c2")


def test_a_limit_of_the_policy_can_be_in_conflict_with_its_own_rule():
    body = "  limits: {maxCost: {usd: 3.0}}\n" + constraints("candidate.cost_usd >= 5.0")

    assert said(body, "constraints").because == ("limit/maxCost", "c0")


def test_a_rule_that_another_makes_idle_is_told_with_the_other():
    found = said(
        constraints("candidate.cost_usd < 9.0", "candidate.cost_usd < 5.0"), "constraint/c0"
    )

    assert found.answer is Answer.FAILS
    assert found.because == ("c1", "c0")


def test_an_absent_figure_keeps_a_rule_from_being_idle():
    found = said(
        constraints(
            "!(candidate.cost_usd >= 9.0)", "!has(candidate.cost_usd) || candidate.cost_usd < 5.0"
        ),
        "constraint/c0",
    )

    assert found.answer is Answer.HOLDS
    assert found.found is not None
    assert found.found.candidate.cost_usd is None


def test_an_advisory_rule_that_never_warns_is_told():
    body = "  constraints:\n  - {name: a, expression: candidate.cost_usd < 5.0}\n"
    body += "  - {name: b, level: advisory, expression: candidate.cost_usd < 6.0}\n"

    assert said(body, "constraint/b").answer is Answer.FAILS


def test_an_objective_that_an_earlier_one_always_takes_is_told():
    body = "  objectives:\n  - {name: a, minimize: candidate.carbon_g}\n"
    body += "  - {name: b, when: has(candidate.carbon_g), minimize: candidate.carbon_g}\n"

    assert said(body, "objective/b").answer is Answer.FAILS
    assert said(body, "objective/a").answer is Answer.HOLDS


def test_an_invariant_that_holds_is_proved_however_figures_round():
    body = constraints('candidate.location in ["EU"]')
    found = said(body + invariant('candidate.location == "US"', "!eligible"), "invariant/i")

    assert (found.answer, found.caveat) == (Answer.HOLDS, "")


def test_a_waived_rule_breaks_an_invariant_and_the_row_lies_in_the_waiver():
    body = """  constraints:
  - {name: eu, level: soft, expression: candidate.location == "EU"}
  exceptions:
  - id: e
    reason: r
    approvedBy: [a@example.com]
    notBefore: "2026-11-01T00:00:00Z"
    expires: "2026-11-05T00:00:00Z"
    match: job.team == "ops"
    effect: {waive: [eu]}
""" + invariant('candidate.location == "US"', "!eligible")

    found = said(body, "invariant/i")

    assert found.answer is Answer.FAILS
    assert found.found is not None
    assert found.found.job.workload.team == "ops"
    assert datetime(2026, 11, 1, tzinfo=UTC) <= found.found.now < datetime(2026, 11, 5, tzinfo=UTC)


def test_an_assertion_that_errs_breaks_its_invariant():
    found = said(constraints("true") + invariant("", "candidate.cost_usd < 1e300"), "invariant/i")

    assert found.answer is Answer.FAILS


def test_a_policy_whose_match_errs_still_refuses_in_an_invariant():
    body = "  match: [{expression: job.contains_personal_data}]\n"
    body += constraints('candidate.location == "EU"')

    assert (
        said(body + invariant('candidate.location == "US"', "!eligible"), "invariant/i").answer
        is Answer.HOLDS
    )


def test_an_invariant_uses_the_parameters_and_variables_of_its_policy():
    body = "  params: {most: 4.0}\n  variables: [{name: dear, expression: candidate.cost_usd > params.most}]\n"
    body += constraints("!variables.dear") + invariant("variables.dear", "!eligible")

    assert said(body, "invariant/i").answer is Answer.HOLDS


def test_time_zones_count_summer_time():
    rule = 'candidate.start.getHours("Europe/Paris") == 2'
    day = 'candidate.start >= timestamp("2026-03-28T23:00:00Z") && candidate.start < timestamp("2026-03-29T22:00:00Z")'

    assert said(constraints(rule, day), "constraints").answer is Answer.FAILS
    assert said(constraints(rule.replace("2", "3"), day), "constraints").answer is Answer.HOLDS


def test_what_is_not_told_is_never_proved_wrong():
    month = "candidate.start.getMonth() == 12"

    found = said(constraints(month), "constraints")

    assert found.answer is Answer.UNKNOWN
    assert "`getMonth` is not told to the solver" in found.says


def test_what_is_not_told_is_learnt_from_the_rows_where_few_are_possible():
    body = constraints(
        "candidate.start.getMonth() == 2", 'candidate.start == timestamp("2026-03-05T00:00:00Z")'
    )

    assert said(body, "constraints").answer is Answer.HOLDS


def test_a_list_as_long_as_a_rule_counts_to_is_tried():
    assert said(constraints("size(job.allowed_regions) > 4"), "constraints").answer is Answer.HOLDS
    assert said(constraints("size(job.allowed_regions) < 1"), "constraints").answer is Answer.FAILS


def test_a_list_that_would_have_to_be_longer_than_any_that_is_tried_leaves_it_open():
    found = said(constraints("size(job.allowed_regions) > 40"), "constraints")

    assert found.answer is Answer.UNKNOWN
    assert "lists of up to 12 texts" in found.says


def test_two_policies_that_one_run_meets_can_be_in_conflict():
    found = answers(
        policy(constraints("candidate.cost_usd < 5.0"), "low"),
        policy(constraints("candidate.cost_usd > 5.0"), "high"),
        policy("  match: [{expression: 'false'}]\n", "none"),
    )

    assert found["low and high", "together"].because == ("low: c0", "high: c0")
    assert found["low and none", "together"].says == "no run meets both"


def compared(left, right, seconds=5.0):
    one, other = (compile_policies([("f", policy(each))]) for each in (left, right))
    subjects = (Subject(one, one.policies[0]), Subject(other, other.policies[0]))
    return {claim.id: decide(claim, seconds) for claim in equal(*subjects)}


def test_a_refactoring_that_changes_nothing_is_proved():
    left = constraints("!(candidate.cost_usd > 5.0) && !(candidate.carbon_g > 9.0)")
    right = constraints("candidate.carbon_g <= 9.0", "candidate.cost_usd <= 5.0")

    assert {each.answer for each in compared(left, right).values()} == {Answer.HOLDS}


def test_a_policy_is_equal_to_itself_at_any_hour_of_any_century():
    rule = 'candidate.start.getHours("Europe/Paris") == 2 && candidate.pool.matches("\\bx")'
    body = constraints(rule, 'candidate.pool != "\U00100000"')

    assert {each.answer for each in compared(body, body).values()} == {Answer.HOLDS}


def test_the_rules_of_the_engine_that_proofs_know_are_all_there_are():
    """A new one must be told to the solver too, or proofs would speak of another engine."""
    within, usd = timedelta(hours=1), Usd(1.0)
    limits = Limits(within, None, usd, 0.1, 0.1, GramsPerKwh(1.0))
    workload = Workload(
        *("w", WorkloadKind.BATCH, Urgency.INTERACTIVE, "a", ("a",)), data_class="x", limits=limits
    )
    job = Job("j", workload, datetime(2026, 11, 23, tzinfo=UTC))

    there = constraints_for(job, limits, job.submitted, frozenset())

    policy_of_all = compile_policies([("f", policy(""))]).policies[0]
    encoder = Encoder(Exact(), FIELDS, 2)
    known = [each.name for each in told(encoder, policy_of_all, frozenset()).rules]
    assert known == [each.name for each in there]


def test_a_refactoring_that_changes_what_errs_is_found_with_a_row():
    left = constraints("candidate.cost_usd <= 5.0 || candidate.carbon_g <= 9.0")
    right = constraints(
        "candidate.cost_usd <= 5.0 || !(candidate.carbon_g > 9.0 || candidate.carbon_g > 8.0)"
    )

    found = compared(left, right)["constraints"]

    assert found.answer is Answer.FAILS
    assert found.found is not None
    assert 8.0 < (found.found.candidate.carbon_g or 0) <= 9.0


def test_sums_that_differ_only_as_doubles_round_are_not_called_equal():
    left = "  objectives: [{name: o, minimize: (candidate.cost_usd + 0.1) + 0.2}]\n"
    right = "  objectives: [{name: o, minimize: candidate.cost_usd + (0.1 + 0.2)}]\n"

    found = compared(left, right)["objectives"]

    assert (found.answer, found.caveat) == (Answer.FAILS, "only as doubles are rounded")


def test_a_rule_that_only_rounding_can_keep_is_not_called_a_conflict():
    sums = "(candidate.cost_usd + 0.1) + 0.2 != candidate.cost_usd + (0.1 + 0.2)"

    found = said(constraints(sums), "constraints", seconds=2.0)

    assert (found.answer, found.caveat) == (Answer.HOLDS, "only as doubles are rounded")


def test_what_needs_no_solver_to_differ_is_listed():
    one = compile_policies([("f", policy("  priority: 1\n"))]).policies[0]
    other = compile_policies(
        [("f", policy("  priority: 2\n  limits: {maxCost: {usd: 2.0}}\n"))]
    ).policies[0]

    assert differences(one, one) == []
    assert differences(one, other) == ["the two differ in priority", "the two differ in limits"]


ATOMS = [
    "candidate.cost_usd < 1.0",
    "candidate.cost_usd >= 2.0",
    "candidate.cost_usd == 1.0",
    'candidate.region == "a"',
    'candidate.region in ["a", "b"]',
    'candidate.region.startsWith("b")',
    "has(candidate.region)",
    "has(candidate.cost_usd)",
    "job.interruptible",
    'job.urgency == "deferrable"',
    "candidate.region < candidate.pool",
]
GRID = list(
    product(
        (None, 0.0, 1.0, 1.5, 2.0),
        (None, "a", "b", "bx", "c"),
        (None, "a", "b", "d"),
        (True, False),
        (Urgency.DEFERRABLE, Urgency.STANDARD, Urgency.INTERACTIVE),
    )
)


@st.composite
def rules(draw, depth=2):
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(ATOMS))
    shape = draw(st.sampled_from(["({} && {})", "({} || {})", "!({})", "({} ? {} : {})"]))
    return shape.format(*(draw(rules(depth - 1)) for _ in range(shape.count("{}"))))


@st.composite
def policies(draw):
    match = draw(st.sampled_from(["true", "job.interruptible", 'job.urgency == "deferrable"']))
    body = f"  match: [{{expression: '{match}'}}]\n"
    body += constraints(*draw(st.lists(rules(), min_size=1, max_size=3)))
    when = draw(rules(1))
    body += f"  objectives: [{{name: o, when: '{when}', minimize: candidate.cost_usd}}]\n"
    return body + invariant(draw(rules(1)), f"!eligible || {draw(rules(1))}")


def row(cost, region, pool, interruptible, urgency):
    workload = Workload(
        "w", WorkloadKind.BATCH, urgency, home_region="a", interruptible=interruptible
    )
    now = datetime(2026, 11, 23, tzinfo=UTC)
    place = Candidate("c", region=region, pool=pool, cost_usd=cost)
    return Witness({}, Job("j", workload, now), Candidate("base"), place, now)


@pytest.mark.untraced
@settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(policies())
def test_the_prover_answers_as_every_row_of_a_grid_does(body):
    sources = [("f", policy(body))]
    made = compile_policies(sources)
    grid = [seen(made, made.policies[0], row(*each)) for each in GRID]
    for claim in claims(made, read_invariants(sources, made)):
        there = any(claim.seen([each]) for each in grid)
        expected = Answer.HOLDS if there is claim.wanted else Answer.FAILS

        assert claim.kind in Kind
        assert decide(claim, 10.0).answer is expected, (claim.id, body)
