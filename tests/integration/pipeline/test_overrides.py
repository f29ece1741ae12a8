"""A person's word in the control loop: bound to a run, ordered, taken back, over; and in the ledger."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.act.hold import hold_for
from greenops.act.override import given
from greenops.adapters.holding import Holding
from greenops.adapters.local_process import RunFolder
from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.config import Settings
from greenops.domain.console import JobRequest
from greenops.domain.evidence import EntryKind
from greenops.domain.override import OverrideOrder, OverrideState
from greenops.domain.replay import Replay
from greenops.domain.run import Claim
from greenops.errors import DataMissing, UsageError
from greenops.pipeline.assemble import assemble
from greenops.pipeline.evidence import verify
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.overrides import files_of
from greenops.pipeline.overrides_here import overrides_here, ready
from greenops.pipeline.waiting import wait
from greenops.testing.clock import FakeClock

pytestmark = [pytest.mark.slow, pytest.mark.feature("C4")]

SUBMITTED = datetime(2021, 9, 17, 8, tzinfo=UTC)
NAME, KEY = "nightly-enrichment", "nightly-enrichment/2021-09-17"
HOUR = timedelta(hours=1)
ORDER = OverrideOrder(NAME, "jo", "the customer waits", id="o-0123456789ab")


class Deaf:
    """Telemetry that nobody reads."""

    def __getattr__(self, _name):
        return lambda *_: None


class House:
    """A loop on a state folder, and the marks of runs that are held on it."""

    def __init__(self, state):
        self.settings = Settings(state=state, policies=packaged("policies"), mode="recommend")
        self.clock = FakeClock(SUBMITTED, Replay(SUBMITTED, SUBMITTED, 1.0))
        self.holding = []
        self.open()

    def open(self):
        footprint, lake = Footprint(), ParquetLake(self.settings.state / "lake")
        self.parts = assemble(
            self.settings, self.clock, footprint, Deaf(), lake, lambda _traces: []
        )
        self.engine = self.parts.engine

    def restart(self):
        self.parts.close()
        self.open()

    def close(self):
        for mark in self.holding:
            mark.end()
        self.parts.close()

    def hold(self, key=KEY):
        """Do what `greenops run` does until it waits; the decision it holds to."""
        request = JobRequest(NAME, key, self.clock.now(), triggered=True)
        decision = self.engine.submit(request)
        folder = self.run(key)
        folder.keep_decision(decision)
        self.holding.append(Holding(folder.path))
        ready(self.holding[-1], self.settings, self.clock, key, NAME, print)
        return decision

    def run(self, key=KEY):
        return RunFolder(self.settings.state, key)

    def rows(self):
        return [e.body for e in self.parts.ledger.read() if e.kind is EntryKind.OVERRIDE]

    def states(self):
        return [row["state"] for row in self.rows()]


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.close()
    assert verify(tmp_path).verified


def begin(house, key=KEY):
    assert house.run(key).take_claim(Claim(1, "boot", house.clock.now()))


def test_a_holder_starts_within_one_tick_of_the_order(house):
    house.settings = replace(house.settings, mode="act")
    decision = house.hold()
    given_at = SUBMITTED + timedelta(minutes=1, seconds=0.03)

    class Clock(FakeClock):
        """Gives the order between two looks of the holder."""

        def sleep(self, duration):
            if self.now() < given_at <= self.now() + duration:
                house.clock.advance(given_at - house.clock.now())
                house.engine.override(ORDER)
            super().sleep(duration)

    clock = Clock(SUBMITTED, house.clock.replay)
    said = []

    hold = wait(house.run(), hold_for(decision, SUBMITTED), clock, said.append)

    ordered = house.engine.overrides()[0]
    assert hold.action_id == ordered.action.id
    assert hold.start_at == ordered.at
    assert ordered.at == given_at
    assert clock.now() - given_at <= timedelta(seconds=house.settings.tick_s)
    assert said[-1] == f"`{KEY}` is ordered to start now"


def test_who_why_until_and_what_was_put_aside_stand_in_the_ledger_before_the_order(house):
    decision = house.hold()

    house.engine.override(ORDER)

    entries = [e for e in house.parts.ledger.read() if e.body.get("who") or e.body.get("actor")]
    assert [e.kind for e in entries[-2:]] == [EntryKind.OVERRIDE, EntryKind.ACTION]
    (row,) = house.rows()
    assert (row["who"], row["why"], row["state"]) == ("jo", "the customer waits", "ordered")
    assert row["overrode"]["decision_id"] == decision.id
    assert row["overrode"]["reason"] == decision.reason
    assert row["until"] == "2021-09-17T10:00:00Z"
    assert row["action_id"] == house.run().order().action_id


def test_a_person_s_order_is_sent_where_the_loop_may_only_recommend(house):
    house.hold()
    assert house.run().order() is None

    house.engine.override(ORDER)

    assert house.run().order().change.start_at == SUBMITTED


def test_the_same_order_twice_is_one_also_after_a_restart(house):
    house.hold()
    first = house.engine.override(ORDER)
    house.restart()

    again = house.engine.override(ORDER)

    assert again == first
    assert house.states() == ["ordered"]


def test_an_order_that_was_kept_and_not_sent_is_sent_after_the_crash(house):
    decision = house.hold()
    held = house.engine.held()
    assert [(each.run_key, each.decision_id) for each in held] == [(KEY, decision.id)]
    files_of(house.settings.state).add(given(ORDER, ORDER.id, house.clock.now()))

    house.restart()

    assert house.run().order().change.start_at == SUBMITTED
    assert house.states() == ["ordered"]


def test_an_order_whose_giver_died_reaches_the_held_run_within_ten_seconds(house):
    house.hold()
    house.engine.tick()
    files_of(house.settings.state).add(given(ORDER, ORDER.id, house.clock.now()))

    for _ in range(21):
        house.clock.advance(timedelta(seconds=house.settings.tick_s))
        house.engine.tick()

    assert house.run().order().change.start_at == SUBMITTED


def test_a_lifted_override_gives_the_run_its_planned_start_back(house):
    house.hold()
    planned = house.engine.held()[0].start_at
    house.engine.override(ORDER)

    lifted = house.engine.lift(ORDER.id, "kim")

    assert (lifted.state, lifted.ended_by) == (OverrideState.LIFTED, "kim")
    assert house.run().order().change.start_at == planned
    assert house.states() == ["ordered", "lifted"]
    with pytest.raises(UsageError, match=r"GO0666 .* is over: lifted at 2021-09-17 08:00 UTC"):
        house.engine.lift(ORDER.id, "kim")


def test_an_order_that_no_run_took_lapses_and_the_plan_stands_again(house):
    house.hold()
    planned = house.engine.held()[0].start_at
    house.engine.override(ORDER)
    house.clock.advance(2 * HOUR + timedelta(seconds=1))

    house.engine.tick()

    assert house.run().order().change.start_at == planned
    assert house.states() == ["ordered", "lapsed"]
    assert house.engine.overrides()[0].state is OverrideState.LAPSED


def test_an_override_whose_run_never_came_lapses_and_releases_no_later_one(house):
    house.engine.override(ORDER)
    house.clock.advance(2 * HOUR + timedelta(seconds=1))
    house.engine.tick()

    house.hold()

    assert house.run().order() is None
    assert house.states() == ["waiting", "lapsed"]


def test_the_next_run_that_is_held_takes_a_waiting_override_and_the_one_after_does_not(house):
    house.engine.override(ORDER)

    house.hold("nightly-enrichment/1")
    house.hold("nightly-enrichment/2")
    begin(house, "nightly-enrichment/1")
    house.engine.tick()

    assert house.run("nightly-enrichment/1").order().change.start_at == SUBMITTED
    assert house.run("nightly-enrichment/2").order() is None
    assert house.states() == ["waiting", "ordered", "started"]


def test_a_second_order_while_one_waits_would_release_two_runs_and_is_refused(house):
    house.engine.override(ORDER)

    with pytest.raises(UsageError, match=r"GO0668 `jo` ordered this .* lift o-0123456789ab"):
        house.engine.override(replace(ORDER, id="", who="kim"))


def test_a_run_that_started_before_the_order_came_is_told_as_missed(house):
    house.engine.override(replace(ORDER, run_key=KEY))
    house.engine.submit(JobRequest(NAME, KEY, SUBMITTED, triggered=True))
    begin(house)

    house.engine.tick()

    assert house.states() == ["waiting", "missed"]


def test_orders_given_here_and_by_the_loop_at_once_are_one(house):
    house.hold()
    here = overrides_here(house.settings, house.clock)
    threads = [
        threading.Thread(target=lambda each=each: each(ORDER))
        for each in (house.engine.override, here.give) * 4
    ]

    for each in threads:
        each.start()
    for each in threads:
        each.join()
    begin(house)
    house.engine.tick()

    assert len(house.engine.overrides()) == 1
    starts = [e.body for e in house.parts.ledger.read() if e.kind is EntryKind.ACTION]
    assert [each["actor"] for each in starts] == ["loop", "jo"]
    assert house.states() == ["ordered", "started"]


def test_a_damaged_file_stops_no_other_override(house):
    folder = house.settings.state / "overrides"
    folder.mkdir(exist_ok=True)
    (folder / "o-000000000000.json").write_text("{")
    house.hold()

    house.engine.override(ORDER)

    assert house.run().order().change.start_at == SUBMITTED


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"who": " "}, "GO0660"),
        ({"why": ""}, "GO0660"),
        ({"why": "x" * 1001}, "GO0660"),
        ({"id": "../../x"}, "GO0660"),
        ({"for_s": 0.0}, "GO0661"),
        ({"for_s": -5.0}, "GO0661"),
        ({"for_s": float("nan")}, "GO0661"),
        ({"for_s": 8 * 86_400.0}, "GO0661"),
        ({"workload": "nightly-enrichmen"}, "GO0643"),
        ({"workload": "search"}, "GO0662"),
        ({"run_key": "a//b"}, "GO0604"),
    ],
)
def test_what_cannot_be_ordered_is_refused_and_leaves_nothing(house, wrong, code):
    with pytest.raises(UsageError, match=code):
        house.engine.override(replace(ORDER, **wrong))

    assert house.engine.overrides() == []
    assert house.rows() == []


def test_an_unknown_override_cannot_be_lifted_and_the_nearest_is_named(house):
    house.engine.override(ORDER)

    with pytest.raises(DataMissing, match=r"GO0665 .* did you mean `o-0123456789ab`"):
        house.engine.lift("o-0123456789ac", "jo")
    with pytest.raises(DataMissing, match="GO0665"):
        house.engine.lift("../state", "jo")


def test_a_holder_that_died_holds_nothing(house):
    house.hold()
    assert house.engine.held() != []

    house.holding.pop().end()

    assert house.engine.held() == []
