"""Run times and energies of earlier runs: known answers, and what their bounds promise."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.measured_run import MeasuredRun
from greenops.domain.workload import Urgency, Workload, WorkloadKind
from greenops.plan.learned import ENOUGH, LEAST, STUDENT_95, learn, may_learn, spread, with_learned
from greenops.units import Joules, Kwh, Seconds

NOW = datetime(2021, 10, 8, tzinfo=UTC)
BARE = Workload("night", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu-central-1")
FULL = replace(BARE, duration_s=Seconds(100.0), duration_p95_s=Seconds(150.0), energy_kwh=Kwh(1.0))


def runs(*seconds, energy=7.2e6, **more):
    return [
        MeasuredRun(
            "night",
            f"night/{at}",
            NOW + at * timedelta(days=1),
            Seconds(each),
            None if energy is None else Joules(energy),
            **more,
        )
        for at, each in enumerate(seconds)
    ]


def test_the_table_is_students_t():
    for freedom, quantile in enumerate(STUDENT_95, start=LEAST - 1):
        t = np.linspace(0, quantile, 20_001)
        scale = math.gamma((freedom + 1) / 2) / (
            math.sqrt(freedom * math.pi) * math.gamma(freedom / 2)
        )
        density = scale * (1 + t**2 / freedom) ** (-(freedom + 1) / 2)
        assert 0.5 + np.trapezoid(density, t) == pytest.approx(0.95, abs=2e-4)
    assert len(STUDENT_95) == ENOUGH - LEAST


@pytest.mark.parametrize(
    ("count", "low", "high", "method"),
    [
        (20, 1, 20, "rank 20 of 20 runs"),
        (39, 2, 38, "rank 38 of 39 runs"),
        (100, 5, 96, "rank 96 of 100 runs"),
    ],
)
def test_with_enough_runs_the_bounds_are_ranks(count, low, high, method):
    found = spread([float(each) for each in range(1, count + 1)])

    assert (found.low, found.high, found.method) == (low, high, method)
    assert found.usual == (count + 1) / 2


def test_a_next_run_is_beyond_a_bound_with_at_most_five_percent_of_each_side():
    draw = np.random.default_rng(3)

    for count in (5, 8, 12, 19, 20, 25, 60):
        past = draw.lognormal(5, 0.4, (4_000, count))
        following = draw.lognormal(5, 0.4, 4_000)
        spreads = [spread(row.tolist()) for row in past]

        beyond = np.mean([n > s.high for n, s in zip(following, spreads, strict=True)])
        below = np.mean([n < s.low for n, s in zip(following, spreads, strict=True)])
        assert beyond <= 0.061, count
        assert below <= 0.061, count


def test_a_few_runs_bound_nothing():
    found = learn(runs(90, 100, 110, 120))

    assert (found.usual_s, found.p95_s, found.duration.runs) == (105, None, 4)


@given(st.lists(st.floats(1, 1e6), min_size=LEAST, max_size=ENOUGH - 1))
def test_with_few_runs_the_bound_is_never_within_what_was_seen(values):
    found = spread(values)

    assert found.low <= min(values) <= found.usual <= max(values) <= found.high


def test_runs_that_failed_do_not_count_and_none_is_none():
    assert learn([]) is None
    assert learn(runs(100, failed=True)) is None
    assert learn([*runs(100, 110), *runs(5, failed=True)]).duration.runs == 2


def test_one_run_unlike_all_others_is_left_out_and_many_are_not():
    usual = [100.0 + each for each in range(30)]

    assert learn(runs(*usual, 90_000)).left_out == 1
    assert learn(runs(*usual, 90_000)).p95_s < 200
    assert learn(runs(*usual, *[90_000.0] * 3)).left_out == 0


def test_energy_that_no_run_knows_is_absent():
    assert learn(runs(100, 110, energy=None)).energy is None
    assert learn(runs(100, 110)).energy_kwh == pytest.approx(2.0)


def test_declared_figures_stay_unless_the_file_says_otherwise():
    learned = learn(runs(*[200.0 + each for each in range(25)]))

    assert not may_learn(FULL)
    assert with_learned(FULL, learned) == (FULL, ())
    anew, told = with_learned(replace(FULL, learn=True), learned)
    assert (anew.duration_s, anew.duration_p95_s) == (212, 224)
    assert anew.energy_kwh == pytest.approx(2.0)
    assert told == (
        "usual run time 212 s, the median of 25 runs",
        "P95 run time 224 s, rank 25 of 25 runs",
        "energy 2 kWh, 2 kWh to 2 kWh, rank 25 of 25 runs",
    )


def test_a_p95_is_not_below_a_usual_time_that_is_declared():
    learned = learn(runs(*[200.0 + each for each in range(25)]))

    made, told = with_learned(
        replace(FULL, duration_s=Seconds(500.0), duration_p95_s=None), learned
    )

    assert made.duration_p95_s == 500
    assert told == ("P95 run time 500 s (as declared), rank 25 of 25 runs",)


def test_a_declared_p95_stays_until_enough_runs_bound_it():
    learned = learn(runs(*[200.0 + each for each in range(19)]))

    kept, told = with_learned(replace(FULL, learn=True), learned)

    assert (kept.duration_s, kept.duration_p95_s) == (209, 150)
    assert not any("P95" in each for each in told)


def test_what_is_not_declared_is_learned_and_a_service_learns_nothing():
    learned = learn(runs(*[200.0 + each for each in range(10)]))

    made, told = with_learned(BARE, learned)

    assert made.duration_p95_s > 209
    assert "log-normal bound from 10 runs" in told[1]
    assert may_learn(BARE)
    assert not may_learn(replace(BARE, kind=WorkloadKind.INFERENCE))
