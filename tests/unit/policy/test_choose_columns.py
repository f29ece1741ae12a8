"""Tables of candidates: the row that is chosen is the candidate that the planner takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenops.domain.decision import Candidate
from greenops.domain.workload import ClockTime, Job, Limits, Urgency, Workload, WorkloadKind
from greenops.plan.choice import choose, effective
from greenops.plan.guard import run_time
from greenops.policy import compile_policies, job_groups
from greenops.policy.choose_columns import choose_columns, choose_each
from greenops.policy.chooser import RUN_TIME, Chooser
from greenops.policy.frames import CHUNK, Layout
from greenops.policy.record_tables import Choice, candidate_table, job_table

ROOT = Path(__file__).parents[3] / "policies"
SHIPPED = sorted(ROOT.rglob("*.yaml"))
START = datetime(2026, 11, 23, 17, tzinfo=UTC)
RULES = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: batch, owners: [a@example.com]}
spec:
  match: [{name: batch, expression: 'job.kind == "batch" && job.team != "free"'}]
  limits: {deadline: {within: 9h}, maxCost: {increase: 10%}}
  constraints:
  - {name: clean, level: advisory, expression: candidate.intensity < 200.0}
  - {name: known, level: soft, expression: has(candidate.carbon_g)}
  objectives:
  - name: cleaner
    when: candidate.carbon_g < baseline.carbon_g
    minimize: candidate.carbon_g
    tieBreak: candidate.cost_usd
  - {name: cheaper, when: candidate.cost_usd < baseline.cost_usd, minimize: candidate.cost_usd}
  - {name: swift, minimize: "ratio(candidate.p95_ms * 2e306, candidate.intensity)"}
  exceptions:
  - id: X-1
    reason: the quarter closes
    approvedBy: [boss@example.com]
    notBefore: "2026-11-20T00:00:00Z"
    expires: "2026-11-28T00:00:00Z"
    match: 'job.team == "urgent"'
    effect: {runNow: true, waive: [known]}
  onError: Reject
  enforcement: {mode: enforce, rollout: {percent: 50, key: job.team}}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: rival, owners: [b@example.com]}
spec:
  match: [{name: data, expression: 'job.urgency != "interactive" && has(job.data_class)'}]
  objectives: [{name: cheapest, minimize: candidate.cost_usd}]
  onError: Reject
  enforcement: {mode: shadow, rollout: {percent: 60}}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: above, owners: [c@example.com]}
spec:
  priority: 5
  match: [{name: personal, expression: 'job.data_class == "personal"'}]
  objectives:
  - name: green
    when: candidate.pool == "green" || candidate.id == "baseline"
    minimize: "1.0"
  - {name: swift, minimize: candidate.p95_ms * 2e306}
  onError: Reject
  enforcement: {mode: enforce}
"""


@cache
def own_rules():
    return compile_policies([("batch.yaml", RULES)])


@cache
def shipped():
    sources = [(each.name, each.read_text()) for each in SHIPPED]
    return compile_policies(sources)


def planned(policies, choice):
    """(place among baseline and candidates, does it move, deadline) as the planner decides."""
    judgement = policies.judge(choice.job, choice.baseline, choice.candidates, choice.now)
    job = replace(choice.job, deadline=judgement.deadline)
    made = choose(job, choice.baseline, choice.candidates, judgement, choice.now)
    places = [choice.baseline, *choice.candidates]
    at = next(at for at, each in enumerate(places) if each is made.chosen)
    moved = effective(made) is made.chosen if at else None
    return at, moved, judgement.deadline


def asked(choices):
    """Jobs, candidates and the ids of these, as `choose_columns` takes them."""
    whole = [replace(each, candidates=(each.baseline, *each.candidates)) for each in choices]
    jobs, candidates = job_table(choices), candidate_table(whole)
    times = [run_time(each.job.workload) for each in choices]
    jobs = jobs.append_column(RUN_TIME, pa.array(times, pa.duration("us")))
    ids = candidates.column("candidate.id").cast(pa.string())
    return whole, jobs, candidates, lambda: ids


