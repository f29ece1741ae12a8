"""`greenops lake rollup|recompute|query|views` say in words what was made, and refuse what cannot be."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from greenops.adapters.factor_file import FactorFile
from greenops.cli.main import main
from greenops.domain.factors import FactorTable, RegionFactors
from greenops.grid.factors import version
from greenops.units import GramsPerKwh
from tests.unit.pipeline.rollup_lakes import DAY_ONE, Lake, random_spans, span

NOBODY = "s3://bucket/lake?scheme=http&endpoint_override=127.0.0.1:9"


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setenv("GREENOPS_STATE", str(tmp_path))
    made = Lake(tmp_path)
    hour = timedelta(hours=1)
    made.write(
        [
            span(1, DAY_ONE, energy_j=3.6e6, carbon_g=300.0, region="eu", method="measured"),
            span(2, DAY_ONE + hour, energy_j=1.8e6, region="eu", method="measured"),
            span(3, DAY_ONE + 2 * hour, service="other", unknown="no_meter"),
        ],
        "a",
    )
    return made


def table_file(path, **intensity):
    regions = {
        name: RegionFactors(name, "Z", 1.5, None, None, GramsPerKwh(value), "test")
        for name, value in intensity.items()
    }
    FactorFile(path).write(FactorTable(version(regions), regions))
    return str(path)


def test_a_roll_up_is_made_once(lake, capsys):
    assert main(["lake", "rollup"]) == 0
    assert main(["lake", "rollup", "--since", "2026-11-01"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "rolled up 3 spans of 3 hours in 1 day",
        "nothing new",
    ]


def test_days_before_the_first_are_left_alone(lake, capsys):
    assert main(["lake", "rollup", "--since", "2026-11-24"]) == 0

    assert capsys.readouterr().out == "nothing new\n"


def test_a_damaged_file_is_named_and_the_exit_says_so(lake, capsys):
    path = next((lake.folder / "v1" / "spans").glob("day=*/a.parquet"))
    path.write_bytes(b"PAR1")

    assert main(["lake", "rollup"]) == 3

    said = capsys.readouterr().err
    assert said.startswith("greenops: GO0412")
    assert str(path) in said


def test_carbon_is_told_before_and_after_and_energy_stays(lake, capsys, tmp_path):
    factors = table_file(tmp_path / "new.json", eu=200.0)
    main(["lake", "rollup"])
    before = lake.files()
    capsys.readouterr()

    assert main(["lake", "recompute", "--factors", factors, "--pue", "1.2", "-o", "json"]) == 0

    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows == [
        {
            "service": "shop", "energy_method": "measured", "intensity": "estimated",
            "energy_j": 5.4e6, "spans": 2, "before_g": 300.0, "spans_before": 1,
            "after_g": 360.0, "spans_after": 2,
        }
    ]  # fmt: skip
    assert lake.files() == before
    assert main(["lake", "recompute", "--factors", factors]) == 0
    assert "300 g of 1  450 g of 2" in " ".join(capsys.readouterr().out.split(" " * 3))


def test_a_query_answers_in_a_table_and_as_json(lake, capsys):
    main(["lake", "rollup"])
    capsys.readouterr()

    assert main(["lake", "query", "--by", "service,unknown", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["service"], each["unknown"], each["spans"]) for each in found] == [
        ("other", "no_meter", 1),
        ("shop", None, 2),
    ]
    period = "2026-11-23T00:00:00Z/2026-11-23T01:00:00Z"
    assert main(["lake", "query", "--period", period, "--step", "hour", "--top", "1"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["begins", "service", "spans"]
    assert "shop" in row
    assert "3.6e+06" in row
    assert main(["lake", "query", "--where", "service=shop", "--where", "model="]) == 0
    assert "shop" in capsys.readouterr().out


def test_a_lake_in_a_mounted_folder_is_rolled_up_there(lake, capsys):
    place = ["--lake", f"file://{lake.folder}"]

    assert main(["lake", "rollup", *place]) == 0
    assert main(["lake", "query", *place, "-o", "json"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("rolled up 3 spans")
    assert [each["spans"] for each in json.loads(said.partition("\n")[2])] == [1, 2]
    assert all("/rollups/" in name for name in lake.files())


def test_views_are_sql_that_duckdb_takes(lake, capsys):
    duckdb = pytest.importorskip("duckdb", reason="no DuckDB; `pip install duckdb`")
    rows = random_spans(random.Random(3), 50, first=100)
    lake.write(rows, "b")
    main(["lake", "rollup"])
    capsys.readouterr()

    assert main(["lake", "views"]) == 0

    with duckdb.connect() as connection:
        connection.execute(capsys.readouterr().out)
        for level in ("minute", "hour", "day"):
            found = connection.execute(f"SELECT sum(spans) FROM spans_by_{level}").fetchone()
            assert found == (53,)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["rollup", "--since", "soon"], 2, "GO0805 `--since soon` is no date"),
        (["recompute", "--period", "2026-11-01"], 2, "GO0805 `--period 2026-11-01` has no begin"),
        (["recompute"], 3, "GO0416 there are no roll-ups of that period"),
        (["recompute", "--factors", "/nowhere.json"], 2, "GO0417 /nowhere.json: no factor table"),
        (["query"], 3, "GO0416 there are no roll-ups"),
        (["query", "--by", "colour", "--period", "2026-11-01/2026-11-02"], 2, "GO0805 roll-ups kn"),
        (["query", "--where", "x", "--period", "2026-11-01/2026-11-02"], 2, "GO0805 `--where x`"),
        (["query", "--period", "2026-11-02/2026-11-01"], 2, "GO0805 the period ends before"),
        (["query", "--period", "2026-11-01T00:00:09Z/2026-11-02"], 2, "GO0805 roll-ups know whole"),
        (["rollup", "--engine", "none"], 2, "GO0802"),
        (["rollup", "--lake", "ftp://x"], 2, "GO0421"),
        (["rollup", "--lake", NOBODY], 4, "GO0420"),
        (["recompute", "--lake", NOBODY], 4, "GO0420"),
        (["query", "--lake", NOBODY, "--period", "2026-11-01/2026-11-02"], 4, "GO0420"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(lake, capsys, words, code, says):
    assert main(["lake", *words]) == code

    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("pue", ["0.9", "many"])
def test_a_pue_below_one_is_no_pue(lake, pue):
    with pytest.raises(SystemExit, match="2"):
        main(["lake", "recompute", "--pue", pue])
