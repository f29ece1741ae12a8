"""`greenops plan --replay`: a period over a fleet, from the command line."""

from __future__ import annotations

import json

import pytest

from greenops.adapters.packaged import packaged
from greenops.cli.main import main

DEMO = str(packaged("policies") / "demo")
PERIOD = ["--from", "2021-09-01", "--to", "2021-09-08"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_STATE", str(tmp_path / "state"))


def told(capsys, *words, code=0):
    assert main(["plan", "--policies", DEMO, *words]) == code
    return capsys.readouterr()


def test_the_schedules_of_a_week_are_decided_again_and_counted(capsys):
    whole = json.loads(told(capsys, "--replay", *PERIOD, "-o", "json").out)

    assert whole["total"]["runs"] == 7
    assert [row["workload"] for row in whole["rows"]] == ["nightly-enrichment"]
    assert 0 < whole["total"]["best_g"] <= whole["total"]["planned_g"]
    assert whole["total"]["planned_g"] < whole["total"]["baseline_g"]
    assert whole["total"]["unknown"] == whole["total"]["late"] == 0


def test_a_table_for_a_person_has_a_row_of_all_and_what_it_rests_on(capsys):
    lines = told(capsys, "--replay", *PERIOD).out.splitlines()

    assert lines[0].startswith("replay of 7 runs submitted from 2021-09-01T00:00Z to 2021-09-08")
    assert lines[2].split() == [
        *("workload", "region", "runs", "moved", "late", "baseline", "planned", "saved", "USD")
    ]
    assert lines[4].startswith("all ")
    assert any("of what right forecasts would have saved" in line for line in lines)


@pytest.mark.slow
def test_processes_tell_the_same(capsys):
    here = told(capsys, "--replay", *PERIOD, "-o", "json").out

    assert told(capsys, "--replay", *PERIOD, "-o", "json", "--engine", "processes").out == here


def test_runs_of_a_file_need_no_period(capsys, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("workload,submitted\nnightly-enrichment,2021-09-03T08:00:00Z\n")

    whole = json.loads(told(capsys, "--replay", "--jobs", str(path), "--no-best", "-o", "json").out)

    assert whole["total"]["runs"] == 1
    assert "best_g" not in whole["total"]
    assert "captured" not in whole["total"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--replay"], "GO0805 a replay needs `--from` and `--to`, or `--jobs`"),
        (["--replay", "--from", "soon", "--to", "later"], "`--from soon` is no time"),
        (["--replay", "--from", "2021-09-02T10:00", "--to", "2021-09-03"], "has no offset"),
        (["--replay", "--from", "2021-09-02", "--to", "2021-09-01"], "not before `--to`"),
        (["--replay", *PERIOD, "--at", "2021-09-02T10:00Z"], "`--at` is of one plan"),
        (["--replay", *PERIOD, "--only", "search"], "GO0691 no runs of `search`"),
        (["--replay", *PERIOD, "--engine", "proceses"], "did you mean `processes`?"),
        (["--all", "--engine", "ray"], "`--engine` belongs to a replay; add `--replay`"),
        (["nightly-enrichment", "--from", "2021-09-01"], "`--from` belongs to a replay"),
    ],
)
def test_a_replay_that_cannot_be_says_why_in_one_line(capsys, words, said):
    found = told(capsys, *words, code=2)

    assert found.out == ""
    assert said in found.err
    assert len(found.err.splitlines()) == 1


def test_a_period_that_is_not_recorded_is_missing_data(capsys):
    words = ["--replay", "--from", "2019-01-01", "--to", "2019-01-02"]

    assert "GO0303" in told(capsys, *words, code=3).err
