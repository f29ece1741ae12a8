"""A plan of many runs at once: each row is what the planner decides for that run alone."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from greenops.config import Settings
from greenops.domain.console import JobRequest
from greenops.domain.decision import Mode
from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.domain.workload import (
    Blackout,
    Calendar,
    ClockTime,
    Job,
    Limits,
    Urgency,
    Workload,
    WorkloadKind,
)
from greenops.errors import DataMissing, UsageError
from greenops.grid.regions import RegionTable
from greenops.pipeline import fleet_plan
from greenops.pipeline.decide import Decider
from greenops.pipeline.fleet_plan import SHOWN, fleet_jobs, plan_in_parts, plan_jobs
from greenops.pipeline.grid_context import GridContext
from greenops.plan.candidates import LOCAL
from greenops.plan.guard import deadline_of
from greenops.policy import compile_policies
from greenops.testing.clock import FakeClock

ROOT = Path(__file__).parents[3] / "policies"
SHIPPED = sorted(ROOT.rglob("*.yaml"))
NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
RULES = """
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: batch, owners: [a@example.com]}
spec:
  match: [{name: batch, expression: 'job.kind == "batch" && job.team != "free"'}]
  limits: {maxCost: {increase: 60%}}
  constraints:
  - {name: clean, level: advisory, expression: candidate.intensity < 200.0}
  - {name: known, level: soft, expression: has(candidate.carbon_g)}
  objectives:
  - name: cleaner
    when: candidate.carbon_high_g < baseline.carbon_high_g
    minimize: candidate.carbon_g
    tieBreak: candidate.cost_usd
  - {name: cheaper, when: candidate.cost_usd < baseline.cost_usd, minimize: candidate.cost_usd}
  - {name: even, minimize: "1.0"}
  exceptions:
  - id: X-1
    reason: the quarter closes
    approvedBy: [boss@example.com]
    notBefore: "2026-11-20T00:00:00Z"
    expires: "2026-11-28T00:00:00Z"
    match: 'job.team == "urgent"'
    effect: {runNow: true, waive: [known]}
  onError: Reject
  enforcement: {mode: enforce, rollout: {percent: 50, key: job.id}}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: dear, owners: [d@example.com]}
spec:
  match: [{name: dear, expression: baseline.cost_usd > 1.5 && has(baseline.zone)}]
  limits: {deadline: {within: 5h}}
  onError: Reject
  enforcement: {mode: enforce}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: rival, owners: [b@example.com]}
spec:
  match: [{name: data, expression: 'job.urgency != "interactive" && has(job.data_class)'}]
  objectives: [{name: cheapest, minimize: candidate.cost_usd}]
  constraints:
  - {name: young, level: hard, expression: candidate.forecast_age_s < 7200.0 && candidate.transfer_gb < 6.0}
  onError: Reject
  enforcement: {mode: shadow, rollout: {percent: 60}}
---
apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: above, owners: [c@example.com]}
spec:
  priority: 5
  match: [{name: personal, expression: 'job.data_class == "personal"'}]
  constraints:
  - {name: at-home, level: hard, expression: candidate.location == baseline.location}
  objectives:
  - name: spot
    when: candidate.pool == "spot" && candidate.id != "south/spot/2026-11-23T18:00Z"
    minimize: candidate.intensity
  - {name: soon, minimize: double(candidate.start.getHours())}
  onError: Reject
  enforcement: {mode: enforce}
