"""What goes into the ledger, and that each thing goes in once, whatever died in between."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from greenops.domain.action import Action, Receipt
from greenops.domain.console import DecisionRecord, SendOrder, WhatIfAnswer
from greenops.domain.evidence import EntryKind
from greenops.domain.record import plain
from greenops.ports import LedgerStore


class Evidence:
    """The ledger, with a memory of what it already holds; the one writer of a deployment.

    Args:
        ledger: Where entries go; it signs its own checkpoints.
    """

    def __init__(self, ledger: LedgerStore) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._known = {(entry.kind, str(entry.body.get("id", ""))) for entry in ledger.read()}

    def decision(self, record: DecisionRecord) -> bool:
        """Keep a decision with the policies it rests on; false where it is there already."""
        body = {"decision": plain(record.decision), "policies": plain(record.policies)}
        return self._once(EntryKind.DECISION, record.decision.id, body)

    def action(self, action: Action) -> bool:
        """Keep an action before it is sent."""
        return self._once(EntryKind.ACTION, action.id, {"action": plain(action)})

    def receipt(self, receipt: Receipt) -> bool:
        """Keep a receipt; an action has one receipt per outcome and instant."""
        key = f"{receipt.action_id}/{receipt.outcome}/{plain(receipt.at)}"
        return self._once(EntryKind.RECEIPT, key, {"receipt": plain(receipt)})

    def outcome(self, run_key: str, body: Mapping[str, object]) -> bool:
        """Keep what a run came to, with every input of its numbers."""
        return self._once(EntryKind.OUTCOME, run_key, body)

    def order(self, order: SendOrder, answer: WhatIfAnswer) -> None:
        """Keep who sent what."""
        body = {"order": plain(order), "question": plain(answer.question)}
        self._append(EntryKind.OVERRIDE, {"id": order.answer_id, **body})

    def refusal(self, order: SendOrder, why: str) -> None:
        """Keep an order that was refused, and why."""
        self._append(EntryKind.REFUSAL, {"id": order.answer_id, "order": plain(order), "why": why})

    def _once(self, kind: EntryKind, key: str, body: Mapping[str, object]) -> bool:
        with self._lock:
            if (kind, key) in self._known:
                return False
            self._ledger.append(kind, {"id": key, **body})
            self._known.add((kind, key))
            return True

    def _append(self, kind: EntryKind, body: Mapping[str, object]) -> None:
        with self._lock:
            self._ledger.append(kind, body)
