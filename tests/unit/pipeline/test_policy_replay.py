"""Replays: what policies would have chosen over what was recorded, and what that changes."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate
from greenops.domain.workload import ClockTime, Job, Limits, Urgency, Workload, WorkloadKind
from greenops.errors import DataMissing, UsageError
from greenops.pipeline.decide import decide_again
from greenops.pipeline.policies import read_policies
from greenops.pipeline.policy_replay import Replayer, Side
from greenops.pipeline.policy_replay_report import compare
from greenops.pipeline.policy_replay_sweep import sweep, values_between, with_value
from greenops.pipeline.policy_replay_words import grams
from greenops.plan.choice import choose
from greenops.policy import PolicySet, compile_policies

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: [data@example.com]}
spec:
  match: [{name: batch, expression: job.kind == "batch"}]
  params: {least: 1.0}
  limits: {deadline: {within: 12h}, maxCost: {increase: 10%}}
  constraints:
  - name: dear
    level: hard
    expression: candidate.cost_usd <= 5.0
    message: Too dear.
  objectives:
  - name: less-carbon
    when: candidate.carbon_g <= baseline.carbon_g - params.least
    minimize: candidate.carbon_g
  enforcement: {mode: enforce}
"""


def policies(text=RULES, **changes):
    for old, new in changes.items():
        text = text.replace(
            *{"cost": ("10%", new), "hours": ("12h", new), "mode": ("enforce}", new)}[old]
        )
    return compile_policies([("rules.yaml", text)])


def place(name, carbon, cost, hours, region="eu", doubt=0.1):
    start = NOW + hours * HOUR
    return Candidate(
        name,
        region=region,
        pool="spot",
        start=start,
        end=start + HOUR,
        carbon_g=carbon,
        carbon_low_g=None if doubt is None or carbon is None else carbon * (1 - doubt),
        carbon_high_g=None if doubt is None or carbon is None else carbon * (1 + doubt),
        cost_usd=cost,
        p95_ms=80.0 + hours,
    )