"""


@cache
def own_rules():
    return compile_policies([("batch.yaml", RULES)])


@cache
def shipped():
    return compile_policies([(each.name, each.read_text()) for each in SHIPPED])


TEAMS = {
    "cleaner-within": "data",
    "cheaper-unless": "ml",
    "threshold": "devex",
    "run-budget": "urgent",
    "freshness": "free",
    "residency": "data, ml",
}


@cache
def templates():
    """The templates, meant for the teams that they meet here."""
    return compile_policies(
        [
            (
                name,
                (ROOT / "templates" / f"{name}.yaml")
                .read_text()
                .replace(f"[template-{name}]", f"[{teams}]"),
            )
            for name, teams in TEAMS.items()
        ]
    )


@cache
def nothing():
    return compile_policies([])


@dataclass
class Foretold:
    """A provider of what a test made up."""

    forecasts: dict[str, Forecast]
    name: str = "made up"

    def actual(self, zone, start, end):
        raise DataMissing("GO0302", f"nothing is recorded of {zone}")

    def forecast(self, zone, at):
        if zone not in self.forecasts:
            raise DataMissing("GO0302", f"no forecast for {zone}")
        return self.forecasts[zone]


def region(name, pools, location="EU", zone=None, pue=1.2):
    zone = zone or name.upper()
    return Region(name, "aws", location, zone, pue, "test", pools, 0.02, "test")


REGIONS = (
    region("east", {"ondemand": 0.1, "spot": 0.04}, pue=1.13),
    region("north", {"ondemand": 0.12}, "CH", zone="EAST"),
    region("south", {"ondemand": 0.1, "spot": 0.05}),
    region("west", {"spot": 0.03}, "US"),
    region("nowhere", {}),
)


def some(*values):
    """One of them, or now and then nothing."""
    return st.sampled_from([*values, *values, *values, None])


VALUES = st.lists(
    st.sampled_from([None, 50.0, 100.0, 100.0, 123.456, 299.99, 400.0, 1 / 3]),
    min_size=12,
    max_size=20,
)


@st.composite
def forecasts(draw):
    found = {}
    for zone in ("EAST", "SOUTH", "WEST"):
        values = draw(st.one_of(VALUES, st.just([100.0] * 20), st.none()))
        if values is None:
            continue
        ranged = draw(st.booleans())
        found[zone] = Forecast(
            zone,
            KIND,
            NOW - timedelta(hours=draw(st.sampled_from([0, 2]))),
            timedelta(minutes=draw(st.sampled_from([30, 60]))),
            tuple(values),
            issued_at=NOW - timedelta(hours=draw(st.sampled_from([1, 3]))),
            id=zone,
            error=draw(some(0.1, 1.5)),
            low=tuple(None if v is None else v * 0.8 for v in values) if ranged else None,
            high=tuple(None if v is None else v * 1.3 for v in values) if ranged else None,
        )
    return found


LIMITS = st.builds(
    Limits,
    deadline_within=some(6 * HOUR, 9 * HOUR, 30 * HOUR, HOUR),
    deadline_at=some(ClockTime(time(6), "Europe/Paris")),
    max_cost_usd=some(1.15),
    max_cost_increase=st.sampled_from([None, None, 0.5]),
    max_carbon_reduction=st.sampled_from([None, None, 0.05]),
    max_intensity=st.sampled_from([None, None, 350.0]),
)
CALENDARS = (
    Calendar(
        "Europe/Berlin",
        holidays=(date(2026, 11, 24),),
        blackouts=(Blackout(time(20), time(22, 15)), Blackout(time(1), time(3), days=(1, 2))),
    ),
    Calendar("UTC", blackouts=(Blackout(time(12), time(19)), Blackout(time(23), time(2)))),
    Calendar("UTC", blackouts=(Blackout(time(17), time(17)),)),
)
NAMES = [each.id for each in REGIONS]
LONGER = (1800.0, 3600.0, 5400.0, 1234.5, 4 * 3600.0)
WORKLOADS = st.builds(
    Workload,
    name=st.sampled_from(["w", "fraud-retrain-eu", "etl"]),
    kind=st.just(WorkloadKind.BATCH),
    urgency=st.sampled_from([Urgency.INTERACTIVE, Urgency.DEFERRABLE, Urgency.BREAK_GLASS]),
    home_region=st.sampled_from(NAMES),
    allowed_regions=st.sampled_from([(), ("east",), ("east", "west"), tuple(NAMES)]),
    team=some("urgent", "free", "data", "devex", "ml", "data-platform"),
    data_class=some("personal", "internal", "secret"),
    contains_personal_data=some(True, False),
    duration_s=some(*LONGER),
    duration_p95_s=st.sampled_from(LONGER),
    energy_kwh=some(0.1, 2.0, 17.3),
    transfer_gb=some(0.0, 5.0, 10.0),
    limits=LIMITS,
    schedule=some(ClockTime(time(19, 30), "Europe/Berlin")),
    target=st.sampled_from([None, None, LOCAL, "airflow"]),
    labels=st.sampled_from([{}, {"tier": "gold"}]),
    calendar=st.sampled_from([None, None, *CALENDARS]),
    jitter=st.sampled_from([None, None, timedelta(minutes=20)]),
)
SUBMITTED = st.sampled_from(
    [timedelta(0), timedelta(0), -HOUR, -4 * HOUR, HOUR / 2, timedelta(minutes=7, seconds=3)]
)
SETS = [own_rules, shipped, templates, nothing]
CLOSE = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def deciding(policies, foretold, now):
    grid = GridContext(Foretold(foretold), RegionTable.of(REGIONS), {})
    return Decider(Settings(careful_slack_s=0.0), FakeClock(now), policies, grid)


def asked(workloads, submitted):
    """Policies' workloads by a name of their own, and a request for a run of each."""
    named = {f"{each.name}-{at}": each for at, each in enumerate(workloads)}
    known = {name: replace(each, name=name) for name, each in named.items()}
    requests = [
        JobRequest(name, f"{name}/1", NOW + late)
        for name, late in zip(named, submitted, strict=True)
    ]
    return known, requests


