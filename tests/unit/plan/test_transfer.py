"""Moving data: energy in both grids, paid where it leaves, and what it weighs in a choice."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,operator"

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import greenops
from greenops.domain.decision import Candidate
from greenops.domain.grid import Factors, Forecast, Region, SeriesKind, Signal
from greenops.domain.workload import Job, Limits, Urgency, Workload, WorkloadKind
from greenops.pipeline.fleet_plan import fleet_jobs
from greenops.plan.candidates import RegionOption, batch_candidates
from greenops.plan.choice import choose
from greenops.plan.fleet import Fleet
from greenops.plan.fleet_cube import Cube, cubes
from greenops.plan.fleet_figures import NUMBERS, TEXTS, TIMES, Figures
from greenops.plan.transfer import LEAST, MOST, moving
from greenops.policy import compile_policies

NOW = datetime(2021, 10, 8, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
CLEANEST = """apiVersion: greenops.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: cleanest, owners: [a@example.com]}
spec:
  match: [{name: batch, expression: 'job.kind == "batch"'}]
  objectives: [{name: cleaner, when: candidate.carbon_g < baseline.carbon_g, minimize: candidate.carbon_g}]
  enforcement: {mode: enforce}
"""
POLICIES = compile_policies([("p.yaml", CLEANEST)])
NAMES = ("id", *TEXTS, *TIMES, *NUMBERS)


def option(name, values, *, pue=1.0, per_gb=0.02, error=0.1, low=None, high=None):
    made = Forecast(
        *(f"zone-{name}", KIND, NOW, HOUR, tuple(values)),
        issued_at=NOW,
        id=name,
        error=error,
        low=low,
        high=high,
    )
    place = Region(
        *(name, "aws", "EU", made.zone, pue, "test", {"ondemand": 1.0, "spot": 0.4}, per_gb, "test")
    )
    return RegionOption(place, made)


def job(gb, *, energy=1.0, name="w", home="home"):
    work = Workload(
        *(name, WorkloadKind.BATCH, Urgency.DEFERRABLE, home, ("home", "away", "third")),
        duration_s=3600.0,
        energy_kwh=energy,
        transfer_gb=gb,
        limits=Limits(),
    )
    return Job(f"{name}/1", work, NOW, NOW + 4 * HOUR)


def chosen(gb, home, away, energy=1.0) -> Candidate:
    of = job(gb, energy=energy)
    baseline, ways = batch_candidates(of, [option("home", home), option("away", away)], NOW)
    return choose(of, baseline, ways, POLICIES.judge(of, baseline, ways, NOW), NOW).chosen


@pytest.mark.feature("B10")
def test_a_run_with_100_gb_per_kwh_stays_home_and_without_data_it_goes():
    # The cleanest grid there can be, against one of coal: the data draw 3 kWh of coal to save 1.
    clean, coal = [0.0] * 9, [900.0] * 9

    assert chosen(0.0, coal, clean).region == "away"
    assert chosen(100.0, coal, clean).region == "home"
    assert MOST == 0.06


@pytest.mark.feature("B10")
@given(
    gb=st.floats(0.0, 200.0),
    energy=st.floats(0.1, 50.0),
    home=st.integers(1, 900),
    away=st.integers(0, 900),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_run_moves_if_and_only_if_its_energy_saves_more_than_its_data_emit(
    gb, energy, home, away
):
    way = chosen(gb, [float(home)] * 9, [float(away)] * 9, energy)

    saved = energy * (home - away)
    emitted = gb * 0.06 * (home + away) / 2
    if abs(saved - emitted) > 1e-6:
        assert (way.region == "away") == (saved > emitted)


def test_the_constants_are_those_that_the_networks_band_of_language_models_is_told_by():
    shipped = json.loads((Path(greenops.__file__).parent / "data/language_models.json").read_text())

    band = next(value for key, value in walk(shipped) if key == "network")

    assert (band["low"], band["high"]) == (LEAST, MOST)


def walk(tree):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key, value
            yield from walk(value)


def test_the_network_draws_half_in_each_grid_and_no_site_cools_it():
    assert moving(100.0, 50.0, 250.0, MOST) == pytest.approx(3.0 * 50 + 3.0 * 250)

    of, places = job(100.0), [option("home", [250.0] * 9, pue=1.5), option("away", [50.0] * 9)]
    _, ways = batch_candidates(of, places, NOW)
    moved = next(each for each in ways if each.region == "away")
    assert moved.carbon_g == pytest.approx(50.0 + 3.0 * 300)
    assert moved.carbon_low_g == pytest.approx(0.9 * (50.0 + 100 * LEAST / 2 * 300))
    assert moved.carbon_high_g == pytest.approx(1.1 * (50.0 + 3.0 * 300))


@pytest.mark.feature("B10")
def test_traffic_is_paid_at_the_price_of_the_region_that_it_leaves():
    of = job(100.0)
    places = [option("home", [250.0] * 9, per_gb=0.09), option("away", [50.0] * 9, per_gb=0.01)]

    _, ways = batch_candidates(of, places, NOW)

    there = {each.pool: each.cost_usd for each in ways if each.region == "away"}
    assert there == {"ondemand": pytest.approx(1.0 + 9.0), "spot": pytest.approx(0.4 + 9.0)}


def test_where_the_data_or_the_grid_of_home_are_not_known_a_move_emits_nobody_knows_what():
    away = option("away", [50.0] * 9)
    blind = replace(option("home", [250.0] * 9), forecast=None)

    for gb, home in ((None, option("home", [250.0] * 9)), (1.0, blind)):
        _, ways = batch_candidates(job(gb), [home, away], NOW)
        moved = [each for each in ways if each.region == "away"]
        figures = {(e.carbon_g, e.carbon_low_g, e.carbon_high_g) for e in moved}
        assert figures == {(None, None, None)}
        assert {each.intensity for each in moved} == {50.0}

    _, ways = batch_candidates(job(0.0), [blind, away], NOW)
    assert {each.carbon_g for each in ways if each.region == "away"} == {50.0}


def test_every_figure_of_a_fleet_that_moves_data_equals_that_of_the_run_alone():
    rng = np.random.default_rng(11)

    def values(least=1.0):
        found = rng.uniform(least, 600, 9).tolist()
        return [None if rng.random() < 0.1 else each for each in found]

    for _ in range(25):
        places = []
        for name in ("home", "away", "third"):
            error = rng.choice([None, 0.1, 1.2])
            made = option(name, values(), pue=rng.uniform(1, 2), per_gb=rng.uniform(0, 1))
            ranged = {"low": tuple(values()), "high": tuple(values())} if rng.random() < 0.5 else {}
            known = replace(made.forecast, error=error, **ranged)
            places.append(replace(made, forecast=None if rng.random() < 0.15 else known))
        gb, homes = [None, 0.0, 12.5, 300.0], ["home", "away", "third"]
        jobs = [
            job(rng.choice(gb), energy=rng.choice([None, 0.3, 17.123]), name=f"w{at}", home=of)
            for at, of in enumerate(homes * 3)
        ]

        fleet = Fleet.of(fleet_jobs(jobs), places, NOW)
        seen = 0
        for cube in cubes(Figures(fleet)):
            for at, ways in listed(cube).items():
                baseline, others = batch_candidates(jobs[at], places, NOW)
                assert {each.id: each for each in ways} == {
                    each.id: each for each in (baseline, *others)
                }
                seen += 1
        assert seen == len(jobs)


def listed(cube: Cube) -> dict[int, list[Candidate]]:
    """Run → its ways as the planner's records."""
    ways = cube.table(NAMES).filter(pa.array(cube.real().ravel()))
    found: dict[int, list[Candidate]] = {int(at): [] for at in cube.jobs}
    for row in ways.to_pylist():
        facts = {name: row[f"candidate.{name}"] for name in NAMES}
        found[int(cube.jobs[row["job"]])].append(Candidate(**facts))
    return found
