"""The loop on real parts: shipped grid, the demo's policies, real targets, ledger, lake and state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.local_process import RunFolder
from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.route_table import RouteReader
from greenops.adapters.spool import Spool
from greenops.config import Settings
from greenops.domain.action import Outcome, Receipt
from greenops.domain.console import JobRequest, SendOrder, WhatIfQuestion
from greenops.domain.evidence import EntryKind
from greenops.domain.record import canonical
from greenops.domain.replay import Replay
from greenops.domain.spans import SpanRow
from greenops.errors import DataMissing, InvalidFile, Unreachable, UsageError
from greenops.pipeline.assemble import assemble
from greenops.pipeline.decide import decide_again
from greenops.pipeline.evidence import verify
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.policies import read_policies
from greenops.testing.clock import FakeClock

SUBMITTED = datetime(2021, 9, 17, 8, tzinfo=UTC)
KEY = "nightly-enrichment/2021-09-17"
ASKED = WhatIfQuestion("nightly-enrichment", 12.0, 0.10, move_regions=True)
ORDER = SendOrder("", "sre@example.com")
ROUTES = """
routes:
- name: search
  workload: search
  targets: [route-table]
  backends:
  - {name: eu-central-1, region: eu-central-1, p95_ms: 60}
  - {name: eu-north-1, region: eu-north-1, p95_ms: 66}
