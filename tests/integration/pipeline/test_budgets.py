"""Budgets against the lake: what is spent binds decisions, is told, and can be decided again."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from greenops.adapters.factor_file import FactorFile
from greenops.adapters.parquet_lake import ParquetLake
from greenops.cli import policy
from greenops.config import Settings
from greenops.domain.console import JobRequest
from greenops.domain.record import canonical
from greenops.domain.spans import SpanRow
from greenops.errors import DataMissing
from greenops.pipeline.beside import in_background
from greenops.pipeline.budgets import FRESH_FOR, InForce, sums_of
from greenops.pipeline.decide import Decider, decide_again
from greenops.pipeline.grid import load_grid
from greenops.pipeline.loop import Loop
from greenops.pipeline.replanning import WaitingRuns
from greenops.policy import compile_policies
from greenops.testing.clock import FakeClock
from greenops.testing.usage import usage_of

NOW = datetime(2021, 10, 8, 20, tzinfo=UTC)
FILES = """apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: etl}
spec:
  {kind: batch, team: data, urgency: best-effort, homeRegion: us-west-1, duration: 1h, durationP95: 1h,
   energyKwh: 2.0, deadline: {within: 9h}, maxCost: {increase: 100%}, maxCarbon: {intensity: 900}}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: [a@example.com]}