def decided(lake, rules, name, places, *, team="data", job=None, now=NOW, **workload):
    of = Workload(name, WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu", team=team, **workload)
    asked = job or Job(f"{name}/1", of, NOW)
    judgement = rules.judge(asked, places[0], places[1:], now)
    asked = replace(asked, deadline=judgement.deadline)
    made = choose(asked, places[0], places[1:], judgement, now)
    found = DecisionRecord(made, tuple(places), judgement.verdicts, {}, job=asked)
    lake.write_decision(found)
    return found


WAYS = (
    place("baseline", 100.0, 1.0, 0),
    place("near", 80.0, 1.05, 2),
    place("far", 40.0, 1.15, 3, region="north"),
    place("late", 10.0, 1.0, 13),
)


@pytest.fixture
def state(tmp_path):
    """Three runs as the rules decide them: to `near`, to `near`, and one that stays."""
    lake = ParquetLake(tmp_path)
    decided(lake, policies(), "etl", WAYS)
    decided(lake, policies(), "index", WAYS, team=None)
    decided(lake, policies(), "lonely", WAYS[:1])
    return tmp_path


def compared(folder, after, before=None, **period):
    sides = (Side("before", before), Side("after", after))
    return compare(Replayer(folder, sides, **period))


def test_the_rules_that_decided_change_nothing(state):
    report = compared(state, policies())

    assert (report.total.decisions, report.total.changed, report.rows) == (3, 0, 9)
    assert report.total.carbon_g.change == report.total.carbon_g.low == 0.0
    assert report.most == ()
    assert report.differ == {}
    assert report.sampled > 0


def test_a_looser_limit_moves_what_it_kept(state):
    report = compared(state, policies(cost="20%"))

    total = report.total
    assert total.changed == 2
    assert total.carbon_g.change == pytest.approx(2 * (40 - 80))
    assert total.carbon_g.low == pytest.approx(2 * (36 - 88))
    assert total.carbon_g.high == pytest.approx(2 * (44 - 72))
    assert total.cost_usd.change == pytest.approx(2 * 0.10)
    assert total.p95_ms == pytest.approx(1.0)
    assert total.p95_most_ms == pytest.approx(1.0)
    assert total.carbon_before_g == pytest.approx(80 + 80 + 100)


def test_groups_add_up_to_the_total(state):
    report = compared(state, policies(cost="20%"))

    for parts in report.by.values():
        assert sum(each.carbon_g.change for each in parts) == pytest.approx(-80.0)
        assert sum(each.decisions for each in parts) == 3
    assert {each.name: each.changed for each in report.by["workload"]} == {
        "etl": 1,
        "index": 1,
        "lonely": 0,
    }


def test_the_owner_is_the_team_else_who_owns_the_rule(state):
    owners = compared(state, policies(cost="20%")).by["owner"]

    assert {each.name: each.changed for each in owners} == {"data": 1, "data@example.com": 1}


def test_carbon_leaves_one_region_and_comes_to_another(state):
    regions = {each.name: each for each in compared(state, policies(cost="20%")).by["region"]}

    assert regions["eu"].carbon_g.change == pytest.approx(-160.0)
    assert regions["north"].carbon_g.change == pytest.approx(80.0)
    assert (regions["eu"].changed, regions["north"].changed) == (2, 2)


def test_two_sets_of_policies_are_compared_with_each_other(state):
    recorded = compared(state, policies(cost="20%"))
    both = compared(state, policies(cost="20%"), before=policies())

    assert both.total == recorded.total
    assert [each.sentence.split(";")[0] for each in both.most] == [
        each.sentence.split(";")[0] for each in recorded.most
    ]


def test_the_most_changed_say_what_is_done_instead_what_it_brings_and_why(state):
    looser = compared(state, policies(cost="20%"), before=policies()).most[0]
    tighter = compared(state, policies(cost="2%")).most[0]

    assert looser.sentence == (
        "etl/1 would run in north instead of eu and start at 23:00 instead of 22:00 UTC on 2026-11-23:"
        " 40 g CO2e less (-52 g CO2e to -28 g CO2e), 0.1 USD more;"
        " until now limit/maxCost refused it: It would cost more above the baseline than allowed"
    )
    assert tighter.sentence == (
        "etl/1 would start at 20:00 instead of 22:00 UTC on 2026-11-23:"
        " 20 g CO2e more (+2 g CO2e to +38 g CO2e), 0.05 USD less;"
        " now limit/maxCost refuses the earlier choice: It would cost more above the baseline than allowed"
    )


def test_what_stood_still_and_now_moves_says_what_kept_it(state):
    most = compared(state, policies(), before=policies(cost="2%")).most[0]

    assert most.sentence.endswith(
        "until now limit/maxCost refused it: It would cost more above the baseline than allowed"
    )


def test_a_looser_deadline_finds_candidates_that_were_recorded(state):
    report = compared(state, policies(hours="24h"))

    assert report.total.changed == 2
    assert {each.after for each in report.most} == {"late"}


def test_a_deadline_somebody_asked_for_stays(tmp_path):
    of = Workload("etl", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu")
    asked = Job("etl/asked", of, NOW, NOW + 5 * HOUR)
    decided(ParquetLake(tmp_path), policies(), "etl", WAYS, job=asked)

    assert compared(tmp_path, policies(hours="24h")).total.changed == 0


def test_a_deadline_on_a_wall_clock_is_replayed(tmp_path):
    clock = Limits(deadline_at=ClockTime(time(23, 30), "UTC"))
    decided(ParquetLake(tmp_path), policies(), "etl", WAYS, limits=clock)

    report = compared(tmp_path, policies(cost="20%"))

    assert report.total.changed == 0
    assert report.differ == {}


def test_missed_deadlines_are_counted_on_both_sides(state):
    report = compared(state, policies(hours="1h30m"), before=policies(hours="30m"))

    assert (report.total.missed_before, report.total.missed_after) == (3, 0)


def test_an_absent_figure_is_unknown_and_not_zero(tmp_path):
    bare = [replace(each, cost_usd=None) for each in WAYS]
    free = policies(
        RULES.replace(", maxCost: {increase: 10%}", "").replace("<= 5.0", "<= 5.0 || true")
    )
    decided(ParquetLake(tmp_path), policies(), "etl", bare)

    total = compared(tmp_path, free).total

    assert total.changed == 1
    assert total.cost_usd.change is None
    assert total.cost_usd.unknown == 1
    assert total.carbon_g.change == pytest.approx(40 - 100)


def test_a_range_is_absent_where_one_forecast_has_none(tmp_path):
    lake = ParquetLake(tmp_path)
    decided(lake, policies(), "etl", WAYS)
    decided(lake, policies(), "index", [replace(each, carbon_low_g=None) for each in WAYS])

    carbon = compared(tmp_path, policies(cost="20%")).total.carbon_g

    assert carbon.change == pytest.approx(-80.0)
    assert carbon.low is None
    assert carbon.high is None


def test_what_is_not_enforced_has_no_effect(state):
    effect = compared(state, policies(cost="20%", mode="shadow}")).in_effect

    assert effect.changed == 2
    assert effect.carbon_g == pytest.approx(2 * (100 - 80))


def test_a_declared_workload_takes_the_place_of_the_recorded_one(state):
    declared = """---
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: etl}
spec:
  kind: batch
  team: data
  homeRegion: eu
  deadline: {within: 1h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 0%}
"""

    report = compared(state, policies(RULES + declared))

    assert [(each.job, each.after) for each in report.most] == [("etl/1", "baseline")]


def test_ten_are_told_the_most_changed_first(tmp_path):
    lake = ParquetLake(tmp_path)
    for at in range(14):
        ways = [WAYS[0], WAYS[1], replace(WAYS[2], carbon_g=60.0 - at)]
        decided(lake, policies(), f"w{at:02d}", ways)

    most = compared(tmp_path, policies(cost="20%")).most

    assert [each.job for each in most] == [f"w{at:02d}/1" for at in range(13, 3, -1)]


def test_equal_candidates_are_told_apart_by_name_over_the_lake(tmp_path):
    lake = ParquetLake(tmp_path)
    ways = [WAYS[0], *(replace(WAYS[1], id=name) for name in "cab")]
    found = decided(lake, policies(), "etl", ways)

    assert found.decision.chosen.id == "a"
    assert compared(tmp_path, policies()).total.changed == 0


def test_a_replayed_record_is_decided_again_to_the_same_choice(state, tmp_path):
    found = decided(ParquetLake(tmp_path), policies(), "again", WAYS)

    assert decide_again(found, policies()) == found.decision


def drawn(draw, at):
    """A run with some of its facts absent, and some ways to run it."""

    def some(*values):
        return draw.choice([*values] * 4 + [None])

    def seldom(*values):
        return draw.choice([*values, None, None, None])

    limits = Limits(
        deadline_within=seldom(6 * HOUR),
        deadline_at=seldom(ClockTime(time(6), "Europe/Paris"), ClockTime(time(23), "UTC")),
        max_cost_usd=seldom(1.5),
        max_cost_increase=seldom(0.2),
        max_carbon_reduction=seldom(0.05),
        max_intensity=seldom(350.0),
    )
    workload = Workload(
        draw.choice(["etl", "fraud-retrain-eu", "checkout-scoring"]),
        draw.choice(list(WorkloadKind)),
        draw.choice([Urgency.STANDARD, Urgency.DEFERRABLE, Urgency.BREAK_GLASS]),
        "eu",
        allowed_regions=draw.choice([(), ("eu", "north")]),
        team=some("data-platform", "ml", "devex"),
        data_class=draw.choice([*["internal"] * 6, "secret", None]),
        contains_personal_data=draw.choice([*[False] * 6, True, None]),
        duration_s=some(3600.0),
        duration_p95_s=some(4 * 3600.0),
        limits=limits,
        labels=draw.choice([{}, {"tier": "gold"}]),
    )
    ways = [
        Candidate(
            "baseline" if not way else f"way-{way}",
            region=some("eu", "eu", "north"),
            location=some("EU", "EU", "US"),
            pool=some("spot", "green"),
            start=some(NOW, NOW - HOUR, NOW + 2 * HOUR),
            end=some(NOW + HOUR, NOW + 5 * HOUR),
            carbon_g=some(40.0, 90.0, 100.0) if way else 100.0,
            cost_usd=some(1.0, 1.1) if way else 1.1,
            intensity=some(100.0, 300.0),
            p95_ms=some(80.0, 90.0),
        )
        for way in range(draw.randrange(1, 7))
    ]
    return Job(f"run/{at}", workload, NOW - draw.choice([0, 3]) * HOUR), ways


@pytest.fixture(scope="module")
def shipped():
    """All shipped policies, without workloads: one of them would take the place of one drawn here."""
    return PolicySet(read_policies(Path(__file__).parents[3] / "policies").policies, {})


@pytest.mark.untraced
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_what_the_planner_decided_by_all_shipped_policies_is_decided_again(tmp_path, seed, shipped):
    draw, lake, moved = random.Random(seed), ParquetLake(tmp_path), 0
    for at in range(150):
        job, ways = drawn(draw, at)
        bounded = replace(job, deadline=shipped.deadline_for(job, NOW))
        record = decided(lake, shipped, "", ways, job=bounded)
        moved += record.decision.chosen is not ways[0]

    report = compared(tmp_path, shipped)

    assert moved > 2
    assert [each.sentence for each in report.most] == []
    assert (report.total.decisions, report.total.changed) == (150, 0)
    assert report.differ == {}


def test_a_period_holds_its_days_and_no_others(state):
    lake = ParquetLake(state)
    decided(lake, policies(), "later", WAYS, now=NOW + timedelta(days=1))

    first = compared(state, policies(), last=NOW.date())
    both = compared(state, policies())

    assert (first.total.decisions, both.total.decisions) == (3, 4)
    assert (both.first, both.last) == ("2026-11-23", "2026-11-24")


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ({"first": date(2027, 1, 1)}, "since 2027-01-01; there are some from 2026-11-23"),
        ({"last": date(2020, 1, 1)}, "until 2020-01-01"),
    ],
)
def test_a_period_without_decisions_says_which_there_are(state, period, said):
    with pytest.raises(DataMissing, match=said):
        compared(state, policies(), **period)


