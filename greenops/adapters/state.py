"""Control state in one SQLite file: what is to be sent, what came back, what was decided.

Every method is one transaction, in WAL mode with full synchronisation: after SIGKILL or a power
cut the file holds whole transactions only, and what a method returned from is on the disk. A read
takes no writer's lock, and what was read is understood after the transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, Final, TypeVar

from greenops.domain.action import Receipt
from greenops.domain.console import DecisionRecord
from greenops.domain.outbox import OutboxRow, OutboxState
from greenops.domain.record import canonical, parse
from greenops.errors import DataMissing, Location, Unreachable

R = TypeVar("R")

BUSY_S: Final = 2.0
"""Longest wait for another process's transaction [s]."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outbox (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL,
  row TEXT NOT NULL, UNIQUE (id, target)
) STRICT;
CREATE TABLE IF NOT EXISTS receipts (
  seq INTEGER PRIMARY KEY, action_id TEXT NOT NULL, decision_id TEXT NOT NULL, row TEXT NOT NULL,
  UNIQUE (action_id, row)
) STRICT;
CREATE TABLE IF NOT EXISTS decisions (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL, row TEXT NOT NULL,
  supersedes TEXT NOT NULL DEFAULT '', UNIQUE (job_id, supersedes)
) STRICT;
PRAGMA user_version = 2;
"""
ONE_PER_JOB: Final = 1
"""Version of a file that has room for one decision of each job only."""
WITH_REPLACED: Final = (
    "ALTER TABLE decisions RENAME TO decisions_1",
    """CREATE TABLE decisions (
      seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL, row TEXT NOT NULL,
      supersedes TEXT NOT NULL DEFAULT '', UNIQUE (job_id, supersedes)
    ) STRICT""",
    "INSERT INTO decisions (seq, id, job_id, row) SELECT seq, id, job_id, row FROM decisions_1",
    "DROP TABLE decisions_1",
    "PRAGMA user_version = 2",
)

BY_KEY: Final = "SELECT row FROM outbox WHERE id = ? AND target = ?"


class StateDb:
    """The control loop's memory; one object per process, safe to call from several threads.

    Raises:
        Unreachable: The disk is full or gone, or another process holds the file for too long.
        DataMissing: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = RLock()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
        self._make_room()
        with self._told():
            self._db.executescript(SCHEMA)

    def _make_room(self) -> None:
        """Bring a file of the first version to this one; another process may do the same."""
        if self._rows("PRAGMA user_version", []) != [(ONE_PER_JOB,)]:
            return
        with self._transaction() as db:
            if db.execute("PRAGMA user_version").fetchone() == (ONE_PER_JOB,):
                for statement in WITH_REPLACED:
                    db.execute(statement)

    def close(self) -> None:
        """Let go of the file; twice is once."""
        with self._lock, suppress(sqlite3.Error):
            self._db.close()

    # -- outbox ---------------------------------------------------------------

    def write_action(self, row: OutboxRow) -> OutboxRow:
        """Keep a new action before anything is called; a known one gives the row that is there."""
        action = row.action
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO outbox (id, target, state, row) VALUES (?, ?, ?, ?)",
                (action.id, action.target, row.state.value, _text(row)),
            )
            found = db.execute(BY_KEY, (action.id, action.target)).fetchone()
        return self._record(OutboxRow, found[0]) if found else row

    def update_action(self, row: OutboxRow) -> None:
        """Keep how far an action came."""
        action = row.action
        with self._transaction() as db:
            db.execute(
                "UPDATE outbox SET state = ?, row = ? WHERE id = ? AND target = ?",
                (row.state.value, _text(row), action.id, action.target),
            )

    def action(self, action_id: str, target: str) -> OutboxRow | None:
        """One target's action; none where it was never written."""
        return self._one(OutboxRow, BY_KEY, action_id, target)

    def actions(self, *states: OutboxState, target: str | None = None) -> list[OutboxRow]:
        """Actions in these states (all where none is given), in the order they were written.

        Args:
            states: States to look for.
            target: Only those of one target; none: of all.
        """
        wanted = [state.value for state in states or tuple(OutboxState)]
        marks = ",".join("?" * len(wanted))
        which = f"state IN ({marks}) AND (? IS NULL OR target = ?)"
        query = f"SELECT row FROM outbox WHERE {which} ORDER BY seq"  # noqa: S608
        return self._all(OutboxRow, query, [*wanted, target, target])

    # -- receipts and decisions -----------------------------------------------

    def keep_receipt(self, receipt: Receipt) -> bool:
        """Keep a receipt; false where exactly this one is there already."""
        with self._transaction() as db:
            done = db.execute(
                "INSERT OR IGNORE INTO receipts (action_id, decision_id, row) VALUES (?, ?, ?)",
                (receipt.action_id, receipt.decision_id, _text(receipt)),
            )
            return done.rowcount == 1

    def receipts(self, decision_id: str | None = None) -> list[Receipt]:
        """Receipts of a decision (of all where none is given), oldest first."""
        query = "SELECT row FROM receipts WHERE ? IS NULL OR decision_id = ? ORDER BY seq"
        return self._all(Receipt, query, [decision_id, decision_id])

    def receipts_after(self, seq: int) -> list[tuple[int, Receipt]]:
        """Receipts kept after one of them, with their numbers, oldest first; all after 0."""
        return self._after(Receipt, "receipts", seq)

    def keep_decision(self, record: DecisionRecord) -> DecisionRecord:
        """Keep a decision; a job keeps its first one, and each one the first that takes its place."""
        decision = record.decision
        where = decision.job_id, decision.supersedes or ""
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO decisions (id, job_id, row, supersedes) VALUES (?, ?, ?, ?)",
                (decision.id, decision.job_id, _text(record), where[1]),
            )
            query = "SELECT row FROM decisions WHERE job_id = ? AND supersedes = ?"
            found = db.execute(query, where).fetchone()
        return self._record(DecisionRecord, found[0]) if found else record

    def decision(self, decision_id: str) -> DecisionRecord | None:
        """One decision; none where there is no such."""
        return self._one(DecisionRecord, "SELECT row FROM decisions WHERE id = ?", decision_id)

    def decision_of(self, job_id: str) -> DecisionRecord | None:
        """The decision of a run key that is in force, the newest; none where it was not decided."""
        query = "SELECT row FROM decisions WHERE job_id = ? ORDER BY seq DESC LIMIT 1"
        return self._one(DecisionRecord, query, job_id)

    def decisions(self) -> list[DecisionRecord]:
        """Every decision, newest first."""
        return self._all(DecisionRecord, "SELECT row FROM decisions ORDER BY seq DESC", [])

    def decisions_after(self, seq: int) -> list[tuple[int, DecisionRecord]]:
        """Decisions kept after one of them, with their numbers, oldest first; all after 0."""
        return self._after(DecisionRecord, "decisions", seq)

    def counts(self) -> tuple[int, int]:
        """How many decisions and how many receipts there are."""
        query = "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM receipts)"
        [(decisions, receipts)] = self._rows(query, [])
        return int(decisions), int(receipts)

    # -- inside ---------------------------------------------------------------

    def _one(self, kind: type[R], query: str, *key: str) -> R | None:
        found = self._all(kind, query, key)
        return found[0] if found else None

    def _all(self, kind: type[R], query: str, values: Sequence[str | None]) -> list[R]:
        return [self._record(kind, text) for (text,) in self._rows(query, values)]

    def _after(self, kind: type[R], table: str, seq: int) -> list[tuple[int, R]]:
        query = f"SELECT seq, row FROM {table} WHERE seq > ? ORDER BY seq"  # noqa: S608  (our name)
        return [(number, self._record(kind, text)) for number, text in self._rows(query, [seq])]

    def _rows(self, query: str, values: Sequence[str | int | None]) -> list[tuple[Any, ...]]:
        with self._lock, self._told():
            return self._db.execute(query, values).fetchall()

    def _record(self, kind: type[R], text: str) -> R:
        try:
            return parse(kind, text)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            code, fix = "GO0601", "free the disk, or set `GREENOPS_STATE`"
            if "locked" in str(error) or "busy" in str(error):
                code, fix = "GO0602", "another process holds it; end it, or try again"
            at = Location(str(self._path))
            raise Unreachable(
                code, f"control state cannot be used: {error}", at=at, fix=fix
            ) from error
        except OSError as error:
            raise Unreachable(
                "GO0601",
                f"control state cannot be used: {error.strerror or error}",
                at=Location(str(self._path)),
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> DataMissing:
        return DataMissing(
            "GO0606",
            f"control state is damaged: {why}",
            at=Location(str(self._path)),
            fix="move it away; decisions and receipts also stand in the ledger",
        )


def _text(record: object) -> str:
    return canonical(record).decode()