STEMS = {
    "run-now": "runs now: exception",
    "no-slack": "starts without further delay: its slack is gone",
    "no-policy": "stays as it is: no policy applies to it",
    "no-other-way": "stays as it is: there is no other way to run it",
    "no-objective": "stays as it is: no policy that applies has an objective",
    "best": "stays as it is: none of ",
    "waits": "waits from ",
    "takes": "takes ",
}


def tells(code, sentence):
    """Does a code stand for a sentence?"""
    if code == "refused":
        return sentence.startswith("stays as it is: ") and " refuses " in sentence
    if code in {"moves", "moves-and-waits"}:
        waits = " and waits from " in sentence
        return sentence.startswith("moves from ") and waits == (code == "moves-and-waits")
    return sentence.startswith(STEMS[code])


def assert_as_decided(record, row):
    made, judged = record.decision, record.verdicts
    own = next(v for v in judged if v.candidate == made.chosen.id)
    assert row["job.id"] == made.job_id
    for side in ("chosen", "baseline"):
        wanted = {name: getattr(getattr(made, side), name) for name in SHOWN}
        assert {name: row[f"{side}.{name}"] for name in SHOWN} == wanted
    assert row["deadline"] == made.deadline
    assert row["foretold"] == bool(made.forecast_ids)
    assert row["ways"] == len(record.candidates) - 1
    assert row["allowed"] == sum(each.allowed for each in judged[1:])
    assert row["objective"] == made.objective
    assert row["score"] == (None if own.score is None else own.score[0])
    assert (row["mode"], row["held_out"]) == (made.mode.value, made.held_out)
    assert row["moves"] == (made.mode is Mode.ENFORCE and not made.held_out)
    assert row["run_now"] == made.reason.startswith("runs now")
    assert row["noncompliant_baseline"] == made.noncompliant_baseline
    assert tells(row["reason"], made.reason), (row["reason"], made.reason)


def compared(policies, workloads, submitted, foretold, now=NOW, **how):
    known, requests = asked(workloads, submitted)
    policies = replace(policies, workloads=known)
    decider = deciding(policies, foretold, now)
    bounded = [decider.job(each, max(now, each.submitted)) for each in requests]
    # As the workload says, without what the policies add: that is the plan's to find.
    jobs = [replace(e, deadline=deadline_of(e.workload, e.submitted)) for e in bounded]

    rows = plan_jobs(fleet_jobs(jobs), decider.options(now), policies, now, **how).to_pylist()

    for request, row in zip(requests, rows, strict=True):
        assert_as_decided(decider.decide(request), row)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("policies", SETS, ids=[each.__name__ for each in SETS])
@CLOSE
@given(
    workloads=st.lists(WORKLOADS, min_size=1, max_size=5),
    foretold=forecasts(),
    data=st.data(),
)
def test_each_row_is_what_the_planner_decides_for_that_run_alone(
    policies, workloads, foretold, data
):
    submitted = [data.draw(SUBMITTED) for _ in workloads]
    cells = data.draw(st.sampled_from([1, 150, 2**18]))

    compared(policies(), workloads, submitted, foretold, cells=cells)


FORETOLD = Forecast(
    "EAST",
    KIND,
    NOW,
    HOUR,
    (300.0, 100.0, 200.0, *[400.0] * 20),
    issued_at=NOW,
    id="EAST",
    error=0.1,
)
WORK = Workload(
    "etl",
    WorkloadKind.BATCH,
    Urgency.DEFERRABLE,
    "east",
    team="data",
    duration_p95_s=3600.0,
    energy_kwh=2.0,
    limits=Limits(deadline_within=8 * HOUR),
)
NORTH = {"home_region": "north", "allowed_regions": ("east", "north"), "transfer_gb": 1.0}


