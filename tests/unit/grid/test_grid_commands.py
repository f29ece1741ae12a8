"""`greenops grid`: unit, source and kind stand beside every number."""

import argparse
import json
import subprocess
import sys
from datetime import timedelta

import pytest

from greenops.adapters.shipped_grid import shipped_regions
from greenops.cli import grid
from greenops.errors import DataMissing, UsageError
from greenops.grid.regions import RegionTable
from greenops.pipeline.grid_context import GridContext
from greenops.testing.clock import FakeClock
from greenops.testing.grid import START, FakeGrid


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_REPLAY", "2021-10-08T08:00:00Z@2026-11-23T00:00:00Z@0.000001")

    def ask(*words):
        parser = argparse.ArgumentParser()
        grid.add_parser(parser.add_subparsers())
        args = parser.parse_args(["grid", *words])
        assert args.run(args) == 0
        return capsys.readouterr().out

    return ask


def test_zones_lists_each_zone_with_its_regions(run):
    rows = json.loads(run("zones", "-o", "json"))["zones"]

    assert len(rows) == 12
    assert "us-west-1" in next(row for row in rows if row["zone"] == "CISO")["regions"]
    assert "eu-north-1" in run("zones")


def test_now_says_unit_source_and_replay(run):
    table = run("now", "--region", "us-west-1")
    found = json.loads(run("now", "--region", "us-west-1", "-o", "json"))

    assert "gCO2e/kWh" in table
    assert "carboncast-eia930 (replay)" in table
    (row,) = found["regions"]
    assert (row["zone"], row["method"]) == ("CISO", "reported")
    assert row["intensity"] == pytest.approx(317.73)


def test_now_outside_of_the_replay_gives_the_annual_mean_as_an_estimate(run, monkeypatch):
    monkeypatch.delenv("GREENOPS_REPLAY")

    (row,) = json.loads(run("now", "--region", "us-west-1", "-o", "json"))["regions"]

    assert row["method"] == "estimated"
    assert row["source"] == "CarbonCast CISO, mean of 2021, lifecycle"


def test_of_a_late_source_now_shows_the_newest_value_as_an_estimate_with_its_age(run, monkeypatch):
    late = FakeGrid({"CISO": [100.0] * 9 + [250.5]})
    at = FakeClock(START + timedelta(hours=11, minutes=30))
    region = RegionTable.of(shipped_regions())["us-west-1"]
    context = GridContext(late, RegionTable.of([region]), {"us-west-1": (9.0, "a year")})
    monkeypatch.setattr(grid, "opened", lambda: (context, at))

    (row,) = json.loads(run("now", "-o", "json"))["regions"]
    table = run("now")

    assert (row["intensity"], row["method"], row["age_s"]) == (250.5, "estimated", 5400.0)
    assert row["source"].startswith("fake")
    assert "estimated" in table
    assert "5400" in table


@pytest.mark.feature("J4")
def test_a_region_without_a_zone_is_unknown_and_never_zero(run):
    (row,) = json.loads(run("now", "--region", "eu-west-3", "-o", "json"))["regions"]

    assert (row["intensity"], row["method"], row["source"]) == (None, None, None)
    assert " 0 " not in run("now", "--region", "eu-west-3")


def test_a_region_that_is_not_known_names_the_nearest(run):
    with pytest.raises(DataMissing, match="us-west-1"):
        run("now", "--region", "us-west-11")


def test_a_forecast_says_when_it_was_issued_and_how_wrong_it_may_be(run):
    table = run("forecast", "CISO")
    found = json.loads(run("forecast", "CISO", "--at", "2021-10-07T23:59:59-00:00", "-o", "json"))

    assert "issued 2021-10-08T00:00:00Z, 90 % range ±26 %" in table
    assert "(replay), carboncast/CISO/2021-10-08T00:00Z" in table
    assert found["issued_at"] == "2021-10-07T00:00:00Z"
    assert (found["replay"], found["unit"], len(found["values"])) == (True, "gCO2e/kWh", 96)


def test_a_forecast_without_a_known_error_says_so(run):
    assert "90 % range unknown" in run("forecast", "SE", "--at", "2021-07-02T00:00:00Z")


@pytest.mark.parametrize("text", ["yesterday", "2021-10-08T00:00:00"])
def test_an_instant_without_its_offset_is_refused(run, text):
    with pytest.raises(UsageError, match="GO0312"):
        run("forecast", "CISO", "--at", text)


def test_the_command_loads_nothing_heavy_until_it_runs():
    code = (
        "import sys, greenops.cli.grid;"
        "sys.exit(bool({'numpy', 'pyarrow', 'yaml', 'greenops.config'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
