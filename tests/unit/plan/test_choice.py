from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.act.hold import hold_for
from greenops.domain.decision import Candidate, Judgement, Mode, Verdict
from greenops.domain.record import canonical
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.plan.choice import choose, effective
from greenops.units import Seconds

NOW = datetime(2021, 10, 8, 8, tzinfo=UTC)
WORK = Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "home", duration_p95_s=Seconds(7200.0))
JOB = Job("w/1", WORK, NOW, NOW + timedelta(hours=12))
BASE = Candidate("baseline", region="home", start=NOW, end=NOW, carbon_g=100.0, cost_usd=1.0)


def later(name: str, hours: float, carbon: float) -> Candidate:
    start = NOW + timedelta(hours=hours)
    return Candidate(name, region="home", start=start, end=start, carbon_g=carbon, cost_usd=1.0)


def judged(*verdicts: Verdict, **given) -> Judgement:
    own = given.pop("baseline", Verdict("baseline", allowed=True, eligible=False))
    return Judgement(("p",), (own, *verdicts), Limits(), "hash", objective="cleaner", **given)


def fine(name: str, score: float, tie: float = 0.0) -> Verdict:
    return Verdict(name, allowed=True, score=(score, tie))


def test_the_least_score_wins_and_the_next_is_the_runner_up():
    candidates = [later("a", 1, 60), later("b", 2, 40), later("c", 3, 50)]

    made = choose(JOB, BASE, candidates, judged(fine("a", 60), fine("b", 40), fine("c", 50)), NOW)

    assert (made.chosen.id, made.runner_up.id) == ("b", "c")
    assert "60% less carbon" in made.reason


def test_equal_scores_go_to_the_tie_break_then_to_the_earlier_start():
    candidates = [later("z", 1, 40), later("a", 2, 40), later("b", 0.5, 40)]

    tied = choose(
        JOB, BASE, candidates, judged(fine("z", 40, 1), fine("a", 40, 0), fine("b", 40, 1)), NOW
    )
    early = choose(JOB, BASE, candidates, judged(fine("z", 40), fine("a", 40), fine("b", 40)), NOW)

    assert tied.chosen.id == "a"
    assert early.chosen.id == "b"


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("a", allowed=False, reasons=("same-region",), score=(1, 0)),
        Verdict("a", allowed=True, eligible=False, score=(1, 0)),
        Verdict("a", allowed=True, score=None),
    ],
)
def test_what_is_refused_not_eligible_or_not_scored_is_never_chosen(verdict):
    made = choose(JOB, BASE, [later("a", 1, 1)], judged(verdict), NOW)

    assert made.chosen == BASE
    assert made.reason.startswith("stays as it is")


def test_a_worse_way_is_never_chosen_over_a_baseline_that_may_be():
    verdicts = judged(fine("a", 120), fine("b", 110), baseline=fine("baseline", 100))

    made = choose(JOB, BASE, [later("a", 1, 120), later("b", 2, 110)], verdicts, NOW)

    assert (made.chosen.id, made.runner_up.id) == ("baseline", "b")
    assert made.reason == "stays as it is: none of 2 other ways is better under cleaner"


def test_the_baseline_wins_a_tie_and_loses_to_less():
    scheduled = replace(BASE, start=NOW + timedelta(hours=5))
    tie = judged(fine("a", 100, 1), baseline=fine("baseline", 100, 1))
    less = judged(fine("a", 100, 0), baseline=fine("baseline", 100, 1))

    kept = choose(JOB, scheduled, [later("a", 1, 100)], tie, NOW)
    moved = choose(JOB, scheduled, [later("a", 1, 100)], less, NOW)

    assert (kept.chosen.id, kept.runner_up.id) == ("baseline", "a")
    assert (moved.chosen.id, moved.runner_up.id) == ("a", "baseline")


@pytest.mark.parametrize(
    "own",
    [
        Verdict("baseline", allowed=False, reasons=("r",), score=(1, 0)),
        Verdict("baseline", allowed=True, eligible=False, score=(1, 0)),
        Verdict("baseline", allowed=True, score=None),
    ],
    ids=["refused", "not eligible", "not scored"],
)
def test_a_baseline_that_the_objective_does_not_take_gives_way(own):
    made = choose(JOB, BASE, [later("a", 1, 120)], judged(fine("a", 120), baseline=own), NOW)

    assert made.chosen.id == "a"


