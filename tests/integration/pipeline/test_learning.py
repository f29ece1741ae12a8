"""A workload that declares no numbers is planned by those of its earlier runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.lake_runs import measured_runs
from greenops.adapters.local_process import RunFolder
from greenops.adapters.parquet_lake import ParquetLake
from greenops.cli.decisions import explain
from greenops.domain.console import JobRequest
from greenops.domain.record import canonical
from greenops.domain.run import RunReceipt
from greenops.domain.spans import SpanRow
from greenops.errors import UsageError
from greenops.pipeline.decide import decide_again
from greenops.pipeline.learning import Learning
from greenops.units import Joules
from tests.integration.pipeline.test_replanning import FILE, KEY, NIGHT, House

UNDECLARED = FILE.replace("  duration: 1h\n  energyKwh: 2\n", "")


def span(run, name, minutes, energy, *, key=True, parent=None, **told):
    begins = NIGHT - timedelta(days=30 - run)
    attributes = {"cicd.pipeline.run.id": f'"night/{run}"'} if key else {}
    return SpanRow(
        trace_id=f"t{run}",
        span_id=f"{run}-{name}",
        parent_id=parent,
        service="night",
        instance="i",
        workload="night",
        name=name,
        kind="SERVER",
        start=begins,
        end=begins + timedelta(minutes=minutes),
        time=begins + timedelta(minutes=minutes),
        energy_j=None if energy is None else Joules(energy),
        energy_low_j=None,
        energy_high_j=None,
        carbon_g=None,
        cost_usd=None,
        method="measured",
        unknown=None,
        region="eu-central-1",
        grid_zone="DE",
        decision_id=None,
        attributes={**attributes, **told},
    )


def remember(state, runs=24):
    lake = ParquetLake(state / "lake")
    rows = []
    for run in range(runs):
        rows.append(span(run, "root", 60 + run, 1.8e6))
        rows.append(span(run, "part", 10, 1.8e6, key=False, parent=f"{run}-root"))
    lake.write_spans(rows)
    lake.write_spans(rows[:1])  # The same span once more counts once.
    return lake


def decide(house):
    return house.decider.decide(JobRequest("night", KEY, NIGHT, triggered=True))


def teach(house):
    object.__setattr__(house.decider, "learned", Learning(house.settings.state, house.clock))
    return house


@pytest.mark.feature("C6")
def test_without_numbers_and_runs_there_is_no_plan_and_with_runs_there_is(tmp_path):
    house = teach(House(tmp_path, UNDECLARED))
    with pytest.raises(UsageError, match="no run time"):
        decide(house)
    remember(tmp_path)

    record = decide(teach(house))

    workload = record.job.workload
    assert (workload.duration_s, workload.duration_p95_s) == (71.5 * 60, 83 * 60)
    assert workload.energy_kwh == pytest.approx(1.0)
    assert record.decision.latest_safe_start == NIGHT + timedelta(hours=12, minutes=-83)
    assert canonical(decide_again(record, house.policies)) == canonical(record.decision)
    text = explain(record)
    assert "learned        P95 run time 1.38 h, rank 24 of 24 runs" in text
    assert "learned        energy 1 kWh, 1 kWh to 1 kWh, rank 24 of 24 runs" in text
    house.close()


def test_declared_numbers_are_not_learned(tmp_path):
    house = teach(House(tmp_path, FILE.replace("duration: 1h", "durationP95: 1h")))
    remember(tmp_path)

    record = decide(house)

    assert record.job.learned is None
    assert record.job.workload.energy_kwh == 2
    house.close()


def test_runs_that_failed_by_their_spans_or_their_holder_do_not_teach(tmp_path):
    lake = remember(tmp_path, 5)
    lake.write_spans(
        [
            span(5, "root", 1, 1.0, **{"error.type": '"OSError"'}),
            span(6, "root", 1, 1.0, **{"cicd.pipeline.result": '"failure"'}),
            span(7, "root", 1, 1.0, **{"cicd.pipeline.result": '"success"'}),
        ]
    )
    ended = RunReceipt("night/0", "night", NIGHT, on_time=True, ended_at=NIGHT, exit_code=3)
    RunFolder(tmp_path, "night/0").keep_receipt(ended)
    house = House(tmp_path)

    found = measured_runs(tmp_path, "night", datetime(2021, 1, 1, tzinfo=UTC).date())
    learned = Learning(tmp_path, house.clock)("night")

    assert {each.run_key: each.failed for each in found} == {
        **{f"night/{run}": False for run in (0, 1, 2, 3, 4, 7)},
        "night/5": True,
        "night/6": True,
    }
    assert learned.duration.runs == 5
    house.close()


def test_what_is_remembered_stands_for_a_while_and_a_damaged_lake_teaches_what_is_left(tmp_path):
    house = House(tmp_path)
    learning = Learning(tmp_path, house.clock)
    remember(tmp_path, 6)
    broken = next((tmp_path / "lake/v1/spans").glob("day=*/*.parquet"))
    broken.write_bytes(b"no parquet")

    first = learning("night")
    remember(tmp_path, 10)

    assert first.duration.runs == 5
    assert learning("night") is first
    house.clock.advance(timedelta(minutes=11))
    assert learning("night").duration.runs > 5
    house.close()
