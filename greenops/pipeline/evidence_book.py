"""What goes into the ledger, and that each thing goes in once, whatever died in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from greenops.domain.action import Action, Receipt
from greenops.domain.console import DecisionRecord, SendOrder, WhatIfAnswer
from greenops.domain.evidence import AvoidedEmissions, EntryKind, Verification
from greenops.domain.override import Override
from greenops.domain.record import plain, restore
from greenops.errors import DataMissing, Unreachable
from greenops.ports import LedgerStore
from greenops.prove.evidence import (
    OutcomeEvidence,
    decision_body,
    override_body,
    recompute,
    recompute_decision,
)
from greenops.prove.links import Links
from greenops.prove.savings import leading, total

log = logging.getLogger("greenops.evidence")

KEYS: Mapping[EntryKind, tuple[str, ...]] = {
    EntryKind.DECISION: ("id",),
    EntryKind.ACTION: ("id", "target"),
    EntryKind.RECEIPT: ("action_id", "target", "outcome"),
    EntryKind.OUTCOME: ("run_key",),
    EntryKind.OVERRIDE: ("id", "state"),
}
"""The fields of a body that name it; what is named here is written once."""


class Evidence:
    """The ledger, with a memory of what it already holds; the one writer of a deployment.

    Args:
        ledger: Where entries go; it signs its own checkpoints.
    """

    def __init__(self, ledger: LedgerStore) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._known: set[tuple[EntryKind, tuple[str, ...]]] = set()
        self._outcomes: list[OutcomeEvidence] = []
        self._links = Links()
        self._waiting: dict[str, dict[tuple[str, ...], Receipt]] = {}
        """Decision → receipts of it that came before it."""
        for entry in ledger.read():
            self._remember(entry.kind, entry.body)

    def decision(self, record: DecisionRecord) -> bool:
        """Keep a decision with all it rests on; false where it is there already."""
        with self._lock:
            new = self._once(EntryKind.DECISION, decision_body(replace(record, receipts=())))
            for receipt in self._waiting.pop(record.decision.id, {}).values():
                self._once(EntryKind.RECEIPT, plain(receipt))
            return new

    def action(self, action: Action) -> bool:
        """Keep an action before it is sent."""
        with self._lock:
            return self._once(EntryKind.ACTION, plain(action))

    def receipt(self, receipt: Receipt) -> bool:
        """Keep a receipt; an action has one per target and outcome.

        A receipt that comes before its decision waits for it: the ledger holds no receipt of nothing.
        """
        body = plain(receipt)
        with self._lock:
            decided = not receipt.decision_id or self._links.knows(receipt.decision_id)
            if decided:
                return self._once(EntryKind.RECEIPT, body)
            waiting = self._waiting.setdefault(receipt.decision_id, {})
            if waiting.setdefault(_key(EntryKind.RECEIPT, body), receipt) is receipt:
                log.warning(
                    "receipt `%s` waits for its decision `%s`",
                    receipt.action_id,
                    receipt.decision_id,
                )
            return False

    def outcome(self, outcome: OutcomeEvidence) -> bool:
        """Keep what a run came to, with every input of its numbers."""
        with self._lock:
            return self._once(EntryKind.OUTCOME, plain(outcome))

    def has_outcome(self, run_key: str) -> bool:
        """Whether a run's outcome is known."""
        return (EntryKind.OUTCOME, (run_key,)) in self._known

    def seal(self) -> None:
        """Sign what is not signed yet, at most every few seconds.

        Raises:
            Unreachable: The signature cannot be kept or mirrored; entries stand.
        """
        self._ledger.seal()

    def verified(self, check: Callable[[], Verification]) -> Verification:
        """Sign what is not signed yet and check the ledger, while nothing is written to it."""
        with self._lock:
            # Where it cannot be signed, or someone changed it, the check says how it stands.
            with suppress(Unreachable, DataMissing):
                self._ledger.seal(at_once=True)
            return check()

    def order(self, order: SendOrder, answer: WhatIfAnswer) -> None:
        """Keep who sent what."""
        self._append(
            EntryKind.OVERRIDE,
            {
                "order": plain(order),
                "question": plain(answer.question),
                "decision": answer.decision.id,
            },
        )

    def refusal(self, order: SendOrder, why: str) -> None:
        """Keep an order that was refused, and why."""
        self._append(EntryKind.REFUSAL, {"order": plain(order), "why": why})

    def override(self, override: Override) -> bool:
        """Keep an override as it stands, and its order; false while its decision is not here yet."""
        decision = override.overrode.decision_id if override.overrode else None
        with self._lock:
            if decision is not None and not self._links.knows(decision):
                return False
            self._once(EntryKind.OVERRIDE, override_body(override))
            if override.action is not None:
                self._once(EntryKind.ACTION, plain(override.action))
            return True

    def avoided(self) -> AvoidedEmissions | None:
        """Sum over the outcomes of grades A and B, the hold-out left out; none before the first."""
        with self._lock:
            moved = (each for each in self._outcomes if not each.held_out)
            return total(leading((each.energy.meter, each.avoided) for each in moved))

    def outcomes(self) -> list[OutcomeEvidence]:
        """Every outcome so far, in the ledger's order."""
        with self._lock:
            return list(self._outcomes)

    def _once(self, kind: EntryKind, body: Mapping[str, object]) -> bool:
        if (kind, _key(kind, body)) in self._known:
            return False
        self._check(kind, body)
        self._ledger.append(kind, body)
        self._remember(kind, body)
        return True

    def _check(self, kind: EntryKind, body: Mapping[str, object]) -> None:
        """Law: what a verification would refuse is not written, for it could never be taken back."""
        faults = self._links.faults(kind, body)
        if kind is EntryKind.DECISION:
            faults += recompute_decision(body)
        elif kind is EntryKind.OUTCOME:
            faults += recompute(body)
        if faults:
            raise DataMissing("GO0414", f"not written, since it would not verify: {faults[0]}")

    def _append(self, kind: EntryKind, body: Mapping[str, object]) -> None:
        with self._lock:
            self._ledger.append(kind, body)

    def _remember(self, kind: EntryKind, body: Mapping[str, object]) -> None:
        self._links.take(kind, body)
        if kind in KEYS:
            self._known.add((kind, _key(kind, body)))
        if kind is EntryKind.OUTCOME:
            self._outcomes.append(restore(OutcomeEvidence, body))


def _key(kind: EntryKind, body: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(body.get(name)) for name in KEYS[kind])
