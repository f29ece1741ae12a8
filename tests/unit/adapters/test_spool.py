"""A receipt left by a holder is taken in once."""

from dataclasses import replace

import pytest

from greenops.adapters.spool import Spool
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.workload import Limits
from greenops.errors import Unreachable
from greenops.testing.clock import START

RECEIPT = Receipt(
    "a-1", "d-1", "local-process", "start_job", Outcome.APPLIED, "started", at=START, on_time=True
)
DECISION = Decision(
    id="d-1",
    job_id="night/1",
    workload="night",
    decided_at=START,
    chosen=Candidate("later", start=START),
    baseline=Candidate("now"),
    runner_up=None,
    rejected={},
    warned={},
    reason="cleaner then",
    mode=Mode.ENFORCE,
    policies=(),
    policy_hash="0",
    objective=None,
    limits=Limits(),
    deadline=None,
    latest_safe_start=None,
    forecast_ids={},
    replay=False,
)
RECORD = DecisionRecord(DECISION, (Candidate("now"),), (), {"p": "text"})


def test_a_receipt_is_taken_in_once_however_often_it_is_left(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.drop(RECEIPT)
    spool.drop(RECEIPT)
    [(name, receipt)] = spool.pending()
    spool.done(name)
    spool.done(name)
    spool.drop(RECEIPT)

    assert receipt == RECEIPT
    assert spool.pending() == []


def test_receipts_of_one_action_that_differ_are_two(tmp_path):
    spool = Spool(tmp_path)
    spool.drop(RECEIPT)
    spool.drop(replace(RECEIPT, detail="ended"))

    assert [receipt.detail for _, receipt in spool.pending()] == ["started", "ended"]


def test_a_damaged_file_goes_aside_and_the_others_arrive(tmp_path):
    spool = Spool(tmp_path)
    spool.drop(RECEIPT)
    (tmp_path / "x.json").write_text("{")

    assert [receipt for _, receipt in spool.pending()] == [RECEIPT]
    assert (tmp_path / "damaged" / "x.json").exists()


def test_a_decision_is_left_beside_the_receipts_and_goes_when_it_was_taken_in(tmp_path):
    spool = Spool(tmp_path)
    spool.drop_decision(RECORD)
    spool.drop_decision(RECORD)
    [(name, record)] = spool.decisions()
    assert spool.pending() == []

    spool.decided(name)
    spool.decided(name)

    assert record == RECORD
    assert spool.decisions() == []


def test_what_can_never_be_evidence_goes_aside(tmp_path):
    spool = Spool(tmp_path)
    spool.drop(RECEIPT)
    spool.drop_decision(RECORD)

    for name, _ in (*spool.pending(), *spool.decisions()):
        spool.refused(name)

    assert (spool.pending(), spool.decisions()) == ([], [])
    assert len(list(tmp_path.rglob("refused/*.json"))) == 2


def test_an_empty_or_missing_folder_has_nothing(tmp_path):
    spool = Spool(tmp_path / "none")

    assert (spool.pending(), spool.decisions()) == ([], [])


def test_a_disk_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unreachable, match="GO0601"):
        Spool(tmp_path / "file").drop(RECEIPT)