def in_columns(policies, choices):
    whole, *tables = asked(choices)
    found = choose_columns(policies, *tables, sample=1_000)
    assert not found.mismatches
    firsts = np.cumsum([0, *(len(each.candidates) for each in whole)])[:-1]
    ends = [
        datetime.fromtimestamp(int(v) / 1e6, UTC) if ok else None
        for v, ok in zip(found.ends.values[:, 0], found.ends.ok[:, 0], strict=True)
    ]
    places = [int(each) for each in found.rows - firsts]
    moves = [bool(m) if at else None for m, at in zip(found.moves, places, strict=True)]
    return list(zip(places, moves, ends, strict=True))


def assert_one_choice(policies, choices):
    wanted = [planned(policies, each) for each in choices]

    assert in_columns(policies, choices) == wanted


@pytest.mark.parametrize("path", SHIPPED, ids=lambda each: each.stem)
def test_the_tests_of_a_shipped_policy_choose_the_same_in_columns(path):
    policies = compile_policies([(path.name, path.read_text())])

    choices = [Choice(e.job, e.baseline, e.candidates, e.now) for e in policies.tests]

    if choices:
        assert_one_choice(policies, choices)


def some(*values):
    """One of them, or now and then nothing."""
    return st.sampled_from([*values, *values, *values, None])


def places(ids):
    return st.builds(
        Candidate,
        id=ids,
        region=some("eu-west", "us-east"),
        location=some("EU", "US"),
        pool=some("spot", "green"),
        start=some(START - timedelta(hours=1), START, START + timedelta(hours=3)),
        end=some(
            START + timedelta(hours=4), START + timedelta(hours=8), START + timedelta(hours=13)
        ),
        carbon_g=some(0.0, 40.0, 89.0, 100.0),
        cost_usd=some(1.0, 1.1, 1.2),
        intensity=some(0.0, 100.0, 300.0, 500.0),
        p95_ms=some(0.0, 80.0, 90.0),
    )


LIMITS = st.builds(
    Limits,
    deadline_within=some(timedelta(hours=6)),
    deadline_at=some(ClockTime(datetime(2026, 1, 1, 6).time(), "Europe/Paris")),
    max_cost_usd=some(1.15),
    max_cost_increase=some(0.2),
    max_carbon_reduction=some(0.05, 0.5),
    max_intensity=some(350.0),
)
TEAMS = ("urgent", "free", "data", "devex", "ml", "data-platform")
NAMES = ("w", "fraud-retrain-eu", "checkout-scoring")
WORKLOADS = st.builds(
    Workload,
    name=st.sampled_from(NAMES),
    kind=st.sampled_from(WorkloadKind),
    urgency=st.sampled_from([Urgency.INTERACTIVE, Urgency.DEFERRABLE, Urgency.BREAK_GLASS]),
    home_region=st.sampled_from(["eu-west", "us-east"]),
    allowed_regions=st.sampled_from([(), ("eu-west",), ("eu-west", "us-east")]),
    team=some(*TEAMS),
    data_class=some("personal", "secret"),
    contains_personal_data=some(True, False),
    duration_s=some(3600.0),
    duration_p95_s=some(7 * 3600.0),
    limits=LIMITS,
)
WAYS = st.lists(places(st.sampled_from("abcdefg")), max_size=5, unique_by=lambda each: each.id)
CHOICES = st.builds(
    Choice,
    job=st.builds(
        Job,
        id=st.sampled_from([f"w/{each}" for each in range(20)]),
        workload=WORKLOADS,
        submitted=st.just(START),
    ),
    baseline=places(st.just("baseline")),
    candidates=WAYS,
    now=st.sampled_from([START, START + timedelta(days=6)]),
)
ANY = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.untraced
@pytest.mark.slow
@pytest.mark.parametrize("policies", [own_rules, shipped], ids=["own", "shipped"])
@ANY
@given(choices=st.lists(CHOICES, min_size=1, max_size=6))
def test_columns_choose_what_the_planner_chooses_for_any_jobs(policies, choices):
    assert_one_choice(policies(), choices)


@pytest.mark.slow
@ANY
@given(choices=st.lists(CHOICES, min_size=1, max_size=5), ways=WAYS.filter(len))
def test_columns_choose_the_same_where_jobs_lie_evenly(choices, ways):
    even = [replace(each, candidates=ways) for each in choices]

    assert_one_choice(own_rules(), even)