def test_a_baseline_whose_start_has_passed_competes_as_what_starts_at_once():
    passed = replace(BASE, start=NOW - timedelta(minutes=20))
    ways = [later("at once", 0, 120), later("next", 4, 105), later("last", 8, 150)]
    verdicts = [fine(each.id, each.carbon_g) for each in ways]

    better = choose(JOB, passed, ways, judged(*verdicts, baseline=fine("baseline", 100)), NOW)
    stays = choose(
        JOB, passed, ways[::2], judged(*verdicts[::2], baseline=fine("baseline", 200)), NOW
    )

    assert (better.chosen.id, better.runner_up.id) == ("next", "baseline")
    assert (stays.chosen.id, stays.runner_up.id) == ("baseline", "last")


def test_a_baseline_that_is_too_late_gives_way_to_what_is_in_time():
    late = replace(BASE, start=NOW + timedelta(hours=11))
    verdicts = judged(fine("a", 120), baseline=fine("baseline", 1))

    made = choose(JOB, late, [later("a", 1, 120)], verdicts, NOW)

    assert made.chosen.id == "a"


@pytest.mark.feature("C6", "B11")
def test_a_start_past_the_latest_safe_start_is_never_chosen():
    made = choose(JOB, BASE, [later("late", 10.5, 1)], judged(fine("late", 1)), NOW)

    assert made.latest_safe_start == NOW + timedelta(hours=10)
    assert made.chosen == BASE


def test_run_now_takes_the_earliest_start_that_is_allowed():
    verdicts = judged(fine("a", 1), run_now=True, exception="EXC-1")

    made = choose(JOB, BASE, [later("a", 5, 1)], verdicts, NOW)

    assert made.chosen == BASE
    assert made.reason == "runs now: exception EXC-1"


def test_run_now_is_not_held_back_to_measure_anything():
    scheduled = replace(BASE, start=NOW + timedelta(hours=5))
    verdicts = judged(fine("now", 1), run_now=True, exception="EXC-1", held_out=True)

    made = choose(JOB, scheduled, [later("now", 0, 100)], verdicts, NOW)

    assert not made.held_out
    assert effective(made).id == "now"
    assert hold_for(made, NOW).start_at == NOW


def test_run_now_still_obeys_hard_rules():
    refused = Verdict("baseline", allowed=False, reasons=("r",))
    verdicts = judged(fine("a", 1), run_now=True, exception="E", baseline=refused)

    made = choose(JOB, BASE, [later("a", 5, 1)], verdicts, NOW)

    assert made.chosen.id == "a"
    assert made.noncompliant_baseline


@pytest.mark.parametrize("given", [{"mode": Mode.SHADOW}, {"mode": Mode.AUDIT}, {"held_out": True}])
def test_a_choice_that_must_not_act_leaves_the_baseline_in_force(given):
    made = choose(JOB, BASE, [later("a", 1, 1)], judged(fine("a", 1), **given), NOW)

    assert made.chosen.id == "a"
    assert effective(made) == BASE


@pytest.mark.feature("A3")
def test_the_same_inputs_give_the_same_bytes_and_others_do_not():
    candidates, verdicts = [later("a", 1, 60)], judged(fine("a", 60))

    one = choose(JOB, BASE, candidates, verdicts, NOW, forecast_ids={"Z": "f1"})
    again = choose(JOB, BASE, candidates, verdicts, NOW, forecast_ids={"Z": "f1"})
    other = choose(JOB, BASE, candidates, verdicts, NOW, forecast_ids={"Z": "f2"})

    assert canonical(one) == canonical(again)
    assert one.id == again.id != other.id


@pytest.mark.feature("A1", "B1")
def test_ten_thousand_random_jobs_break_no_rule_miss_no_deadline_and_match_brute_force():
    draw = random.Random(5)
    for _ in range(10_000):
        candidates = [
            replace(
                later(f"c{i}", draw.uniform(0, 14), draw.uniform(1, 200)),
                p95_ms=draw.uniform(50, 120),
            )
            for i in range(draw.randint(0, 6))
        ]
        verdicts = [
            Verdict(
                each.id,
                allowed=(slow := each.p95_ms <= 100),
                reasons=() if slow else ("slo",),
                eligible=each.carbon_g < 100,
                score=(each.carbon_g, 0.0),
            )
            for each in candidates
        ]

        made = choose(JOB, BASE, candidates, judged(*verdicts), NOW)

        able = [
            each
            for each in candidates
            if each.p95_ms <= 100 and each.carbon_g < 100 and each.start <= made.latest_safe_start
        ]
        best = min(able, key=lambda each: each.carbon_g, default=BASE)
        assert made.chosen == best
        assert made.chosen.start + timedelta(hours=2) <= JOB.deadline
