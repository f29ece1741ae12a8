"""Every target keeps the port's promises."""

from dataclasses import replace
from datetime import timedelta

import pytest

from greenops.act.keys import scope_of
from greenops.adapters.envoy import Envoy, bootstrap
from greenops.adapters.kubernetes_api import Access, KubernetesApi
from greenops.adapters.kubernetes_jobs import KubernetesJobs
from greenops.adapters.local_process import LocalProcess
from greenops.adapters.route_table import RouteTable, route_path
from greenops.config import Settings
from greenops.domain.action import Action, Outcome, SetWeights, StartJob
from greenops.errors import AdapterUnsupported
from greenops.testing.actuators import FakeActuator, check_actuator
from greenops.testing.clock import START, FakeClock
from greenops.testing.kubernetes import FakeKubernetes

WEIGHTS = SetWeights("search", {"de": 80, "se": 20}), SetWeights("search", {"de": 30, "se": 70})
STARTS = tuple(
    StartJob("night/1", START + timedelta(hours=h), START + timedelta(hours=9)) for h in (2, 5)
)


@pytest.fixture(params=["local-process", "route-table", "envoy"])
def target(request, tmp_path):
    """A target, two changes of one scope, and the file that the target reads."""
    clock, settings = FakeClock(), Settings(state=tmp_path)
    if request.param == "local-process":
        return LocalProcess(settings, clock), STARTS, tmp_path / "runs/night/1/order.json"
    if request.param == "route-table":
        return RouteTable(settings, clock), WEIGHTS, route_path(tmp_path, "search")
    bootstrap("search", {"de": 1, "se": 2}, 3, 4, tmp_path / "envoy")
    return Envoy(settings, clock), WEIGHTS, tmp_path / "envoy/rds.yaml"


def action(name, change):
    return Action(f"act-{name}", "any", change, f"d-{name}", START + timedelta(hours=1))


def test_a_target_whose_write_failed_is_not_someone_elses(target):
    actuator, (first, second), file = target
    before = file.read_bytes() if file.exists() else None
    actuator.apply(action("1", first))
    file.unlink()
    if before is not None:
        file.write_bytes(before)

    made = actuator.apply(action("2", second))

    assert made.outcome is Outcome.APPLIED, made.detail
    assert actuator.observe(scope_of(second)).change == second


def test_only_the_last_change_may_have_failed(target):
    actuator, (first, second), file = target
    actuator.apply(action("0", second))
    old = file.read_bytes()
    actuator.apply(action("1", first))
    actuator.apply(action("2", second))
    file.write_bytes(old)

    assert actuator.apply(action("3", first)).outcome is Outcome.CONFLICT


def test_a_rollback_whose_write_failed_is_not_someone_elses(target):
    actuator, (first, second), file = target
    actuator.apply(action("1", first))
    shown = file.read_bytes()
    actuator.rollback("d-1")
    file.write_bytes(shown)

    assert actuator.apply(action("2", second)).outcome is Outcome.APPLIED


def test_a_rollback_below_an_action_that_changed_nothing_leaves_the_target_ours(target):
    actuator, (first, second), _ = target
    actuator.apply(action("1", first))
    assert actuator.apply(action("2", first)).outcome is Outcome.UNCHANGED
    actuator.rollback("d-1")

    made = actuator.apply(action("3", second))

    assert made.outcome is Outcome.APPLIED, made.detail
    with pytest.raises(AdapterUnsupported, match="GO0607"):
        actuator.rollback("d-2")


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


@pytest.mark.network
def test_kubernetes_jobs_keeps_the_promises():
    clock, settings = FakeClock(), Settings(kubernetes_namespaces="batch")
    with FakeKubernetes() as cluster:
        cluster.create("report")
        starts = [replace(each, run_key=cluster.key("report")) for each in STARTS]

        def target():
            return KubernetesJobs(
                settings, clock, lambda _config: KubernetesApi(Access(cluster.url))
            )

        check_actuator(target, clock, *starts)

        assert target().observe(starts[0].run_key).change == starts[0]
        assert cluster.objects["batch", "report"]["spec"]["suspend"] is True