def test_an_empty_lake_says_where_to_look(tmp_path):
    with pytest.raises(DataMissing, match="GO0450"):
        compared(tmp_path, policies())


def test_candidates_whose_decisions_are_gone_are_an_error(state):
    for path in (state / "v1" / "decisions").glob("*/*.parquet"):
        path.unlink()

    with pytest.raises(DataMissing, match="GO0451"):
        compared(state, policies())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0 g CO2e"),
        (12.34, "12.3 g CO2e"),
        (-4_560.0, "-4.56 kg CO2e"),
        (7.891e6, "7.89 t CO2e"),
        (1.5e9, "1,500 t CO2e"),
        (999.9, "1 kg CO2e"),
        (999_900.0, "1 t CO2e"),
    ],
)
def test_grams_are_told_in_the_unit_that_a_person_takes(value, said):
    assert grams(value) == said


SOURCES = [("rules.yaml", RULES)]


def test_a_sweep_gives_carbon_and_cost_of_each_value(state):
    found = sweep(state, SOURCES, "cleaner", "limits.maxCost.increase", [0.0, 10.0, 20.0])

    assert found.now == "10%"
    assert [each.value for each in found.points] == ["0%", "10%", "20%"]
    assert [each.carbon_g for each in found.points] == pytest.approx([300.0, 260.0, 180.0])
    assert [each.cost_usd for each in found.points] == pytest.approx([3.0, 3.1, 3.3])
    assert [each.changed for each in found.points] == [2, 0, 2]
    assert all(each.pareto for each in found.points)
    assert (found.decisions, found.counted) == (3, 3)


