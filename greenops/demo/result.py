"""What the demo came to: one object for programs, one page for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from greenops.domain.action import Receipt
from greenops.domain.console import DecisionRecord, Overview, ServiceFootprint
from greenops.domain.decision import Candidate
from greenops.domain.evidence import Verification
from greenops.domain.record import plain


def result(
    overview: Overview,
    records: Sequence[DecisionRecord],
    ledger: Verification,
    residual: float | None,
    console_url: str | None,
) -> dict[str, Any]:
    """The object that `greenops demo --once -o json` prints; absent numbers are null."""
    receipts = [each for record in records for each in record.receipts]
    return {
        "replay": overview.replay,
        "services": [_service(each) for each in overview.services],
        "spans": overview.spans,
        "spans_with_energy": overview.spans_with_energy,
        "spans_unknown": overview.spans_unknown,
        "energy_j": plain(overview.energy),
        "conservation_residual_ratio": residual,
        "attributed_share": overview.attributed_share,
        "decisions": [_decision(each) for each in records],
        "actions": [_action(each) for each in receipts],
        "avoided_g": plain(overview.avoided),
        "ledger": {
            "entries": ledger.entries,
            "checkpoints": ledger.checkpoints,
            "recomputed": ledger.recomputed,
            "unsigned": ledger.unsigned,
            "verified": ledger.verified,
            "problems": list(ledger.problems),
        },
        "console_url": console_url,
    }


def _service(each: ServiceFootprint) -> dict[str, Any]:
    def per_request(joules: float | None) -> float | None:
        return None if joules is None or not each.requests else joules / each.requests

    return {
        "service": each.service,
        "workload": each.workload,
        "regions": list(each.regions),
        "requests": each.requests,
        "energy_j_per_request": each.energy_j_per_request,
        "carbon_g_per_request": each.carbon_g_per_request,
        "cost_usd": each.cost_usd,
        "method": each.method,
        "low": per_request(each.energy_low_j),
        "high": per_request(each.energy_high_j),
    }


def _place(candidate: Candidate) -> dict[str, Any]:
    names = ("region", "pool", "start", "end", "carbon_g", "cost_usd")
    return {name: plain(getattr(candidate, name)) for name in names}


def _decision(record: DecisionRecord) -> dict[str, Any]:
    decision = record.decision
    return {
        "id": decision.id,
        "workload": decision.workload,
        "chosen": _place(decision.chosen),
        "baseline": _place(decision.baseline),
        "reason": decision.reason,
        "deadline": plain(decision.deadline),
        "policies": list(decision.policies),
        "rejected": plain(decision.rejected),
    }


def _action(receipt: Receipt) -> dict[str, Any]:
    return {
        "target": receipt.target,
        "kind": receipt.kind,
        "receipt": receipt.action_id,
        "outcome": receipt.outcome.value,
        "started_at": plain(receipt.at),
        "on_time": receipt.on_time,
        "detail": receipt.detail,
    }
