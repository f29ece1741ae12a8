"""Routes with origins: one decision for all of them, steps that they take together, and nothing beyond a mask."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from greenops.adapters.packaged import packaged
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.route_table import RouteReader, route_path
from greenops.config import Settings
from greenops.domain.evidence import EntryKind
from greenops.domain.replay import Replay
from greenops.errors import AdapterUnavailable, InvalidFile, UsageError
from greenops.pipeline.assemble import assemble
from greenops.pipeline.footprint import Footprint
from greenops.pipeline.fronts import read_fronts
from greenops.testing.clock import START, FakeClock

HOUR = timedelta(hours=1)
ROUTES = """
routes:
- name: search
  workload: search
  targets: [route-table]
  max_rtt_ms: 60
  backends:
  - {name: south, region: eu-central-1, p95_ms: 60, capacity_rps: 300}
  - {name: north, region: eu-north-1, p95_ms: 60, capacity_rps: 150}
  origins:
  - {name: frankfurt, home: south, requests_per_s: 90, rtt_ms: {south: 4, north: 10}}
  - {name: milan, home: south, requests_per_s: 60, rtt_ms: {south: 12, north: 61}}
  - {name: stockholm, home: north, requests_per_s: 100, rtt_ms: {south: 10, north: 4}}
"""


class Quiet:
    """Telemetry that nobody reads."""

    def judged(self, workload, ways, took):
        pass

    def decision(self, decision):
        pass

    def action(self, receipt):
        pass


def rules(folder, **changes):
    """The two policy files that a route of search needs, in a folder of their own."""
    made = folder / "policies"
    made.mkdir()
    for name in ("search", "personal-data"):
        text = (packaged("policies") / "demo" / f"{name}.yaml").read_text()
        for old, new in changes.get(name.replace("-", "_"), ()):
            assert old in text
            text = text.replace(old, new)
        (made / f"{name}.yaml").write_text(text)
    return made


class House:
    def __init__(self, state, text=ROUTES, policies=None):
        self.state, self.clock = state, FakeClock(START, Replay(START, START, 1.0))
        (state / "routes.yaml").write_text(text)
        settings = Settings(state=state, policies=policies or rules(state))
        lake = ParquetLake(state / "lake")
        self.control = assemble(settings, self.clock, Footprint(), Quiet(), lake, lambda _: [])

    def look(self, hours=1):
        for _ in range(hours):
            self.control.engine.tick()
            for front in self.control.loop._fronts:
                self.control.loop._router.look(front)
            self.clock.advance(HOUR)

    def north(self, *origins):
        return [self.shown(each).get("north", 0) for each in origins]

    def shown(self, origin):
        return json.loads(route_path(self.state, f"search@{origin}").read_text())["weights"]

    def entries(self, kind):
        return [each.body for each in self.control.ledger.read() if each.kind is kind]


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.control.close()


@pytest.mark.feature("B16")
def test_origins_go_to_the_optimum_in_steps_and_fill_no_place_beyond_its_room(house):
    house.look()
    first = house.north("frankfurt", "milan", "stockholm")
    house.look(7)

    # The clean place has room for 50 of frankfurt's 90; milan is too far from it.
    assert first == [10, 0, 100]
    assert house.north("frankfurt", "milan", "stockholm") == [55, 0, 100]


@pytest.mark.feature("A7", "B16")
def test_weights_that_are_best_are_left_alone(house):
    house.look(7)
    settled = len(house.entries(EntryKind.ACTION))

    house.look(12)

    assert len(house.entries(EntryKind.ACTION)) == settled


def test_all_origins_rest_on_one_decision(house):
    house.look()

    actions, decisions = house.entries(EntryKind.ACTION), house.entries(EntryKind.DECISION)
    assert {each["change"]["route"] for each in actions} == {
        "search@frankfurt",
        "search@milan",
        "search@stockholm",
    }
    assert {each["decision_id"] for each in actions} == {each["id"] for each in decisions}
    assert len(decisions) == 1


@pytest.mark.feature("B16")
def test_a_place_that_is_down_is_left_step_by_step_though_what_answers_is_dirtier(tmp_path):
    house = House(tmp_path, ROUTES.replace("capacity_rps: 150", "capacity_rps: 0"))
    house.look(3)

    assert house.north("frankfurt", "milan", "stockholm") == [0, 0, 70]
    house.control.close()


@pytest.mark.feature("B2")
@pytest.mark.parametrize("word", ["pinned: true", "allowed_backends: [south]"])
def test_an_origin_that_is_pinned_or_names_its_backends_keeps_to_them(tmp_path, word):
    text = ROUTES.replace("requests_per_s: 90", f"{word}, requests_per_s: 90")
    house = House(tmp_path, text.replace("north: 61", "north: 12"))
    house.look(6)
    house.control.close()

    # Ten points an hour, six times a day.
    assert house.north("frankfurt", "milan", "stockholm") == [0, 60, 100]


RULE = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: never-north, owners: [sre@example.com]}
spec:
  priority: 900
  match: [{name: search, expression: job.name == "search"}]
  constraints:
  - {name: not-there, level: hard, expression: candidate.region != "eu-north-1", message: Not there.}
  enforcement: {mode: enforce}
"""