@pytest.mark.parametrize(
    ("policies", "facts", "late", "code"),
    [
        (own_rules, {"team": "urgent"}, timedelta(0), "run-now"),
        (own_rules, {}, -8 * HOUR, "no-slack"),
        (nothing, {}, timedelta(0), "no-policy"),
        (nothing, {"team": "free", "duration_p95_s": 8 * 3600.0}, timedelta(0), "no-policy"),
        (templates, {"limits": Limits(), "target": LOCAL}, timedelta(0), "no-other-way"),
        (own_rules, {"limits": Limits(HOUR * 8, max_intensity=20.0)}, timedelta(0), "refused"),
        (own_rules, {"data_class": "internal"}, timedelta(0), "no-objective"),
        (own_rules, {"urgency": Urgency.INTERACTIVE}, timedelta(0), "takes"),
        (own_rules, {"target": LOCAL}, timedelta(0), "waits"),
        (templates, {"limits": Limits(), **NORTH}, timedelta(0), "moves"),
        (templates, NORTH, timedelta(0), "moves-and-waits"),
    ],
)
def test_a_code_says_why(policies, facts, late, code):
    [row] = compared(policies(), [replace(WORK, **facts)], [late], {"EAST": FORETOLD})

    assert row["reason"] == code


def test_of_equal_scores_what_stays_wins_then_the_earliest_then_the_name():
    flat = replace(FORETOLD, values=(100.0,) * 23, error=None)

    rows = compared(
        own_rules(), [replace(WORK, target=LOCAL)] * 2, [timedelta(0), -HOUR], {"EAST": flat}
    )

    assert [row["chosen.start"] for row in rows] == [NOW, NOW - HOUR]
    assert [row["reason"] for row in rows] == ["best", "best"]


def test_a_baseline_that_wins_is_best_though_rules_refuse_other_ways():
    flat = replace(FORETOLD, values=(100.0, 100.0, 400.0, *[100.0] * 20), error=None)
    work = replace(WORK, target=LOCAL, limits=Limits(8 * HOUR, max_intensity=350.0))

    [row] = compared(own_rules(), [work], [timedelta(0)], {"EAST": flat})

    assert row["allowed"] < row["ways"]
    assert row["reason"] == "best"


def test_a_calendar_that_makes_a_run_late_leaves_it_the_places_of_its_first_open_instant():
    closed = Calendar("UTC", blackouts=(Blackout(time(12), time(19)),))
    work = replace(
        WORK,
        calendar=closed,
        duration_s=1200.0,
        duration_p95_s=4 * 3600.0,
        limits=Limits(HOUR * 5 / 2),
        **NORTH,
    )

    # Without a range: a run whose P95 would be late is weighed by its upper bound, which no plan does.
    foretold = replace(FORETOLD, error=None)

    [row] = compared(templates(), [work], [timedelta(0)], {"EAST": foretold})

    assert row["chosen.start"] == row["baseline.start"] == NOW + 2 * HOUR
    assert row["reason"] == "moves"


def test_no_runs_make_an_empty_plan_with_all_columns():
    options = deciding(own_rules(), {}, NOW).options(NOW)
    one = fleet_jobs([Job("etl/1", WORK, NOW)])

    empty = plan_jobs(one.slice(0, 0), options, own_rules(), NOW)

    assert empty.num_rows == 0
    assert empty.schema.names == plan_jobs(one, options, own_rules(), NOW).schema.names


def test_a_table_needs_few_columns_and_brings_no_baseline_of_its_own():
    options = deciding(templates(), {"EAST": FORETOLD}, NOW).options(NOW)
    whole = fleet_jobs([Job("etl/1", replace(WORK, target=LOCAL), NOW, NOW + 8 * HOUR)])
    needed = ("id", "name", "kind", "home_region", "submitted")
    few = whole.select([*(f"job.{name}" for name in needed), "run_time", "limits.deadline"])
    stale = whole.append_column("baseline.carbon_g", pa.array([1.0]))

    [bare] = plan_jobs(few, options, templates(), NOW).to_pylist()
    told, again = (plan_jobs(e, options, templates(), NOW).to_pylist() for e in (whole, stale))

    assert (bare["chosen.region"], bare["chosen.carbon_g"]) == ("east", None)
    assert bare["chosen.intensity"] == 300.0
    assert told == again
    assert told[0]["reason"] == "waits"


