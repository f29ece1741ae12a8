"""What the control loop remembers."""

import sqlite3
from dataclasses import replace

import pytest

from greenops.adapters.state import StateDb
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Decision, Mode
from greenops.domain.record import canonical
from greenops.domain.workload import Limits
from greenops.errors import DataMissing, Unreachable
from greenops.testing.clock import START

RECEIPT = Receipt("a-1", "d-1", "fake", "start_job", Outcome.APPLIED, "started", at=START)
DECISION = Decision(
    id="d-1",
    job_id="night/1",
    workload="night",
    decided_at=START,
    chosen=Candidate("later", start=START),
    baseline=Candidate("now"),
    runner_up=None,
    rejected={"x": ("limit/deadline",)},
    warned={},
    reason="cleaner then",
    mode=Mode.ENFORCE,
    policies=("p",),
    policy_hash="0",
    objective=None,
    limits=Limits(),
    deadline=None,
    latest_safe_start=None,
    forecast_ids={"CISO": "f-1"},
    replay=False,
)
RECORD = DecisionRecord(DECISION, (Candidate("now"),), (), {"p": "text"})


@pytest.fixture
def db(tmp_path):
    db = StateDb(tmp_path / "deep" / "state.db")
    yield db
    db.close()


def test_the_first_decision_of_a_job_stays(db):
    later = replace(RECORD, decision=replace(DECISION, id="d-2", reason="another"))

    assert db.keep_decision(RECORD) == RECORD
    assert db.keep_decision(later) == RECORD
    assert (db.decision("d-1"), db.decision_of("night/1")) == (RECORD, RECORD)
    assert (db.decision("d-2"), db.decision_of("night/2")) == (None, None)


def test_a_decision_that_takes_the_place_of_another_is_the_one_in_force(db):
    second = replace(RECORD, decision=replace(DECISION, id="d-2", supersedes="d-1"))
    rival = replace(RECORD, decision=replace(DECISION, id="d-3", supersedes="d-1"))
    third = replace(RECORD, decision=replace(DECISION, id="d-4", supersedes="d-2"))
    db.keep_decision(RECORD)

    assert db.keep_decision(second) == second
    assert db.keep_decision(rival) == second
    assert db.decision_of("night/1") == second
    assert db.keep_decision(third) == third
    assert db.keep_decision(RECORD) == RECORD
    assert db.decision_of("night/1") == third
    assert [each.decision.id for _, each in db.decisions_after(0)] == ["d-1", "d-2", "d-4"]


OF_VERSION_1 = """
CREATE TABLE decisions (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL UNIQUE, row TEXT NOT NULL
) STRICT;
PRAGMA user_version = 1;
"""


def test_a_file_of_the_first_version_keeps_its_decisions_and_takes_what_replaces_them(tmp_path):
    path = tmp_path / "state.db"
    old = sqlite3.connect(path)
    old.executescript(OF_VERSION_1)
    row = canonical(RECORD).decode()
    old.execute("INSERT INTO decisions VALUES (7, 'd-1', 'night/1', ?)", (row,))
    old.commit()
    old.close()

    db = StateDb(path)

    second = replace(RECORD, decision=replace(DECISION, id="d-2", supersedes="d-1"))
    assert db.decisions_after(0) == [(7, RECORD)]
    assert db.keep_decision(second) == second
    assert db.decisions_after(7) == [(8, second)]
    db.close()


def test_decisions_come_newest_first_and_survive_a_restart(db, tmp_path):
    second = replace(RECORD, decision=replace(DECISION, id="d-2", job_id="night/2"))
    db.keep_decision(RECORD)
    db.keep_decision(second)
    db.close()

    again = StateDb(tmp_path / "deep" / "state.db")
    kept = again.decisions()
    again.close()

    assert kept == [second, RECORD]


def test_the_same_receipt_is_kept_once(db):
    other = replace(RECEIPT, decision_id="d-2")

    assert [db.keep_receipt(RECEIPT), db.keep_receipt(RECEIPT), db.keep_receipt(other)] == [
        True,
        False,
        True,
    ]
    assert (db.receipts("d-2"), db.receipts()) == ([other], [RECEIPT, other])


def test_what_came_after_a_number_is_found_by_it(db):
    second = replace(RECORD, decision=replace(DECISION, id="d-2", job_id="night/2"))
    for record, receipt in ((RECORD, RECEIPT), (second, replace(RECEIPT, decision_id="d-2"))):
        db.keep_decision(record)
        db.keep_receipt(receipt)

    decisions, receipts = db.decisions_after(0), db.receipts_after(0)

    assert [each for _, each in decisions] == [RECORD, second]
    assert db.decisions_after(decisions[0][0]) == decisions[1:]
    assert db.receipts_after(receipts[0][0]) == receipts[1:]
    assert (db.decisions_after(decisions[1][0]), db.counts()) == ([], (2, 2))


def test_a_writer_in_another_process_does_not_keep_a_reader_waiting(db, tmp_path):
    db.keep_decision(RECORD)
    db._db.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "deep" / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    found = (db.decision("d-1"), db.decisions(), db.receipts(), db.actions())

    other.close()
    assert found == (RECORD, [RECORD], [], [])


def test_a_file_that_is_no_database_is_damaged(tmp_path):
    path = tmp_path / "state.db"
    path.write_bytes(b"no database" * 1000)

    with pytest.raises(DataMissing, match=r"^GO0606 .*state.db: control state is damaged"):
        StateDb(path)


def test_a_row_that_is_no_record_is_damaged(db):
    db._db.execute("INSERT INTO decisions (id, job_id, row) VALUES ('d', 'j', '{}')")

    with pytest.raises(DataMissing, match="GO0606"):
        db.decisions()


def test_a_file_that_another_process_holds_is_one_line(db, tmp_path):
    db._db.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "deep" / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unreachable, match="GO0602"):
        db.keep_receipt(RECEIPT)

    other.execute("ROLLBACK")
    other.close()
    assert db.keep_receipt(RECEIPT)
