"""What the policies say of a job: who may move where, who may never, and what an error means."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.decision import Candidate, Mode
from greenops.domain.workload import ClockTime, Job, Limits, Urgency, Workload, WorkloadKind
from greenops.policy import PolicySet, compile_policies
from greenops.policy.schema import deadline_of, tightest

HEAD = "apiVersion: greenops.dev/v1alpha1\nkind: PlacementPolicy\n"
NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
BASE = Candidate("now", region="eu", carbon_g=100.0, cost_usd=1.0, intensity=300.0, start=NOW)  # type: ignore[arg-type]
NOTHING = PolicySet((), {})
REGIONS = ["eu", "us", "north", None]


def policy(spec, name="rule", owners="a@example.com"):
    body = "\n".join(f"  {line}" for line in spec.strip("\n").splitlines())
    return f"{HEAD}metadata: {{name: {name}, owners: [{owners}]}}\nspec:\n{body}\n"


def made(*specs):
    texts = [policy(spec, f"rule-{i}") for i, spec in enumerate(specs)]
    return compile_policies([("p.yaml", "---\n".join(texts))])


def job(urgency=Urgency.DEFERRABLE, limits=None, **fields):
    workload = Workload(
        "etl", WorkloadKind.BATCH, urgency, "eu", limits=limits or Limits(), **fields
    )
    return Job("etl/1", workload, NOW)


def at(name="other", **figures):
    return Candidate(name, **figures)


def only(judgement):
    return judgement.verdicts[1]


MATCH_ALL = "match: [{name: all, expression: 'true'}]\n"
CHEAP = MATCH_ALL + "constraints: [{name: cheap, expression: candidate.cost_usd < 2.0}]"


def test_the_baseline_is_judged_first_and_the_candidates_in_order():
    said = made(CHEAP).judge(job(), BASE, [at("b", cost_usd=1.0), at("a", cost_usd=3.0)], NOW)

    assert [v.candidate for v in said.verdicts] == ["now", "b", "a"]
    assert [v.allowed for v in said.verdicts] == [True, True, False]
    assert said.policies == ("rule-0",)


def test_an_absent_figure_refuses_and_says_so():
    verdict = only(made(CHEAP).judge(job(), BASE, [at()], NOW))

    assert verdict.reasons == ("cheap",)
    assert verdict.errors == {"cheap": "`cost_usd` is absent"}


def test_the_constraints_of_all_matching_policies_hold_together():
    other = MATCH_ALL + "constraints: [{name: near, expression: candidate.region == 'eu'}]"

    verdict = only(made(CHEAP, other).judge(job(), BASE, [at(region="us", cost_usd=3.0)], NOW))

    assert verdict.reasons == ("cheap", "near")


def test_without_policies_all_is_allowed_and_nothing_scores():
    said = NOTHING.judge(job(), BASE, [at()], NOW)

    assert only(said).allowed
    assert only(said).score is None
    assert (said.objective, said.mode, said.policies) == (None, Mode.ENFORCE, ())


def test_a_match_that_cannot_be_told_binds_but_does_not_move():
    text = (
        "match: [{name: team, expression: job.team == 'x'}]\n"
        "constraints: [{name: near, expression: candidate.region == 'eu'}]\n"
        "objectives: [{name: o, minimize: candidate.carbon_g}]"
    )

    said = made(text).judge(job(), BASE, [at(region="us", carbon_g=1.0)], NOW)

    assert only(said).reasons == ("near",)
    assert said.objective is None


def test_an_advisory_constraint_warns_and_may_ignore_errors():
    text = (
        MATCH_ALL
        + "onError: Ignore\nconstraints:\n"
        + "- {name: slow, level: advisory, expression: candidate.p95_ms < 10.0}\n"
        + "- {name: dear, level: advisory, expression: candidate.cost_usd < 10.0}"
    )

    verdict = only(made(text).judge(job(), BASE, [at(p95_ms=20.0)], NOW))

    assert verdict.allowed
    assert verdict.warnings == ("slow",)


def test_a_message_is_the_authors_and_is_cut_at_five_kibibytes():
    text = (
        MATCH_ALL
        + "constraints:\n- name: cheap\n  expression: candidate.cost_usd < 2.0\n"
        + "  messageExpression: '\"it costs \" + string(candidate.cost_usd)'\n"
        + "- {name: near, expression: 'candidate.region == job.name', "
        + "messageExpression: candidate.zone}\n"
    )

    verdict = only(made(text).judge(job(), BASE, [at(cost_usd=3.0, zone="z" * 9999)], NOW))

    assert verdict.messages["cheap"] == "it costs 3"
    assert len(verdict.messages["near"]) == 5 * 1024


def test_the_objective_of_the_highest_priority_counts():
    low = MATCH_ALL + "objectives: [{name: carbon, minimize: candidate.carbon_g}]"
    high = MATCH_ALL + "priority: 5\nobjectives: [{name: cost, minimize: candidate.cost_usd}]"

    said = made(low, high).judge(job(), BASE, [at(carbon_g=1.0, cost_usd=7.0)], NOW)

    assert said.objective == "cost"
    assert only(said).score == (7.0, 0.0)
    assert said.policies == ("rule-1", "rule-0")


def test_two_objectives_of_one_priority_move_nothing():
    text = MATCH_ALL + "objectives: [{name: o, minimize: candidate.carbon_g}]"

    said = made(text, text).judge(job(), BASE, [at(carbon_g=1.0)], NOW)

    assert said.objective is None
    assert not any(v.eligible for v in said.verdicts)
    assert "rule-0, rule-1" in only(said).errors["objective/conflict"]


def test_the_next_objective_counts_where_the_first_has_no_winner():
    text = (
        MATCH_ALL
        + "objectives:\n- {name: first, when: candidate.carbon_g < 1, minimize: candidate.carbon_g}\n"
        + "- {name: second, minimize: candidate.cost_usd, tieBreak: candidate.carbon_g}"
    )

    said = made(text).judge(job(), BASE, [at(carbon_g=5.0, cost_usd=1.0)], NOW)

    assert said.objective == "second"
    assert only(said).score == (1.0, 5.0)


@pytest.mark.parametrize("figures", [{}, {"carbon_g": float("nan")}, {"carbon_g": float("inf")}])
def test_a_score_that_is_no_number_is_none(figures):
    text = MATCH_ALL + "objectives: [{name: o, minimize: candidate.carbon_g}]"

    assert only(made(text).judge(job(), BASE, [at(**figures)], NOW)).score is None


def test_the_most_cautious_mode_of_the_matching_policies_counts():
    enforce, shadow = (f"{MATCH_ALL}enforcement: {{mode: {m}}}" for m in ("enforce", "shadow"))

    assert made(enforce).judge(job(), BASE, [], NOW).mode is Mode.ENFORCE
    assert made(enforce, shadow).judge(job(), BASE, [], NOW).mode is Mode.SHADOW
    assert made(enforce, MATCH_ALL).judge(job(), BASE, [], NOW).mode is Mode.AUDIT


def test_the_hold_out_is_a_stable_share_of_jobs():
    text = (
        MATCH_ALL
        + "objectives: [{name: o, minimize: candidate.carbon_g}]\n"
        + "enforcement: {mode: enforce, rollout: {percent: 25}}"
    )
    policies = made(text)
    workload = job().workload

    def held_out():
        return [
            policies.judge(Job(f"etl/{i}", workload, NOW), BASE, [], NOW).held_out
            for i in range(400)
        ]

    first = held_out()

    assert 0.68 < sum(first) / 400 < 0.82
    assert held_out() == first


def test_a_key_puts_all_runs_of_a_workload_on_one_side():
    text = (
        MATCH_ALL
        + "objectives: [{name: o, minimize: candidate.carbon_g}]\n"
        + "enforcement: {mode: enforce, rollout: {percent: 50, key: job.name}}"
    )
    policies = made(text)

    sides = {
        policies.judge(Job(f"etl/{i}", job().workload, NOW), BASE, [], NOW).held_out
        for i in range(20)
    }

    assert len(sides) == 1


EXCEPTION = (
    MATCH_ALL
    + """constraints:
