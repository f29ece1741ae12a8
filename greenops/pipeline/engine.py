"""The control loop: decides, sends, takes receipts, looks after routes, keeps evidence.

Every step is written down before it is taken, so that the loop may die between any two of them:
a decision is kept before its action is written, an action before its target is called.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from greenops.act.keys import action_id
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.spool import Spool
from greenops.adapters.state import StateDb
from greenops.config import Settings
from greenops.domain.action import Action, Receipt, SetWeights, StartJob
from greenops.domain.budget import Budget
from greenops.domain.console import (
    DecisionRecord,
    JobRequest,
    Overview,
    SendOrder,
    WhatIfAnswer,
    WhatIfQuestion,
)
from greenops.domain.decision import Decision
from greenops.domain.evidence import AvoidedEmissions
from greenops.domain.override import Held, Override, OverrideOrder
from greenops.errors import AdapterUnavailable, DataMissing, UsageError
from greenops.pipeline.decide import Decider
from greenops.pipeline.evidence_book import Evidence
from greenops.pipeline.outbox import Outbox
from greenops.pipeline.overrides import Overrides
from greenops.pipeline.overrides_in_loop import loop_ways
from greenops.pipeline.replanning import WaitingRuns
from greenops.plan.choice import effective
from greenops.ports import Clock
from greenops.units import Seconds

log = logging.getLogger("greenops.loop")

Kept = TypeVar("Kept", DecisionRecord, Receipt)

ORDER_LIFE = timedelta(hours=1)
"""How long an order may wait for its target before it is stale (simulated time)."""


class Telemetry(Protocol):
    """Where the loop reports what it did; the metrics page is one such place."""

    def decision(self, decision: Decision) -> None:
        """One decision was made."""

    def judged(self, workload: str, ways: int, took: Seconds) -> None:
        """The policies judged so many ways of one thing, which took so long [s]."""

    def action(self, receipt: Receipt) -> None:
        """One action ended."""

    def outcome(self, workload: str, avoided: AvoidedEmissions) -> None:
        """What one run avoided."""

    def savings(self, avoided: AvoidedEmissions) -> None:
        """Avoided emissions so far."""

    def budget(self, budget: Budget, period: Seconds) -> None:
        """A budget, and how long its period is now [s]."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an engine is made of; `pipeline.assemble` puts it together."""

    settings: Settings
    clock: Clock
    decider: Decider
    db: StateDb
    evidence: Evidence
    outbox: Outbox
    spool: Spool
    telemetry: Telemetry
    lake: ParquetLake
    view: Callable[[], Overview]
    waiting: WaitingRuns = field(default_factory=WaitingRuns)


