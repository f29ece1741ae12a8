"""`greenops grid quality`, and ranges in `greenops grid forecast`: what a person and a script are told."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from greenops.adapters.grid_cache_files import GridCacheFiles
from greenops.adapters.shipped_grid import ShippedGrid
from greenops.cli import grid
from greenops.domain.record import canonical
from greenops.errors import DataMissing, UsageError
from greenops.pipeline.forecast_watch import FOLDER, Seen


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


def test_a_zone_s_forecasts_are_told_by_source_over_four_weeks(run):
    found = json.loads(run("quality", "CISO", "-o", "json"))

    theirs, ours = found["quality"]
    assert theirs["source"] == "carboncast-eia930"
    assert ours["source"] == "local-1/carboncast-eia930"
    for each in (theirs, ours):
        assert (each["zone"], each["issues"]) == ("CISO", 28)
        assert (each["since"], each["until"]) == ("2021-09-10T00:00:00Z", "2021-10-08T00:00:00Z")
        assert each["hours"] == 25 * 96 + 72 + 48 + 24
        assert 0.5 < each["coverage_90"] <= 1
        assert 0 < each["mape"] < 0.3
        assert 0.4 < each["captured_48h"] <= each["captured_24h"] <= 1
    assert found["unit"] == "gCO2e/kWh"


def test_forecasts_that_a_server_remembered_are_told_too(run, tmp_path):
    given = ShippedGrid().forecast("CISO", datetime(2021, 10, 2, tzinfo=UTC))
    other = replace(given, id="live/1", kind=replace(given.kind, source="live"))
    files = GridCacheFiles(tmp_path / ".greenops" / "grid")
    files.write(FOLDER, "CISO", canonical(Seen((other,))))

    found = json.loads(run("quality", "CISO", "-o", "json"))["quality"]

    (live,) = (each for each in found if each["source"] == "live")
    assert (live["issues"], live["hours"]) == (1, 96)


def test_the_table_gives_percent_and_says_what_is_captured(run):
    table = run("quality", "CISO")

    assert "local-1/carboncast-eia930" in table
    assert "4-hour job" in table
    assert table.count(" %") > 8


def test_ranges_that_were_too_narrow_are_told_with_what_becomes_of_them(run):
    found = json.loads(run("quality", "ES", "--at", "2021-09-20T00:00:00Z", "-o", "json"))
    table = run("quality", "ES", "--at", "2021-09-20T00:00:00Z")

    ours = found["quality"][-1]
    assert ours["coverage_90"] < 0.85
    assert ours["widening"] > 1
    assert "Newer ranges of `local-1` are widened by it" in table


def test_before_there_are_forecasts_or_a_past_there_is_no_quality(run):
    with pytest.raises(DataMissing, match=r"GO0315 .*`CISO`"):
        run("quality", "CISO", "--at", "2020-01-20T00:00:00Z")
    with pytest.raises(DataMissing, match="GO0302"):
        run("quality", "CISOX")
    with pytest.raises(UsageError, match="GO0312"):
        run("quality", "CISO", "--at", "now")


def test_an_instant_after_now_tells_no_more_than_now_does(run):
    assert run("quality", "CISO", "--at", "2021-12-01T00:00:00Z") == run("quality", "CISO")
