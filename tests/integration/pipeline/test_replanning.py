"""A run that waits is planned anew when the forecast changes: by the loop, and by its holder."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from greenops.act.hold import hold_for
from greenops.adapters.local_process import LocalProcess, RunFolder
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.spool import Spool
from greenops.adapters.state import StateDb
from greenops.config import Settings
from greenops.domain.console import JobRequest
from greenops.domain.evidence import EntryKind
from greenops.domain.grid import Forecast
from greenops.domain.override import OverrideOrder
from greenops.domain.record import canonical
from greenops.errors import DataMissing
from greenops.grid.regions import RegionTable
from greenops.pipeline.decide import Decider, decide_again
from greenops.pipeline.engine import Engine, Parts
from greenops.pipeline.evidence import open_ledger, verify
from greenops.pipeline.evidence_book import Evidence
from greenops.pipeline.grid import load_grid
from greenops.pipeline.grid_context import GridContext
from greenops.pipeline.outbox import Outbox
from greenops.pipeline.plan_here import PlanHere
from greenops.pipeline.replanning import Replanner, Replans
from greenops.pipeline.run import HeldRun, run_held
from greenops.policy import compile_policies
from greenops.testing.clock import FakeClock
from greenops.testing.grid import KIND, FakeGrid
from greenops.units import GramsPerKwh

HOUR = timedelta(hours=1)
NIGHT = datetime(2021, 10, 8, tzinfo=UTC)
KEY = "night/2021-10-08"
USUAL = [400.0, 390, 380, 300, 310, 200, 210, 320, 250, 330, 340, 350] + [400.0] * 60
FILE = """
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: night, owners: [a@example.com]}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: eu-central-1
  duration: 1h
  energyKwh: 2
  deadline: {within: 12h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 5%}
  target: local-process
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleaner, owners: [a@example.com]}
spec:
  match: [{name: night, expression: job.name == "night"}]
  objectives: [{name: cleanest, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
"""


class Changing(FakeGrid):
    """A grid whose newest forecast the test puts in another's place."""

    def __init__(self):
        super().__init__({"DE": USUAL})
        self.said: tuple[datetime, str, list[float]] | None = (NIGHT, "first", USUAL)

    def say(self, at, name, values):
        self.said = (at, name, values)

    def forecast(self, zone, at):
        if self.said is None or zone != "DE":
            raise DataMissing("GO0305", "gone")
        issued, name, values = self.said
        grams = tuple(GramsPerKwh(each) for each in values)
        return Forecast(zone, KIND, NIGHT, HOUR, grams, issued_at=issued, id=name, error=0.1)


def spiked(*hours, by=2.0, of=USUAL):
    return [value * by if hour in hours else value for hour, value in enumerate(of)]


class Heard:
    """Telemetry that counts looks of the policies."""

    def __init__(self):
        self.looks = []

    def decision(self, decision): ...
    def judged(self, workload, ways, took):
        self.looks.append(workload)

    def action(self, receipt): ...
    def outcome(self, workload, avoided): ...
    def savings(self, avoided): ...
    def budget(self, budget, period): ...


class House:
    """A control loop's parts on a grid that the test changes."""

    def __init__(self, state, file=FILE, **settings):
        self.settings = Settings(state=state, **settings)
        self.clock, self.grid, self.heard = FakeClock(NIGHT), Changing(), Heard()
        self.policies = compile_policies([("p.yaml", file)])
        shipped = load_grid(self.settings, self.clock)
        self.home = RegionTable.of([shipped.regions["eu-central-1"]])
        self.db = StateDb(state / "state.db")
        self.ledger = open_ledger(state, self.clock)
        self.spool = Spool(state / "spool")
        self.folder = RunFolder(state, KEY)
        self.use(self.grid)

    def use(self, grid):
        """Begin with a grid."""
        self.grid, state = grid, self.settings.state
        target = {"local-process": LocalProcess(self.settings, self.clock)}
        context = GridContext(grid, self.home, {})
        self.decider = Decider(self.settings, self.clock, self.policies, context, self.heard.judged)
        parts = Parts(
            settings=self.settings,
            clock=self.clock,
            decider=self.decider,
            db=self.db,
            evidence=Evidence(self.ledger),
            outbox=Outbox(self.db, target, self.clock),
            spool=self.spool,
            telemetry=self.heard,
            lake=ParquetLake(state / "lake"),
            view=lambda: None,  # type: ignore[arg-type,return-value]
        )
        self.engine = Engine(parts)
        self.replans = Replans(self.engine, self.decider, target, self.clock)

    def submit(self):
        return self.engine.submit(JobRequest("night", KEY, self.clock.now(), triggered=True))

    def tick(self):
        self.engine.tick()
        for held in (looked := self.replans.due())[0]:
            self.replans.look(held, looked[1])

    def in_force(self):
        return self.db.decision_of(KEY).decision

    def ordered(self):
        return self.folder.order().change.start_at

    def close(self):
        self.ledger.close()
        self.db.close()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.close()


def at(hour):
    return NIGHT + hour * HOUR


@pytest.mark.feature("C5")
def test_a_spike_of_twice_the_intensity_moves_the_start_within_one_tick(house):
    first = house.submit()
    assert house.ordered() == first.chosen.start == at(5)
    house.clock.advance(HOUR)
    house.tick()
    assert house.in_force() == first

    house.grid.say(at(1), "spike", spiked(4, 5, 6))
    house.tick()

    second = house.in_force()
    assert house.ordered() == second.chosen.start == at(8)
    assert second.supersedes == first.id
    assert second.forecast_ids == {"DE": "spike"}
    assert second.latest_safe_start == first.latest_safe_start


@pytest.mark.feature("C5")
def test_the_ledger_holds_both_decisions_and_which_one_took_the_place_of_which(house, tmp_path):
    first = house.submit()
    house.clock.advance(HOUR)
    house.grid.say(at(1), "spike", spiked(4, 5, 6))
    house.tick()
    house.ledger.seal(at_once=True)

    entries = list(house.ledger.read())
    made = [e.body["record"]["decision"] for e in entries if e.kind is EntryKind.DECISION]
    assert [each.get("supersedes") for each in made] == [None, first.id]
    assert [e.kind for e in entries].count(EntryKind.ACTION) == 2
    assert verify(tmp_path).verified
    record = house.db.decision_of(KEY)
    assert canonical(decide_again(record, house.policies)) == canonical(record.decision)


@pytest.mark.feature("C5")
def test_forecasts_that_swing_every_tick_change_the_start_at_most_once_per_dwell(house):
    first = house.submit()
    seen = [(house.clock.now(), first.id)]

    for minute in range(0, 240, 2):
        swing = spiked(5) if (minute // 2) % 2 == 0 else spiked(8)
        house.grid.say(house.clock.now(), f"swing-{minute}", swing)
        house.tick()
        if house.in_force().id != seen[-1][1]:
            seen.append((house.clock.now(), house.in_force().id))
        house.clock.advance(timedelta(minutes=2))

    changes = [when for when, _ in seen[1:]]
    assert changes
    assert all(b - a >= HOUR for a, b in pairwise(changes))
    assert house.ordered() <= first.latest_safe_start


@pytest.mark.feature("C5")
def test_a_gain_below_the_margin_changes_nothing_and_is_weighed_once(house):
    first = house.submit()
    house.grid.say(at(1), "slightly", [*USUAL[:8], 195.0, *USUAL[9:]])
    house.clock.advance(HOUR)

    house.tick()
    judged = len(house.heard.looks)
    house.tick()

    assert house.in_force() == first
    assert judged == len(house.heard.looks) == 2


@pytest.mark.feature("C5", "C6")
@pytest.mark.parametrize("what", ["gone", "stands in"])
def test_a_decision_stays_when_data_go_away(house, what):
    first = house.submit()
    house.clock.advance(HOUR)
    if what == "gone":
        house.grid.said = None
    else:
        said = house.grid.forecast
        house.grid.say(at(1), "of the season", spiked(5))
        house.grid.forecast = lambda zone, when: replace(said(zone, when), degraded="no forecast")

    house.tick()

    assert house.in_force() == first
    assert house.ordered() == at(5)


def test_an_order_of_a_person_is_not_planned_anew(house):
    house.submit()
    house.clock.advance(HOUR)
    house.engine.override(OverrideOrder("night", "sre@example.com", "waits", run_key=KEY))
    started = house.ordered()

    house.grid.say(at(1), "spike", spiked(4, 5, 6))
    house.tick()

    assert house.ordered() == started
    assert house.in_force().supersedes is None


def test_an_override_puts_the_newest_decision_aside(house):
    house.submit()
    house.clock.advance(HOUR)
    house.grid.say(at(1), "spike", spiked(4, 5, 6))
    house.tick()

    given = house.engine.override(OverrideOrder("night", "sre@example.com", "waits", run_key=KEY))

    assert given.overrode.decision_id == house.in_force().id
    assert given.overrode.start_at == at(8)


def test_nothing_is_planned_anew_where_only_recommendations_are_wanted(tmp_path):
    house = House(tmp_path, mode="recommend")
    first = house.submit()
    house.clock.advance(HOUR)
    house.grid.say(at(1), "spike", spiked(4, 5, 6))

    house.tick()

    assert house.in_force() == first
    house.close()


def test_a_loop_that_was_started_again_plans_anew_what_still_waits(house, tmp_path):
    first = house.submit()
    house.close()
    again = House(tmp_path)
    again.clock.advance(HOUR)
    again.grid.say(at(1), "spike", spiked(4, 5, 6))

    again.tick()

    assert again.in_force().supersedes == first.id
    again.close()


@pytest.mark.feature("C5")
def test_a_holder_without_a_server_follows_the_new_start_and_leaves_both_decisions(house, tmp_path):
    replanner, said = Replanner(house.decider), []

    def sleep(duration, clock=house.clock):
        clock.slept.append(duration)
        clock.advance(max(duration, timedelta(seconds=30)))
        if clock.now() >= at(1) and house.grid.said[1] == "first":
            house.grid.say(at(1), "spike", spiked(4, 5, 6))

    house.clock.sleep = sleep
    workload = house.policies.workloads["night"]
    run = HeldRun(
        workload,
        KEY,
        ("true",),
        lambda request, _: house.decider.decide(request),
        again=replanner.look,
    )

    assert run_held(run, house.settings, house.clock, said.append) == 0

    receipt = house.folder.receipt()
    assert at(8) <= receipt.started_at <= at(8) + timedelta(minutes=1)
    records = [record.decision for _, record in house.spool.decisions()]
    assert [each.chosen.start for each in records] == [at(5), at(8)]
    assert records[1].supersedes == records[0].id
    assert receipt.decision_id == records[1].id
    assert [line.split(" until ")[1][:17] for line in said] == [
        "2021-10-08T05:00Z",
        "2021-10-08T08:00Z",
    ]
    house.engine.tick()
    assert house.in_force().id == records[1].id


def test_a_plan_that_cannot_be_kept_or_made_is_not_followed(house, tmp_path):
    record = house.decider.decide(JobRequest("night", KEY, NIGHT, triggered=True))

    def fails(held):
        raise OSError("disk")

    look = PlanHere(fails, record, house.folder, house.settings, house.clock)
    hold = hold_for(record.decision, NIGHT)
    house.clock.advance(HOUR)

    assert look(hold) == hold


def test_no_zone_is_asked_about_but_those_that_runs_wait_for(house):
    house.tick()
    house.submit()
    asked = []
    said = house.grid.forecast
    house.grid.forecast = lambda zone, when: asked.append(zone) or said(zone, when)
    shipped = load_grid(house.settings, house.clock).regions
    house.home = RegionTable.of([shipped["eu-central-1"], shipped["us-west-1"]])
    object.__setattr__(house.decider, "grid", GridContext(house.grid, house.home, {}))

    house.tick()

    assert asked == ["DE"]
