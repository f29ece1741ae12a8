"""Weighing by the upper bound of carbon, near a deadline or on an old forecast."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.decision import Candidate
from greenops.domain.workload import Job, Urgency, Workload, WorkloadKind
from greenops.plan.careful import Care, by_upper_bound, needs_care
from greenops.units import Grams, GramsPerKwh, Seconds

HOUR = timedelta(hours=1)
NOW = datetime(2021, 10, 8, tzinfo=UTC)
NIGHT = Workload(
    "night",
    WorkloadKind.BATCH,
    Urgency.DEFERRABLE,
    "eu-central-1",
    duration_p95_s=Seconds(7200.0),
)
JOB = Job("night/1", NIGHT, NOW, NOW + 12 * HOUR)


def way(hour=0, mean=100.0, high=None, age_h=None):
    return Candidate(
        f"at-{hour}",
        start=NOW + hour * HOUR,
        carbon_g=None if mean is None else Grams(mean),
        carbon_high_g=None if high is None else Grams(high),
        intensity=GramsPerKwh(50.0),
        forecast_age_s=None if age_h is None else Seconds(age_h * 3600.0),
    )


@pytest.mark.feature("C5", "C6")
@pytest.mark.parametrize(
    ("hour", "age_h", "why"),
    [
        (7, 1, None),
        (8, 1, "its P95 run would leave 2.0 h before its deadline"),
        (11, 1, "its P95 run would leave 0.0 h before its deadline"),
        (0, 12, None),
        (0, 13, "its forecast is 13.0 h old"),
        (0, None, None),
    ],
)
def test_little_slack_or_an_old_forecast_asks_for_the_bound(hour, age_h, why):
    care = Care(slack=2.5 * HOUR, age=12 * HOUR)

    assert needs_care(way(hour, age_h=age_h), JOB, care) == why


def test_by_default_and_for_a_service_nothing_does():
    late = way(15, age_h=1000)
    service = replace(JOB, workload=replace(NIGHT, kind=WorkloadKind.INFERENCE))

    assert needs_care(late, JOB, Care()) is None
    assert needs_care(late, service, Care(slack=9 * HOUR, age=HOUR)) is None


@given(st.floats(0.1, 1e6), st.floats(1, 3))
def test_the_bound_takes_the_place_of_carbon_and_intensity_alike(mean, factor):
    [upper] = by_upper_bound([way(mean=mean, high=mean * factor)]) or ()

    assert upper.carbon_g == pytest.approx(mean * factor)
    assert upper.intensity == pytest.approx(50 * factor)


def test_a_way_without_a_bound_leaves_all_to_their_means():
    assert by_upper_bound([way(high=120), way()]) is None
    unknown = way(mean=None)
    assert by_upper_bound([way(high=120), unknown])[1] is unknown
