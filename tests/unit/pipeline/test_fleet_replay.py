"""Replays of fleets: sums equal those of one decision at a time, however the runs are shared out."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenops.adapters.process_engine import ProcessEngine
from greenops.domain.grid import Region
from greenops.domain.workload import Job
from greenops.errors import DataMissing, InvalidFile, UsageError
from greenops.grid.series import mean_intensity
from greenops.pipeline.fleet_history import history_of
from greenops.pipeline.fleet_plan import fleet_jobs
from greenops.pipeline.fleet_replay import SUMS, FleetReplay, added, replay_fleet
from greenops.pipeline.fleet_report import report_of
from greenops.pipeline.fleet_runs import (
    parts_of,
    planned_jobs,
    runs_of_file,
    scheduled_runs,
    some_of,
)
from greenops.plan.candidates import RegionOption, batch_candidates
from greenops.plan.choice import choose, effective
from greenops.plan.guard import deadline_of
from greenops.policy import compile_policies
from greenops.testing.grid import START, FakeGrid

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
POLICIES = """apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: etl, owners: [a@example.com]}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: one
  allowedRegions: [one, two]
  schedule: {at: "01:00", timeZone: America/Los_Angeles}
  duration: 90m
  durationP95: 2h
  energyKwh: 3.0
  deadline: {within: 10h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 5%}
---
apiVersion: greenops.dev/v1alpha1
kind: Workload
metadata: {name: train, owners: [a@example.com]}
spec:
  kind: batch
  urgency: deferrable
  homeRegion: two
  allowedRegions: [one, two, three]
  duration: 4h
  energyKwh: 40.0
  deadline: {within: 30h}
  maxCost: {increase: 10%}
  maxCarbon: {reduction: 5%}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: greener, owners: [a@example.com]}
