"""A claim on played-back history is checked against the history that was shipped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.clock import SystemClock
from greenops.config import Settings
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Judgement, Verdict
from greenops.domain.energy import Method
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.pipeline.evidence import open_ledger, verify
from greenops.pipeline.evidence_book import Evidence
from greenops.pipeline.grid import load_grid
from greenops.pipeline.published import factors_version
from greenops.plan.choice import choose
from greenops.prove.evidence import outcome
from greenops.prove.savings import Energy, mean_of, window
from greenops.testing.clock import FakeClock
from greenops.units import GramsPerKwh, Kwh

GRID = load_grid(Settings(), SystemClock())
HOME = GRID.regions["us-west-1"]
NIGHT = datetime(2021, 9, 17, 8, tzinfo=UTC)
NOON = NIGHT + timedelta(hours=10)
LENGTH = timedelta(hours=2)
USUAL = Candidate(id="baseline", region=HOME.id, start=NIGHT)
LATER = Candidate(id="later", region=HOME.id, start=NOON)


def ran(start, times=1.0):
    """Two hours from `start`, as published, or dearer by a factor."""
    series = GRID.provider.actual(HOME.zone, start, start + LENGTH)
    met = window(series, start, start + LENGTH, region=HOME.id, pue=HOME.pue)
    hours = tuple(GramsPerKwh(times * each) for each in met.hours)
    mean = mean_of(hours, met.hours_from, met.step_s, met.start, met.end)
    return replace(met, hours=hours, intensity_mean=mean)


def claim(state, *, times=1.0, **given):
    """A ledger that its own writer filled with one run; `times` is what the baseline is made of."""
    job = Job("w/1", Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, HOME.id), NIGHT)
    verdicts = (Verdict("baseline", True), Verdict("later", True, score=(1.0, 0.0)))
    judgement = Judgement((), verdicts, Limits(), "hash")
    decision = choose(job, USUAL, [LATER], judgement, NIGHT, replay=True)
    receipt = Receipt("start:w/1", decision.id, "local", "start_job", Outcome.APPLIED, "started")
    facts = {
        "workload": "w",
        "run_key": "w/1",
        "decision_id": decision.id,
        "receipt_id": "start:w/1",
        "energy": Energy(Kwh(2.0), Kwh(1.0), Kwh(3.0), Method.MODELED, "m"),
        "chosen": ran(NOON),
        "baseline": ran(NIGHT, times),
        "replay": True,
        "factors_version": factors_version(GRID),
        **given,
    }
    with open_ledger(state, FakeClock()) as ledger:
        evidence = Evidence(ledger)
        evidence.decision(DecisionRecord(decision, (USUAL, LATER), verdicts, {}, job=job))
        evidence.receipt(receipt)
        evidence.outcome(outcome(**facts))


def test_a_run_in_the_shipped_history_is_verified(tmp_path):
    claim(tmp_path)

    found = verify(tmp_path)

    assert (found.verified, found.recomputed) == (True, 2)


@pytest.mark.feature("C11")
def test_a_dearer_baseline_that_was_never_published_is_found_though_all_else_fits(tmp_path):
    claim(tmp_path, times=10.0)

    (problem,) = verify(tmp_path).problems
    assert problem.startswith("line 3 its baseline window has other hours than")
    assert problem.endswith(f"published for `{HOME.zone}`")


@pytest.mark.feature("C11")
def test_a_pue_that_the_named_factors_do_not_have_is_found(tmp_path):
    claim(tmp_path, baseline=replace(ran(NIGHT), pue=3.0))

    (problem,) = verify(tmp_path).problems
    assert problem.startswith(f"line 3 its baseline window has zone and PUE of `{HOME.id}` other")
