"""Deadlines on local clocks, over both changes of the clocks, and the guard that keeps them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from greenops.domain.wall_clock import next_local
from greenops.domain.workload import ClockTime, Job, Limits, Urgency, Workload, WorkloadKind
from greenops.plan.guard import (
    deadline_of,
    latest_safe_start,
    run_time,
    scheduled_start,
)
from greenops.units import Seconds

BATCH = Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu-central-1")
PARIS, NEW_YORK = "Europe/Paris", "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.feature("B5")
@pytest.mark.parametrize(
    ("zone", "clock", "after", "expected"),
    [
        pytest.param(
            PARIS, "06:00", "2021-03-27T20:00", "2021-03-28T04:00", id="Paris, day of 23 h"
        ),
        pytest.param(
            PARIS, "06:00", "2021-10-30T20:00", "2021-10-31T05:00", id="Paris, day of 25 h"
        ),
        pytest.param(
            NEW_YORK, "06:00", "2021-03-13T20:00", "2021-03-14T10:00", id="NY, day of 23 h"
        ),
        pytest.param(
            NEW_YORK, "06:00", "2021-11-06T20:00", "2021-11-07T11:00", id="NY, day of 25 h"
        ),
        pytest.param(PARIS, "02:30", "2021-03-27T20:00", "2021-03-28T01:30", id="Paris, skipped"),
        pytest.param(NEW_YORK, "02:30", "2021-03-13T20:00", "2021-03-14T07:30", id="NY, skipped"),
        pytest.param(PARIS, "02:30", "2021-10-30T20:00", "2021-10-31T00:30", id="Paris, twice"),
        pytest.param(NEW_YORK, "01:30", "2021-11-06T20:00", "2021-11-07T05:30", id="NY, twice"),
        pytest.param(PARIS, "02:30", "2021-10-31T00:45", "2021-11-01T01:30", id="Paris, between"),
        pytest.param(PARIS, "06:00", "2021-06-01T04:00", "2021-06-02T04:00", id="exactly then"),
    ],
)
def test_a_time_of_day_is_found_on_the_wall_clock(
    zone: str, clock: str, after: str, expected: str
) -> None:
    found = next_local(ClockTime(time.fromisoformat(clock), zone), at(after))

    assert found == at(expected)


def test_the_earlier_of_two_deadlines_holds() -> None:
    both = Limits(timedelta(hours=4), ClockTime(time(6), PARIS))
    submitted = at("2021-06-01T01:00")

    assert deadline_of(replace(BATCH, limits=both), submitted) == at("2021-06-01T04:00")
    wide = replace(both, deadline_within=timedelta(hours=2))
    assert deadline_of(replace(BATCH, limits=wide), submitted) == at("2021-06-01T03:00")
    assert deadline_of(BATCH, submitted) is None


def test_a_run_without_a_schedule_starts_when_submitted_and_one_with_it_on_the_dot() -> None:
    scheduled = replace(BATCH, schedule=ClockTime(time(1), "America/Los_Angeles"))
    one = at("2021-10-08T08:00")

    assert scheduled_start(BATCH, one) == one
    assert scheduled_start(scheduled, one) == one
    assert scheduled_start(scheduled, one + timedelta(seconds=1)) == one + timedelta(days=1)


def test_the_guard_counts_with_the_p95_and_without_one_with_the_usual_time() -> None:
    usual = replace(BATCH, duration_s=Seconds(3600))
    slow = replace(usual, duration_p95_s=Seconds(7200))
    now = at("2021-06-01T00:00")
    due = now + timedelta(hours=8)

    assert run_time(BATCH) is None
    assert latest_safe_start(Job("j", usual, now, due)) == now + timedelta(hours=7)
    assert latest_safe_start(Job("j", slow, now, due)) == now + timedelta(hours=6)
    assert latest_safe_start(Job("j", slow, now)) is None
    assert latest_safe_start(Job("j", BATCH, now, due)) is None


@pytest.mark.feature("B5")
def test_every_instant_of_two_years_has_its_next_wall_clock_time_within_a_day_and_an_hour() -> None:
    rng = random.Random(5)

    for _ in range(2_000):
        zone = rng.choice([PARIS, NEW_YORK])
        clock = ClockTime(time(rng.randrange(24), rng.randrange(60)), zone)
        after = at("2021-01-01T00:00") + timedelta(minutes=rng.randrange(2 * 365 * 24 * 60))

        wait = next_local(clock, after) - after

        assert timedelta() < wait <= timedelta(hours=26)