@pytest.mark.slow
@pytest.mark.parametrize("policies", [own_rules, shipped], ids=["own", "shipped"])
@ANY
@given(kinds=st.lists(CHOICES, min_size=1, max_size=4), ways=WAYS.filter(len), data=st.data())
def test_columns_choose_the_same_where_jobs_of_a_kind_come_together(policies, kinds, ways, data):
    drawn = data.draw(st.lists(st.sampled_from(kinds), min_size=6, max_size=20))
    named = [
        replace(each, candidates=ways, job=replace(each.job, id=f"w/{at}"))
        for at, each in enumerate(drawn)
    ]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job_groups, "CHUNK", 3 * (len(ways) + 1))
        assert_one_choice(policies(), named)


def choice(*ways, team="data", now=START, **workload):
    of = Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu-west", team=team, **workload)
    base, *others = ways
    return Choice(Job("w/1", of, START), base, others, now)


def place(name, carbon=100.0, start=START, cost=1.0, pool="spot", region="eu-west"):
    end = start + timedelta(hours=1)
    return Candidate(
        name, region=region, pool=pool, start=start, end=end, carbon_g=carbon, cost_usd=cost
    )


HOUR = timedelta(hours=1)


def differing(old, new):
    return compile_policies([("batch.yaml", RULES.replace(old, new))])


OTHERS = {
    "limit on cost": differing("increase: 10%", "increase: 20%"),
    "deadline": differing("within: 9h", "within: 7h"),
    "exception": differing('team == "urgent"', 'team == "data"'),
    "waiver": differing("effect: {runNow: true, waive: [known]}", "effect: {runNow: true}"),
    "objective": differing("minimize: candidate.cost_usd}]", "minimize: candidate.carbon_g}]"),
    "constraint": differing("has(candidate.carbon_g)", "has(candidate.p95_ms)"),
}


