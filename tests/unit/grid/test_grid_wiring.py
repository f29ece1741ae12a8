"""The grid as the settings name it, and fresh factors for the services."""

# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap"
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.factor_file import FactorFile
from greenops.config import Settings
from greenops.domain.energy import Method
from greenops.domain.grid import Region
from greenops.domain.replay import Replay
from greenops.errors import DataMissing, UsageError
from greenops.grid.factors import intensity_at
from greenops.grid.regions import RegionTable
from greenops.observe.emissions import intensity_at as counted_at
from greenops.pipeline import grid as wiring
from greenops.pipeline.grid import GridContext, fresh_factors, last_successes, load_grid
from greenops.ports import GridProvider
from greenops.testing.clock import FakeClock
from greenops.testing.grid import START, FakeGrid

HOUR = timedelta(hours=1)
NOW = START + 8 * HOUR + timedelta(minutes=20)
REPLAY = Replay(NOW, datetime(2026, 11, 23, tzinfo=UTC), 1440)
REGION = Region("r", "aws", "EU", "Z", 1.2, "test", {}, 0.02, "test")


def fake(values, **more):
    return GridContext(FakeGrid({"Z": values}, **more), RegionTable.of([REGION]), {"r": (7.0, "t")})


def test_the_shipped_grid_is_the_default_and_needs_no_installation(monkeypatch):
    monkeypatch.setattr(wiring, "load", lambda *_: pytest.fail("asked for an entry point"))

    context = load_grid(Settings(), FakeClock())

    assert context.provider.name == "shipped"
    assert isinstance(context.provider, GridProvider)
    assert context.regions["us-west-1"].zone == "CISO"
    assert "us-west-1" in context.annual


def test_another_provider_comes_by_its_entry_point(monkeypatch, tmp_path):
    monkeypatch.setattr(wiring, "load", lambda group, name: lambda: FakeGrid({"Z": [1]}))

    context = load_grid(Settings(provider="mine", state=tmp_path), FakeClock())

    assert context.provider.name == "fake"
    assert [zone.id for zone in context.provider.zones()] == ["Z"]


def test_several_providers_come_in_the_order_of_the_setting(monkeypatch, tmp_path):
    monkeypatch.setattr(wiring, "load", lambda group, name: lambda: FakeGrid({"FR": [1]}))

    context = load_grid(Settings(provider="mine, shipped", state=tmp_path), FakeClock())

    assert context.provider.name == "fake,shipped"
    assert context.regions["eu-west-3"].zone == "FR"
    assert context.regions["us-west-1"].zone == "CISO"


@pytest.mark.parametrize("named", ["", " , ", "shipped,shipped"])
def test_a_setting_that_names_none_or_one_twice_is_refused(named, tmp_path):
    with pytest.raises(UsageError, match="GO0804"):
        load_grid(Settings(provider=named, state=tmp_path), FakeClock())


def test_what_is_registered_but_no_provider_is_refused(monkeypatch):
    monkeypatch.setattr(wiring, "load", lambda group, name: object)

    with pytest.raises(UsageError, match="GO0309"):
        load_grid(Settings(provider="mine"), FakeClock())


def test_an_unknown_provider_is_refused():
    with pytest.raises(UsageError, match="GO0802"):
        load_grid(Settings(provider="nobody"), FakeClock())


def test_in_a_replay_the_factors_reach_six_hours_back_and_thirty_ahead():
    table = fresh_factors(fake(range(96)), FakeClock(NOW, REPLAY))

    series = table.regions["r"].series
    assert (series.start, series.end) == (START + 2 * HOUR, START + 39 * HOUR)


def test_without_a_replay_the_factors_end_with_the_hour_that_runs():
    table = fresh_factors(fake(range(96)), FakeClock(NOW))

    series = table.regions["r"].series
    assert (series.start, series.end) == (START + 2 * HOUR, START + 9 * HOUR)


def test_at_the_edge_of_what_is_known_a_narrower_window_is_taken():
    late = fresh_factors(fake(range(8)), FakeClock(NOW))
    early = fresh_factors(fake(range(9), start=START + 8 * HOUR), FakeClock(NOW))

    assert late.regions["r"].series.end == START + 8 * HOUR
    assert early.regions["r"].series.start == START + 8 * HOUR


