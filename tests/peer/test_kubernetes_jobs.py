"""Suspended Jobs on a real kube-apiserver with RBAC: ordered, released, never twice, never fought over.

There is no Job controller and no kubelet behind it: `spec.suspend` changes, and no pod runs.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
from streamlit.testing.v1 import AppTest

from greenops.adapters.kubernetes_api import Access, KubernetesApi, find_access
from greenops.adapters.kubernetes_job import JOURNAL, START
from greenops.adapters.kubernetes_jobs import KubernetesJobs
from greenops.adapters.parquet_lake import ParquetLake
from greenops.adapters.wal import Wal
from greenops.cli.main import main
from greenops.config import Settings
from greenops.demo.processes import free_ports
from greenops.domain.action import Action, Outcome, StartJob
from greenops.domain.override import OverrideOrder, OverrideState
from greenops.errors import AdapterUnavailable, AdapterUnsupported
from greenops.pipeline.evidence import verify
from greenops.pipeline.footprint import Footprint
from greenops.service.doors import Doors
from greenops.service.intake import Intake
from greenops.service.metrics import Telemetry
from greenops.testing.actuators import check_actuator
from greenops.testing.clock import START as BEGAN
from greenops.testing.clock import FakeClock
from greenops.testing.kubernetes import FakeKubernetes
from tests.integration.pipeline.job_house import NOW, House, kubeconfig, write_policies
from tests.peer.kubernetes_cluster import Cluster

pytestmark = [pytest.mark.peer, pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(180)]
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("kubernetes"))
    yield made
    made.close()


@pytest.fixture
def cluster(server):
    server.start_again()
    server.clear()
    return server


@pytest.fixture
def config(cluster, tmp_path):
    """A kubeconfig of the shipped service account."""
    return kubeconfig(tmp_path / "kubeconfig", cluster.url, cluster.token(), cluster.authority)


@pytest.fixture
def house(config, tmp_path):
    made = House(tmp_path, config)
    yield made
    made.parts.close()
    assert verify(made.settings.state).verified


@pytest.fixture
def target(cluster):
    access = Access(cluster.url, cluster.authority, cluster.token())
    settings, clock = Settings(kubernetes_namespaces="batch"), FakeClock()
    return lambda: KubernetesJobs(settings, clock, lambda _config: KubernetesApi(access))


@pytest.fixture
def url(house):
    """The doors of the loop."""
    ports = {"api_port": 0, "otlp_grpc_port": 0, "otlp_http_port": 0}
    footprint, state = Footprint(), house.settings.state
    telemetry = Telemetry(footprint.energy_by_workload, footprint.residual, lambda: None)
    lake = Wal(state / "lake" / "wal")
    intake = Intake(ParquetLake(state / "lake"), lake, footprint, house.clock)
    doors = Doors(Settings(state=state, **ports), intake, house.engine, telemetry)
    doors.open()
    yield f"http://127.0.0.1:{doors.ports.api}"
    doors.close()


def action(name, key, start=BEGAN):
    change = StartJob(key, start, BEGAN + 9 * HOUR)
    return Action(f"act-{name}", "kubernetes-jobs", change, f"d-{name}", BEGAN + HOUR)


def released(house):
    return [each for each in house.rows("receipt") if each["detail"] == "released"]


# -- the target


def test_the_promises_hold_on_a_real_server_with_the_shipped_rights(cluster, target):
    key = cluster.job("report")
    starts = [StartJob(key, BEGAN + hours * HOUR, BEGAN + 9 * HOUR) for hours in (2, 5)]

    check_actuator(target, FakeClock(), *starts)

    assert target().observe(key).change == starts[0]
    assert cluster.suspended("report")


def test_a_release_shows_its_pods_what_let_them_run_and_the_same_again_changes_nothing(
    cluster, target
):
    key = cluster.job("report")
    made = target().apply(action("1", key))
    stands = cluster.see("report")

    assert (made.outcome, stands["spec"]["suspend"]) == (Outcome.APPLIED, False)
    pods = stands["spec"]["template"]["metadata"]["annotations"]
    assert pods == {"greenops.dev/decision-id": "d-1", "greenops.dev/run-key": key}
    assert target().apply(action("1", key)) == made
    assert target().verify(action("1", key), timedelta())
    assert target().apply(action("2", key)).outcome is Outcome.UNCHANGED
    assert target().apply(action("3", key, BEGAN - HOUR)).outcome is Outcome.REFUSED
    assert cluster.see("report") == stands


def test_of_two_that_release_at_once_one_does(cluster, target):
    for number in range(8):
        key = cluster.job(f"report-{number}")
        together, made = threading.Barrier(2), []

        def release(name, start, key=key, together=together, made=made):
            mine, order = target(), action(name, key, start)
            together.wait()
            made.append(mine.apply(order).outcome)

        starts = {"a": BEGAN, "b": BEGAN - HOUR}
        threads = [threading.Thread(target=release, args=each) for each in starts.items()]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        assert sorted(made) == [Outcome.APPLIED, Outcome.REFUSED]
        journal = cluster.see(f"report-{number}")["metadata"]["annotations"][JOURNAL]
        assert journal.count('"detail":"released"') == 1


def test_what_the_cluster_forbids_is_refused_before_anything_is_changed(cluster, target):
    key = cluster.job("report", sundays="free")
    before, ours = cluster.see("report"), target()
    diff = ours.plan(action("1", key).change)
    end = time.monotonic() + 20
    while time.monotonic() < end:  # a policy counts once the server has noticed it
        try:
            ours.validate(diff)
        except AdapterUnsupported as error:
            said = str(error)
            break
        time.sleep(0.1)

    assert said.startswith("GO0674 Kubernetes refuses to change Job `batch/report`")
    assert "nothing is let go on a Sunday" in said
    with pytest.raises(AdapterUnsupported, match="GO0674"):
        ours.apply(action("1", key))
    assert cluster.see("report") == before
    ours.validate(ours.plan(action("2", key, BEGAN + HOUR).change))


def test_an_order_that_somebody_changed_is_a_conflict(cluster, target):
    key = cluster.job("report")
    target().apply(action("1", key, BEGAN + HOUR))
    path = f"/metadata/annotations/{START.replace('/', '~1')}"
    assert cluster.change("report", [{"op": "add", "path": path, "value": "2030-01-01T00:00:00Z"}])
    before = cluster.see("report")

    made = target().apply(action("2", key))

    assert (made.outcome, cluster.see("report")) == (Outcome.CONFLICT, before)
    assert "someone else changed it" in made.detail


def test_a_deleted_job_and_one_of_its_name_are_not_mistaken(cluster, target):
    key = cluster.job("report")
    cluster.clear()
    cluster.job("report")

    made = target().apply(action("1", key))

    assert (made.outcome, cluster.suspended("report")) == (Outcome.CONFLICT, True)


def test_a_long_list_is_read_page_by_page(cluster, target, monkeypatch):
    monkeypatch.setattr("greenops.adapters.kubernetes_jobs.PAGE", "2")
    keys = {cluster.job(f"report-{number}") for number in range(5)}

    assert {job.run_key for job in target().jobs()} == keys


def test_the_shipped_role_may_neither_create_nor_delete(cluster):
    cluster.job("report")
    path, token = "/apis/batch/v1/namespaces/batch/jobs", cluster.token()

    assert cluster.ask("POST", path, {"metadata": {"name": "x"}}, token=token)["code"] == 403
    assert cluster.ask("DELETE", f"{path}/report", token=token)["code"] == 403
    assert cluster.ask("GET", "/api/v1/namespaces/batch/secrets", token=token)["code"] == 403


def test_the_emulator_answers_patches_as_the_server_does(cluster):
    cluster.job("report")
    label = "/metadata/labels/greenops.dev~1workload"
    asked = [
        ([{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}], ""),
        ([{"op": "test", "path": label, "value": "nightly"}], ""),
        ([{"op": "test", "path": "/spec/suspend", "value": False}], ""),
        ([{"op": "add", "path": "/metadata/annotations", "value": {"a/b": "c"}}], "?dryRun=All"),
        ([{"op": "test", "path": "/metadata/annotations/a~1b", "value": "c"}], ""),
        ([{"op": "add", "path": "/metadata/annotations", "value": {"a/b": "c"}}], ""),
        ([{"op": "test", "path": "/metadata/annotations/a~1b", "value": "c"}], ""),
        ([{"op": "replace", "path": "/spec/suspend", "value": False}], ""),
    ]

    real = [cluster.change("report", changes, query).status_code for changes, query in asked]
    lost = cluster.change("lost", asked[0][0]).status_code
    with FakeKubernetes() as fake:
        fake.create("report")
        path = fake.path("report")
        emulated = [fake.answer("PATCH", path + query, changes)[0] for changes, query in asked]
        gone = fake.answer("PATCH", fake.path("lost"), asked[0][0])[0]

    assert (emulated, gone) == (real, lost)
    assert not cluster.suspended("report")


# -- the loop


@pytest.mark.feature("C4")
def test_the_loop_orders_a_job_and_releases_it_at_its_time(cluster, house):
    cluster.job("report")
    house.tick()
    start = house.engine.decisions()[0].chosen.start
    stands = cluster.see("report")
    assert stands["metadata"]["annotations"][START] == f"{start:%Y-%m-%dT%H:%M:%S}Z"
    assert (stands["spec"]["suspend"], start > NOW + HOUR) == (True, True)

    house.clock.advance(start - NOW)
    house.tick()

    assert not cluster.suspended("report")
    assert [each["on_time"] for each in released(house)] == [True]


@pytest.mark.feature("C4")
def test_run_now_by_the_command_line_releases_a_job_and_is_in_the_ledger(
    cluster, house, url, capsys
):
    cluster.job("report")
    house.tick()
    words = ["override", "run-now", "nightly", "--why", "the customer waits", "--who", "jo"]

    assert main([*words, "--server", url]) == 0

    assert not cluster.suspended("report")  # before a tick: the order itself lets it run
    assert "started" in capsys.readouterr().out
    (*_, row) = house.rows("override")
    assert (row["who"], row["why"], row["state"]) == ("jo", "the customer waits", "started")
    assert row["overrode"]["decision_id"] == house.engine.decisions()[0].id


@pytest.mark.feature("C4")
def test_run_now_by_the_api_releases_the_job_that_is_named_and_no_other(cluster, house, url):
    named = cluster.job("named")
    cluster.job("other")
    house.tick()
    order = {"workload": "nightly", "who": "jo", "why": "now", "for_s": 600, "run_key": named}

    answer = requests.post(f"{url}/v1/overrides", json=order, timeout=20)

    assert (answer.status_code, answer.json()["state"]) == (200, "started")
    assert (cluster.suspended("named"), cluster.suspended("other")) == (False, True)
    held = requests.get(f"{url}/v1/held", timeout=20).json()
    assert [each["run_key"].split("/")[2] for each in held] == ["other"]
    rows = [(row["run_key"], row["state"]) for row in house.rows("override")]
    assert rows == [(named, "ordered"), (named, "started")]


def decisions() -> None:
    """The console's page, as the console itself runs it."""
    import os

    from greenops.adapters.control_client import ControlClient
    from greenops.show import decisions_page

    decisions_page.page(ControlClient(os.environ["GREENOPS_API"]))