@pytest.mark.slow
@ANY
@given(
    kinds=st.lists(CHOICES, min_size=1, max_size=4),
    ways=WAYS.filter(len),
    data=st.data(),
    others=st.lists(st.sampled_from([*OTHERS.values(), shipped()]), min_size=1, max_size=3),
)
def test_sets_that_are_asked_together_choose_what_each_chooses_alone(kinds, ways, data, others):
    drawn = data.draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=12))
    choices = [replace(each, candidates=ways) for each in drawn]
    _, *tables = asked(choices)
    sets = [own_rules(), *others]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job_groups, "CHUNK", 3 * (len(ways) + 1))
        together = choose_each(sets, *tables, sample=1_000)
    alone = [choose_columns(each, *tables) for each in sets]

    assert not any(each.mismatches for each in together)
    for one, other in zip(together, alone, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize(
    ("other", "asked_for", "wanted"),
    [
        ("limit on cost", choice(place("baseline"), place("a", 50.0, cost=1.15)), (0, 1)),
        ("deadline", choice(place("baseline"), place("a", 50.0, START + 7 * HOUR)), (1, 0)),
        ("exception", choice(place("baseline", start=START + HOUR), place("a", 120.0)), (0, 1)),
        (
            "waiver",
            choice(place("baseline", start=START + HOUR), place("a", None), team="urgent"),
            (1, 0),
        ),
        (
            "objective",
            choice(
                place("baseline"),
                place("a", 120.0, cost=0.9),
                place("b", 50.0, cost=1.2),
                team="free",
                data_class="secret",
            ),
            (1, 2),
        ),
        ("constraint", choice(place("baseline"), place("a", 50.0)), (1, 0)),
    ],
)
def test_whatever_differs_is_judged_again(other, asked_for, wanted):
    _, *tables = asked([asked_for])

    found = choose_each([own_rules(), OTHERS[other]], *tables)

    assert tuple(int(each.rows[0]) for each in found) == wanted


def test_who_is_hastened_is_judged_again_though_nothing_is_waived():
    text = RULES.replace("effect: {runNow: true, waive: [known]}", "effect: {runNow: true}")
    other = text.replace('team == "urgent"', 'team == "data"')
    sets = [compile_policies([("batch.yaml", each)]) for each in (text, other)]
    _, *tables = asked([choice(place("baseline", start=START + HOUR), place("a", 120.0))])

    assert [int(each.rows[0]) for each in choose_each(sets, *tables)] == [0, 1]


def assert_same(one, other):
    """All that a choice tells, but for what was asked again."""
    for name in ("rows", "moves", "ruler"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    for part in ("by_job", "told"):
        for name in getattr(one, part).__dataclass_fields__:
            found = [getattr(getattr(each, part), name) for each in (one, other)]
            np.testing.assert_array_equal(*found, f"{part}.{name}")
    known = [each.ends.ok for each in (one, other)]
    np.testing.assert_array_equal(*known)
    np.testing.assert_array_equal(one.ends.values[known[0]], other.ends.values[known[0]])


def test_jobs_for_which_nothing_differs_are_not_judged_again(monkeypatch):
    policies = [own_rules(), differing("increase: 10%", "increase: 0%")]
    ways = place("baseline"), place("a", 50.0, cost=1.05)
    free = [choice(*ways, team="free") for _ in range(6)]
    _, *tables = asked([*free, *(choice(*ways) for _ in range(6))])
    judged = []
    chosen = Chooser.choose
    monkeypatch.setattr(job_groups, "CHUNK", 6 * len(ways))
    monkeypatch.setattr(
        Chooser,
        "choose",
        lambda self, groups: judged.append((self.side, len(groups.starts))) or chosen(self, groups),
    )

    found = choose_each(policies, *tables)

    assert sorted(judged) == [(0, 6), (0, 6), (1, 6)]
    moved = [(each.rows - 2 * np.arange(12)).tolist() for each in found]
    assert moved == [[0] * 6 + [1] * 6, [0] * 12]


def test_jobs_of_a_kind_come_together_and_rare_ones_with_each_other():
    jobs, each = 4_000, 100
    layout = Layout(jobs, np.repeat(np.arange(jobs), each), each, {}, {})
    alike = np.arange(jobs) % 3
    alike[[5, 6, 7]] = 7, 8, 9

    found = list(job_groups.job_groups(layout, alike))

    together = [set(alike[chunk.jobs].tolist()) for chunk in found]
    assert [each for each in together if len(each) > 1] == [{7, 8, 9}]
    assert np.sort(np.concatenate([chunk.jobs for chunk in found])).tolist() == list(range(jobs))
    for chunk in found:
        rows = chunk.chunk.row(np.arange(np.prod(chunk.chunk.shape)))
        assert (chunk.jobs == layout.job[rows].reshape(chunk.chunk.shape).T).all()
        assert chunk.chunk.of(np.arange(jobs * each)).ravel().tolist() == rows.tolist()
        assert len(chunk.jobs) * each <= CHUNK


@pytest.mark.parametrize("jobs", [50, 4_000], ids=["few", "of one kind"])
def test_jobs_that_need_no_grouping_come_as_they_lie(jobs):
    layout = Layout(jobs, np.repeat(np.arange(jobs), 100), 100, {}, {})

    found = list(
        job_groups.job_groups(layout, np.arange(jobs) % 2 if jobs == 50 else np.ones(jobs))
    )

    assert all(isinstance(each.jobs, slice) for each in found)


@pytest.mark.parametrize(
    ("others", "wanted"),
    [
        ([place("b", 50.0), place("a", 50.0)], 2),
        ([place("b", 50.0, START + timedelta(hours=1)), place("c", 50.0)], 2),
        ([place("b", 50.0), place("a", 50.0, cost=1.05)], 1),
        ([place("b", 50.0, cost=1.2), place("a", 120.0)], 0),
        ([place("b", 120.0, cost=0.9), place("a", 130.0, cost=0.9)], 2),
    ],
    ids=["by name", "by start", "by tie break", "refused or worse", "second objective, by name"],
)
def test_ties_are_broken_as_the_planner_breaks_them(others, wanted):
    asked = choice(place("baseline"), *others)

    assert_one_choice(own_rules(), [asked])
    assert in_columns(own_rules(), [asked])[0][0] == wanted


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (choice(place("baseline", start=START + HOUR), place("a", 90.0), team="urgent"), 1),
        (choice(place("baseline"), place("a", 90.0), team="urgent"), 0),
        (
            choice(
                place("baseline", start=START + HOUR),
                place("b", pool="green"),
                place("a", region="us-east"),
                place("c"),
                team="urgent",
            ),
            3,
        ),
        (
            choice(
                place("baseline", start=START + HOUR),
                place("b", pool="green"),
                place("a", pool="green"),
                team="urgent",
            ),
            2,
        ),
    ],
    ids=["sooner", "as soon", "nearest", "by name"],
)
def test_an_exception_that_hastens_takes_the_soonest_start_near_home(asked, wanted):
    assert_one_choice(own_rules(), [asked])
    assert in_columns(own_rules(), [asked])[0][0] == wanted


