from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.errors import UsageError
from greenops.plan.candidates import (
    RegionOption,
    allowed,
    batch_candidates,
    placement_candidates,
)
from greenops.units import Kwh, Seconds

START = datetime(2021, 10, 8, tzinfo=UTC)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)


def forecast(zone: str, values, error: float | None = 0.1) -> Forecast:
    return Forecast(
        zone, KIND, START, timedelta(hours=1), tuple(values), issued_at=START, id=zone, error=error
    )


def option(name: str, values=None, *, pools=None, pue=1.5) -> RegionOption:
    region = Region(
        name,
        "aws",
        "EU",
        name.upper(),
        pue,
        "test",
        pools or {"ondemand": 0.1, "spot": 0.04},
        0.02,
        "test",
    )
    return RegionOption(region, forecast(name, values) if values else None)


def job(**given) -> Job:
    facts = {
        "duration_s": Seconds(3600.0),
        "duration_p95_s": Seconds(7200.0),
        "energy_kwh": Kwh(2.0),
        "transfer_gb": 10.0,
        **given,
    }
    work = Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "home", **facts)
    return Job("w/1", work, START, START + timedelta(hours=8))


HOME = option("home", [100.0, 200.0, 50.0, 400.0, 100.0, 100.0, 10.0, 10.0, 10.0])


def test_the_baseline_runs_at_home_when_it_was_submitted():
    baseline, _ = batch_candidates(job(), [HOME], START)

    assert (baseline.id, baseline.region, baseline.pool) == ("baseline", "home", "ondemand")
    assert (baseline.start, baseline.end) == (START, START + timedelta(hours=1))
    assert baseline.carbon_g == pytest.approx(2.0 * 1.5 * 100)
    assert (baseline.carbon_low_g, baseline.carbon_high_g) == pytest.approx((270, 330))
    assert baseline.cost_usd == pytest.approx(0.1)


def test_every_half_hour_up_to_the_latest_safe_start_is_a_candidate():
    _, candidates = batch_candidates(job(), [HOME], START + timedelta(minutes=10))

    starts = sorted({each.start for each in candidates if each.pool == "spot"})
    assert starts[0] == START + timedelta(minutes=10)
    assert starts[1] == START + timedelta(minutes=30)
    assert starts[-1] == START + timedelta(hours=6)
    assert all(b - a == timedelta(minutes=30) for a, b in pairwise(starts[1:]))


def test_a_candidate_elsewhere_pays_for_the_move():
    away = option("away", [30.0] * 9)
    _, candidates = batch_candidates(job(allowed_regions=("away",)), [HOME, away], START)

    moved = next(each for each in candidates if each.region == "away" and each.pool == "ondemand")
    assert moved.cost_usd == pytest.approx(0.1 + 10 * 0.02)
    assert moved.transfer_gb == 10.0


def test_a_region_that_is_not_allowed_is_no_candidate():
    _, candidates = batch_candidates(job(), [HOME, option("away", [1.0] * 9)], START)

    assert {each.region for each in candidates} == {"home"}


@pytest.mark.parametrize("target", ["local-process", "kubernetes-jobs"])
def test_a_run_that_its_target_cannot_move_has_its_place_and_pool_alone(target):
    away = option("away", [1.0] * 9)
    work = job(allowed_regions=("away", "home"), target=target)

    baseline, candidates = batch_candidates(work, [HOME, away], START)

    assert {(each.region, each.pool) for each in candidates} == {(baseline.region, baseline.pool)}
    assert len(candidates) == 12
    assert allowed(work, [HOME, away]) == [HOME]


def test_without_a_forecast_carbon_is_absent_and_cost_stands():
    baseline, candidates = batch_candidates(job(), [option("home")], START)

    assert baseline.carbon_g is None
    assert baseline.intensity is None
    assert all(each.carbon_g is None and each.cost_usd is not None for each in candidates)


def test_beyond_the_forecast_carbon_is_absent():
    _, candidates = batch_candidates(job(), [option("home", [5.0, 5.0])], START)

    known = {each.start for each in candidates if each.carbon_g is not None}
    assert max(known) == START + timedelta(hours=1)


def test_figures_equal_a_sum_over_minutes():
    _, candidates = batch_candidates(job(), [HOME], START + timedelta(minutes=17))

    values = HOME.forecast.values
    for each in candidates:
        minutes = int((each.start - START).total_seconds() // 60)
        met = [values[minute // 60] for minute in range(minutes, minutes + 60)]
        assert each.intensity == pytest.approx(sum(met) / 60)
        assert each.carbon_g == pytest.approx(2.0 * 1.5 * sum(met) / 60)


def test_a_flat_forecast_moves_nothing():
    flat = option("home", [101.1 + 0.1 - 0.1 * n / (n or 1) for n in [1] * 9])
    baseline, candidates = batch_candidates(job(), [flat], START + timedelta(minutes=7))

    assert {each.carbon_g for each in candidates} == {baseline.carbon_g}


def test_a_service_may_be_placed_in_every_region_that_is_known():
    baseline, others = placement_candidates(
        job(), [HOME, option("north", [5.0] * 9)], START, p95_ms=80.0
    )

    assert baseline.region == "home"
    assert [each.id for each in others] == ["north"]
    assert {each.p95_ms for each in (baseline, *others)} == {80.0}


@pytest.mark.parametrize(
    ("given", "options"),
    [({}, [option("other", [1.0])]), ({"duration_s": None, "duration_p95_s": None}, [HOME])],
)
def test_what_cannot_be_planned_says_why(given, options):
    with pytest.raises(UsageError, match="cannot be planned"):
        batch_candidates(job(**given), options, START)


def test_a_service_without_a_home_that_is_known_says_why():
    with pytest.raises(UsageError, match="unknown region"):
        placement_candidates(job(), [option("other", [1.0])], START)