@pytest.mark.feature("C4")
def test_run_now_in_the_console_releases_a_job(cluster, house, url, monkeypatch):
    cluster.job("report")
    house.tick()
    monkeypatch.setenv("GREENOPS_API", url)
    page = AppTest.from_function(decisions, default_timeout=60).run()
    page.text_input(key="override_who").input("jo").run()
    page.text_input(key="override_why").input("the customer waits").run()
    assert cluster.suspended("report")

    page.button(key="run_now").click().run()

    assert not page.exception
    assert not cluster.suspended("report")
    assert ": started, o-" in page.success[0].value.replace("\\", "")
    assert page.button(key="run_now").disabled
    (*_, row) = house.rows("override")
    assert (row["who"], row["why"], row["state"]) == ("jo", "the customer waits", "started")


@pytest.mark.feature("C4")
def test_greenops_serve_holds_a_job_until_a_person_says_now(cluster, config, tmp_path):
    """The whole program, its own clock and loop: nothing of it is driven by the test."""
    key, ports = cluster.job("report"), free_ports(3)
    write_policies(tmp_path / "policies")
    names = ("API_PORT", "OTLP_GRPC_PORT", "OTLP_HTTP_PORT")
    environ = {
        **os.environ,
        **{f"GREENOPS_{name}": str(port) for name, port in zip(names, ports, strict=True)},
        "GREENOPS_STATE": str(tmp_path / "served"),
        "GREENOPS_POLICIES": str(tmp_path / "policies"),
        "GREENOPS_KUBERNETES_NAMESPACES": "batch",
        "GREENOPS_KUBERNETES_CONFIG": str(config),
        "GREENOPS_REPLAY": f"2021-09-17T08:00:00Z@{datetime.now(UTC).isoformat()}@1",
    }
    greenops = [sys.executable, "-m", "greenops.cli.main"]
    serve = subprocess.Popen([*greenops, "serve"], env=environ, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and serve.poll() is None:
            if START in cluster.see("report")["metadata"].get("annotations", {}):
                break
            time.sleep(0.05)
        words = ("override", "run-now", "nightly", key, "--why", "now", "--who", "jo")
        suspended = cluster.suspended("report")
        said = subprocess.run(
            [*greenops, *words, "--server", f"http://127.0.0.1:{ports[0]}"],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (suspended, cluster.suspended("report")) == (True, False), said.stderr
        assert "started" in said.stdout
    finally:
        serve.terminate()
        serve.communicate(timeout=30)
    assert verify(tmp_path / "served").verified


class Dying(KubernetesApi):
    """Loses its server at the next patch that changes something: before its effect, or after it."""

    when: str | None = None
    cluster: Cluster

    def patch(self, path, changes, *, dry_run=False):
        if self.when is None or dry_run:
            return super().patch(path, changes, dry_run=dry_run)
        when, self.when = self.when, None
        if when == "after":
            super().patch(path, changes)
        self.cluster.kill()
        return super().patch(path, changes)


@pytest.mark.feature("C4")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_that_dies_in_a_release_and_comes_back_lets_the_job_run_once(cluster, house, when):
    cluster.job("report")
    house.tick()
    target = house.parts.loop._replans._actuators["kubernetes-jobs"]
    dying = Dying(find_access(house.settings.kubernetes_config))
    dying.cluster, dying.when, target._found = cluster, when, dying

    given = house.engine.override(OverrideOrder("nightly", "jo", "the customer waits"))
    assert (given.state, given.receipt) == (OverrideState.ORDERED, None)
    house.restart()
    cluster.start()
    assert cluster.suspended("report") is (when == "before")
    for _ in range(3):
        house.clock.advance(timedelta(minutes=3))
        house.tick()

    assert not cluster.suspended("report")
    assert len(released(house)) == 1
    assert [row["state"] for row in house.rows("override")] == ["ordered", "started"]
    journal = cluster.see("report")["metadata"]["annotations"][JOURNAL]
    assert journal.count('"detail":"released"') == 1


# -- who we are there


def test_a_token_whose_time_is_over_is_one_line_and_a_new_one_is_taken(
    cluster, tmp_path, monkeypatch, capsys
):
    cluster.job("report")
    pod = tmp_path / "serviceaccount"
    pod.mkdir()
    (pod / "ca.crt").write_bytes(cluster.authority.read_bytes())
    (pod / "token").write_text(cluster.expired_token())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(cluster.port))
    monkeypatch.setattr("greenops.adapters.kubernetes_api.POD", pod)
    ours = KubernetesJobs(
        Settings(kubernetes_namespaces="batch"),
        FakeClock(),
        lambda config: KubernetesApi(find_access(config, pod=pod)),
    )

    with pytest.raises(AdapterUnavailable) as told:
        list(ours.jobs())
    assert str(told.value).startswith(f"GO0672 `{cluster.url}` does not accept our credentials")
    assert "\n" not in str(told.value)
    (pod / "token").write_text(f"{cluster.token()}\n")

    assert [job.name for job in ours.jobs()] == ["report"]


def test_a_client_certificate_that_a_kubeconfig_holds_itself_is_taken(cluster, tmp_path, capsys):
    key = cluster.job("report")
    ours, secret = (base64.b64encode(each).decode() for each in cluster.client)
    user = {"client-certificate-data": ours, "client-key-data": secret}
    config = kubeconfig(tmp_path / "certified", cluster.url, authority=cluster.authority, **user)
    words = ["jobs", "list", "--namespaces", "batch", "--kubeconfig"]

    assert main([*words, str(config)]) == 0
    assert capsys.readouterr().out.startswith(f"{key}  no plan, waits since ")

    nobody = kubeconfig(tmp_path / "nobody", cluster.url, authority=cluster.authority)
    assert main([*words, str(nobody)]) == 4
    assert "GO0673" in capsys.readouterr().err
    stranger = kubeconfig(tmp_path / "stranger", cluster.url, token=cluster.token())
    assert main([*words, str(stranger)]) == 4
    assert "TLS fails; look at its authority" in capsys.readouterr().err


def test_what_waits_without_a_plan_is_released_by_the_guards_command(cluster, config, capsys):
    cluster.job("report")
    words = ["jobs", "release", "--overdue", "--namespaces", "batch", "--kubeconfig", str(config)]
    assert main([*words, "--without-plan-after", "1h"]) == 0
    assert cluster.suspended("report")

    time.sleep(1.1)  # the server's own clock counts whole seconds
    assert main([*words, "--without-plan-after", "1s"]) == 0

    assert not cluster.suspended("report")
    assert "applied: released" in capsys.readouterr().out
    assert main([*words, "--without-plan-after", "1s"]) == 0