"""


class Heard:
    """Telemetry that remembers."""

    def __init__(self):
        self.decisions, self.actions, self.outcomes, self.sums = [], [], [], []
        self.looks, self.budgets = [], {}

    def budget(self, budget, period):
        self.budgets[budget.name] = period

    def decision(self, decision):
        self.decisions.append(decision)

    def judged(self, workload, ways, took):
        self.looks.append((workload, ways, took))

    def action(self, receipt):
        self.actions.append(receipt)

    def outcome(self, workload, avoided):
        self.outcomes.append((workload, avoided))

    def savings(self, avoided):
        self.sums.append(avoided)


class Control:
    """A loop on a state folder; opened again, it is the loop after a crash."""

    def __init__(self, state, now=SUBMITTED, **settings):
        self.settings = Settings(state=state, policies=packaged("policies"), **settings)
        self.clock = FakeClock(now, Replay(now, now, 1.0))
        self.footprint, self.heard = Footprint(), Heard()
        self.lake = ParquetLake(state / "lake")
        self.parts = assemble(
            self.settings, self.clock, self.footprint, self.heard, self.lake, self.of_traces
        )
        self.engine, self.loop = self.parts.engine, self.parts.loop

    def of_traces(self, traces):
        return [row for row in self.footprint.decided_spans() if row.trace_id in traces]

    def kinds(self):
        return [entry.kind for entry in self.parts.ledger.read()]


@pytest.fixture
def control(tmp_path):
    made = Control(tmp_path)
    yield made
    made.parts.close()


def submit(control):
    return control.engine.submit(JobRequest("nightly-enrichment", KEY, SUBMITTED, triggered=True))


def test_a_run_is_decided_ordered_and_written_down_in_that_order(control):
    decision = submit(control)

    order = RunFolder(control.settings.state, KEY).order()
    assert order.change.start_at == decision.chosen.start > SUBMITTED
    assert control.kinds() == [EntryKind.DECISION, EntryKind.ACTION, EntryKind.RECEIPT]
    assert len(list(control.lake.decisions())) == 1
    assert control.heard.decisions == [decision]
    ways = len(control.engine.decision(decision.id).candidates)
    # By the mean, and by the upper bound: its P95 run would end at its deadline.
    assert control.heard.looks == [("nightly-enrichment", ways, 0.0)] * 2


def test_the_same_run_key_again_is_the_same_decision_and_the_same_entries(control):
    first = submit(control)
    control.clock.advance(timedelta(hours=1))

    assert submit(control) == first
    assert len(control.kinds()) == 3


def test_after_a_crash_the_ledger_goes_on_and_nothing_comes_twice(tmp_path):
    before = Control(tmp_path)
    first = submit(before)
    before.parts.close()

    after = Control(tmp_path)
    again = submit(after)
    after.parts.close()

    assert again == first
    assert len(list(after.kinds())) == 3
    assert verify(tmp_path).verified


def test_an_unknown_workload_names_the_nearest(control):
    with pytest.raises(UsageError, match="did you mean `nightly-enrichment`"):
        control.engine.submit(JobRequest("nightly-enrichmnt", "k", SUBMITTED))


def test_an_unknown_decision_is_missing(control):
    with pytest.raises(DataMissing, match="no decision `none`"):
        control.engine.decision("none")


def test_a_receipt_that_a_holder_left_is_taken_in_once(control):
    decision = submit(control)
    receipt = Receipt(
        f"start:{KEY}",
        decision.id,
        "local-process",
        "start_job",
        Outcome.APPLIED,
        "started",
        at=SUBMITTED,
        on_time=True,
    )
    Spool(control.settings.state / "spool").drop(receipt)

    control.engine.tick()
    control.engine.accept(receipt)

    assert control.kinds().count(EntryKind.RECEIPT) == 2
    assert receipt in control.engine.decision(decision.id).receipts


def test_what_if_answers_without_acting(control):
    control.clock.advance(-timedelta(hours=1))

    answer = control.engine.what_if(ASKED)

    assert answer.sendable
    assert answer.avoided.low <= answer.avoided.estimate <= answer.avoided.high
    assert answer.frontier[-1].carbon_g == pytest.approx(answer.decision.chosen.carbon_g)
    assert control.kinds() == []


def test_a_longer_delay_never_gives_more_carbon(control):
    control.clock.advance(-timedelta(hours=1))

    points = [each.carbon_g for each in control.engine.what_if(ASKED).frontier]

    assert points == sorted(points, reverse=True)


def test_what_if_holds_the_declared_deadline_whatever_delay_is_asked_for(control):
    control.clock.advance(-timedelta(hours=1))

    answer = control.engine.what_if(replace(ASKED, max_delay_h=48.0))

    assert answer.decision.deadline == SUBMITTED + timedelta(hours=12)


def test_a_sent_answer_becomes_the_order_of_tonights_run_with_a_receipt(control):
    control.clock.advance(-timedelta(hours=1))
    answer = control.engine.what_if(ASKED)

    receipt = control.engine.send(replace(ORDER, answer_id=answer.id))

    assert receipt.outcome is Outcome.APPLIED
    assert RunFolder(control.settings.state, KEY).order().change.start_at == (
        answer.decision.chosen.start
    )
    assert EntryKind.OVERRIDE in control.kinds()
    assert control.engine.decision(answer.decision.id).receipts == (receipt,)


def test_a_decision_that_a_person_sent_is_made_again_to_the_byte(control):
    control.clock.advance(-timedelta(hours=1))
    answer = control.engine.what_if(ASKED)
    control.engine.send(replace(ORDER, answer_id=answer.id))

    record = control.engine.decision(answer.decision.id)

    again = decide_again(record, read_policies(control.settings.policies))
    assert canonical(again) == canonical(record.decision)


def test_only_what_a_person_sends_is_a_persons(tmp_path):
    control = Control(tmp_path, mode="recommend", actor="sre@example.com")
    submit(control)
    control.clock.advance(timedelta(hours=23))
    later = control.engine.what_if(ASKED)
    control.engine.send(replace(ORDER, answer_id=later.id))
    control.parts.close()

    bodies = [e.body for e in control.parts.ledger.read() if e.kind is EntryKind.ACTION]
    assert [each["by_person"] for each in bodies] == [False, True]
    outcomes = [each.outcome for each in control.heard.actions]
    assert outcomes == [Outcome.REFUSED, Outcome.APPLIED]


def test_an_order_without_an_address_is_refused_and_the_refusal_is_evidence(control):
    control.clock.advance(-timedelta(hours=1))
    answer = control.engine.what_if(ASKED)

    with pytest.raises(UsageError, match="e-mail"):
        control.engine.send(SendOrder(answer.id, "someone"))

    assert control.kinds() == [EntryKind.REFUSAL]


def test_an_answer_that_is_not_remembered_cannot_be_sent(control):
    with pytest.raises(DataMissing, match="ask what-if again"):
        control.engine.send(replace(ORDER, answer_id="ask-none"))


def test_a_run_that_is_decided_already_is_not_sent_again(control):
    submit(control)
    control.clock.advance(-timedelta(minutes=30))

    answer = control.engine.what_if(replace(ASKED, max_delay_h=10.0))

    assert not answer.sendable
    assert "decided already" in answer.why_not


def test_what_if_asks_only_what_can_wait(control):
    with pytest.raises(UsageError, match="only batch workloads"):
        control.engine.what_if(replace(ASKED, workload="search"))


@pytest.mark.feature("C8")
def test_services_are_placed_and_checkout_stays(control):
    control.loop.tick()

    placed = {each.workload: each for each in control.engine.decisions()}
    assert placed["checkout-scoring"].chosen.region == "eu-central-1"
    assert "same-region" in placed["checkout-scoring"].rejected["eu-north-1"]


def test_a_route_moves_step_by_step_and_its_table_is_read_in_process(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    control = Control(tmp_path)
    seen = []
    for _ in range(6):
        control.loop.tick()
        seen.append(dict(control.engine.overview().routes["search"]))
        control.clock.advance(timedelta(hours=1))
    control.parts.close()

    shares = [each["eu-north-1"] for each in seen]
    assert shares == [60, 70, 80, 90, 90, 90]
    assert RouteReader(tmp_path / "routes" / "search.json").pick("k") in (
        "eu-central-1",
        "eu-north-1",
    )
    assert verify(tmp_path).verified


def test_in_recommend_mode_nothing_is_sent(tmp_path):
    control = Control(tmp_path, mode="recommend")
    submit(control)
    control.parts.close()

    assert RunFolder(tmp_path, KEY).order() is None
    assert [each.outcome for each in control.heard.actions] == [Outcome.REFUSED]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("workload: search", "workload: serch", "unknown workload `serch`; did you mean `search`"),
        ("[route-table]", "[route-tabel]", "unknown target `route-tabel`; did you mean"),
        ("region: eu-north-1", "region: eu-nrth-1", "unknown region `eu-nrth-1`; did you mean"),
        ("backends:", "backend:", "has no field `backend`"),
        ("routes:", "routes: [", "not YAML"),
    ],
)
def test_a_route_that_names_nothing_stops_the_start(tmp_path, old, new, said):
    (tmp_path / "routes.yaml").write_text(ROUTES.replace(old, new, 1))

    with pytest.raises(InvalidFile, match=said.replace("[", r"\[")):
        Control(tmp_path)


def run_span(decision, **given) -> SpanRow:
    facts = {
        "trace_id": "run",
        "span_id": "root",
        "parent_id": None,
        "service": "enrichment",
        "instance": "e-1",
        "workload": "nightly-enrichment",
        "name": "run nightly-enrichment",
        "kind": "SERVER",
        "start": decision.chosen.start,
        "end": decision.chosen.end,
        "time": decision.chosen.end,
        "energy_j": 4.0,
        "energy_low_j": 3.2,
        "energy_high_j": 4.8,
        "carbon_g": 0.0003,
        "cost_usd": 0.0,
        "method": "modeled",
        "unknown": None,
        "region": "us-west-1",
        "grid_zone": "CISO",
        "decision_id": decision.id,
        "attributes": {"cicd.pipeline.run.id": f'"{KEY}"'},
        **given,
    }
    return SpanRow(**facts)


def test_a_runs_outcome_is_computed_once_from_its_metered_energy(control):
    decision = submit(control)
    child = run_span(
        decision,
        span_id="child",
        parent_id="root",
        attributes={},
        energy_j=6.0,
        energy_low_j=4.8,
        energy_high_j=7.2,
    )
    control.footprint.add([run_span(decision), child], [])
    control.engine.accept(
        Receipt(
            f"start:{KEY}",
            decision.id,
            "local-process",
            "start_job",
            Outcome.APPLIED,
            "ok",
            at=decision.chosen.start,
            on_time=True,
        )
    )

    control.loop.settle()
    control.loop.settle()

    ((workload, avoided),) = control.heard.outcomes
    assert workload == "nightly-enrichment"
    assert avoided.low < avoided.estimate < avoided.high
    assert control.kinds().count(EntryKind.OUTCOME) == 1
    body = next(e.body for e in control.parts.ledger.read() if e.kind is EntryKind.OUTCOME)
    assert body["energy"]["estimate"] == pytest.approx(10.0 / 3.6e6)
    assert control.engine.overview().avoided == avoided


def test_after_a_start_outcomes_and_savings_are_told_again(control):
    decision = submit(control)
    control.footprint.add([run_span(decision)], [])
    control.engine.accept(started(decision))
    control.loop.settle()
    control.parts.close()

    again = Control(control.settings.state)
    avoided = again.engine.overview().avoided
    again.parts.close()

    assert control.heard.outcomes == again.heard.outcomes != []
    assert control.heard.sums == again.heard.sums == [avoided]


def started(decision) -> Receipt:
    return Receipt(
        f"start:{decision.job_id}",
        decision.id,
        "local-process",
        "start_job",
        Outcome.APPLIED,
        "ok",
        at=decision.chosen.start,
        on_time=True,
    )


def test_a_receipt_that_comes_before_its_decision_has_an_outcome_all_the_same(control, tmp_path):
    elsewhere = Control(tmp_path / "elsewhere")
    decision = submit(elsewhere)
    elsewhere.parts.close()
    control.footprint.add([run_span(decision)], [])
    control.engine.accept(started(decision))
    control.loop.settle()
    assert submit(control) == decision

    control.loop.settle()

    assert [workload for workload, _ in control.heard.outcomes] == ["nightly-enrichment"]


def test_a_look_at_the_outcomes_costs_what_is_open_not_what_was_decided(control, monkeypatch):
    decisions = [
        control.engine.submit(JobRequest("nightly-enrichment", f"k/{n}", SUBMITTED, triggered=True))
        for n in range(3)
    ]
    control.engine.accept(started(decisions[0]))
    control.engine.tick()
    control.loop.settle()
    read = []
    monkeypatch.setattr(control.parts.db, "_record", lambda kind, text: read.append(kind))

    control.loop.settle()
    control.engine.tick()

    assert read == []


class FullDisk:
    """A ledger that takes nothing until it has room again."""

    def __init__(self, monkeypatch, ledger):
        self.full, kept = True, ledger.append

        def append(kind, body):
            if self.full and kind is not EntryKind.ACTION:
                raise Unreachable("GO0401", "no room")
            return kept(kind, body)

        monkeypatch.setattr(ledger, "append", append)


def test_what_a_full_disk_kept_out_of_the_ledger_goes_in_at_the_next_look(control, monkeypatch):
    decision = submit(control)
    disk = FullDisk(monkeypatch, control.parts.ledger)
    with pytest.raises(Unreachable):
        control.engine.accept(started(decision))
    with pytest.raises(Unreachable):
        control.engine.submit(JobRequest("nightly-enrichment", "k/2", SUBMITTED, triggered=True))
    before = control.kinds()

    disk.full = False
    control.engine.tick()
    control.engine.tick()

    assert control.kinds() == [*before, EntryKind.DECISION, EntryKind.RECEIPT]
    assert len(list(control.lake.decisions())) == 2


def left_by_a_holder(control, record):
    spool = Spool(control.settings.state / "spool")
    spool.drop(started(record.decision))
    spool.drop_decision(record)
    return spool


def test_a_decision_that_a_holder_made_is_evidence_before_its_receipt(control, tmp_path):
    request = JobRequest("nightly-enrichment", KEY, SUBMITTED, triggered=True)
    record = control.loop._decider.decide(request)
    spool = left_by_a_holder(control, record)

    control.engine.tick()
    control.engine.tick()

    assert control.kinds() == [EntryKind.DECISION, EntryKind.RECEIPT]
    assert control.engine.decision(record.decision.id).receipts == (started(record.decision),)
    assert (spool.pending(), spool.decisions()) == ([], [])
    control.parts.ledger.seal(at_once=True)
    assert verify(tmp_path).verified


def test_a_second_decision_of_a_run_that_a_holder_made_is_evidence_and_not_in_force(control):
    first = submit(control)
    control.clock.advance(timedelta(minutes=5))
    request = JobRequest("nightly-enrichment", KEY, SUBMITTED + timedelta(minutes=5))
    second = control.loop._decider.decide(request)
    left_by_a_holder(control, second)

    control.engine.tick()

    assert [each.id for each in control.engine.decisions()] == [first.id]
    kept = [e.body["id"] for e in control.parts.ledger.read() if e.kind is EntryKind.DECISION]
    assert kept == [first.id, second.decision.id]


def test_what_a_holder_left_and_nothing_can_prove_keeps_nothing_else_out(control):
    request = JobRequest("nightly-enrichment", KEY, SUBMITTED, triggered=True)
    record = control.loop._decider.decide(request)
    spool = left_by_a_holder(control, record)
    named = replace(record.decision, id="dec-made-up", job_id="made/up")
    spool.drop_decision(replace(record, decision=named))

    control.engine.tick()

    assert control.kinds() == [EntryKind.DECISION, EntryKind.RECEIPT]
    assert (spool.pending(), spool.decisions()) == ([], [])