class Engine:
    """What the doors ask of the loop, and the loop itself; safe to call from several threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.RLock()
        self._answers: dict[str, WhatIfAnswer] = {}
        self._proved = {"decisions": 0, "receipts": 0}
        """Numbers of the last decision and receipt that are known to stand in the ledger."""
        self.waiting = parts.waiting
        ways = loop_ways(
            parts.db, parts.decider, parts.evidence, parts.outbox, self.accept, parts.waiting
        )
        self._overrides = Overrides(parts.settings, parts.clock, ways)

    # -- decisions and actions

    def submit(self, request: JobRequest) -> Decision:
        """Decide one run and send it; the same run key again gives the first decision.

        Raises:
            UsageError: The workload is not declared.
        """
        with self._lock:
            known = self._parts.db.decision_of(request.run_key)
            # A known one is kept again: the disk may have had no room for it in the ledger.
            record = self.keep(known or self._parts.decider.decide(request))
            change = self._start(record.decision)
            target = self._target(record.decision)
            if change is not None and target is not None:
                self.act(record.decision, target, change)
            return record.decision

    def keep(self, record: DecisionRecord) -> DecisionRecord:
        """Write a decision down; a job that was decided before keeps its first decision."""
        with self._lock:
            kept = self._parts.db.keep_decision(record)
            self._prove(kept)
            self.waiting.put(kept, self._parts.clock.now())
            return kept

    def replace(self, record: DecisionRecord, target: str, may: Callable[[StartJob], bool]) -> None:
        """Put a decision in the place of the one that it supersedes, and order its start.

        Args:
            record: The new decision.
            target: Who starts the run.
            may: Asked before anything is written, and while nobody else can order; false: nothing is done.
        """
        change = self._start(record.decision)
        with self._lock:
            if change is None or not may(change):
                return
            kept = self.keep(record)
            # Its holder may have replaced the same one, while it thought us away.
            if kept.decision.id == record.decision.id:
                self.act(record.decision, target, change)

    def _prove(self, record: DecisionRecord | Receipt) -> None:
        """Bring what is kept into the ledger, once; then into lake and metrics."""
        parts = self._parts
        if isinstance(record, Receipt):
            if parts.evidence.receipt(record):
                parts.telemetry.action(record)
        elif parts.evidence.decision(record):
            # What is replayed over the lake are runs: each has one first decision.
            if record.decision.supersedes is None:
                parts.lake.write_decision(record)
            parts.telemetry.decision(record.decision)

    def _start(self, decision: Decision) -> StartJob | None:
        placed, latest = effective(decision), decision.latest_safe_start
        if placed.start is None or latest is None:
            return None
        return StartJob(decision.job_id, placed.start, latest)

    def _target(self, decision: Decision) -> str | None:
        return self._parts.decider.policies.workloads[decision.workload].target

    def act(
        self,
        decision: Decision,
        target: str,
        change: StartJob | SetWeights,
        order: SendOrder | None = None,
    ) -> Receipt | None:
        """Send one change through the outbox; none where it waits for its target.

        Args:
            decision: What the change rests on.
            target: Name of the target.
            change: What to change.
            order: Of the person who sends it; none: the loop does.
        """
        parts = self._parts
        latest = change.latest_safe_start if isinstance(change, StartJob) else None
        action = Action(
            id=action_id(decision.id, target, change),
            target=target,
            change=change,
            decision_id=decision.id,
            expires=latest or parts.clock.now() + ORDER_LIFE,
            actor=order.actor if order else parts.settings.actor,
            by_person=order is not None,
        )
        return self.carry_out(action)

    def carry_out(self, action: Action) -> Receipt | None:
        """Keep an action, send it, keep its receipt; none where it waits for its target."""
        with self._lock:
            self._parts.evidence.action(action)
            receipt = self._parts.outbox.send(action)
            if receipt is not None:
                self.accept(receipt)
            return receipt

    def accept(self, receipt: Receipt) -> None:
        """Keep a receipt; the same one again is one."""
        with self._lock:
            self._parts.db.keep_receipt(receipt)
            self._prove(receipt)

    def tick(self) -> None:
        """One look around: finish what a crash left, take in receipts that holders left.

        What is kept and could not go into the ledger, for want of room, goes in as soon as it can.
        """
        parts = self._parts
        with self._lock:
            self._take_in_decisions()
            for name, receipt in parts.spool.pending():
                self._take(name, partial(self.accept, receipt), parts.spool.done)
            for receipt in parts.outbox.replay():
                self.accept(receipt)
            self._catch_up("decisions", parts.db.decisions_after)
            self._catch_up("receipts", parts.db.receipts_after)
            self._overrides.look()

    def _take_in_decisions(self) -> None:
        spool = self._parts.spool
        for name, record in spool.decisions():
            self._take(name, partial(self._adopt, record), spool.decided)

    def _take(self, name: str, put: Callable[[], None], done: Callable[[str], None]) -> None:
        try:
            put()
        except DataMissing as error:
            log.warning("what a holder left is no evidence: %s", error)
            self._parts.spool.refused(name)
        else:
            done(name)

    def _adopt(self, record: DecisionRecord) -> None:
        """Keep a decision that a holder made by itself; where the run has one, both are evidence."""
        if self.keep(record).decision.id != record.decision.id:
            self._prove(record)

    def _catch_up(self, what: str, after: Callable[[int], Sequence[tuple[int, Kept]]]) -> None:
        for number, record in after(self._proved[what]):
            try:
                self._prove(record)
                if isinstance(record, DecisionRecord):
                    self.waiting.put(record, self._parts.clock.now())
            except DataMissing as error:
                # It never will be evidence; those after it must not wait for it.
                log.warning("one of the %s is no evidence: %s", what, error)
            self._proved[what] = number

    def recover(self) -> None:
        """After a start: the first look around, which also brings in what a crash left."""
        self.tick()

    def receipts_after(self, number: int) -> list[tuple[int, Receipt]]:
        """Receipts that were kept after one of them, with their numbers, oldest first."""
        return self._parts.db.receipts_after(number)

    # -- what the doors show

    def overview(self) -> Overview:
        """What is going on."""
        return self._parts.view()

    def decisions(self) -> Sequence[Decision]:
        """Every decision, newest first."""
        return [record.decision for record in self._parts.db.decisions()]

    def decision(self, decision_id: str) -> DecisionRecord:
        """One decision with its receipts.

        Raises:
            DataMissing: No such decision.
        """
        record = self._parts.db.decision(decision_id)
        if record is None:
            raise DataMissing("GO0630", f"no decision `{decision_id}`")
        return replace(record, receipts=tuple(self._parts.db.receipts(decision_id)))

    # -- a person's word

    def override(self, order: OverrideOrder) -> Override:
        """Order a run to start now, or the next one of its workload.

        Raises:
            UsageError: It cannot be; says why.
        """
        with self._lock:
            self._take_in_decisions()  # Its holder may have decided by itself just now.
            return self._overrides.give(order)

    def overrides(self) -> Sequence[Override]:
        """Every override, newest first."""
        return self._overrides.all()

    def lift(self, override_id: str, who: str) -> Override:
        """Take an override back before its run starts.

        Raises:
            DataMissing: No such override.
            UsageError: It is over.
        """
        with self._lock:
            return self._overrides.lift(override_id, who)

    def held(self) -> Sequence[Held]:
        """Runs that are held right now."""
        return self._overrides.held()

    # -- what if

    def what_if(self, question: WhatIfQuestion) -> WhatIfAnswer:
        """Answer without acting; the answer is remembered so that it can be sent."""
        from greenops.pipeline.what_if import answer

        given = answer(self._parts.decider, question)
        made = self._parts.db.decision_of(given.decision.job_id)
        if made is not None and made.decision.id != given.decision.id:
            why = f"this run is decided already: {made.decision.id}"
            given = replace(given, sendable=False, why_not=why)
        with self._lock:
            self._answers[given.id] = given
            while len(self._answers) > 100:  # noqa: PLR2004  (the oldest go)
                self._answers.pop(next(iter(self._answers)))
        return given

    def send(self, order: SendOrder) -> Receipt:
        """Decide the remembered answer again, act, keep order and receipt.

        Raises:
            DataMissing: The answer is not remembered any more; ask again.
            UsageError: It cannot be sent; says why. The refusal is in the ledger too.
        """
        with self._lock:  # Nobody decides the run between the answer and the order.
            given = self._answers.get(order.answer_id)
            if given is None:
                fix = "ask what-if again"
                raise DataMissing("GO0631", "this answer is not remembered", fix=fix)
            return self._send(order, self.what_if(given.question))

    def _send(self, order: SendOrder, again: WhatIfAnswer) -> Receipt:
        change = self._start(again.decision)
        target = self._target(again.decision)
        why = again.why_not or _why_not(order, change, target)
        if why or change is None or target is None:
            self._parts.evidence.refusal(order, why or "no target")
            raise UsageError("GO0632", f"not sent: {why}")
        self._parts.evidence.order(order, again)
        self.keep(
            DecisionRecord(
                again.decision, again.candidates, again.verdicts, again.policies, job=again.job
            )
        )
        receipt = self.act(again.decision, target, change, order)
        if receipt is None:
            raise AdapterUnavailable("GO0633", f"`{target}` does not answer; it is tried again")
        return receipt


def _why_not(order: SendOrder, change: StartJob | None, target: str | None) -> str | None:
    if "@" not in order.actor:
        return "an order needs its sender's e-mail address"
    if target is None:
        return "the workload names no target"
    return None if change else "there is no start that a target could be given"
