"""Files of jobs: what a row may say, and that every fault names its row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet
import pytest

from greenops.adapters.shipped_grid import shipped_regions
from greenops.domain.batch_job import BatchJob, Site
from greenops.errors import InvalidFile
from greenops.grid.regions import RegionTable
from greenops.pipeline.batch_job_file import read_jobs

REGIONS = RegionTable.of(shipped_regions())
ZONES = ("DE", "CISO")
NOW = datetime(2021, 10, 8, 8, tzinfo=UTC)
HEAD = "id,zone,deadline,duration_s,power_kw"
ROW = "a,DE,2021-10-09T08:00:00Z,60,2"
PLAIN = BatchJob("a", "DE", "DE", 1.0, NOW, NOW + timedelta(days=1), 60, 2.0)


def read(tmp_path, text):
    path = tmp_path / "jobs.csv"
    path.write_text(text)
    return read_jobs(path, REGIONS, ZONES, NOW)


def test_a_row_with_the_least_that_a_job_needs_may_run_from_now_in_one_piece(tmp_path):
    assert read(tmp_path, f"{HEAD}\n{ROW}\n").jobs == (PLAIN,)


def test_a_row_that_says_all_is_read_whole(tmp_path):
    head = "id,region,earliest,deadline,duration_s,energy_kwh,interruptible,resume_s,least_chunk_s"
    row = "007,eu-central-1,2021-10-08T12:00:00+02:00,2021-10-09T08:00:00Z,1799.2,3,Yes,30,600"

    (job,) = read(tmp_path, f"{head}\n{row}\n").jobs

    region = REGIONS["eu-central-1"]
    assert (job.id, job.place, job.zone, job.pue) == ("007", region.id, region.zone, region.pue)
    assert job.earliest == NOW + timedelta(hours=2)
    assert (job.duration_s, job.power_kw) == (1800, 6.0)
    assert (job.interruptible, job.resume_s, job.least_chunk_s) == (True, 30, 600)


def test_other_regions_and_the_data_that_move_are_read_with_it(tmp_path):
    head = f"{HEAD},regions,transfer_gb".replace("zone", "region")
    row = f"{ROW},eu-north-1 eu-central-1 eu-north-1,2.5".replace("DE", "eu-central-1")

    (job,) = read(tmp_path, f"{head}\n{row}\n").jobs

    north = REGIONS["eu-north-1"]
    assert job.elsewhere == (Site(north.id, north.zone, north.pue),)
    assert job.transfer_gb == 2.5


def test_a_strange_other_region_names_the_nearest(tmp_path):
    with pytest.raises(InvalidFile, match=r"row 1: .*`eu-nort-1`.*`eu-north-1`"):
        read(tmp_path, f"{HEAD},regions\n{ROW},eu-nort-1\n")


def test_an_earliest_start_that_has_passed_is_now(tmp_path):
    text = f"{HEAD},earliest\n{ROW},2020-01-01T00:00:00Z\n"

    assert read(tmp_path, text).jobs == (PLAIN,)


def test_ids_that_look_like_numbers_are_words_also_where_others_wait_for_them(tmp_path):
    rows = "\n".join(f"{i}{ROW[1:]},{after}" for i, after in (("1", ""), ("2", ""), ("3", "1 2")))

    jobs = read(tmp_path, f"{HEAD},after\n{rows}\n").jobs

    assert [job.after for job in jobs] == [(), (), ("1", "2")]


def test_parquet_says_the_same_with_types(tmp_path):
    path = tmp_path / "jobs.parquet"
    whole = {
        "id": [1],
        "zone": ["DE"],
        "deadline": pa.array([PLAIN.deadline], pa.timestamp("us", "UTC")),
        "duration_s": [60],
        "power_kw": [2.0],
        "interruptible": [True],
        "resume_s": pa.array([None], pa.float64()),
    }
    pyarrow.parquet.write_table(pa.table(whole), path)

    assert read_jobs(path, REGIONS, ZONES, NOW).jobs == (
        replace(PLAIN, id="1", interruptible=True),
    )


def test_columns_that_mean_nothing_are_told(tmp_path):
    assert read(tmp_path, f"{HEAD},team\n{ROW},shop\n").unused == ("team",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,zone\n", "no column `deadline`; it has id, zone"),
        ("id,deadline,duration_s,power_kw\n", "neither `region` nor `zone`"),
        ("id,zone,deadline,duration_s\n", "neither `power_kw` nor `energy_kwh`"),
        (f"{HEAD},interuptible\n", "unknown column `interuptible`; did you mean `interruptible`?"),
        (f"{HEAD},id\n{ROW},b\n", "column `id` is there twice"),
        (f"{HEAD}\n,DE,2021-10-09T08:00:00Z,60,2\n", "row 1: no `id`"),
        (f"{HEAD}\n{ROW}\n{ROW}\n", "rows 1 and 2 both have the id `a`"),
        (
            f"{HEAD}\na,DEE,2021-10-09T08:00:00Z,60,2\n",
            "row 1: grid zone `DEE` is not known; did you",
        ),
        (
            f"{HEAD}\na,DE,2021-10-09T08:00:00,60,2\n",
            "row 1: `deadline` is `2021-10-09T08:00:00`, which has no",
        ),
        (f"{HEAD}\na,DE,tomorrow,60,2\n", "row 1: `deadline` is `tomorrow`, which is no instant"),
        (f"{HEAD}\na,DE,0001-01-01T00:00:00+10:00,60,2\n", "which is out of range"),
        (
            f"{HEAD}\na,DE,2021-10-09T08:00:00Z,0,2\n",
            "row 1: `duration_s` is `0`, which no job has",
        ),
        (f"{HEAD}\na,DE,2021-10-09T08:00:00Z,1e300,2\n", "row 1: `duration_s` is `1e300`"),
        (f"{HEAD}\na,DE,2021-10-09T08:00:00Z,60,nan\n", "row 1: `power_kw` is `nan`"),
        (
            f"{HEAD}\na,DE,2021-10-09T08:00:00Z,60,\n",
            "row 1: one of `power_kw` and `energy_kwh` is needed",
        ),
        (
            f"{HEAD},energy_kwh\n{ROW},1\n",
            "row 1: one of `power_kw` and `energy_kwh` is needed, and not both",
        ),
        (f"{HEAD},interruptible\n{ROW},maybe\n", "row 1: `interruptible` is `maybe`"),
        (
            f"{HEAD},resume_s\n{ROW},5\n",
            "row 1: `resume_s` and `least_chunk_s` are of a job that is",
        ),
        (f"{HEAD},after\n{ROW},bb\n", "row 1: `after` names `bb`, which is no id of the file"),
        (f"{HEAD},after\n{ROW},b\nb{ROW[1:]},a\n", "jobs wait for each other in a circle: "),
        (f"{HEAD}\n{ROW},5,6\n", "cannot be read as jobs: "),
        ("", "cannot be read as jobs: "),
    ],
)
def test_what_is_wrong_is_one_line_with_its_row(tmp_path, text, said):
    with pytest.raises(InvalidFile, match="GO0695") as told:
        read(tmp_path, text)

    assert said in str(told.value)


def test_a_region_that_is_not_known_names_the_nearest(tmp_path):
    with pytest.raises(InvalidFile, match="did you mean `eu-central-1`"):
        read(
            tmp_path,
            "id,region,deadline,duration_s,power_kw\na,eu-central1,2021-10-09T08:00:00Z,1,1\n",
        )
