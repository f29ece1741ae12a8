"""How long an append and a verification take; run it, it prints microseconds."""

# ruff: noqa: T201  (a benchmark prints)

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from greenops.adapters.clock import SystemClock
from greenops.domain.evidence import EntryKind
from greenops.pipeline.evidence import open_ledger, verify

BODY = {"workload": "w", "decision_id": "d", "detail": "x" * 200, "amounts": [1.5] * 8}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with open_ledger(state, SystemClock()) as ledger:
            _told("append, one fsync each", 300, lambda: _single(ledger, 300))
            _told("append_many of 1000", 20_000, lambda: _batched(ledger, 20))
        _told("verify", 20_300, lambda: print(verify(state)))
        _told("open again", 20_300, lambda: open_ledger(state, SystemClock()).close())


def _single(ledger, count):
    for n in range(count):
        ledger.append(EntryKind.REFUSAL, {**BODY, "n": n})


def _batched(ledger, rounds):
    for _ in range(rounds):
        ledger.append_many([(EntryKind.REFUSAL, BODY)] * 1000)


def _told(what, count, work):
    start = time.perf_counter()
    work()
    print(f"{what:<24} {(time.perf_counter() - start) / count * 1e6:8.1f} us per entry")


if __name__ == "__main__":
    main()