def test_a_schedule_that_misses_the_deadline_gives_way_to_a_sooner_start():
    late = place("baseline", start=START + 3 * HOUR)
    asked = choice(late, place("a", 120.0, cost=1.05), duration_p95_s=7 * 3600.0)

    assert_one_choice(own_rules(), [asked])
    assert in_columns(own_rules(), [asked])[0][0] == 1


def test_what_starts_after_the_latest_safe_start_is_not_chosen():
    ways = place("baseline"), place("a", 10.0, START + 3 * HOUR), place("b", 90.0, START + HOUR)
    asked = choice(*ways, duration_p95_s=7 * 3600.0)

    assert_one_choice(own_rules(), [asked])
    assert in_columns(own_rules(), [asked])[0][0] == 2


@pytest.mark.parametrize(
    ("ways", "wanted"),
    [
        ([place("now", 30.0, START), place("a", 40.0, START + HOUR)], 0),
        ([place("now", 50.0, START), place("a", 40.0, START + HOUR)], 2),
        ([place("now", 40.0, START), place("a", 40.0, START)], 0),
        ([place("now", 30.0, START, pool="green"), place("a", 40.0, START + HOUR)], 1),
    ],
    ids=["its place at once wins", "another wins", "a tie stays", "another pool at once"],
)
def test_a_baseline_whose_start_has_passed_stands_for_its_place_at_once(ways, wanted):
    asked = choice(place("baseline", 60.0, START - HOUR), *ways)

    assert_one_choice(own_rules(), [asked])
    assert in_columns(own_rules(), [asked])[0][0] == wanted


@pytest.mark.parametrize(
    ("others", "wanted"),
    [
        ([place("a", pool="green"), place("b")], 0),
        ([place("a"), replace(place("b"), p95_ms=80.0)], 2),
        ([replace(place("a"), p95_ms=90.0)], 0),
        ([place("a")], 0),
    ],
    ids=["the first, where the baseline wins", "the second", "no finite number", "no number"],
)
def test_the_first_objective_under_which_another_may_win_counts(others, wanted):
    asked = choice(place("baseline"), *others, data_class="personal")
    alone = choice(place("baseline"), place("c", 10.0))

    assert_one_choice(own_rules(), [asked, alone])
    assert in_columns(own_rules(), [asked, alone])[0][0] == wanted


def test_each_job_has_its_own_first_objective():
    cleaner = choice(place("baseline"), place("a", 50.0), place("b", 60.0, cost=0.9))
    cheaper = choice(place("baseline"), place("a", 120.0), place("b", 130.0, cost=0.9))

    assert_one_choice(own_rules(), [cleaner, cheaper])
    assert [at for at, *_ in in_columns(own_rules(), [cleaner, cheaper])] == [1, 2]


def test_two_policies_that_claim_the_objective_move_nothing():
    asked = choice(place("baseline"), place("a", 10.0, cost=0.5), data_class="public")

    assert_one_choice(own_rules(), [asked])
    assert in_columns(own_rules(), [asked])[0][0] == 0


def test_the_baseline_is_not_refused_by_limits_that_compare_with_it():
    limits = Limits(max_carbon_reduction=0.5)
    asked = choice(place("baseline"), place("a", 60.0), limits=limits)

    assert_one_choice(own_rules(), [asked])
    assert in_columns(own_rules(), [asked])[0][0] == 0


def test_a_job_larger_than_a_chunk_is_chosen_for_as_a_whole():
    ways = [place(f"c{at}", 100.0 - at / 1_000) for at in range(70_000)]
    few = choice(place("baseline"), place("c", 50.0))
    many = choice(place("baseline"), *ways)

    assert [at for at, *_ in in_columns(own_rules(), [few, many, few])] == [1, 70_000, 1]