spec:
  match: [{expression: job.name == "etl"}]
  objectives: [{name: cleaner, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
---
apiVersion: greenops.dev/v1alpha1
kind: Budget
metadata: {name: data, owners: [finops@example.com]}
spec:
  scope: {teams: [data]}
  period: {every: day}
  limit: {carbonG: 1000}
  mode: enforce
  actions:
  - {at: 80%, do: tighten, limits: {maxCost: {increase: 0%}}}
  - {at: 100%, do: block, urgencies: [best-effort]}
---
apiVersion: greenops.dev/v1alpha1
kind: Target
metadata: {name: less, owners: [cso@example.com]}
spec:
  measure: carbon
  reduction: 40%
  baseline: {from: "2021-01-01T00:00:00Z", to: "2021-02-01T00:00:00Z"}
  by: "2022-01-01T00:00:00Z"
"""


def span(number, at, grams):
    absent = dict.fromkeys(
        ("parent_id", "instance", "energy_low_j", "energy_high_j", "cost_usd", "unknown", "region")
    )
    return SpanRow(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        service="svc",
        workload="etl",
        name="run",
        kind="INTERNAL",
        start=at,
        end=at,
        time=at,
        energy_j=1.0,
        carbon_g=grams,
        method="measured",
        grid_zone=None,
        decision_id=None,
        attributes={},
        **absent,
    )


@pytest.fixture
def state(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(FILES)
    return tmp_path


def spend(state, grams, at=NOW - timedelta(hours=1), number=1):
    ParquetLake(state / "lake").write_spans([span(number, at, grams)])


def decider(state, clock=None):
    settings, clock = Settings(state=state), clock or FakeClock(NOW)
    policies = compile_policies([("p.yaml", FILES)])
    in_force = InForce(policies, sums_of(state)).at
    return Decider(settings, clock, policies, load_grid(settings, clock), in_force=in_force)


def decided(state):
    return decider(state).decide(JobRequest("etl", "etl/1", NOW, triggered=True))


def test_who_has_no_budgets_does_not_wait_for_what_reads_the_lake():
    program = (
        "import datetime, pathlib, sys\n"
        "from greenops.pipeline.budgets import InForce, sums_of\n"
        "from greenops.policy import compile_policies\n"
        "in_force = InForce(compile_policies([]), sums_of(pathlib.Path()))\n"
        "in_force.at(datetime.datetime.now(datetime.timezone.utc))\n"
        "print('pyarrow' in sys.modules)"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "False"


@pytest.mark.feature("C12")
@pytest.mark.parametrize(
    ("grams", "policies"),
    [
        (700.0, ("cleaner",)),
        (800.0, ("budget/data/80", "cleaner")),
        (1000.0, ("budget/data/80", "cleaner", "budget/data/100")),
    ],
)
def test_a_decision_stands_under_the_stages_that_are_reached(state, grams, policies):
    spend(state, grams)

    record = decided(state)

    assert record.decision.policies == policies
    assert set(policies) <= set(record.policies)


@pytest.mark.feature("C12")
def test_work_that_a_spent_budget_blocks_waits_for_the_next_period(state):
    spend(state, 700.0)
    before = decided(state).decision
    spend(state, 500.0, number=2)

    after = decided(state).decision

    midnight = datetime(2021, 10, 9, tzinfo=UTC)
    assert before.chosen.start < midnight <= after.chosen.start
    assert after.chosen.start <= after.latest_safe_start


@pytest.mark.parametrize("grams", [700.0, 900.0, 1100.0])
def test_a_decision_under_a_budget_is_made_again_to_the_byte(state, grams):
    spend(state, grams)
    record = decided(state)

    again = decide_again(record, compile_policies([("p.yaml", FILES)]))

    assert canonical(again) == canonical(record.decision)


def test_what_is_spent_is_asked_again_when_it_is_stale_and_in_a_new_period(state):
    policies = compile_policies([("p.yaml", FILES)])
    book = InForce(policies, sums_of(state))
    spend(state, 700.0)

    assert book.at(NOW) is policies
    spend(state, 500.0, number=2)
    assert book.at(NOW + FRESH_FOR / 2) is policies
    assert len(book.at(NOW + FRESH_FOR).policies) == 3
    assert book.at(NOW + timedelta(hours=5)) is policies


def test_a_stage_is_told_once_a_period(state, caplog):
    book = InForce(compile_policies([("p.yaml", FILES)]), sums_of(state))
    spend(state, 900.0)

    with caplog.at_level(logging.WARNING, "greenops.budgets"):
        book.at(NOW)
        book.at(NOW + FRESH_FOR)

    assert [each.getMessage() for each in caplog.records] == [
        "budget `data` stands at its stage of 80%: 90 % spent until 2021-10-09"
    ]


def test_a_lake_that_cannot_be_read_leaves_the_stages_as_they_were(caplog):
    answers = [[span(1, NOW, 900.0)], DataMissing("GO0412", "damaged")]

    def sums(windows):
        found = answers.pop(0)
        if isinstance(found, DataMissing):
            raise found
        return usage_of(found, windows)

    book = InForce(compile_policies([("p.yaml", FILES)]), sums)

    before = book.at(NOW)
    after = book.at(NOW + FRESH_FOR)

    assert before.hash == after.hash
    assert len(after.policies) == 2
    assert "what is spent of the budgets cannot be told: GO0412 damaged" in caplog.text


def test_a_fault_while_looking_leaves_decisions_as_they_were_and_is_told(caplog):
    policies = compile_policies([("p.yaml", FILES)])

    def sums(_windows):
        raise ZeroDivisionError

    assert InForce(policies, sums).at(NOW) is policies
    assert "cannot be told: unexpected" in caplog.text


AUDIT = FILES.replace("mode: enforce\n  actions", "mode: audit\n  actions")


def test_a_command_does_not_read_the_lake_for_a_budget_that_only_audits():
    policies = compile_policies([("p.yaml", AUDIT)])

    def sums(_windows):
        raise AssertionError("the lake was read")

    assert InForce(policies, sums).at(NOW) is policies


def test_the_loop_tells_each_stage_of_a_budget_that_only_audits_once_and_binds_nothing(
    state, caplog
):
    policies = compile_policies([("p.yaml", AUDIT)])
    book = InForce(policies, sums_of(state), audits=True)
    spend(state, 850.0)

    before = book.at(NOW)
    book.at(NOW + FRESH_FOR)
    spend(state, 200.0, number=2)
    after = book.at(NOW + 2 * FRESH_FOR)
    book.at(NOW + 3 * FRESH_FOR)

    only = "it only audits, so nothing is bound"
    assert before is policies
    assert after is policies
    assert [each.getMessage() for each in caplog.records] == [
        f"budget `data` stands at its stage of 80%: 85 % spent until 2021-10-09; {only}",
        f"budget `data` stands at its stage of 100%: 105 % spent until 2021-10-09; {only}",
    ]


class Beside:
    """Looks that wait until they are let go, as in a thread that is slow."""

    def __init__(self):
        self.waiting = []

    def __call__(self, look):
        self.waiting.append(look)

    def let_go(self):
        while self.waiting:
            self.waiting.pop(0)()


def test_decisions_do_not_wait_for_a_look_and_go_by_the_last_one(state):
    policies, beside = compile_policies([("p.yaml", FILES)]), Beside()
    book = InForce(policies, sums_of(state), beside)
    spend(state, 900.0)

    first = book.at(NOW)
    beside.let_go()
    known = book.at(NOW)
    spend(state, 200.0, number=2)
    while_looking = book.at(NOW + FRESH_FOR)
    again = book.at(NOW + 2 * FRESH_FOR)
    looks = len(beside.waiting)
    beside.let_go()

    assert first is policies
    assert [len(each.policies) for each in (known, while_looking, again)] == [2, 2, 2]
    assert looks == 1
    assert len(book.at(NOW + 2 * FRESH_FOR).policies) == 3


def test_what_is_spent_is_said_to_be_old_once_until_it_is_known_again(state, caplog):
    beside = Beside()
    book = InForce(compile_policies([("p.yaml", FILES)]), sums_of(state), beside)
    book.at(NOW)
    beside.let_go()

    for minutes in (15, 30, 31, 40):
        book.at(NOW + timedelta(minutes=minutes))
    first = [each.getMessage() for each in caplog.records]
    beside.let_go()
    book.at(NOW + timedelta(minutes=44))
    book.at(NOW + timedelta(minutes=78))

    when = "31 minutes ago, at 2021-10-08 20:00 UTC"
    assert first == [f"what is spent of the budgets was known last {when}; decisions go by that"]
    assert len(caplog.records) == 2


def test_a_run_that_is_planned_ahead_leaves_the_stages_of_now(state):
    policies, beside = compile_policies([("p.yaml", FILES)]), Beside()
    book = InForce(policies, sums_of(state), beside)
    spend(state, 900.0)
    book.at(NOW)
    beside.let_go()

    ahead = book.at(NOW + timedelta(days=3))
    beside.let_go()

    assert ahead is policies
    assert len(book.at(NOW).policies) == 2


def test_a_look_in_the_background_ends_and_is_seen(state):
    policies = compile_policies([("p.yaml", FILES)])
    spend(state, 900.0)
    book = InForce(policies, sums_of(state), in_background)

    book.at(NOW)
    for thread in threading.enumerate():
        if thread.name == "greenops-beside":
            thread.join(20)

    assert len(book.at(NOW).policies) == 2


def test_the_lake_is_read_from_the_day_on(state):
    lake = ParquetLake(state / "lake")
    lake.write_spans([span(n, NOW - timedelta(days=n), 1.0) for n in range(5)])

    days = [each.time.day for each in lake.spans(since=(NOW - timedelta(days=2)).date())]

    assert days == [6, 7, 8]


def run(state, verb, *argv, monkeypatch):
    monkeypatch.setenv("GREENOPS_REPLAY", f"{NOW.isoformat()}@{datetime.now(UTC).isoformat()}@1")
    parser = argparse.ArgumentParser()
    policy.add_parser(parser.add_subparsers())
    args = parser.parse_args(
        ["policy", verb, str(state / "policies"), "--state", str(state), *argv]
    )
    return args.run(args)


@pytest.mark.parametrize(
    ("grams", "code", "says"),
    [
        (None, 0, "data: unknown of 1,000.0 gCO2e; until 2021-10-09 00:00 UTC; no stage reached"),
        (
            820.0,
            0,
            "data: 820.0 of 1,000.0 gCO2e (82%); until 2021-10-09 00:00 UTC; burning at 0.98",
        ),
        (1000.0, 1, "; stage 100%; spent (enforce)"),
    ],
)
def test_budgets_are_told_and_a_spent_one_exits_1(state, capsys, monkeypatch, grams, code, says):
    if grams is not None:
        spend(state, grams)

    assert run(state, "budgets", monkeypatch=monkeypatch) == code
    assert says in capsys.readouterr().out


def test_a_damaged_lake_tells_no_sum_that_is_too_small(state, monkeypatch):
    spend(state, 900.0)
    (state / "lake/v1/spans/day=2021-10-08/x.parquet").write_bytes(b"no parquet")

    with pytest.raises(DataMissing, match="GO0412"):
        run(state, "budgets", monkeypatch=monkeypatch)


def test_budgets_and_targets_write_json(state, capsys, monkeypatch):
    spend(state, 1000.0)

    assert run(state, "budgets", "-o", "json", monkeypatch=monkeypatch) == 1
    (budget,) = json.loads(capsys.readouterr().out)
    assert run(state, "targets", "-o", "json", monkeypatch=monkeypatch) == 0
    (target,) = json.loads(capsys.readouterr().out)

    assert (budget["share"], budget["spent"], budget["carbon_g"]) == (1.0, True, 1000.0)
    assert "cost_usd" not in budget
    assert (target["standing"], target["why"]) == ("unknown", "no spans in the baseline period")


def test_targets_are_told(state, capsys, monkeypatch):
    rows = [span(n, datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=n), 10.0) for n in range(31)]
    rows += [span(100 + n, NOW - timedelta(days=n + 0.5), 8.0) for n in range(28)]
    ParquetLake(state / "lake").write_spans(rows)

    assert run(state, "targets", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == (
        "less: behind; carbon a day is down 20.0%, 29.9% wanted by now, 40.0% by 2022-01-01\n"
    )


def test_the_loop_looks_at_budgets_though_nothing_is_decided(state):
    asked, looked = [], []
    policies = compile_policies([("p.yaml", AUDIT)])
    parts = SimpleNamespace(
        policies=policies,
        in_force=lambda now: looked.append(now) or policies,
        settings=Settings(state=state),
    )
    loop = Loop(
        engine=SimpleNamespace(
            tick=lambda: None, receipts_after=lambda _number: [], waiting=WaitingRuns()
        ),
        decider=parts,
        evidence=SimpleNamespace(seal=lambda: None),
        grid=load_grid(Settings(state=state), FakeClock(NOW)),
        actuators={},
        fronts=(),
        factors=FactorFile(state / "factors.json"),
        clock=FakeClock(NOW),
        telemetry=SimpleNamespace(budget=lambda budget, _length: asked.append(budget.name)),
        decided=lambda: (),
        of_traces=lambda _traces: [],
    )

    loop.tick()

    assert (looked, asked) == ([NOW], ["data"])
