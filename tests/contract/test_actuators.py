"""Every target keeps the port's promises."""

from datetime import timedelta

import pytest

from greenops.adapters.envoy import Envoy, bootstrap
from greenops.adapters.local_process import LocalProcess
from greenops.adapters.route_table import RouteTable
from greenops.config import Settings
from greenops.domain.action import SetWeights, StartJob
from greenops.testing.actuators import FakeActuator, check_actuator
from greenops.testing.clock import START, FakeClock

WEIGHTS = SetWeights("search", {"de": 80, "se": 20}), SetWeights("search", {"de": 30, "se": 70})
STARTS = tuple(
    StartJob("night/1", START + timedelta(hours=h), START + timedelta(hours=9)) for h in (2, 5)
)


@pytest.mark.parametrize("changes", [WEIGHTS, STARTS], ids=["weights", "starts"])
def test_the_fake_keeps_the_promises(changes):
    clock = FakeClock()
    fake = FakeActuator(clock)

    check_actuator(lambda: fake, clock, *changes)

    assert len(fake.effects) == 3


def test_local_process_keeps_the_promises(tmp_path):
    clock, settings = FakeClock(), Settings(state=tmp_path)

    check_actuator(lambda: LocalProcess(settings, clock), clock, *STARTS)

    assert LocalProcess(settings, clock).observe("night/1").change == STARTS[0]


def test_route_table_keeps_the_promises(tmp_path):
    clock, settings = FakeClock(), Settings(state=tmp_path)

    check_actuator(lambda: RouteTable(settings, clock), clock, *WEIGHTS)

    assert RouteTable(settings, clock).observe("search").change == WEIGHTS[0]


def test_envoy_keeps_the_promises(tmp_path):
    clock, settings = FakeClock(), Settings(state=tmp_path)
    bootstrap("search", {"de": 1, "se": 2}, 3, 4, tmp_path / "envoy")

    check_actuator(lambda: Envoy(settings, clock), clock, *WEIGHTS)

    assert Envoy(settings, clock).observe("search").change == WEIGHTS[0]
