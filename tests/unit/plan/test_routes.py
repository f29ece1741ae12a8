from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.plan.candidates import RegionOption
from greenops.plan.routes import Backend, name_of, route_candidates, worth_a_change
from greenops.units import Kwh

START = datetime(2021, 10, 8, tzinfo=UTC)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)


def option(name: str, values=None, pue: float = 1.2) -> RegionOption:
    region = Region(name, "aws", "EU", name, pue, "test", {"ondemand": 0.1}, 0.02, "test")
    said = values and Forecast(
        name, KIND, START, timedelta(hours=1), tuple(values), issued_at=START, id=name
    )
    return RegionOption(region, said or None)


NORTH, SOUTH = (
    Backend("north", option("north", [20.0] * 4, pue=1.1), 60.0),
    Backend("south", option("south", [400.0] * 4, pue=1.3), 50.0),
)
EVEN = {"north": 50, "south": 50}


def test_todays_weights_are_the_baseline_and_each_backend_may_be_favoured():
    baseline, candidates, weights = route_candidates([NORTH, SOUTH], EVEN, Kwh(1.0), START)

    assert weights["baseline"] == EVEN
    assert [each.id for each in candidates] == ["north=90,south=10", "north=10,south=90"]
    assert all(sum(each.values()) == 100 for each in weights.values())
    assert baseline.carbon_g == pytest.approx(0.5 * 1.1 * 20 + 0.5 * 1.3 * 400)


def test_a_ways_figures_are_the_weighted_figures_of_its_backends():
    _, (north, south), _ = route_candidates([NORTH, SOUTH], EVEN, Kwh(1.0), START)

    assert north.region == "north"
    assert north.carbon_g == pytest.approx(0.9 * 1.1 * 20 + 0.1 * 1.3 * 400)
    assert north.intensity == pytest.approx(0.9 * 20 + 0.1 * 400)
    assert north.p95_ms == 60.0
    assert south.region == "south"


def test_a_backend_without_a_forecast_makes_carbon_absent_not_less():
    dark = Backend("dark", option("dark"), None)

    _, candidates, _ = route_candidates([NORTH, dark], {"north": 50, "dark": 50}, Kwh(1.0), START)

    assert {each.carbon_g for each in candidates} == {None}


def test_one_backend_takes_all():
    _, candidates, weights = route_candidates([NORTH], {"north": 100}, Kwh(1.0), START)

    assert candidates == ()
    assert weights == {"baseline": {"north": 100}}


def test_a_way_is_named_by_its_weights():
    assert name_of({"b": 1, "a": 99}) == "a=99,b=1"


@pytest.mark.parametrize(
    ("rested", "saving", "worth"),
    [(None, 0.05, True), (29, 0.05, False), (30, 0.05, True), (60, 0.02, False)],
)
def test_a_route_changes_only_when_rested_and_beyond_the_band(rested, saving, worth):
    now = datetime(2021, 10, 8, 12, tzinfo=UTC)
    last = None if rested is None else now - timedelta(minutes=rested)

    assert worth_a_change(last, now, timedelta(minutes=30), saving, 0.02) is worth