def test_a_value_that_others_beat_is_not_on_the_frontier(state):
    found = sweep(state, SOURCES, "cleaner", "limits.deadline.within", [1.0, 12.0, 24.0])

    assert [each.value for each in found.points] == ["1h", "12h", "24h"]
    assert [each.pareto for each in found.points] == [False, False, True]


def test_a_parameter_keeps_its_type(state):
    texts, now, new = with_value(SOURCES, "cleaner", "least", 50)

    assert (now, new) == ("1.0", "50.0")
    assert "params: {least: 50.0}" in texts[0][1]


@pytest.mark.parametrize(
    ("policy", "param", "said"),
    [
        ("cleanr", "least", "did you mean `cleaner`"),
        ("cleaner", "leest", "did you mean `least`"),
        ("cleaner", "x", "limits.maxCost.increase"),
    ],
)
def test_a_number_that_is_not_there_is_an_error(policy, param, said):
    with pytest.raises(UsageError, match=said):
        with_value(SOURCES, policy, param, 1.0)


def test_a_number_in_parts_is_refused():
    text = RULES.replace("within: 12h", "within: 1h30m")

    with pytest.raises(UsageError, match="no number with a unit"):
        with_value([("rules.yaml", text)], "cleaner", "limits.deadline.within", 2.0)


