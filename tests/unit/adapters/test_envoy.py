"""What Envoy is told, without Envoy."""

from datetime import timedelta

import pytest
import yaml

from greenops.adapters.envoy import Envoy, bootstrap
from greenops.config import Settings
from greenops.domain.action import Action, SetWeights, StartJob
from greenops.domain.outbox import NEVER_SET
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.testing.clock import START, FakeClock


@pytest.fixture
def envoy(tmp_path):
    return Envoy(Settings(state=tmp_path), FakeClock())


def lay(state, **backends):
    folder = state / "envoy"
    text = bootstrap("search", backends, 10001, 10002, folder)
    (folder / "bootstrap.yaml").write_text(text)
    return yaml.safe_load(text)


def action(number, **weights):
    change = SetWeights("search", weights)
    return Action(f"a-{number}", "envoy", change, f"d-{number}", START + timedelta(hours=1))


def test_all_ports_are_on_loopback_and_backends_may_be_elsewhere(envoy, tmp_path):
    config = lay(tmp_path, de=9, se="10.0.0.7:80", us="search.example.com:80")
    static = config["static_resources"]

    assert config["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    assert static["listeners"][0]["address"]["socket_address"]["address"] == "127.0.0.1"
    assert [c["type"] for c in static["clusters"]] == ["STATIC", "STATIC", "STRICT_DNS"]


def test_the_first_table_is_even_and_stays_when_it_is_laid_again(envoy, tmp_path):
    lay(tmp_path, a=1, b=2, c=3)
    even = envoy.observe("search").change
    envoy.apply(action(1, a=100))
    lay(tmp_path, a=1, b=2, c=3)

    assert even == SetWeights("search", {"a": 34, "b": 33, "c": 33})
    assert envoy.observe("search").change == SetWeights("search", {"a": 100})


def test_a_rollback_restores_the_first_table(envoy, tmp_path):
    lay(tmp_path, de=1, se=2)
    envoy.apply(action(1, de=100))

    envoy.rollback("d-1")

    assert envoy.observe("search").change == SetWeights("search", {"de": 50, "se": 50})


def test_a_crash_between_journal_and_table_is_made_good(envoy, tmp_path):
    lay(tmp_path, de=1, se=2)
    table = tmp_path / "envoy" / "rds.yaml"
    before = table.read_bytes()
    made = envoy.apply(action(1, de=100))
    table.write_bytes(before)

    assert envoy.apply(action(1, de=100)) == made
    assert envoy.observe("search").version == made.version


@pytest.mark.parametrize(
    ("weights", "why"),
    [({"de": 50}, "sum to 100"), ({"fr": 100}, "no backend `fr`; known: de, se")],
)
def test_what_envoy_would_refuse_is_refused_before(envoy, tmp_path, weights, why):
    lay(tmp_path, de=1, se=2)

    with pytest.raises(AdapterUnsupported, match=why):
        envoy.validate(envoy.plan(SetWeights("search", weights)))


def test_another_route_a_job_and_an_unknown_decision_are_unsupported(envoy, tmp_path):
    lay(tmp_path, de=1)

    with pytest.raises(AdapterUnsupported, match="serves `search`, not `other`"):
        envoy.observe("other")
    with pytest.raises(AdapterUnsupported, match="cannot start jobs"):
        envoy.plan(StartJob("night/1", START, START))
    with pytest.raises(AdapterUnsupported, match="GO0607"):
        envoy.rollback("d-9")


@pytest.mark.parametrize("damage", ["{", "resources: []", "resources: [{name: search}]", "1"])
def test_a_damaged_table_is_unavailable(envoy, tmp_path, damage):
    lay(tmp_path, de=1)
    (tmp_path / "envoy" / "rds.yaml").write_text(damage)

    with pytest.raises(AdapterUnavailable, match=r"GO0605 .*rds.yaml"):
        envoy.observe("search")


def test_without_an_envoy_nothing_is_set_and_nothing_is_served(envoy):
    assert envoy.observe("search").version == NEVER_SET
    assert envoy.served_version("search") is None