- {name: green, level: soft, expression: candidate.pool == 'green'}
- {name: near, expression: candidate.region == 'eu'}
exceptions:
- id: E1
  reason: attack
  approvedBy: [boss@example.com]
  notBefore: "2026-11-24T00:00:00Z"
  expires: "2026-11-25T00:00:00Z"
  match: job.urgency == "break-glass"
  effect: {runNow: true, waive: [green]}
"""
)


def test_an_exception_waives_soft_constraints_and_no_hard_one():
    urgent = job(Urgency.BREAK_GLASS)

    said = made(EXCEPTION).judge(urgent, BASE, [at(region="us", pool="spot")], NOW)

    assert (said.exception, said.run_now, said.waived) == ("E1", True, ("green",))
    assert said.verdicts[0].allowed
    assert only(said).reasons == ("near",)


@pytest.mark.parametrize("day", [23, 25, 26])
def test_an_exception_ends_and_does_not_begin_early(day):
    urgent = job(Urgency.BREAK_GLASS)

    said = made(EXCEPTION).judge(urgent, BASE, [], datetime(2026, 11, day, tzinfo=UTC))

    assert (said.exception, said.run_now) == (None, False)
    assert said.verdicts[0].reasons == ("green",)


def test_an_exception_that_runs_a_job_now_takes_it_out_of_the_hold_out():
    held = "objectives: [{name: o, minimize: candidate.carbon_g}]\n"
    held += "enforcement: {mode: enforce, rollout: {percent: 0}}\n"
    policies = made(EXCEPTION + held)

    assert policies.judge(job(), BASE, [], NOW).held_out
    said = policies.judge(job(Urgency.BREAK_GLASS), BASE, [], NOW)
    assert (said.run_now, said.held_out) == (True, False)


def test_the_exception_on_record_is_the_one_that_runs_the_job_now():
    first = EXCEPTION.replace("id: E1", "id: E0").replace("runNow: true, waive", "waive")
    policies = made(first, EXCEPTION, EXCEPTION.replace("E1", "E2"))

    said = policies.judge(job(Urgency.BREAK_GLASS), BASE, [], NOW)

    assert (said.exception, said.run_now, said.waived) == ("E1", True, ("green",))


def test_a_policy_whose_objectives_do_not_count_holds_nobody_out():
    out = MATCH_ALL + "objectives: [{name: o, minimize: candidate.carbon_g}]\n"
    nobody = out + "enforcement: {mode: enforce, rollout: {percent: 0}}"
    counts = out + "priority: 5\nenforcement: {mode: enforce}"

    assert made(nobody).judge(job(), BASE, [], NOW).held_out
    assert not made(nobody, counts).judge(job(), BASE, [], NOW).held_out
    assert made(out + "priority: 5", nobody).judge(job(), BASE, [], NOW).held_out is False


@pytest.mark.feature("C1")
def test_the_three_numbers_are_constraints_and_the_tightest_holds():
    limits = Limits(
        deadline_within=timedelta(hours=8),
        max_cost_increase=0.1,
        max_carbon_reduction=0.05,
    )
    text = (
        MATCH_ALL
        + "limits: {deadline: {within: 4h}, maxCost: {usd: 5.0}, maxCarbon: {intensity: 200}}"
    )
    late = at(end=NOW + timedelta(hours=5), cost_usd=1.11, carbon_g=96.0, intensity=201.0)

    said = made(text).judge(job(limits=limits), BASE, [late], NOW)

    assert only(said).reasons == ("limit/deadline", "limit/maxCost", "limit/maxCarbon")
    assert said.limits == Limits(
        deadline_within=timedelta(hours=4),
        max_cost_usd=5.0,  # type: ignore[arg-type]
        max_cost_increase=0.1,
        max_carbon_reduction=0.05,
        max_intensity=200.0,  # type: ignore[arg-type]
    )


def test_relative_limits_never_refuse_the_baseline_and_absolute_ones_may():
    relative = Limits(max_cost_increase=0.0, max_carbon_reduction=0.5)
    absolute = Limits(max_intensity=299.0)  # type: ignore[arg-type]

    assert NOTHING.judge(job(limits=relative), BASE, [], NOW).verdicts[0].allowed
    refused = NOTHING.judge(job(limits=absolute), BASE, [], NOW).verdicts[0]
    assert refused.reasons == ("limit/maxCarbon",)


def test_a_jobs_own_deadline_holds_beside_its_limits():
    limits = Limits(deadline_within=timedelta(hours=8))
    own = Job("etl/1", job(limits=limits).workload, NOW, deadline=NOW + timedelta(hours=1))

    verdict = only(NOTHING.judge(own, BASE, [at(end=NOW + timedelta(hours=2))], NOW))

    assert verdict.reasons == ("limit/deadline",)


@pytest.mark.parametrize(
    ("own", "of_workload", "hours"), [(None, None, 4), (3, 8, 3), (None, 2, 2), (9, 8, 4)]
)
def test_the_tightest_deadline_is_told_before_and_with_the_judgement(own, of_workload, hours):
    within = timedelta(hours=of_workload) if of_workload else None
    workload = job(limits=Limits(deadline_within=within)).workload
    run = Job("etl/1", workload, NOW, deadline=NOW + timedelta(hours=own) if own else None)
    policies = made(MATCH_ALL + "limits: {deadline: {within: 4h}}")

    assert policies.judge(run, BASE, [], NOW).deadline == NOW + timedelta(hours=hours)
    assert policies.deadline_for(run, NOW) == NOW + timedelta(hours=hours)


def test_without_a_deadline_there_is_none_to_tell():
    other = "match: [{name: no, expression: 'false'}]\nlimits: {deadline: {within: 4h}}"

    assert made(other).judge(job(), BASE, [], NOW).deadline is None
    assert made(other).deadline_for(job(), NOW) is None


@pytest.mark.parametrize(
    "rule", ["baseline.carbon_g > 500", "has(baseline.p95_ms)", "baseline.region == 'us'"]
)
def test_a_match_that_asks_for_the_baseline_counts_until_there_is_one(rule):
    policies = made(
        f"match: [{{name: m, expression: {rule}}}]\nlimits: {{deadline: {{within: 4h}}}}"
    )

    assert policies.deadline_for(job(), NOW) == NOW + timedelta(hours=4)
    assert policies.deadline_for(job(), NOW, BASE) is None


@pytest.mark.parametrize(
    ("submitted", "due"),
    [
        ("2026-11-24T04:00:00Z", "2026-11-24T05:00:00Z"),
        ("2026-11-24T05:00:00Z", "2026-11-25T05:00:00Z"),
        ("2026-07-01T03:30:00Z", "2026-07-01T04:00:00Z"),
    ],
)
def test_a_deadline_by_the_clock_is_the_next_such_time_there(submitted, due):
    limits = Limits(
        deadline_at=ClockTime(datetime(2026, 1, 1, 6, tzinfo=UTC).time(), "Europe/Paris")
    )
    begun = datetime.fromisoformat(submitted)

    assert deadline_of(Job("j", job().workload, begun), limits) == datetime.fromisoformat(due)
    assert tightest([limits, Limits()], begun) == limits


MANY = 2_000
# Whole numbers and corners come often, so that figures meet their limits; seeded, so that a failure comes again.
FIGURES = (None, 0.0, 1.0, 1.1, 1.1000000000000003, 1.2, 100.0, 200.0)
HOURS = (None, *range(-5, 6))
NEAR_CLASSES = (
    "Public",
    "public ",
    " internal",
    "persona1",
    "personal\n",
    "publi\u0441",
    "\x00",
    "none",
)
"""Like the known classes, the last but two with a letter of another alphabet."""


def drawn(draw: random.Random) -> Candidate:
    def figure(most: float) -> float | None:
        return draw.choice((draw.choice(FIGURES), draw.uniform(0, most)))

    hour = draw.choice(HOURS)
    return Candidate(
        "other",
        region=draw.choice(REGIONS),
        location=draw.choice(("EU", "US", None)),
        start=None if hour is None else NOW + timedelta(hours=hour),
        carbon_g=figure(1000),  # type: ignore[arg-type]
        cost_usd=figure(10),  # type: ignore[arg-type]
        p95_ms=figure(200),
    )


@pytest.fixture(scope="module")
def ten_thousand() -> list[Candidate]:
    draw = random.Random(8)
    return [drawn(draw) for _ in range(10_000)]


PINNED = compile_policies(
    [
        (
            "p.yaml",
            policy(
                "match: [{name: m, expression: job.name == 'etl'}]\n"
                "constraints: [{name: pin, expression: candidate.region == baseline.region}]\n"
                "objectives: [{name: o, minimize: candidate.carbon_g}]"
            ),
        )
    ]
)


@pytest.mark.untraced
@pytest.mark.feature("C8")
def test_a_pinned_workload_is_never_allowed_another_region(ten_thousand):
    jobs = itertools.cycle([job(urgency) for urgency in Urgency])

    for first in range(0, len(ten_thousand), 5):
        five = ten_thousand[first : first + 5]
        said = PINNED.judge(next(jobs), BASE, five, NOW)
        allowed = [each.allowed for each in said.verdicts[1:]]
        assert not any(ok and each.region != "eu" for ok, each in zip(allowed, five, strict=True))


@pytest.mark.untraced
@pytest.mark.feature("C9")
def test_an_unknown_data_class_is_never_allowed_out_of_its_home_region(ten_thousand):
    draw = random.Random(9)

    for candidate in ten_thousand[:MANY]:
        letters = "".join(chr(draw.randrange(1, 0xD800)) for _ in range(draw.randrange(1, 13)))
        data_class = draw.choice((letters, draw.choice(NEAR_CLASSES)))
        verdict = only(NOTHING.judge(job(data_class=data_class), BASE, [candidate], NOW))

        assert verdict.allowed == (candidate.region == "eu"), (data_class, candidate)


@pytest.mark.feature("C9")
def test_a_policy_makes_a_data_class_known():
    known = made("match: [{name: no, expression: 'false'}]\nparams: {data_classes: [payment]}")

    verdict = only(known.judge(job(data_class="payment"), BASE, [at(region="us")], NOW))

    assert verdict.allowed


@pytest.mark.untraced
@pytest.mark.feature("B6")
def test_an_interactive_job_is_never_allowed_another_start(ten_thousand):
    for candidate in ten_thousand[:MANY]:
        verdict = only(NOTHING.judge(job(Urgency.INTERACTIVE), BASE, [candidate], NOW))

        assert verdict.allowed == (candidate.start == NOW), candidate


@pytest.mark.untraced
@pytest.mark.feature("C2")
def test_cleaner_within_ten_percent_never_allows_more_than_ten_percent(ten_thousand):
    limits = Limits(max_cost_increase=0.1)

    for candidate in ten_thousand[:MANY]:
        verdict = only(NOTHING.judge(job(limits=limits), BASE, [candidate], NOW))
        within = candidate.cost_usd is not None and candidate.cost_usd <= 1.1

        assert verdict.allowed == within, candidate


def test_allowed_regions_hold_and_home_is_among_them():
    workload = job(allowed_regions=("north",))

    said = NOTHING.judge(workload, BASE, [at(r or "none", region=r) for r in REGIONS], NOW)

    assert [v.candidate for v in said.verdicts if v.allowed] == ["now", "eu", "north"]


def test_one_policy_can_be_asked_alone():
    policies = made(CHEAP, MATCH_ALL)

    alone = policies.only("rule-1")

    assert only(alone.judge(job(), BASE, [at()], NOW)).allowed
    assert set(alone.documents) == {"rule-1"}


@pytest.mark.feature("C9")
def test_a_policy_asked_alone_knows_the_data_classes_of_the_others():
    classes = "match: [{name: no, expression: 'false'}]\nparams: {data_classes: [payment]}"
    alone = made(classes, MATCH_ALL).only("rule-1")

    assert only(alone.judge(job(data_class="payment"), BASE, [at(region="us")], NOW)).allowed
    assert not only(alone.judge(job(data_class="other"), BASE, [at(region="us")], NOW)).allowed
