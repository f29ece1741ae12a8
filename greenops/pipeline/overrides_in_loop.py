"""Overrides in the control loop: orders go through the outbox, and the ledger knows of each first."""

from __future__ import annotations

from collections.abc import Callable

from greenops.adapters.state import StateDb
from greenops.domain.action import Action, Receipt
from greenops.domain.decision import Decision
from greenops.domain.override import Override
from greenops.pipeline.decide import Decider
from greenops.pipeline.evidence_book import Evidence
from greenops.pipeline.outbox import Outbox
from greenops.pipeline.overrides import LOCAL, Ways


def loop_ways(
    db: StateDb,
    decider: Decider,
    evidence: Evidence,
    outbox: Outbox,
    accept: Callable[[Receipt], None],
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

    return Ways(send, decided, decider.workload, target, prove)
