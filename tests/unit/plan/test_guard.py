from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenops.domain.wall_clock import next_local
from greenops.domain.workload import ClockTime, Job, Limits, Urgency, Workload, WorkloadKind
from greenops.plan.guard import deadline_of, latest_safe_start, scheduled_start
from greenops.units import Seconds

BERLIN, CHICAGO = "Europe/Berlin", "America/Chicago"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def workload(**given) -> Workload:
    return Workload("w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "eu-central-1", **given)


@pytest.mark.feature("B5")
@pytest.mark.parametrize(
    ("zone", "at", "after", "expected"),
    [
        (BERLIN, time(6), utc(2021, 10, 8, 22), utc(2021, 10, 9, 4)),
        # Clocks go forward on 2021-03-28 at 02:00: 02:30 does not exist, 01:30 UTC it would be.
        (BERLIN, time(2, 30), utc(2021, 3, 27, 12), utc(2021, 3, 28, 1, 30)),
        (BERLIN, time(3, 30), utc(2021, 3, 27, 12), utc(2021, 3, 28, 1, 30)),
        # Clocks go back on 2021-10-31 at 03:00: 02:30 happens twice, the first counts.
        (BERLIN, time(2, 30), utc(2021, 10, 30, 12), utc(2021, 10, 31, 0, 30)),
        (BERLIN, time(2, 30), utc(2021, 10, 31, 0, 30), utc(2021, 11, 1, 1, 30)),
        (CHICAGO, time(2, 30), utc(2021, 3, 14, 0), utc(2021, 3, 14, 8, 30)),
        (CHICAGO, time(1, 30), utc(2021, 11, 7, 0), utc(2021, 11, 7, 6, 30)),
        (CHICAGO, time(23), utc(2021, 11, 7, 4), utc(2021, 11, 8, 5)),
    ],
)
def test_a_local_time_is_found_on_both_sides_of_a_clock_change(zone, at, after, expected):
    assert next_local(ClockTime(at, zone), after) == expected


@pytest.mark.feature("B5")
@given(
    st.datetimes(datetime(2021, 1, 1), datetime(2022, 1, 1), timezones=st.just(UTC)),
    st.times(),
    st.sampled_from([BERLIN, CHICAGO]),
)
def test_the_next_local_time_is_within_a_day_and_shows_on_the_clock(after, at, zone):
    found = next_local(ClockTime(at, zone), after)

    local = found.astimezone(ZoneInfo(zone))
    asked = datetime.combine(local.date(), at, tzinfo=ZoneInfo(zone))
    exists = asked.astimezone(UTC).astimezone(ZoneInfo(zone)).time() == at
    assert after < found <= after + timedelta(hours=25)
    assert local.time() == at or not exists


def test_the_earlier_of_two_deadlines_holds():
    limits = Limits(timedelta(hours=12), ClockTime(time(6), BERLIN))

    assert deadline_of(workload(limits=limits), utc(2021, 10, 8, 20)) == utc(2021, 10, 9, 4)
    assert deadline_of(workload(), utc(2021, 10, 8, 20)) is None


def test_a_schedule_that_is_due_counts_as_now():
    planned = workload(schedule=ClockTime(time(1), "America/Los_Angeles"))

    assert scheduled_start(planned, utc(2021, 10, 8, 8)) == utc(2021, 10, 8, 8)
    assert scheduled_start(workload(), utc(2021, 10, 8, 7)) == utc(2021, 10, 8, 7)


def test_the_latest_safe_start_leaves_the_p95_run_its_time():
    job = Job("j", workload(duration_p95_s=Seconds(7200.0)), utc(2021, 10, 8), utc(2021, 10, 8, 12))

    assert latest_safe_start(job) == utc(2021, 10, 8, 10)
    assert latest_safe_start(Job("j", workload(), utc(2021, 10, 8), utc(2021, 10, 9))) is None
