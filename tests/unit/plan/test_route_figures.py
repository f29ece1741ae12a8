"""Routes: ways to share one, their figures, and when a change is worth it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.plan.candidates import RegionOption
from greenops.plan.routes import Backend, name_of, route_candidates, worth_a_change
from greenops.units import GramsPerKwh, Kwh, Usd

NOW = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "made for this test", replay=True)


def backend(
    name: str, grams: float | None, p95_ms: float | None = 40.0, place: str = "EU", pue: float = 1.0
) -> Backend:
    prices = {"ondemand": Usd(2.0 if place == "EU" else 1.0)}
    region = Region(name, "aws", place, name, pue, "made up", prices, Usd(0), "made up")
    series = None
    if grams is not None:
        values = (GramsPerKwh(grams),) * 2
        series = Forecast(name, KIND, NOW, HOUR, values, issued_at=NOW, id="f")
    return Backend(name, RegionOption(region, series), p95_ms)


DE, SE = backend("de", 400), backend("se", 20, p95_ms=45.0, pue=1.5)


def test_each_backend_is_favoured_once_beside_an_equal_share_and_today() -> None:
    baseline, ways, weights = route_candidates([DE, SE], {"de": 70, "se": 30}, Kwh(1), NOW)

    assert baseline.id == "baseline"
    assert [each.id for each in ways] == ["de=90,se=10", "de=10,se=90", "de=50,se=50"]
    assert weights["baseline"] == {"de": 70, "se": 30}
    assert {sum(each.values()) for each in weights.values()} == {100}


def test_today_s_weights_are_no_second_candidate() -> None:
    _, ways, _ = route_candidates([DE, SE], {"de": 50, "se": 50}, Kwh(1), NOW)

    assert "de=50,se=50" not in {each.id for each in ways}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_weights_are_whole_and_sum_to_a_hundred(count: int) -> None:
    backends = [backend(f"b{i}", 100) for i in range(count)]

    _, _, weights = route_candidates(backends, {"b0": 100}, Kwh(1), NOW)

    assert {sum(each.values()) for each in weights.values()} == {100}
    assert all(set(each) == {b.name for b in backends} for n, each in weights.items() if "=" in n)


def test_carbon_is_the_sum_over_the_backends_and_p95_the_slowest() -> None:
    _, ways, _ = route_candidates([DE, SE], {"de": 50, "se": 50}, Kwh(2), NOW)

    north = next(each for each in ways if each.id == "de=10,se=90")

    assert north.carbon_g == pytest.approx(2 * (0.1 * 400 * 1.0 + 0.9 * 20 * 1.5))
    assert north.intensity == pytest.approx(0.1 * 400 + 0.9 * 20)
    assert (north.region, north.p95_ms) == ("se", 45.0)
    assert north.cost_usd == pytest.approx(2.0)


def test_a_latency_that_was_not_measured_leaves_the_mix_without_one() -> None:
    _, ways, _ = route_candidates([DE, backend("se", 20, None)], {"de": 100}, Kwh(1), NOW)

    assert {each.p95_ms for each in ways} == {None}


def test_a_mix_over_two_jurisdictions_is_in_neither() -> None:
    us = backend("us", 20, place="US")

    baseline, ways, _ = route_candidates([DE, us], {"de": 100, "us": 0}, Kwh(1), NOW)

    assert baseline.location == "EU"
    assert {each.location for each in ways} == {None}


def test_a_forecast_that_lacks_for_a_part_leaves_the_whole_without_carbon() -> None:
    _, ways, _ = route_candidates([DE, backend("se", None)], {"de": 100}, Kwh(1), NOW)

    assert {(each.carbon_g, each.intensity) for each in ways} == {(None, None)}


@pytest.mark.parametrize("current", [{}, {"de": 60, "gone": 40}])
def test_traffic_that_goes_elsewhere_is_not_counted_as_clean(current: dict[str, int]) -> None:
    baseline, _, _ = route_candidates([DE, SE], current, Kwh(1), NOW)

    assert (baseline.carbon_g, baseline.cost_usd, baseline.p95_ms) == (None, None, None)


def test_without_energy_there_is_intensity_but_no_carbon() -> None:
    baseline, _, _ = route_candidates([DE, SE], {"de": 100}, None, NOW)

    assert baseline.carbon_g is None
    assert baseline.intensity == 400.0


@pytest.mark.parametrize(
    ("rested", "saving", "worth"),
    [(None, 0.2, True), (30, 0.2, True), (29, 0.2, False), (90, 0.05, False), (90, 0.051, True)],
)
def test_a_route_changes_only_when_rested_and_for_more_than_the_band(
    rested: int | None, saving: float, worth: bool
) -> None:
    last = None if rested is None else NOW - timedelta(minutes=rested)

    assert worth_a_change(last, NOW, timedelta(minutes=30), saving, 0.05) is worth


def test_a_way_is_named_by_its_sorted_shares() -> None:
    assert name_of({"se": 90, "de": 10}) == "de=10,se=90"
