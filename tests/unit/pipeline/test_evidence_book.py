"""What goes into the ledger, and what does not."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.action import Action, Outcome, SetWeights, StartJob
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Judgement, Mode, Verdict
from greenops.domain.energy import Method
from greenops.domain.evidence import EntryKind, Grade
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.domain.outbox import receipt
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.errors import DataMissing
from greenops.pipeline.evidence import open_ledger, verify
from greenops.pipeline.evidence_book import Evidence
from greenops.plan.choice import choose, effective
from greenops.prove.evidence import outcome
from greenops.prove.savings import Energy, window
from greenops.testing.clock import FakeClock
from greenops.units import GramsPerKwh, Kwh

T0 = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERIES = IntensitySeries(
    "Z",
    SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "made-up", replay=False),
    T0,
    HOUR,
    tuple(GramsPerKwh(400 - 10 * n) for n in range(24)),
)
BASELINE = Candidate(id="baseline", region="home", start=T0 + HOUR)
LATER = Candidate(id="home/later", region="home", start=T0 + 9 * HOUR)
WEIGHTS = SetWeights("search", {"de": 40, "se": 60})


def record(name="w/1", **judged):
    job = Job(name, Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, home_region="home"), T0)
    verdicts = (Verdict("baseline", True), Verdict("home/later", True, score=(1.0, 0.0)))
    judgement = replace(Judgement((), verdicts, Limits(), "hash"), **judged)
    decision = choose(job, BASELINE, [LATER], judgement, T0)
    return DecisionRecord(decision, (BASELINE, LATER), verdicts, {}, job=job)


def started(made):
    change = StartJob(made.decision.job_id, T0, T0 + HOUR)
    action = Action(
        f"start:{change.run_key}", "local-process", change, made.decision.id, T0 + 24 * HOUR
    )
    return receipt(action, Outcome.APPLIED, "started", at=T0)


def came_to(made, *, method=Method.MODELED, kwh=(1.0, 2.0, 3.0), meter="m"):
    low, estimate, high = map(Kwh, kwh)
    held = window(SERIES, T0 + 9 * HOUR, T0 + 10 * HOUR, region="home", pue=1.2)
    usual = window(SERIES, T0 + HOUR, T0 + 2 * HOUR, region="home", pue=1.2)
    moved = effective(made.decision).id != BASELINE.id
    return outcome(
        workload="w",
        run_key=made.decision.job_id,
        decision_id=made.decision.id,
        receipt_id=f"start:{made.decision.job_id}",
        energy=Energy(estimate, low, high, method, meter),
        chosen=held,
        baseline=usual if moved else held,
        replay=False,
        held_out=made.decision.held_out,
    )


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path, FakeClock()) as made:
        yield made


@pytest.fixture
def evidence(ledger):
    return Evidence(ledger)


def kinds(ledger):
    return [entry.kind for entry in ledger.read()]


def test_what_a_second_target_was_told_is_no_repeat_of_the_first(evidence, ledger):
    made = record()
    evidence.decision(made)
    first = Action("act-1", "route-table", WEIGHTS, made.decision.id, T0 + HOUR)
    second = replace(first, target="envoy")

    kept = [evidence.action(each) for each in (first, second, first)]
    told = [evidence.receipt(receipt(each, Outcome.APPLIED, "set")) for each in (first, second)]

    assert (kept, told) == ([True, True, False], [True, True])
    assert kinds(ledger)[1:] == [EntryKind.ACTION] * 2 + [EntryKind.RECEIPT] * 2


@pytest.mark.feature("C11")
@pytest.mark.parametrize(
    "judged", [{}, {"mode": Mode.SHADOW}, {"mode": Mode.AUDIT}, {"held_out": True}]
)
def test_what_the_planner_decides_and_a_run_comes_to_verifies(evidence, tmp_path, judged):
    made = record(**judged)

    evidence.decision(made)
    evidence.receipt(started(made))
    evidence.outcome(came_to(made))

    found = evidence.verified(lambda: verify(tmp_path))
    assert found.problems == ()
    assert (found.verified, found.recomputed, found.signed) == (True, 2, 3)


def test_a_receipt_that_comes_before_its_decision_waits_for_it(evidence, ledger, caplog):
    made = record()

    with caplog.at_level(logging.WARNING, "greenops.evidence"):
        early = [evidence.receipt(started(made)) for _ in range(2)]
    evidence.decision(made)

    assert early == [False, False]
    assert kinds(ledger) == [EntryKind.DECISION, EntryKind.RECEIPT]
    assert len(caplog.records) == 1
    assert evidence.receipt(started(made)) is False


@pytest.mark.feature("C11")
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda each: replace(each, receipt_id="start:nowhere"), "receipt `start:nowhere`"),
        (lambda each: replace(each, chosen=replace(each.chosen, region="mars")), "`mars`"),
        (
            lambda each: replace(each, energy=replace(each.energy, high=Kwh(0.5))),
            "energy lies outside its own range",
        ),
    ],
)
def test_an_outcome_that_would_not_verify_is_not_written(evidence, ledger, tmp_path, wrong, said):
    made = record()
    evidence.decision(made)
    evidence.receipt(started(made))

    with pytest.raises(DataMissing, match=f"GO0414 .*{said}"):
        evidence.outcome(wrong(came_to(made)))

    assert kinds(ledger) == [EntryKind.DECISION, EntryKind.RECEIPT]
    assert evidence.outcome(came_to(made))
    assert evidence.verified(lambda: verify(tmp_path)).verified


def test_an_action_of_no_decision_is_neither_written_nor_sent(evidence, ledger):
    with pytest.raises(DataMissing, match="GO0414"):
        evidence.action(Action("act-1", "envoy", WEIGHTS, "dec-none", T0 + HOUR))

    assert kinds(ledger) == []


def test_a_decision_whose_name_is_not_its_contents_is_not_written(evidence, ledger):
    made = record()
    renamed = replace(made, decision=replace(made.decision, id="dec-other"))

    with pytest.raises(DataMissing, match=r"GO0414 .*dec-other"):
        evidence.decision(renamed)

    assert kinds(ledger) == []


def test_a_ledger_changed_under_its_writer_is_checked_as_it_stands(evidence, ledger, tmp_path):
    evidence.decision(record())
    path = tmp_path / "ledger" / "ledger.jsonl"
    stored = path.read_bytes()
    path.write_bytes(stored + stored)

    found = evidence.verified(lambda: verify(tmp_path))

    assert found.problems
    path.write_bytes(stored)


def test_the_hold_out_and_weak_grades_never_count_as_avoided(evidence):
    runs = [
        (record("w/1"), {}),
        (record("w/2", held_out=True), {"meter": "wide", "kwh": (0.0, 50.0, 100.0)}),
        (record("w/3"), {"method": Method.ESTIMATED}),
    ]
    assert evidence.avoided() is None
    for made, given in runs:
        evidence.decision(made)
        evidence.receipt(started(made))
        evidence.outcome(came_to(made, **given))

    found = evidence.avoided()

    assert found.grade is Grade.B
    assert found.estimate == pytest.approx(2.0 * 1.2 * 80)
    assert (found.low, found.high) == (pytest.approx(1.2 * 80), pytest.approx(3 * 1.2 * 80))


def test_what_a_crash_left_is_known_again(tmp_path, ledger, evidence):
    made = record()
    evidence.decision(made)
    ledger.close()

    with open_ledger(tmp_path, FakeClock()) as again:
        after = Evidence(again)
        assert after.decision(made) is False
        assert after.receipt(started(made)) is True