def test_where_nothing_is_known_around_now_the_annual_mean_holds():
    table = fresh_factors(fake(range(9)), FakeClock(NOW + timedelta(days=900)))

    assert table.regions["r"].series is None
    assert intensity_at(table, "r", NOW) == (7.0, Method.ESTIMATED)


@pytest.mark.feature("K4")
@pytest.mark.parametrize(("hours", "value"), [(8, 7.0), (7, 6.0), (6, 5.0), (5, 900.0), (0, 900.0)])
def test_of_a_source_that_is_late_the_newest_value_stands_for_three_hours(hours, value):
    grid = replace(fake([float(each) for each in range(hours)]), annual={"r": (900.0, "t")})

    table = fresh_factors(grid, FakeClock(NOW))

    assert intensity_at(table, "r", NOW) == (value, Method.ESTIMATED)
    assert counted_at(table.regions["r"], NOW) == value


def test_what_is_between_two_known_values_is_no_late_one():
    grid = fake([1.0, 1.0, 50.0, 60.0, 70.0, 80.0, None, 90.0])

    table = fresh_factors(grid, FakeClock(NOW))

    gap = START + 6 * HOUR
    assert intensity_at(table, "r", gap) == (7.0, Method.ESTIMATED)
    assert table.regions["r"].newest(gap) is None
    assert intensity_at(table, "r", gap - HOUR) == (80.0, Method.REPORTED)


def test_a_gap_at_the_end_of_a_series_is_filled_by_the_value_before_it():
    table = fresh_factors(fake([*range(20, 27), None, None]), FakeClock(NOW))

    assert table.regions["r"].newest(NOW) == (26.0, timedelta(minutes=80))
    assert intensity_at(table, "r", NOW) == (26.0, Method.ESTIMATED)


def test_a_zone_the_provider_does_not_know_keeps_its_annual_mean():
    other = GridContext(FakeGrid({"Y": [1]}), RegionTable.of([REGION]), {"r": (7.0, "t")})

    assert fresh_factors(other, FakeClock(NOW)).regions["r"].series is None


def test_what_is_written_for_the_services_is_what_they_read(tmp_path):
    table = fresh_factors(load_grid(Settings(), FakeClock()), FakeClock(NOW, REPLAY))

    FactorFile(tmp_path / "f").write(table)

    assert FactorFile(tmp_path / "f").table() == table
    value, method = intensity_at(table, "us-west-1", NOW)
    assert (value, method) == (pytest.approx(317.73), Method.REPORTED)


def test_where_no_provider_has_a_forecast_the_zone_s_past_tells_one():
    may = datetime(2021, 5, 3, 8, tzinfo=UTC)
    work = []

    at_once = load_grid(Settings(), FakeClock(may)).provider
    beside = load_grid(Settings(), FakeClock(may), train=work.append).provider

    assert at_once.forecast("PL", may).id.startswith("local-1/PL/2021-05-03T00:00Z/")
    with pytest.raises(DataMissing, match="GO0305"):
        beside.forecast("PL", may)
    work.pop()()
    assert beside.forecast("PL", may) == at_once.forecast("PL", may)


def test_the_last_success_is_told_by_provider_and_only_of_data(monkeypatch, tmp_path):
    clock = FakeClock(NOW)
    shipped = load_grid(Settings(), clock)
    monkeypatch.setattr(wiring, "load", lambda group, name: lambda: FakeGrid({"Z": range(96)}))
    chained = load_grid(Settings(provider="mine,shipped", state=tmp_path, grid_wait_s=30), clock)

    assert last_successes(shipped, clock, answered=False) == {}
    assert last_successes(shipped, clock, answered=True) == {"shipped": clock.wall()}
    chained.provider.actual("Z", NOW, NOW + HOUR)
    assert last_successes(chained, clock, answered=False)["fake"] == clock.wall()


def test_the_wiring_loads_no_arrays_before_a_forecast_is_made():
    code = "import sys, greenops.pipeline.grid; sys.exit(bool({'numpy', 'pyarrow'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
