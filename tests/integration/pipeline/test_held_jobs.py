"""Suspended Jobs in the control loop: planned, released in time, never fought over. On an emulator of the API."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from greenops.adapters.kubernetes_job import JOURNAL, LATEST, RELEASED, START
from greenops.cli.main import main
from greenops.domain.action import Outcome
from greenops.domain.override import OverrideOrder, OverrideState
from greenops.errors import AdapterUnavailable, UsageError
from greenops.pipeline.evidence import verify
from greenops.pipeline.overrides_here import overrides_here
from greenops.testing.kubernetes import FakeKubernetes
from tests.integration.pipeline.job_house import NOW, House, kubeconfig

pytestmark = [pytest.mark.network, pytest.mark.slow]
HOUR = timedelta(hours=1)


@pytest.fixture
def cluster():
    with FakeKubernetes() as made:
        yield made


@pytest.fixture
def house(cluster, tmp_path):
    made = House(tmp_path, kubeconfig(tmp_path / "kubeconfig", cluster.url))
    yield made
    made.parts.close()
    assert verify(made.settings.state).verified


def job(cluster, name="report"):
    return cluster.objects["batch", name]


def suspended(cluster, name="report"):
    return job(cluster, name)["spec"]["suspend"]


def said(cluster, name="report"):
    return job(cluster, name)["metadata"].get("annotations", {})


def change(cluster, name="report", **spec):
    job(cluster, name)["spec"].update(spec)
    cluster.touch(job(cluster, name))


def planned(house):
    return house.engine.decisions()[0].chosen.start


def test_a_suspended_job_is_ordered_and_released_at_its_time(house, cluster):
    cluster.create("report")
    house.tick()
    start = planned(house)
    assert start > NOW + HOUR
    assert said(cluster)[START] == f"{start:%Y-%m-%dT%H:%M:%S}Z"
    assert suspended(cluster)

    house.clock.advance(start - house.clock.now() - timedelta(minutes=1))
    house.tick()
    assert suspended(cluster)
    house.clock.advance(timedelta(minutes=1))
    house.tick()

    assert not suspended(cluster)
    last = house.rows("receipt")[-1]
    assert (last["outcome"], last["detail"], last["on_time"]) == ("applied", "released", True)
    pods = job(cluster)["spec"]["template"]["metadata"]["annotations"]
    assert pods["greenops.dev/run-key"] == cluster.key("report")
    assert pods["greenops.dev/decision-id"] == house.engine.decisions()[0].id


def test_a_job_is_released_some_seconds_before_its_latest_safe_start(house, cluster):
    cluster.create("report")
    house.tick()
    latest = house.engine.decisions()[0].latest_safe_start
    assert planned(house) == latest

    house.clock.advance(latest - NOW - timedelta(seconds=11))
    house.tick()
    assert suspended(cluster)
    house.clock.advance(timedelta(seconds=1))
    house.tick()

    assert not suspended(cluster)
    assert house.rows("receipt")[-1]["on_time"] is True


def test_what_nobody_asks_of_a_job_is_asked_once(house, cluster):
    cluster.create("report")
    for _ in range(5):
        house.tick()

    assert len(cluster.patched) == 1
    assert len(house.rows("decision")) == 1


def test_many_jobs_at_once_are_planned_over_several_looks_and_hold_nothing_up(house, cluster):
    for number in range(5):
        cluster.create(f"report-{number}")
    # Each order takes a second of wall time.
    cluster.before = lambda method, path: (
        house.clock.advance(timedelta(seconds=1))
        if method == "PATCH" and "dryRun" not in path
        else None
    )
    planned_after = []
    for _ in range(3):
        house.tick()
        planned_after.append(len(house.rows("decision")))

    assert planned_after == [3, 5, 5]


def test_a_restart_changes_nothing_and_forgets_nothing(house, cluster):
    cluster.create("report")
    house.tick()
    house.restart()
    house.tick()
    assert len(cluster.patched) == 1

    house.clock.advance(planned(house) - NOW + HOUR)
    house.restart()
    house.tick()
    house.tick()

    assert not suspended(cluster)


def test_a_job_that_waited_while_the_loop_was_away_runs_at_once_and_is_told_late(house, cluster):
    cluster.create("report")
    house.tick()
    house.clock.advance(timedelta(days=1))
    house.tick()

    assert not suspended(cluster)
    assert house.rows("receipt")[-1]["on_time"] is False


@pytest.mark.feature("C4")
def test_a_persons_word_releases_a_job_within_one_tick(house, cluster):
    cluster.create("report")
    house.tick()
    (held,) = house.engine.held()
    assert (held.workload, held.run_key) == ("nightly", cluster.key("report"))

    given = house.engine.override(OverrideOrder("nightly", "jo", "the customer waits"))

    assert not suspended(cluster)
    assert given.state is OverrideState.STARTED
    house.tick()
    (*_, row) = house.rows("override")
    assert (row["who"], row["why"], row["state"]) == ("jo", "the customer waits", "started")
    assert house.engine.held() == []
    with pytest.raises(UsageError, match="GO0664"):
        house.engine.override(OverrideOrder("nightly", "jo", "again", run_key=held.run_key))


def test_a_word_given_before_the_job_is_there_is_for_the_next_one(house, cluster):
    house.engine.override(OverrideOrder("nightly", "jo", "the customer waits"))
    cluster.create("report")
    house.tick()
    house.clock.advance(timedelta(seconds=11))
    house.tick()

    assert not suspended(cluster)


@pytest.mark.feature("C4")
def test_a_word_given_while_the_loop_is_away_is_carried_out_when_it_is_back(house, cluster):
    cluster.create("report")
    house.tick()
    house.parts.close()
    order = OverrideOrder("nightly", "jo", "the customer waits", run_key=cluster.key("report"))

    given = overrides_here(house.settings, house.clock).give(order)
    assert (given.state, given.receipt) == (OverrideState.ORDERED, None)
    assert suspended(cluster)
    house.open()

    assert not suspended(cluster)
    assert [row["state"] for row in house.rows("override")] == ["ordered", "started"]


def test_a_job_that_somebody_lets_run_is_left_alone(house, cluster, caplog):
    cluster.create("report")
    house.tick()
    change(cluster, suspend=False)
    with caplog.at_level(logging.WARNING):
        house.tick()
        house.tick()

    assert caplog.text.count("someone else let it run before its start") == 1
    assert house.engine.held() == []
    assert len(cluster.patched) == 1


def test_an_order_that_somebody_changes_is_theirs(house, cluster, caplog):
    cluster.create("report")
    house.tick()
    said(cluster)[START] = "2021-09-17T09:00:00Z"
    change(cluster)
    house.clock.advance(timedelta(hours=3))
    with caplog.at_level(logging.WARNING):
        house.tick()

    assert "someone else changed its order; it is left alone" in caplog.text
    assert suspended(cluster)
    given = house.engine.override(
        OverrideOrder("nightly", "jo", "now", run_key=cluster.key("report"))
    )
    assert given.state is OverrideState.REFUSED
    assert given.receipt.outcome is Outcome.CONFLICT


def test_a_running_job_is_never_suspended_nor_started_again(house, cluster):
    cluster.create("runs", suspend=False)
    house.tick()
    cluster.create("ran")["status"]["startTime"] = "2021-09-17T07:00:00Z"
    house.tick()

    assert (suspended(cluster, "runs"), suspended(cluster, "ran")) == (False, True)
    assert cluster.patched == []


def test_a_job_suspended_again_after_its_release_stays_so(house, cluster):
    cluster.create("report")
    house.tick()
    house.engine.override(OverrideOrder("nightly", "jo", "now"))
    change(cluster, suspend=True)
    house.clock.advance(timedelta(days=1))
    house.tick()

    assert suspended(cluster)


def test_a_deleted_job_is_forgotten(house, cluster):
    cluster.create("report")
    house.tick()
    del cluster.objects["batch", "report"]
    house.tick()

    assert house.engine.held() == []
    cluster.create("report")
    house.tick()
    assert len(house.rows("decision")) == 2


def test_a_job_that_was_deleted_while_the_loop_was_away_is_no_more_held(house, cluster):
    cluster.create("report")
    house.tick()
    house.parts.close()
    del cluster.objects["batch", "report"]
    house.open()
    house.tick()

    assert house.engine.held() == []


@pytest.fixture
def live(cluster, tmp_path):
    """On wall time, which is the cluster's own as well."""
    made = House(tmp_path, kubeconfig(tmp_path / "kubeconfig", cluster.url), replay=False)
    yield made
    made.parts.close()