spec:
  match: [{name: m, expression: 'job.kind == "batch"'}]
  constraints:
  - {name: no-dearer, expression: 'candidate.cost_usd <= baseline.cost_usd * 1.1'}
  objectives: [{name: o, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce, rollout: {percent: 80, key: job.id}}
"""
SOURCES = (("p.yaml", POLICIES),)


def region(name, zone, pue, price):
    return Region(name, "aws", "EU", zone, pue, "test", {"ondemand": price}, 0.02, "test")


REGIONS = (
    region("one", "A", 1.2, 1.0),
    region("two", "B", 1.1, 1.05),
    region("three", "C", 1.3, 3.0),
    region("nowhere", None, 1.3, 0.5),
)


def values(seed, days=14):
    rng = np.random.default_rng(seed)
    return rng.uniform(20, 600, 24 * days).tolist()


GRID = FakeGrid(
    {"A": values(1), "B": values(2), "C": values(3)},
    {"A": values(4), "B": values(5), "C": values(6)},
)


def history(grid=GRID, days=6, max_age=timedelta(hours=36)):
    return history_of(grid, REGIONS, START, START + days * DAY, beyond=4 * DAY, max_age=max_age)


def fleet(count=60, seed=0, days=6):
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, days * 86_400, count)) * 1_000_000
    start = int(START.timestamp()) * 1_000_000
    return pa.table(
        {
            "workload": rng.choice(["etl", "train"], count),
            "submitted": pa.array(at + start).cast(pa.timestamp("us", "UTC")),
        }
    )


def one_by_one(runs, grid):
    """The sums by the planner of one run, and means of what was recorded."""
    policies = compile_policies(list(SOURCES))
    whole = dict.fromkeys(("baseline", "planned", "enforced", "usd"), 0.0)
    actual = {zone: grid.actual(zone, START, START + 10 * DAY) for zone in "ABC"}
    for row in runs.to_pylist():
        workload, now = policies.workloads[row["workload"]], row["submitted"]
        job = Job(f"{workload.name}/{now:%Y-%m-%dT%H:%M:%SZ}", workload, now)
        job = Job(job.id, workload, now, deadline_of(workload, now))
        options = [
            RegionOption(each, grid.forecast(each.zone, now) if each.zone else None)
            for each in REGIONS
        ]
        baseline, ways = batch_candidates(job, options, now)
        made = choose(job, baseline, ways, policies.judge(job, baseline, ways, now), now)
        for name, way in (
            ("baseline", made.baseline),
            ("planned", made.chosen),
            ("enforced", effective(made)),
        ):
            place = next(each for each in REGIONS if each.id == way.region)
            mean = mean_intensity(actual[place.zone], way.start, way.end)
            whole[name] += workload.energy_kwh * place.pue * mean
        whole["usd"] += made.chosen.cost_usd
    return whole


def sums(table):
    return {name: sum(table.column(name).to_pylist()) for name in SUMS}


def test_sums_are_those_of_one_decision_at_a_time():
    runs = fleet()
    found = sums(replay_fleet(runs, FleetReplay(history(), SOURCES)))
    expected = one_by_one(runs, GRID)

    assert found["runs"] == 60
    assert found["unknown"] == 0
    assert found["moved"] > 30
    assert 0 < found["held_out"] < 60
    for name in ("baseline", "planned", "enforced"):
        assert found[f"{name}_ug"] == pytest.approx(expected[name] * 1e6, abs=60)
    assert found["planned_uusd"] == pytest.approx(expected["usd"] * 1e6, abs=60)
    assert found["best_ug"] < found["planned_ug"]


def test_runs_keep_the_jitter_and_the_calendar_of_their_workloads():
    spread = POLICIES.replace(
        "  durationP95: 2h\n",
        "  durationP95: 2h\n  jitter: 20m\n  calendar: {timeZone: UTC, blackouts: [{from: '02:00', to: '04:00'}]}\n",
    )
    workloads = compile_policies([("p.yaml", spread)]).workloads
    runs = fleet(40, seed=9)

    table = planned_jobs(runs, workloads)

    jobs = [
        Job(each["job.id"], workloads[each["job.name"]], each["job.submitted"])
        for each in table.to_pylist()
    ]
    jobs = [Job(e.id, e.workload, e.submitted, deadline_of(e.workload, e.submitted)) for e in jobs]
    assert table.to_pylist() == fleet_jobs(jobs).to_pylist()
    assert len(set(table.column("phase").to_pylist())) > 5


@pytest.mark.parametrize("rows", [1, 7, 1_000])
def test_however_runs_are_shared_out_the_sums_are_equal(rows):
    replay, runs = FleetReplay(history(), SOURCES), fleet(40, seed=3)

    shared = added(map(replay, parts_of(runs, rows)))

    assert shared.equals(replay_fleet(runs, replay))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_processes_give_the_same_sums():
    replay, runs = FleetReplay(history(), SOURCES), fleet(40, seed=4)

    there = added(ProcessEngine(workers=2).run(replay, parts_of(runs, 10)))

    assert there.equals(replay_fleet(runs, replay))


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(120)
def test_ray_gives_the_same_sums():
    pytest.importorskip("ray", reason="no Ray; `pip install greenops-engine[ray]`")
    from greenops.adapters.ray_engine import RayEngine

    replay, runs = FleetReplay(history(), SOURCES), fleet(40, seed=5)
    engine = RayEngine(workers=2)
    try:
        there = added(engine.run(replay, parts_of(runs, 10)))
    finally:
        engine.close()

    assert there.equals(replay_fleet(runs, replay))


def test_what_is_foretold_later_changes_no_plan():
    runs = fleet(30, seed=6, days=3)
    other = {
        zone: values(seed)[: 24 * 3] + values(seed + 40)[24 * 3 :]
        for zone, seed in (("A", 4), ("B", 5), ("C", 6))
    }
    said = {zone: values(seed) for zone, seed in (("A", 4), ("B", 5), ("C", 6))}
    actual = {"A": values(1), "B": values(2), "C": values(3)}
    # Forecasts of one day each: those of the first three days are the same in both.
    grids = [FakeGrid(actual, each, length=DAY) for each in (said, other)]
    found = [
        replay_fleet(runs, FleetReplay(history(each, days=3), SOURCES, best=False))
        for each in grids
    ]

    assert found[0].equals(found[1])


def test_right_forecasts_capture_all_that_is_to_be_had():
    right = FakeGrid({"A": values(1), "B": values(2), "C": values(3)})
    made = replay_fleet(fleet(30, seed=7), FleetReplay(history(right), SOURCES))
    report = report_of(made, START, START + 6 * DAY, source="fake", best=True)

    assert report.total.captured == pytest.approx(1.0)
    assert report.total.foretold_g == report.total.planned_g
    assert report.total.runs == sum(each.runs for each in report.rows) == 30


def test_a_forecast_that_is_too_old_is_not_planned_on():
    seldom = FakeGrid({"A": values(1)}, every=3 * DAY)
    kept = history_of(
        seldom, REGIONS[:1], START, START + 6 * DAY, beyond=4 * DAY, max_age=timedelta(hours=36)
    )

    at = [kept.foretold(START + hours * HOUR)[0].forecast is None for hours in (0, 36, 37, 71, 72)]

    assert at == [False, False, True, True, False]
    assert START + 36 * HOUR + timedelta(microseconds=1) in kept.changes()


def test_a_run_that_ends_after_the_record_is_in_no_sum():
    short = FakeGrid({zone: values(at, days=6) for at, zone in enumerate("ABC")})
    kept = history_of(
        short, REGIONS, START, START + 6 * DAY, beyond=4 * DAY, max_age=timedelta(hours=36)
    )
    late = pa.table(
        {
            "workload": ["train", "train"],
            "submitted": pa.array(
                [START + 2 * DAY, START + 5 * DAY + 22 * HOUR], pa.timestamp("us", "UTC")
            ),
        }
    )
    found = sums(replay_fleet(late, FleetReplay(kept, SOURCES)))

    assert (found["runs"], found["unknown"]) == (2, 1)
    assert (
        found["baseline_ug"]
        == sums(replay_fleet(late[:1], FleetReplay(kept, SOURCES)))["baseline_ug"]
    )


def test_a_period_of_which_nothing_is_recorded_is_an_error():
    with pytest.raises(DataMissing, match="GO0303"):
        history_of(
            GRID, REGIONS, START - 9 * DAY, START - 8 * DAY, beyond=DAY, max_age=timedelta(hours=36)
        )


def test_schedules_make_the_runs_of_a_period_over_a_change_of_the_clock():
    workloads = compile_policies(list(SOURCES)).workloads
    start, end = datetime(2021, 11, 6, tzinfo=UTC), datetime(2021, 11, 9, tzinfo=UTC)

    runs, silent = scheduled_runs(workloads, start, end)

    assert silent == ("train",)
    assert [each.hour for each in runs.column("submitted").to_pylist()] == [8, 8, 9]
    assert runs.column("workload").to_pylist() == ["etl"] * 3


def test_runs_of_a_file_may_say_their_own_figures(tmp_path):
    path = tmp_path / "runs.parquet"
    runs = fleet(5, seed=8).append_column("duration_s", pa.array([60.0, None, 1e4, 5.0, 7.0]))
    pq.write_table(runs.append_column("energy_kwh", pa.array([1.0, 2.0, None, 0.0, 5.0])), path)
    workloads = compile_policies(list(SOURCES)).workloads

    jobs = planned_jobs(runs_of_file(path, workloads), workloads)

    names = runs.column("workload").to_pylist()
    declared = {"etl": (5_400.0, 3.0, 7_200.0), "train": (14_400.0, 40.0, 14_400.0)}
    assert jobs.column("job.duration_s").to_pylist() == [60.0, declared[names[1]][0], 1e4, 5.0, 7.0]
    assert jobs.column("job.energy_kwh").to_pylist() == [1.0, 2.0, declared[names[2]][1], 0.0, 5.0]
    longest = [each.total_seconds() for each in jobs.column("run_time").to_pylist()]
    assert longest == [60.0, declared[names[1]][2], 1e4, 5.0, 7.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workload\netl\n", "no column `submitted`; it has workload"),
        ("workload,submitted\netl,2021-10-08T08:00:00\n", "no instant with an offset"),
        ("workload,submitted\netl,soon\n", "no instant with an offset"),
        ("workload,submitted\netll,2021-10-08T08:00:00Z\n", "did you mean `etl`?"),
        ("workload,submitted,duration_s\netl,2021-10-08T08:00:00Z,-1\n", "`duration_s` -1.0"),
        ("workload,submitted,duration_s\netl,2021-10-08T08:00:00Z,0\n", "`duration_s` 0.0"),
        ("workload,submitted,duration_s\netl,2021-10-08T08:00:00Z,soon\n", "must be numbers"),
        ("workload,submitted,energy_kwh\netl,2021-10-08T08:00:00Z,inf\n", "`energy_kwh` inf"),
        ("", "cannot be read as runs"),
    ],
)
def test_a_file_of_runs_that_is_wrong_says_so_in_one_line(tmp_path, text, said):
    path = tmp_path / "runs.csv"
    path.write_text(text)

    with pytest.raises(InvalidFile, match="GO0690") as caught:
        runs_of_file(path, compile_policies(list(SOURCES)).workloads)

    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_period_without_a_run_is_an_error():
    with pytest.raises(UsageError, match="GO0691 no runs of `train`"):
        some_of(fleet(5).filter(pa.array([False] * 5)), START, None, "train")


def test_where_a_listed_issue_is_too_old_the_provider_is_asked_each_hour():
    class Later(FakeGrid):
        """Lists the issues of its first day only, and has others."""

        def issues(self, zone):
            return super().issues(zone)[:1]

    grid = Later({"A": values(1)})
    kept = history_of(
        grid, REGIONS[:1], START, START + 4 * DAY, beyond=4 * DAY, max_age=timedelta(hours=12)
    )

    assert [each.issued_at for each in kept.forecasts["A"]] == [START + at * DAY for at in range(4)]


def test_a_provider_that_cannot_list_its_issues_is_asked_each_hour():
    asked = SimpleNamespace(
        name="fake", zones=GRID.zones, actual=GRID.actual, forecast=GRID.forecast
    )

    assert history(asked).forecasts == history().forecasts


def test_a_run_that_was_submitted_too_late_is_late_with_a_plan_and_without():
    tight = POLICIES.replace("deadline: {within: 10h}", 'deadline: {at: "12:00", timeZone: UTC}')
    at = pa.array([START + 11 * HOUR, START + 13 * HOUR], pa.timestamp("us", "UTC"))
    runs = pa.table({"workload": ["etl", "etl"], "submitted": at})

    found = sums(replay_fleet(runs, FleetReplay(history(), (("p.yaml", tight),), best=False)))

    assert (found["late"], found["late_before"]) == (1, 1)
