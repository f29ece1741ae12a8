"""A receipt left by a holder is taken in once."""

from dataclasses import replace

import pytest

from greenops.adapters.spool import Spool
from greenops.domain.action import Outcome, Receipt
from greenops.errors import Unreachable
from greenops.testing.clock import START

RECEIPT = Receipt(
    "a-1", "d-1", "local-process", "start_job", Outcome.APPLIED, "started", at=START, on_time=True
)


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


def test_an_empty_or_missing_folder_has_nothing(tmp_path):
    assert Spool(tmp_path / "none").pending() == []


def test_a_disk_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Unreachable, match="GO0601"):
        Spool(tmp_path / "file").drop(RECEIPT)