def test_a_long_table_is_planned_in_parts_in_its_order(monkeypatch):
    monkeypatch.setattr(fleet_plan, "JOBS", 7)
    options = deciding(own_rules(), {"EAST": FORETOLD}, NOW).options(NOW)
    teams = ["data", "urgent", "free"]
    jobs = [
        Job(f"etl/{at}", replace(WORK, team=teams[at % 3]), NOW, NOW + (2 + at % 5) * HOUR)
        for at in range(30)
    ]

    whole = plan_jobs(fleet_jobs(jobs), options, own_rules(), NOW)

    assert whole.column("job.id").to_pylist() == [each.id for each in jobs]
    assert whole.column("run_now").to_pylist() == [each.workload.team == "urgent" for each in jobs]
    parts = list(plan_in_parts(fleet_jobs(jobs), options, own_rules(), NOW))
    assert [each.num_rows for each in parts] == [7, 7, 7, 7, 2]
    assert [row for each in parts for row in each.to_pylist()] == whole.to_pylist()


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"kind": WorkloadKind.INFERENCE}, "it is no batch workload"),
        ({"duration_p95_s": None}, "no run time"),
        ({"home_region": "eats"}, "unknown region `eats`"),
    ],
)
def test_a_run_that_cannot_be_planned_is_named(facts, why):
    options = deciding(own_rules(), {}, NOW).options(NOW)
    jobs = [Job("a/1", WORK, NOW), Job("b/1", replace(WORK, name="b", **facts), NOW)]

    with pytest.raises(UsageError, match=f"`b` cannot be planned: {why}"):
        plan_jobs(fleet_jobs(jobs), options, own_rules(), NOW)


@pytest.mark.feature("B1", "B2", "C6")
def test_of_ten_thousand_runs_none_is_late_and_no_personal_data_leaves_where_it_may_be():
    rng = random.Random(11)
    abroad = tuple(NAMES[:4])
    jobs = []
    for at in range(10_000):
        length = float(rng.choice([600, 3600, 5400, 4 * 3600]))
        work = replace(
            WORK,
            home_region=rng.choice(NAMES[:3]),
            allowed_regions=abroad,
            data_class=rng.choice(["personal", "internal"]),
            contains_personal_data=False,
            duration_s=length,
            duration_p95_s=length,
            transfer_gb=0.0,
        )
        slack = timedelta(seconds=rng.randrange(12 * 3600))
        end = NOW + timedelta(seconds=length) + slack
        jobs.append(Job(f"etl/{at}", work, NOW, end))
    flat = replace(FORETOLD, zone="WEST", values=(1.0,) * 23, id="WEST")
    decider = deciding(templates(), {"EAST": FORETOLD, "SOUTH": FORETOLD, "WEST": flat}, NOW)

    rows = plan_jobs(fleet_jobs(jobs), decider.options(NOW), templates(), NOW).to_pylist()

    assert all(row["chosen.end"] <= job.deadline for row, job in zip(rows, jobs, strict=True))
    bound = [job.workload.data_class == "personal" for job in jobs]
    went = {row["chosen.region"] for row, here in zip(rows, bound, strict=True) if here}
    # The west is cheapest and cleanest by far, and not in the EU.
    assert went <= {"east", "north", "south"}
    assert "west" in {row["chosen.region"] for row in rows}


def peak(jobs, options, cells):
    """Most memory that numpy takes at once for a plan [bytes]; Arrow's own is what the runs take."""
    tracemalloc.start()
    try:
        plan_jobs(jobs, options, own_rules(), NOW, cells=cells)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_with_the_cells_allowed_and_hardly_with_the_runs():
    options = deciding(own_rules(), {"EAST": FORETOLD}, NOW).options(NOW)
    work = replace(WORK, team="data", allowed_regions=tuple(NAMES))
    jobs = fleet_jobs([Job(f"etl/{at}", work, NOW, NOW + 40 * HOUR) for at in range(1_200)])
    cells = 2**13
    peak(jobs.slice(0, 300), options, cells)  # what is read once

    few, many = peak(jobs.slice(0, 300), options, cells), peak(jobs, options, cells)

    # 300 runs have 19,000 ways, 1,200 have 77,000. A rule here asks for the name of every way, which
    # takes more than all its numbers; a run's own row takes a kilobyte or two.
    assert few < 400 * cells
    assert many < few + 900 * 1_000
