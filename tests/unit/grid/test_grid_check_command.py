"""`greenops grid check` and `prices`: what can be used now, what is degraded, and exit codes that scripts rely on."""

import argparse
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from greenops.cli import doctor
from greenops.cli import grid as commands
from greenops.domain.grid import Factors, SeriesKind, Signal
from greenops.errors import (
    AdapterUnavailable,
    AdapterUnsupported,
    DataMissing,
    ExitCode,
    UsageError,
)
from greenops.grid.regions import RegionTable
from greenops.pipeline import grid as wiring
from greenops.pipeline.grid_check import State, look_at_all
from greenops.pipeline.grid_context import GridContext
from greenops.testing.clock import FakeClock
from greenops.testing.grid import START, FakeGrid
from greenops.testing.grid_faults import FaultyGrid

HOUR = timedelta(hours=1)
NOW = START + 36 * HOUR
DAYS = {"DE": [100.0] * 24 * 6}


def faulty(fault=None, **more):
    made = FaultyGrid(DAYS, **more)
    made.fault = fault
    return made


class OnlyRecorded(FakeGrid):
    """Has a past and no forecast."""

    def forecast(self, zone, at):
        raise DataMissing("GO0305", "none")


class Nothing(OnlyRecorded):
    """Has nothing now."""

    def actual(self, zone, start, end):
        raise DataMissing("GO0303", "none")


def looked(*providers):
    by_name = {f"p{place}": each for place, each in enumerate(providers)}
    return look_at_all(list(by_name), by_name.__getitem__, FakeClock(NOW), ["FR", "DE"])


def test_a_provider_that_answers_is_told_with_its_kind_and_newest_issue():
    (found,) = looked(faulty())

    assert (found.state, found.zone, found.zones, found.note) == (State.OK, "DE", 1, "")
    assert (found.issued_at, found.age) == (START + 24 * HOUR, 12 * HOUR)
    assert found.kind.signal is Signal.AVERAGE