@pytest.mark.feature("B2", "B16")
def test_a_place_that_a_rule_refuses_gets_nothing_that_was_not_there_before(tmp_path):
    folder = rules(tmp_path)
    (folder / "rule.yaml").write_text(RULE)
    house = House(tmp_path, policies=folder)
    house.look(4)
    house.control.close()

    assert house.north("frankfurt", "milan", "stockholm") == [0, 0, 100]


MIDDLE = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: no-middle, owners: [sre@example.com]}
spec:
  match: [{name: search, expression: job.name == "search"}]
  constraints:
  - name: dirty-or-clean
    level: hard
    # North takes 40 % of the route before anything moves; the optimum is 60 %.
    expression: candidate.intensity > 280.0 || candidate.intensity < 225.0
    message: Not in between.
  enforcement: {mode: enforce}
"""


def test_a_step_through_what_the_rules_forbid_is_not_taken(tmp_path, caplog):
    folder = rules(tmp_path)
    (folder / "rule.yaml").write_text(MIDDLE)
    house = House(tmp_path, policies=folder)
    house.look()
    house.control.close()

    assert "search: a step is not taken, for dirty-or-clean refuses it" in caplog.text
    assert not route_path(tmp_path, "search@frankfurt").exists()


def test_requests_that_nobody_has_room_for_are_told_at_every_look(tmp_path, caplog):
    text = ROUTES.replace("capacity_rps: 150", "capacity_rps: 0").replace("300", "200")
    house = House(tmp_path, text)
    house.look()
    house.control.close()

    assert "search@stockholm: nobody has room for 50 requests/s" in caplog.text


def test_gateways_that_read_see_one_table_between_two_looks(house):
    house.look()
    reader = RouteReader(route_path(house.state, "search@frankfurt"))
    picks = [reader.pick(f"session-{number}") for number in range(200)]
    version = reader.version

    house.clock.advance(timedelta(minutes=59))
    house.control.engine.tick()

    assert [reader.pick(f"session-{number}") for number in range(200)] == picks
    assert reader.version == version is not None


def test_a_gateway_that_cannot_be_seen_is_left_out_and_the_others_go_on(house):
    house.look()
    route_path(house.state, "search@milan").write_text("{")
    house.look()
    for origin in ("frankfurt", "stockholm"):
        route_path(house.state, f"search@{origin}").write_text("{")

    assert house.control.engine.overview().routes == {}
    with pytest.raises(AdapterUnavailable, match="GO0605"):
        house.look()


def test_the_overview_shows_each_origin(house):
    house.look()

    assert set(house.control.engine.overview().routes) == {
        "search@frankfurt",
        "search@milan",
        "search@stockholm",
    }


def test_what_a_request_takes_must_be_known(tmp_path):
    folder = rules(tmp_path, search=[("  energyKwh: 0.2 ", "  # energyKwh: 0.2 ")])
    house = House(tmp_path, policies=folder)

    with pytest.raises(UsageError, match=r"GO0653.*joules_per_request"):
        house.look()
    house.control.close()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "max_rtt_ms",
            "max_rtt",
            r"`routes\[0\]` has no field `max_rtt`; did you mean `max_rtt_ms`",
        ),
        ("rtt_ms: {south: 4", "rtt: {south: 4", r"`routes\[0\].origins\[0\]` has no field `rtt`"),
        ("p95_ms: 60, cap", "p95: 60, cap", r"`routes\[0\].backends\[0\]` has no field `p95`"),
        ("name: search", "origin: x\n  name: search", "has no field `origin`"),
        ("home: south", "home: suth", "no backend `suth`; did you mean `south`"),
        ("{south: 4", "{soth: 4", "no backend `soth`; did you mean `south`"),
        ("requests_per_s: 90", "requests_per_s: -1", "`requests_per_s of frankfurt` is -1.0"),
        ("requests_per_s: 90", "requests_per_s: .inf", "`requests_per_s of frankfurt` is inf"),
        ("capacity_rps: 300", "capacity_rps: .nan", "`capacity_rps of south` is nan"),
        ("capacity_rps: 300", "capacity_rps: many", "capacity_rps` must be float, not `many`"),
        ("name: milan", "name: frankfurt", "two of one name, `frankfurt`"),
        ("name: milan", "name: a@b", "`a@b` is no name"),
        ("name: north", "name: south", "two of one name, `south`"),
        (", requests_per_s: 90", "", "lacks `requests_per_s`"),
        ("backends:\n  - ", "backends: []\n  other:\n  - ", "has no field `other`"),
    ],
)
def test_a_file_that_says_what_cannot_be_is_refused_in_a_line(tmp_path, old, new, said):
    path = tmp_path / "routes.yaml"
    path.write_text(ROUTES.replace(old, new, 1))

    with pytest.raises(InvalidFile, match=said):
        read_fronts(path)


def test_what_counts_only_with_origins_is_refused_without_them(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(ROUTES.split("  origins:", maxsplit=1)[0])

    with pytest.raises(InvalidFile, match="`max_rtt_ms` counts only with `origins`"):
        read_fronts(path)


def test_origins_that_send_nothing_are_refused(tmp_path):
    path = tmp_path / "routes.yaml"
    text = ROUTES
    for rate in (90, 60, 100):
        text = text.replace(f"requests_per_s: {rate}", "requests_per_s: 0")
    path.write_text(text)

    with pytest.raises(InvalidFile, match="no origin sends requests"):
        read_fronts(path)
