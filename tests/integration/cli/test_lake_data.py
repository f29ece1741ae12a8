"""What people do with a lake: send it, delete a subject, look at it with DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pyarrow.parquet as pq
import pytest

from greenops.adapters.parquet_lake import ParquetLake
from greenops.cli.main import main
from greenops.domain.spans import SpanRow
from greenops.errors import ExitCode
from tests.integration.cli.foreign import SAMPLES

THEN = datetime(2025, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def state(tmp_path):
    for at in range(4):
        known = {
            "trace_id": f"{at:032x}",
            "span_id": f"{at:016x}",
            "service": ("shop", "bank")[at % 2],
            "name": "order",
            **dict.fromkeys(("start", "end", "time"), THEN),
            "energy_j": 1.0,
            "attributes": {"enduser.id": '"alice"'},
        }
        row = SpanRow(**dict.fromkeys(SpanRow.__dataclass_fields__) | known)
        ParquetLake(tmp_path / "state" / "lake").write_spans([row], f"{at:012d}-run")
    return tmp_path / "state"


def said(capsys):
    found = capsys.readouterr()
    return (found.out + found.err).strip()


def test_a_person_sends_finished_days_at_once(state, tmp_path, capsys):
    ask = ["lake", "send", "--state", str(state), "--url", f"file://{tmp_path}/away"]

    assert main(ask) == 0
    first = said(capsys)
    assert main(ask) == 0

    assert first.startswith("sent 1 files, ")
    assert first.endswith(f"to file://{tmp_path}/away")
    assert said(capsys) == "nothing to send"


def test_a_person_deletes_a_service_and_is_told_what_went(state, capsys):
    assert main(["lake", "delete", "--state", str(state), "--where", "service=bank"]) == 0

    assert said(capsys) == (
        "deleted 2 spans of 1 days and 0 readings of energy accounts of 0 days;"
        " 2 files were written anew; what comes late stays out"
    )
    assert {each.service for each in ParquetLake(state / "lake").spans()} == {"shop"}


def test_a_person_deletes_by_an_attribute(state, capsys):
    assert main(["lake", "delete", "--state", str(state), "--attribute", "enduser.id=alice"]) == 0

    assert said(capsys).startswith("deleted 4 spans of 1 days")
    assert list(ParquetLake(state / "lake").spans()) == []


@pytest.mark.feature("K5")
def test_what_was_imported_is_sent_deleted_and_dropped_and_comes_again_once(tmp_path, capsys):
    place = ["--state", str(tmp_path / "state")]
    brought = ["import", "aws-carbon", str(SAMPLES / "aws_carbon.csv"), *place]
    assert main(brought) == 0
    first = [*listed(place, capsys)]

    assert main(["lake", "send", *place, "--url", f"file://{tmp_path}/away"]) == 0
    assert said(capsys).startswith("sent 1 files, ")
    assert listed(place, capsys) == first
    assert main(brought) == 0
    assert "20 amounts, 0 new or changed" in said(capsys)

    assert main(["import", "drop", "aws", "2026-10", *place]) == 0
    assert said(capsys) == "dropped 20 rows of aws, 2026-10"
    assert main(brought) == 0
    assert listed(place, capsys) == first

    assert main(["lake", "delete", *place, "--where", "region=eu-west-1"]) == 0
    assert said(capsys) == (
        "deleted 0 spans of 0 days, 0 readings of energy accounts of 0 days and 7 imported amounts"
        " of 1 months; 2 files were written anew; what comes late stays out"
    )
    assert main(brought) == 0
    assert "20 amounts, 0 new or changed" in said(capsys)
    # Of every file, here and away, whether readers count it or not.
    files = [pq.read_table(each, partitioning=None) for each in tmp_path.rglob("*.parquet")]
    regions = {name for each in files for name in each["region"].to_pylist()}
    assert regions == {"eu-central-1"}


def listed(place, capsys):
    capsys.readouterr()
    assert main(["import", "list", *place]) == 0
    return said(capsys).splitlines()


@pytest.mark.parametrize(
    ("asked", "line", "code"),
    [
        (["aws", "2026-10"], "GO0449 nothing of `aws` was imported for 2026-10", ExitCode.DATA),
        (["../aws", "2026-10"], "GO0449 nothing of `../aws`", ExitCode.DATA),
        (["aws", "October"], "GO0449 `October` is no month and no day", ExitCode.USAGE),
        (["aws", "2026-13"], "as 2026-10 or 2026-10-31", ExitCode.USAGE),
    ],
)
def test_what_cannot_be_dropped_is_told_in_one_line(tmp_path, asked, line, code, capsys):
    assert main(["import", "drop", *asked, "--state", str(tmp_path)]) == code

    told = said(capsys)
    assert line in told
    assert "\n" not in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (["delete", "--where", "servce=bank"], "did you mean `service`?"),
        (["delete", "--where", "service"], "names no value"),
        (["delete", "--where", "energy_j=1"], "rows cannot be deleted by `energy_j`"),
        (["delete", "--state", "nowhere", "--where", "service=x"], "there is no lake in `nowhere`"),
        (["send"], "no object storage is named"),
        (["send", "--url", "ftp://x"], "begins with none of"),
        (["send", "--state", "nowhere", "--url", "s3://bucket"], "there is no lake in `nowhere`"),
    ],
)
def test_wrong_input_is_one_line_that_says_what_to_do(state, asked, line, capsys):
    place = [] if "--state" in asked else ["--state", str(state)]

    assert main(["lake", *asked, *place]) == ExitCode.USAGE

    told = said(capsys)
    assert line in told
    assert "\n" not in told


def test_duckdb_runs_what_is_printed(state, capsys):
    main(["lake", "pack", "--state", str(state)])
    capsys.readouterr()

    main(["lake", "views", "--state", str(state)])

    with duckdb.connect() as connection:
        # Also where no roll-ups are yet.
        connection.execute(said(capsys))
        found = connection.sql("SELECT service, sum(energy_j) FROM spans GROUP BY ALL ORDER BY 1")
        assert found.fetchall() == [("bank", 2.0), ("shop", 2.0)]