@pytest.mark.parametrize(
    ("provider", "state", "said"),
    [
        (faulty(AdapterUnavailable("GO0320", "no connection")), State.UNREACHABLE, "GO0320"),
        (faulty(AdapterUnavailable("GO0323", "asked too often")), State.UNREACHABLE, "GO0323"),
        (faulty(AdapterUnsupported("GO0325", "no key")), State.UNREACHABLE, "GO0325"),
        (faulty(ValueError("of\nits own")), State.UNREACHABLE, "GO0342 it failed: ValueError"),
        (faulty(every=9 * 24 * HOUR, length=9 * 24 * HOUR), State.STALE, "36 h old"),
        (Nothing(DAYS), State.MISSING, "GO0305"),
        (OnlyRecorded(DAYS), State.OK, "own past foretells"),
        (FakeGrid({}), State.MISSING, "lists no grid zone"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(provider, state, said):
    (found,) = looked(provider)

    assert found.state is state
    assert said in found.note
    assert "\n" not in found.note


def test_one_that_fails_keeps_no_other_from_being_asked():
    first, second = looked(faulty(AdapterUnavailable("GO0320", "away")), faulty())

    assert (first.state, second.state) == (State.UNREACHABLE, State.OK)


@pytest.mark.feature("A4")
def test_one_of_another_kind_is_told_to_be_left_out():
    marginal = SeriesKind(Signal.MARGINAL, Factors.DIRECT, "other", replay=False)

    _, second = looked(faulty(), faulty(kind=marginal))

    assert second.state is State.REFUSED
    assert "leave it out of `provider`" in second.note


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENOPS_REPLAY", "2021-10-08T08:00:00Z@2026-11-23T00:00:00Z@0.000001")

    def ask(*words):
        parser = argparse.ArgumentParser()
        commands.add_parser(parser.add_subparsers())
        args = parser.parse_args(["grid", *words])
        return args.run(args), capsys.readouterr().out

    return ask


def test_with_the_shipped_data_all_is_well_within_the_replay(run):
    code, text = run("check")

    assert code == ExitCode.OK
    assert "shipped" in text
    assert "decisions in DE rest on carboncast/DE/2021-10-08T00:00Z" in text


def test_outside_of_the_replay_the_data_is_missing_and_the_line_says_what_to_do(run, monkeypatch):
    monkeypatch.delenv("GREENOPS_REPLAY")

    code, text = run("check")

    assert code == ExitCode.DATA
    assert "set GREENOPS_REPLAY" in text
    assert "work runs as without GreenOps" in text


def test_a_first_provider_that_cannot_be_reached_is_exit_4_though_another_stands_in(
    run, monkeypatch
):
    away = faulty(AdapterUnavailable("GO0320", "no connection"))
    monkeypatch.setattr(wiring, "load", lambda group, name: lambda: away)
    monkeypatch.setenv("GREENOPS_PROVIDER", "mine,shipped")

    code, text = run("check", "-o", "json")

    found = json.loads(text)
    assert code == ExitCode.UNREACHABLE
    assert [each["state"] for each in found["providers"]] == ["unreachable", "ok"]
    assert "GO0320" in found["providers"][0]["note"]


def test_a_setting_without_a_provider_is_usage(run, monkeypatch):
    monkeypatch.setenv("GREENOPS_PROVIDER", ",")

    with pytest.raises(UsageError, match="GO0804"):
        run("check")


def test_a_provider_that_is_not_known_is_usage_and_names_the_nearest(run, monkeypatch):
    monkeypatch.setenv("GREENOPS_PROVIDER", "electricitymap")

    with pytest.raises(UsageError, match="did you mean `electricitymaps`"):
        run("check")


@pytest.mark.feature("B15")
def test_zones_list_places_and_carbon_free_energy_of_regions(run):
    code, text = run("zones", "--regions")
    rows = json.loads(run("zones", "-o", "json")[1])["regions"]

    by_name = {row["region"]: row for row in rows}
    assert code == ExitCode.OK
    assert "europe-north1" in text
    assert by_name["europe-north1"]["cfe"] == 0.98
    assert by_name["europe-north1"]["cfe_source"] == "Google region carbon 2024"
    assert by_name["eu-north-1"]["cfe"] is None
    assert by_name["eu-north-1"]["latitude"] == pytest.approx(59.3, abs=0.1)


def test_prices_are_told_as_they_were_known(run):
    code, text = run("prices", "DE", "--at", "2020-06-01T10:00:00Z", "--hours", "3")
    found = json.loads(run("prices", "DE", "--at", "2020-06-01T10:00:00Z", "-o", "json")[1])

    assert code == ExitCode.OK
    assert "day-ahead prices [EUR/MWh]" in text
    assert (found["replay"], found["published_at"]) == (True, "2020-05-31T10:45:00Z")
    # Before 12:45 the prices of tomorrow were not known.
    assert found["values"][-1]["start"] == "2020-06-01T21:00:00Z"


@pytest.mark.parametrize("words", [["--hours", "0"], ["--hours", "99999"], ["--at", "today"]])
def test_what_prices_cannot_be_asked_for_is_usage(run, words):
    with pytest.raises(UsageError):
        run("prices", "DE", *words)


def test_prices_of_an_unknown_zone_or_provider_are_told(run):
    with pytest.raises(DataMissing):
        run("prices", "ATLANTIS")
    with pytest.raises(UsageError, match="GO0802"):
        run("prices", "DE", "--provider", "nobody")


def test_doctor_warns_of_a_forecast_that_only_stands_in(monkeypatch, tmp_path):
    class Degraded(FakeGrid):
        def forecast(self, zone, at):
            return replace(super().forecast(zone, at), degraded="usual course: away")

    monkeypatch.chdir(tmp_path)
    context = GridContext(Degraded(DAYS), RegionTable.of([]), {})
    monkeypatch.setattr(wiring, "load_grid", lambda *_: context)
    monkeypatch.setenv("GREENOPS_REPLAY", f"{NOW:%Y-%m-%dT%H:%M:%SZ}@2026-11-23T00:00:00Z@0.000001")

    found = doctor._grid()

    assert found.state == "warn"
    assert "usual course: away; look with `greenops grid check`" in found.detail