def test_the_deadline_counts_from_the_creation_of_the_job(live, cluster):
    cluster.create("report", created=NOW - 2 * HOUR)
    live.tick()

    assert said(cluster)[LATEST] == "2021-09-17T16:00:00Z"


def test_a_job_that_nobody_saw_until_it_was_late_runs_at_once(live, cluster):
    cluster.create("report", created=NOW - 20 * HOUR)
    live.tick()
    live.tick()

    assert not suspended(cluster)
    assert live.rows("receipt")[-1]["on_time"] is False


def test_a_cluster_whose_clock_is_ahead_makes_no_run_of_the_future(live, cluster):
    cluster.create("report", created=NOW + HOUR)
    live.tick()

    assert live.engine.decisions()[0].baseline.start == NOW


def test_a_cluster_that_nothing_leads_to_does_not_start(tmp_path):
    with pytest.raises(AdapterUnavailable, match="GO0670"):
        House(tmp_path, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("workload", "code"), [("nihgtly", "GO0643"), ("here", "GO0675")], ids=["unknown", "elsewhere"]
)
def test_a_job_that_cannot_be_planned_is_told_once_and_holds_up_no_other(
    house, cluster, caplog, workload, code
):
    cluster.create("strange", workload=workload)
    cluster.create("report")
    with caplog.at_level(logging.WARNING):
        house.tick()
        house.tick()

    assert caplog.text.count(code) == 1
    assert START in said(cluster)


