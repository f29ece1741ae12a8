"""Overrides in the control loop: orders go through the outbox, and the ledger knows of each first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from greenops.adapters.state import StateDb
from greenops.domain.action import Action, Outcome, Receipt
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Decision
from greenops.domain.override import Held, Override
from greenops.pipeline.decide import Decider
from greenops.pipeline.evidence_book import Evidence
from greenops.pipeline.outbox import Outbox
from greenops.pipeline.overrides import LOCAL, Ways
from greenops.pipeline.replanning import WaitingRuns
from greenops.plan.choice import effective


def loop_ways(
    db: StateDb,
    decider: Decider,
    evidence: Evidence,
    outbox: Outbox,
    accept: Callable[[Receipt], None],
    waiting: WaitingRuns,
) -> Ways:
    """How the loop carries overrides out; `accept` keeps a receipt, and the same again is one."""

    def send(action: Action) -> Receipt | None:
        receipt = outbox.send(action)
        if receipt is not None:
            accept(receipt)
        return receipt

    def decided(run_key: str) -> Decision | None:
        record = db.decision_of(run_key)
        return record.decision if record else None

    def target(decision: Decision) -> str:
        workload = decider.policies.workloads.get(decision.workload)
        return (workload.target if workload else None) or LOCAL

    def prove(override: Override) -> bool:
        if not evidence.override(override):
            return False
        if override.receipt is not None:
            accept(override.receipt)
        return True

    return Ways(
        send,
        decided,
        decider.workload,
        target,
        prove,
        partial(_started, db),
        lambda: _elsewhere(db, waiting.all(decider.clock.now()), target),
    )


def _started(db: StateDb, run_key: str) -> bool:
    """Whether a target's receipt says so: only that of a start tells whether it was in time."""
    record = db.decision_of(run_key)
    found = db.receipts(record.decision.id) if record else []
    return any(each.on_time is not None and each.outcome is Outcome.APPLIED for each in found)


def _elsewhere(
    db: StateDb, waiting: Sequence[DecisionRecord], target: Callable[[Decision], str]
) -> list[Held]:
    """Runs that wait in their target's own hands; those of this machine are known by their holders."""
    return [
        Held(each.job_id, each.workload, each.id, start, each.latest_safe_start)
        for each in (record.decision for record in waiting)
        if (start := effective(each).start) is not None
        and target(each) != LOCAL
        and not _started(db, each.job_id)
    ]
