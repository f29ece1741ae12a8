"""A route's targets go their own steps, and no step is taken that nothing stands behind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.config import Settings
from greenops.domain.action import SetWeights
from greenops.domain.evidence import EntryKind
from greenops.domain.replay import Replay
from greenops.errors import AdapterUnavailable, DataMissing
from greenops.pipeline.assemble import assemble
from greenops.pipeline.footprint import Footprint
from greenops.testing.clock import START, FakeClock

HOUR = timedelta(hours=1)
ROUTES = """
routes:
- name: search
  workload: search
  targets: [route-table, envoy]
  backends:
  - {name: eu-central-1, region: eu-central-1, p95_ms: 60}
  - {name: eu-north-1, region: eu-north-1, p95_ms: 66}
"""


class Quiet:
    """Telemetry that nobody reads."""

    def judged(self, workload, ways, took):
        pass

    def decision(self, decision):
        pass

    def action(self, receipt):
        pass


class House:
    def __init__(self, state, policies=None):
        self.state, self.clock = state, FakeClock(START, Replay(START, START, 1.0))
        (state / "routes.yaml").write_text(ROUTES)
        settings = Settings(state=state, policies=policies or packaged("policies"))
        lake = ParquetLake(state / "lake")
        parts = assemble(settings, self.clock, Footprint(), Quiet(), lake, lambda _: [])
        self.control, self.router = parts, parts.loop._router
        self.table = self.state / "envoy" / "rds.yaml"

    def look(self):
        self.control.engine.tick()
        self.router.look(*self.control.loop._fronts)

    def shares(self):
        return [
            self.router.actuators[name].observe("search").change.weights.get("eu-north-1")
            for name in ("route-table", "envoy")
        ]

    def set(self, target, north):
        """Bring a target's share to something by hand, as far as its journal is concerned."""
        weights = {"eu-central-1": 100 - north, "eu-north-1": north}
        record, _ = self.router.decider.decide_route(*self.control.loop._fronts, weights)
        self.control.engine.act(
            self.control.engine.keep(record).decision, target, SetWeights("search", weights)
        )
        self.clock.advance(HOUR)


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.control.close()


def test_a_target_that_missed_a_step_catches_up_in_steps_of_its_own(house):
    house.look()
    house.clock.advance(HOUR)
    kept = house.table.read_bytes()
    house.table.write_text("{")
    house.look()
    house.table.write_bytes(kept)
    apart = house.shares()
    for _ in range(6):
        house.clock.advance(HOUR)
        house.look()

    assert apart == [70, 60]
    assert house.shares() == [90, 90]


def test_targets_that_stand_apart_come_together_without_a_better_way(house):
    house.set("route-table", 60)
    house.set("envoy", 60)
    house.set("envoy", 55)
    house.router.decider.grid.provider.forecast = lambda *_: (_ for _ in ()).throw(
        DataMissing("GO0300", "none")
    )

    house.look()

    assert house.shares() == [60, 60]


def test_without_any_target_that_answers_a_look_says_so(house):
    house.look()
    house.table.write_text("{")
    (house.state / "routes" / "search.json").write_text("{")

    with pytest.raises(AdapterUnavailable, match="GO0605"):
        house.look()


def test_what_was_decided_before_in_that_minute_is_what_is_sent(house):
    other = {"eu-central-1": 40, "eu-north-1": 60}
    first, _ = house.router.decider.decide_route(*house.control.loop._fronts, other)
    house.control.engine.keep(first)

    house.look()

    entries = list(house.control.ledger.read())
    known = {each.body["id"] for each in entries if each.kind is EntryKind.DECISION}
    sent = {each.body["decision_id"] for each in entries if each.kind is EntryKind.ACTION}
    assert sent == known == {first.decision.id}


RULE = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: no-middle, owners: [sre@example.com]}
spec:
  match: [{name: search, expression: job.name == "search"}]
  constraints:
  - name: home-or-clean
    level: hard
    expression: candidate.region == "eu-central-1" || candidate.intensity < 100.0
    message: Away from home only where it is clean.
"""


def test_a_step_through_what_the_rules_forbid_is_not_taken(tmp_path):
    folder = tmp_path / "policies"
    folder.mkdir()
    for path in Path(packaged("policies")).rglob("*.yaml"):
        (folder / path.name).write_text(path.read_text())
    (folder / "rule.yaml").write_text(RULE)
    house = House(tmp_path, folder)

    for _ in range(6):
        house.look()
        house.clock.advance(HOUR)
    house.control.close()

    assert house.shares() == [50, 50]


def test_the_overview_shows_a_route_as_the_first_target_that_answers_has_it(house):
    house.look()
    (house.state / "routes" / "search.json").write_text("{")
    one_away = house.control.engine.overview().routes
    house.table.write_text("{")

    assert one_away == {"search": {"eu-central-1": 40, "eu-north-1": 60}}
    assert house.control.engine.overview().routes == {}