def test_a_cluster_that_is_away_is_asked_less_and_the_job_runs_when_it_is_back(
    house, cluster, caplog
):
    cluster.create("report")
    house.tick()
    house.clock.advance(planned(house) - NOW + timedelta(seconds=1))
    asked = []
    cluster.before = lambda method, path: asked.append(path) or 503
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            house.tick()
            house.clock.advance(timedelta(seconds=0.5))

    assert len(asked) < 8
    assert caplog.text.count("GO0671") == 1
    cluster.before = lambda _method, _path: None
    house.clock.advance(timedelta(seconds=60))
    house.tick()
    assert not suspended(cluster)


def test_a_release_that_is_forbidden_is_told_and_tried_again_later(house, cluster, caplog):
    cluster.create("report")
    house.tick()
    house.clock.advance(planned(house) - NOW)
    cluster.before = lambda method, _path: 403 if method == "PATCH" else None
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            house.tick()
    assert caplog.text.count("not released: failed, GO0673") == 1
    assert len(house.rows("receipt")) == 2  # the order's, and one of a release

    cluster.before = lambda _method, _path: None
    house.tick()
    assert suspended(cluster)
    house.clock.advance(timedelta(minutes=1))
    house.tick()

    assert not suspended(cluster)


def test_a_job_that_somebody_changes_right_before_its_release_is_left_alone(house, cluster, caplog):
    cluster.create("report")
    house.tick()
    house.clock.advance(planned(house) - NOW)

    def meddle(method, path):
        if path == cluster.path("report") and said(cluster)[START] != "2030-01-01T00:00:00Z":
            said(cluster)[START] = "2030-01-01T00:00:00Z"
            change(cluster)

    cluster.before = meddle
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            house.tick()

    assert caplog.text.count("not released: conflict, someone else changed it") == 1
    assert suspended(cluster)
    assert len(house.rows("receipt")) == 2


def test_a_decision_that_takes_the_place_of_another_is_the_one_that_releases(house, cluster):
    cluster.create("report")
    house.tick()
    first = house.engine.decisions()[0]
    decider = house.parts.loop._decider
    now = house.clock.now()
    options = [each for each in decider.options(now) if each.forecast]
    upside_down = [
        replace(
            each, forecast=replace(each.forecast, values=[1000 - v for v in each.forecast.values])
        )
        for each in options
    ]
    again = decider.decide_anew(house.engine.decision(first.id), upside_down)
    assert again.decision.chosen.start != first.chosen.start
    house.engine.replace(again, "kubernetes-jobs", lambda _change: True)
    house.tick()
    assert said(cluster)["greenops.dev/decision-id"] == again.decision.id != first.id

    house.clock.advance(again.decision.chosen.start - NOW)
    house.tick()

    assert not suspended(cluster)
    assert house.rows("receipt")[-1]["decision_id"] == again.decision.id


def test_a_release_without_an_answer_is_one_effect(house, cluster):
    cluster.create("report")
    house.tick()
    house.clock.advance(planned(house) - NOW + timedelta(seconds=1))
    lost = "PATCH", f"{cluster.path('report')}?fieldManager=greenops"
    cluster.after = lambda *asked: 504 if asked == lost else None
    house.tick()
    assert not suspended(cluster)
    cluster.after = lambda *_: None
    for _ in range(3):
        house.clock.advance(timedelta(minutes=2))
        house.tick()

    assert not suspended(cluster)
    applied = [r for r in house.rows("receipt") if r["detail"] == "released"]
    assert len(applied) == 1
    assert len(cluster.patched) == 2  # the order and the release


