"""The choice: best allowed and eligible, in time, and the same bytes from the same inputs."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.decision import Candidate, Decision, Judgement, Mode, Verdict
from greenops.domain.record import canonical, restore
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.plan.choice import choose, effective
from greenops.units import Grams, Kwh, Seconds, Usd

NOW = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORKLOAD = Workload(
    name="nightly-enrichment",
    kind=WorkloadKind.BATCH,
    urgency=Urgency.DEFERRABLE,
    home_region="us-west-1",
    duration_p95_s=Seconds(7200.0),
    energy_kwh=Kwh(10.0),
)
JOB = Job("nightly-enrichment/2021-10-08", WORKLOAD, NOW, NOW + 12 * HOUR)
BASELINE = Candidate(
    "baseline",
    region="us-west-1",
    pool="ondemand",
    start=NOW,
    end=NOW + 2 * HOUR,
    carbon_g=Grams(1000.0),
    cost_usd=Usd(10.0),
)


def way(name: str, hours: float, region: str = "us-west-1", carbon: float = 500.0) -> Candidate:
    start = NOW + hours * HOUR
    return replace(
        BASELINE, id=name, region=region, start=start, end=start + 2 * HOUR, carbon_g=Grams(carbon)
    )


def said(*verdicts: Verdict, own: Verdict | None = None, **more: object) -> Judgement:
    first = own or Verdict("baseline", allowed=True, eligible=False)
    judgement = Judgement(("cleaner",), (first, *verdicts), Limits(), "0" * 64, "cleaner")
    return replace(judgement, **more)  # type: ignore[arg-type]


def fine(name: str, score: float, tie: float = 0.0) -> Verdict:
    return Verdict(name, allowed=True, score=(score, tie))


def test_the_least_score_wins_and_the_next_is_the_runner_up() -> None:
    ways = [way("a", 1), way("b", 2), way("c", 3)]

    decision = choose(JOB, BASELINE, ways, said(fine("a", 3), fine("b", 1), fine("c", 2)), NOW)

    assert decision.chosen.id == "b"
    assert decision.runner_up == ways[2]


def test_a_tie_goes_to_the_earlier_start_and_then_to_the_name() -> None:
    ways = [way("z", 1), way("late", 2), way("a", 1)]

    decision = choose(JOB, BASELINE, ways, said(*(fine(w.id, 1) for w in ways)), NOW)

    assert decision.chosen.id == "a"
    assert decision.runner_up == ways[0]


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("a", allowed=False, reasons=("same-region",), score=(0, 0)),
        Verdict("a", allowed=True, eligible=False, score=(0, 0)),
        Verdict("a", allowed=True, score=None),
        Verdict("a", allowed=True, score=(float("nan"), 0)),
        Verdict("somebody-else", allowed=True, score=(0, 0)),
    ],
    ids=["refused", "not eligible", "no score", "score not a number", "no verdict"],
)
def test_what_is_not_plainly_better_leaves_the_baseline(verdict: Verdict) -> None:
    decision = choose(JOB, BASELINE, [way("a", 1)], said(verdict), NOW)

    assert decision.chosen is BASELINE
    assert decision.runner_up is None


@pytest.mark.feature("B11")
def test_a_start_past_the_latest_safe_one_is_never_chosen_whatever_its_score() -> None:
    ways = [way("too-late", 10.5), way("last", 10)]

    decision = choose(JOB, BASELINE, ways, said(fine("too-late", 0), fine("last", 9)), NOW)

    assert decision.latest_safe_start == NOW + 10 * HOUR
    assert decision.chosen.id == "last"


@pytest.mark.feature("B11")
def test_a_schedule_that_would_miss_the_deadline_is_brought_forward() -> None:
    late = replace(BASELINE, start=NOW + 11 * HOUR, end=NOW + 13 * HOUR)
    ways = [way("soon", 0), way("later", 5)]
    allowed = [Verdict(each.id, allowed=True, eligible=False) for each in ways]
    own = Verdict("baseline", allowed=False, reasons=("limit/deadline",))

    decision = choose(JOB, late, ways, said(*allowed, own=own), NOW)

    assert decision.chosen.id == "soon"
    assert decision.noncompliant_baseline
    assert "slack" not in decision.reason


def test_break_glass_starts_at_the_earliest_and_does_not_leave_home_for_it() -> None:
    later = replace(BASELINE, start=NOW + 3 * HOUR)
    ways = [way("abroad", 0, region="eu-north-1", carbon=1), way("home", 0), way("clean", 5)]
    judgement = said(*(fine(w.id, 1) for w in ways), run_now=True, exception="EXC-1")

    decision = choose(JOB, later, ways, judgement, NOW)

    assert decision.chosen.id == "home"
    assert decision.exception == "EXC-1"
    assert "EXC-1" in decision.reason


def test_break_glass_keeps_hard_rules() -> None:
    judgement = said(
        Verdict("now", allowed=False, reasons=("pool",)), fine("next", 1), run_now=True
    )
    later = replace(BASELINE, start=NOW + 3 * HOUR)

    decision = choose(JOB, later, [way("now", 0), way("next", 1)], judgement, NOW)

    assert decision.chosen.id == "next"


@pytest.mark.parametrize(
    ("more", "moves"),
    [
        ({}, True),
        ({"mode": Mode.SHADOW}, False),
        ({"mode": Mode.AUDIT}, False),
        ({"held_out": True}, False),
    ],
)
def test_only_an_enforced_choice_outside_the_hold_out_moves_anything(
    more: dict[str, object], moves: bool
) -> None:
    decision = choose(JOB, BASELINE, [way("a", 1)], replace(said(fine("a", 1)), **more), NOW)  # type: ignore[arg-type]

    assert decision.chosen.id == "a"
    assert effective(decision).id == ("a" if moves else "baseline")


def test_a_baseline_that_breaks_a_hard_rule_is_told() -> None:
    own = Verdict("baseline", allowed=False, reasons=("approved-location",))

    decision = choose(JOB, BASELINE, [], said(own=own), NOW)

    assert decision.noncompliant_baseline
    assert decision.chosen is BASELINE
    assert decision.rejected == {"baseline": ("approved-location",)}


def test_refusals_and_warnings_are_kept_by_the_rule_s_name() -> None:
    verdicts = (
        Verdict("a", allowed=False, reasons=("same-region", "limit/maxCost")),
        Verdict("b", allowed=True, warnings=("off-peak",), score=(1, 0)),
    )

    decision = choose(JOB, BASELINE, [way("a", 1), way("b", 2)], said(*verdicts), NOW)

    assert decision.rejected == {"a": ("same-region", "limit/maxCost")}
    assert decision.warned == {"b": ("off-peak",)}


@pytest.mark.feature("A3")
def test_a_decision_made_again_from_stored_inputs_gives_the_same_bytes() -> None:
    ways, verdicts = [way("a", 1), way("b", 2)], said(fine("a", 2), fine("b", 1))
    first = choose(JOB, BASELINE, ways, verdicts, NOW, forecast_ids={"CISO": "f1"}, replay=True)

    again = choose(
        restore(Job, json.loads(canonical(JOB))),
        restore(Candidate, json.loads(canonical(BASELINE))),
        [restore(Candidate, json.loads(canonical(each))) for each in ways],
        restore(Judgement, json.loads(canonical(verdicts))),
        NOW,
        forecast_ids={"CISO": "f1"},
        replay=True,
    )

    assert canonical(again) == canonical(first)
    assert canonical(restore(Decision, json.loads(canonical(first)))) == canonical(first)


def test_another_input_gives_another_id() -> None:
    one = choose(JOB, BASELINE, [way("a", 1)], said(fine("a", 1)), NOW)

    others = [
        choose(JOB, BASELINE, [way("a", 1)], said(fine("a", 1)), NOW + HOUR),
        choose(JOB, BASELINE, [way("a", 2)], said(fine("a", 1)), NOW),
        choose(replace(JOB, id="x"), BASELINE, [way("a", 1)], said(fine("a", 1)), NOW),
        choose(JOB, BASELINE, [way("a", 1)], said(fine("a", 1)), NOW, forecast_ids={"DE": "f"}),
    ]

    assert one.id not in {each.id for each in others}
    assert len({each.id for each in others}) == len(others)


@pytest.mark.slow
@pytest.mark.feature("A1")
def test_ten_thousand_random_instances_break_no_hard_rule_and_match_an_exhaustive_search() -> None:
    rng = random.Random(20211008)
    moved = 0

    for _ in range(10_000):
        count = rng.randint(0, 12)
        ways = [way(f"w{i}", rng.uniform(0, 14), carbon=rng.randint(1, 900)) for i in range(count)]
        over_slo = {each.id for each in ways if rng.random() < 0.4}  # Clean ones break it as often.
        verdicts = [
            Verdict(
                each.id,
                allowed=each.id not in over_slo,
                reasons=("p95",) if each.id in over_slo else (),
                eligible=rng.random() < 0.8,
                score=(float(each.carbon_g or 0), rng.randint(0, 2))
                if rng.random() < 0.9
                else None,
            )
            for each in ways
        ]

        decision = choose(JOB, BASELINE, ways, said(*verdicts), NOW)

        good = [
            (verdict.score, each)
            for each, verdict in zip(ways, verdicts, strict=True)
            if verdict.allowed
            and verdict.eligible
            and verdict.score
            and each.start is not None
            and each.start <= NOW + 10 * HOUR
        ]
        assert decision.chosen.id not in over_slo
        if good:
            moved += 1
            assert decision.chosen.carbon_g == min(
                each.carbon_g for _, each in good if each.carbon_g
            )
        else:
            assert decision.chosen is BASELINE
    assert moved > 5_000