def test_values_are_evenly_spaced_with_both_ends():
    assert values_between(0.0, 0.3, 4) == [0.0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize("steps", [1, 51])
def test_too_few_or_too_many_steps_are_refused(steps):
    with pytest.raises(UsageError, match="GO0455"):
        values_between(0.0, 1.0, steps)


TEMPLATES = Path(__file__).parents[3] / "policies" / "templates"


def random_lake(folder, team, count=150):
    """Runs of a team, each with ways at random figures, some above every bound."""
    draw, lake = random.Random(3), ParquetLake(folder)
    for at in range(count):
        ways = [place("baseline", 100.0, 1.0, 0)]
        ways += [
            place(f"c{n}", draw.choice((20.0, 60.0, 120.0)), draw.choice((0.8, 1.0, 1.1, 1.101)), n)
            for n in range(1, 6)
        ]
        ways = [replace(each, intensity=draw.choice((300.0, 400.0, 400.1, 700.0))) for each in ways]
        decided(lake, policies(), f"w{at}", ways, team=team)


def replayed_ways(folder, template):
    """(baseline, choice) of each recorded decision under a template's rules."""
    replayer = Replayer(folder, (Side(template, read_policies(TEMPLATES / f"{template}.yaml")),))
    for batch, starts, (chosen,) in replayer.batches():
        for first, row in zip(starts.tolist(), chosen.rows.tolist(), strict=True):
            yield tuple(Candidate(**batch.source.rows(at, 1)[0]) for at in (first, row))


@pytest.mark.feature("C2")
def test_no_replayed_decision_of_cleaner_within_costs_over_a_tenth_more(tmp_path):
    random_lake(tmp_path, "template-cleaner-within")

    ways = list(replayed_ways(tmp_path, "cleaner-within"))

    assert sum(base.id != way.id for base, way in ways) > 50
    assert all(way.cost_usd <= 1.10 * base.cost_usd for base, way in ways)
    assert all(way.carbon_g < base.carbon_g for base, way in ways if way.id != base.id)


@pytest.mark.feature("C3")
def test_no_replayed_decision_of_cheaper_unless_moves_above_the_line(tmp_path):
    random_lake(tmp_path, "template-cheaper-unless")

    ways = list(replayed_ways(tmp_path, "cheaper-unless"))

    assert sum(base.id != way.id for base, way in ways) > 50
    assert all(way.intensity <= 400 for base, way in ways if way.id != base.id)