def test_a_frozen_job_stays_until_its_freeze_is_over(house, cluster):
    cluster.create("report")
    house.tick()
    target = house.parts.loop._replans._actuators["kubernetes-jobs"]
    target.freeze(cluster.key("report"), timedelta(days=1))
    house.clock.advance(timedelta(hours=20))
    house.tick()
    assert suspended(cluster)

    house.clock.advance(timedelta(hours=5))
    house.tick()

    assert not suspended(cluster)


def test_a_damaged_journal_is_told_and_nothing_is_guessed(house, cluster, caplog):
    cluster.create("report")
    house.tick()
    said(cluster)[JOURNAL] = "{"
    change(cluster)
    house.clock.advance(timedelta(days=1))
    with caplog.at_level(logging.WARNING):
        house.tick()

    assert "GO0605" in caplog.text
    assert suspended(cluster)


def test_a_mode_that_releases_nothing_does_not_start(cluster, tmp_path):
    with pytest.raises(UsageError, match="GO0676"):
        House(tmp_path, kubeconfig(tmp_path / "kubeconfig", cluster.url), mode="recommend")


# -- where the loop is away


def release(house, *more):
    config = str(house.settings.kubernetes_config)
    return main(
        ["jobs", "release", "--overdue", "--namespaces", "batch", "--kubeconfig", config, *more]
    )


@pytest.fixture
def at(monkeypatch, house):
    """Set what the command takes for now."""

    def later(span):
        now = house.clock.now() + span
        monkeypatch.setattr("greenops.adapters.clock.SystemClock.now", lambda _self: now)
        monkeypatch.setattr("greenops.adapters.clock.SystemClock.wall", lambda _self: now)

    return later


def test_what_is_past_its_latest_safe_start_is_released_without_the_loop(
    house, cluster, at, capsys
):
    cluster.create("report", created=NOW)
    house.tick()
    at(timedelta(hours=1))
    assert release(house) == 0
    assert suspended(cluster)

    at(timedelta(hours=10, seconds=1))
    assert release(house, "--dry-run") == 0
    assert "would be released" in capsys.readouterr().out
    assert suspended(cluster)
    assert release(house) == 0

    assert not suspended(cluster)
    assert "latest safe start was 2021-09-17 18:00:00 UTC  applied" in capsys.readouterr().out
    house.tick()
    house.tick()
    last = house.rows("receipt")[-1]
    assert (last["action_id"].endswith("-overdue"), last["on_time"]) == (True, False)


def test_what_waits_without_a_plan_is_released_after_its_time(house, cluster, at):
    cluster.create("report", workload="nihgtly", created=NOW)
    at(timedelta(minutes=59))
    assert release(house) == 0
    assert suspended(cluster)

    at(timedelta(minutes=61))
    assert release(house) == 0

    assert not suspended(cluster)
    house.tick()


def test_what_was_released_and_suspended_again_is_not_overdue(house, cluster, at):
    cluster.create("report", created=NOW)
    house.tick()
    house.engine.override(OverrideOrder("nightly", "jo", "now"))
    change(cluster, suspend=True)
    assert RELEASED in said(cluster)
    at(timedelta(days=1))

    assert release(house) == 0
    assert suspended(cluster)


def test_an_order_that_somebody_changed_is_overdue_all_the_same(house, cluster, at):
    cluster.create("report", created=NOW)
    house.tick()
    said(cluster)[LATEST] = "2021-09-17T09:00:00Z"
    change(cluster)
    at(timedelta(hours=2))

    assert release(house) == 0
    assert not suspended(cluster)


def test_a_release_that_is_refused_ends_with_its_code(house, cluster, at, capsys):
    cluster.create("report", created=NOW)
    house.tick()
    at(timedelta(days=1))
    cluster.before = lambda method, _path: 403 if method == "PATCH" else None

    assert release(house) == 4
    assert "GO0673" in capsys.readouterr().err


def test_the_list_says_what_waits_and_until_when(house, cluster, capsys):
    cluster.create("report")
    house.tick()
    cluster.create("second", created=NOW)
    config = str(house.settings.kubernetes_config)

    assert main(["jobs", "list", "--namespaces", "batch", "--kubeconfig", config]) == 0

    first, second = capsys.readouterr().out.splitlines()
    assert f"starts {planned(house):%Y-%m-%d %H:%M} UTC, at the latest 09-17 18:00" in first
    assert second.endswith("no plan, waits since 2021-09-17 08:00:00 UTC")
