"""Recorded decisions in columns: whole jobs, the baseline first, whatever files they lie in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from greenops.adapters.lake_history import LakeHistory
from greenops.adapters.parquet_lake import DECISIONS, ParquetLake
from greenops.domain.console import DecisionRecord
from greenops.domain.decision import Candidate, Judgement
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.errors import DataMissing
from greenops.plan.choice import choose

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
WORKLOAD = Workload("etl", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu", team="data")


def record(name, others, *, now=NOW, job=True):
    of = Job(name, WORKLOAD, now)
    places = [
        Candidate("baseline", region="eu", carbon_g=100.0),
        *(Candidate(f"{name}-{at}", region="eu", carbon_g=float(at)) for at in range(others)),
    ]
    judgement = Judgement((), (), Limits(), "0")
    made = choose(of, places[0], places[1:], judgement, now)
    made = replace(made, chosen=places[-1])
    return DecisionRecord(made, tuple(places), (), {}, job=of if job else None)


def read(folder, columns=("carbon_g",), rows=1):
    history = LakeHistory(folder)
    return list(history.batches(history.days(), columns, rows))


def jobs_of(batches):
    """Job → carbon of its candidates, over all batches."""
    found = {}
    for batch in batches:
        names = batch.decisions.column("job_id").to_pylist()
        for row in batch.candidates.to_pylist():
            found.setdefault(names[row["job"]], []).append(row["carbon_g"])
    return found


@pytest.fixture
def lake(tmp_path):
    lake = ParquetLake(tmp_path)
    for name, others in (("a", 3), ("b", 0), ("c", 5)):
        lake.write_decision(record(name, others))
    lake.write_decision(record("d", 2, now=NOW + timedelta(days=1)))
    return tmp_path


EXPECTED = {
    "a": [100.0, 0.0, 1.0, 2.0],
    "b": [100.0],
    "c": [100.0, 0.0, 1.0, 2.0, 3.0, 4.0],
    "d": [100.0, 0.0, 1.0],
}


def packed(folder, *, group):
    """One file a day in place of one a decision."""
    for table in ("candidates", "decisions"):
        for day in (folder / "v1" / table).iterdir():
            files = sorted(day.iterdir())
            whole = pa.concat_tables([pq.read_table(each) for each in files]).unify_dictionaries()
            for each in files:
                each.unlink()
            pq.write_table(whole, day / "packed.parquet", row_group_size=group)


@pytest.mark.parametrize("rows", [1, 5, 1_000])
def test_every_candidate_of_a_job_comes_once_and_in_order(lake, rows):
    assert jobs_of(read(lake, rows=rows)) == EXPECTED


@pytest.mark.parametrize("group", [1, 2, 3, 4, 100])
@pytest.mark.parametrize("rows", [1, 5, 1_000])
def test_a_job_is_whole_where_row_groups_cut_it(lake, group, rows):
    packed(lake, group=group)

    assert jobs_of(read(lake, rows=rows)) == EXPECTED


def test_the_place_of_the_choice_is_told(lake):
    chosen = {
        job: place
        for batch in read(lake)
        for job, place in zip(
            batch.decisions.column("job_id").to_pylist(),
            batch.decisions.column("chosen").to_pylist(),
            strict=True,
        )
    }

    assert chosen == {"a": 3, "b": 0, "c": 5, "d": 2}


def test_files_of_earlier_versions_are_read_from_their_records(lake):
    new = [each.decisions for each in read(lake, rows=1_000)]
    for path in (lake / "v1" / "decisions").glob("*/*.parquet"):
        pq.write_table(pq.read_table(path).select(DECISIONS.names[:5]), path)

    old = [each.decisions for each in read(lake, rows=1_000)]

    assert [each.to_pylist() for each in old] == [each.to_pylist() for each in new]


def test_candidates_without_their_decision_are_left_out_and_counted(lake):
    packed(lake, group=4)
    day = lake / "v1" / "decisions" / f"day={NOW.date().isoformat()}" / "packed.parquet"
    whole = pq.read_table(day)
    pq.write_table(whole.filter(pa.array(np.array(whole["job_id"].to_pylist()) != "c")), day)

    batches = read(lake, rows=1_000)

    assert jobs_of(batches) == {name: each for name, each in EXPECTED.items() if name != "c"}
    assert sum(each.orphans for each in batches) == 6


def test_a_record_without_its_job_is_left_out(tmp_path):
    ParquetLake(tmp_path).write_decision(record("a", 2, job=False))

    (batch,) = read(tmp_path)

    assert batch.decisions.num_rows == 0
    assert batch.orphans == 3


@pytest.mark.parametrize("orphans", [False, True])
def test_what_was_not_read_at_first_can_be_read_later(lake, orphans):
    packed(lake, group=2)
    if orphans:
        day = lake / "v1" / "decisions" / f"day={NOW.date().isoformat()}" / "packed.parquet"
        whole = pq.read_table(day)
        pq.write_table(whole.filter(pa.array(np.array(whole["job_id"].to_pylist()) != "b")), day)

    batch = read(lake, rows=1_000)[0]
    names = batch.decisions.column("job_id").to_pylist()
    job = batch.candidates.column("job").to_numpy()

    for at, name in enumerate(names):
        rows = np.flatnonzero(job == at)
        ids = ["baseline", *(f"{name}-{each}" for each in range(len(rows) - 1))]
        assert batch.source.column("id").take(pa.array(rows)).to_pylist() == ids
        told = batch.source.rows(int(rows[0]), len(rows))
        assert [each["id"] for each in told] == ids
        assert Candidate(**told[0]).region == "eu"


def test_a_damaged_file_is_named(lake):
    path = next((lake / "v1" / "candidates").glob("*/*.parquet"))
    path.write_bytes(b"PAR1 not a file PAR1")

    with pytest.raises(DataMissing, match=path.name):
        read(lake)


def test_an_empty_lake_has_no_days(tmp_path):
    assert LakeHistory(tmp_path).days() == ()
