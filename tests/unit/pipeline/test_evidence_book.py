"""What goes into the ledger, and what does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.action import Action, Outcome, SetWeights
from greenops.domain.evidence import EntryKind
from greenops.domain.outbox import receipt
from greenops.pipeline.evidence import open_ledger
from greenops.pipeline.evidence_book import Evidence
from greenops.testing.clock import FakeClock

T0 = datetime(2021, 10, 8, tzinfo=UTC)
WEIGHTS = SetWeights("search", {"de": 40, "se": 60})
ACTION = Action("act-1", "route-table", WEIGHTS, "dec-1", T0 + timedelta(hours=1))


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(tmp_path, FakeClock()) as made:
        yield made


def kinds(ledger):
    return [entry.kind for entry in ledger.read()]


def test_what_a_second_target_was_told_is_no_repeat_of_the_first(ledger):
    evidence, second = Evidence(ledger), replace(ACTION, target="envoy")

    kept = [evidence.action(ACTION), evidence.action(second), evidence.action(ACTION)]
    told = [evidence.receipt(receipt(each, Outcome.APPLIED, "set")) for each in (ACTION, second)]

    assert (kept, told) == ([True, True, False], [True, True])
    assert kinds(ledger) == [EntryKind.ACTION] * 2 + [EntryKind.RECEIPT] * 2
