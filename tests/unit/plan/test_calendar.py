"""Days, holidays and blackouts on local clocks, against a clock that is read every minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.domain.decision import Judgement, Verdict
from greenops.domain.grid import Region
from greenops.domain.wall_clock import longest_wait, next_local
from greenops.domain.workload import (
    Blackout,
    Calendar,
    ClockTime,
    Job,
    Limits,
    Urgency,
    Workload,
    WorkloadKind,
)
from greenops.plan.calendar import last_open, may_start, next_open
from greenops.plan.candidates import RegionOption, batch_candidates
from greenops.plan.choice import choose
from greenops.plan.guard import latest_safe_start, scheduled_start
from greenops.units import Seconds, Usd

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BERLIN, CHICAGO = "Europe/Berlin", "America/Chicago"
CHANGES = [
    (BERLIN, date(2021, 3, 28)),
    (BERLIN, date(2021, 10, 31)),
    (CHICAGO, date(2021, 3, 14)),
    (CHICAGO, date(2021, 11, 7)),
]
"""Two zones, both directions: clocks go forward, and back."""
HOME = Region("home", "any", "EU", None, 1.0, "none", {"ondemand": Usd(1.0)}, Usd(0.0), "none")
NIGHT = Workload(
    "w", WorkloadKind.BATCH, Urgency.DEFERRABLE, "home", duration_p95_s=Seconds(3600.0)
)
CLOCKS = st.times().map(lambda each: each.replace(second=0, microsecond=0, fold=0))
SOME_DAYS = st.none() | st.sets(st.integers(0, 6), min_size=1).map(lambda e: tuple(sorted(e)))


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def dates_around(day):
    return st.sets(st.integers(-2, 2).map(lambda off: day + off * DAY), min_size=1, max_size=3).map(
        lambda each: tuple(sorted(each))
    )


@st.composite
def calendars(draw):
    zone, day = draw(st.sampled_from(CHANGES))
    blackout = st.builds(Blackout, CLOCKS, CLOCKS, SOME_DAYS, st.none() | dates_around(day))
    holidays = draw(st.none() | dates_around(day))
    blackouts = draw(st.lists(blackout, min_size=1, max_size=3))
    return day, Calendar(zone, holidays, tuple(blackouts))


def reads_closed(calendar, at):
    """What a person with the calendar in hand reads off the clock on the wall."""
    local = at.astimezone(ZoneInfo(calendar.time_zone))
    for each in calendar.blackouts:

        def falls(day, each=each):
            if each.dates is not None:
                return day in each.dates
            holiday = day in (calendar.holidays or ())
            return not holiday and (each.days is None or day.weekday() in each.days)

        clock, today = local.time().replace(fold=0), local.date()
        if each.begins < each.ends:
            closed = falls(today) and each.begins <= clock < each.ends
        else:
            closed = (falls(today) and clock >= each.begins) or (
                falls(today - DAY) and clock < each.ends
            )
        if closed:
            return True
    return False


@pytest.mark.feature("B5")
@settings(max_examples=60, deadline=None)
@given(calendars())
def test_every_minute_of_three_days_around_a_change_is_as_the_clock_reads(given):
    day, calendar = given
    first = utc(day.year, day.month, day.day) - DAY

    for minute in range(3 * 24 * 60):
        at = first + minute * MINUTE
        assert may_start(calendar, at) is not reads_closed(calendar, at), at


@pytest.mark.feature("B5")
@settings(max_examples=60, deadline=None)
@given(calendars(), st.integers(0, 3 * 24 * 60))
def test_the_next_and_the_last_opening_are_those_that_a_search_by_the_minute_finds(given, minute):
    day, calendar = given
    at = utc(day.year, day.month, day.day) - DAY + minute * MINUTE
    ahead = next(
        (at + n * MINUTE for n in range(8 * 1440) if not reads_closed(calendar, at + n * MINUTE)),
        None,
    )
    behind = next(
        (at - n * MINUTE for n in range(8 * 1440) if not reads_closed(calendar, at - n * MINUTE)),
        None,
    )

    if ahead is not None:
        assert next_open(calendar, at) == ahead
    if behind is not None:
        found = last_open(calendar, at)
        assert found == at == behind or behind < found < behind + MINUTE


def first_by_the_minute(clock, after):
    """The first minute after an instant at which the wall shows the time on a day that counts."""
    zone = ZoneInfo(clock.time_zone)
    at = after.replace(second=0, microsecond=0)
    while True:
        at += MINUTE
        local = at.astimezone(zone)
        day = local.date()
        counts = (clock.days is None or day.weekday() in clock.days) and day not in (
            clock.closed or ()
        )
        exists = datetime.combine(day, clock.at, tzinfo=zone).astimezone(UTC).astimezone(zone)
        # A time that is skipped is read with the offset before the change: so much after it.
        if counts and local.time() == exists.time().replace(fold=0) and not local.fold:
            return at


@pytest.mark.feature("B5")
@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(CHANGES),
    CLOCKS,
    SOME_DAYS,
    st.integers(-2 * 1440, 2 * 1440),
    st.data(),
)
def test_a_time_on_days_that_count_is_the_one_that_a_search_by_the_minute_finds(
    change, at, days, minute, data
):
    zone, day = change
    closed = data.draw(st.none() | dates_around(day))
    clock = ClockTime(at, zone, days, closed)
    after = utc(day.year, day.month, day.day) + minute * MINUTE

    found = next_local(clock, after)

    assert found == first_by_the_minute(clock, after)
    assert found - after < longest_wait(clock)


@pytest.mark.feature("B5")
def test_a_weekly_retrain_on_sunday_is_due_on_monday_and_not_on_a_holiday():
    due = ClockTime(time(8), BERLIN, days=(0, 1, 2, 3, 4))
    easter = replace(due, closed=(date(2021, 4, 5),))
    sunday = utc(2021, 4, 4, 10)

    assert next_local(due, sunday) == utc(2021, 4, 5, 6)
    assert next_local(easter, sunday) == utc(2021, 4, 6, 6)


PEAK = Calendar(BERLIN, None, (Blackout(time(17), time(21)),))


def night(**more):
    return Job("w/1", replace(NIGHT, calendar=PEAK, **more), utc(2021, 6, 1, 12))


def test_a_schedule_in_a_blackout_waits_for_its_end():
    assert scheduled_start(
        night(schedule=ClockTime(time(18), BERLIN)).workload, utc(2021, 6, 1)
    ) == utc(2021, 6, 1, 19)


@pytest.mark.feature("C6")
@pytest.mark.parametrize(
    ("deadline", "latest"),
    [
        (utc(2021, 6, 1, 15, 30), utc(2021, 6, 1, 14, 30)),
        (utc(2021, 6, 1, 18), utc(2021, 6, 1, 14, 59, 59)),
        (utc(2021, 6, 1, 20), utc(2021, 6, 1, 19)),
    ],
    ids=["before", "within", "after"],
)
def test_the_latest_safe_start_is_never_in_a_blackout(deadline, latest):
    assert latest_safe_start(replace(night(), deadline=deadline)) == latest


def choice(job, now):
    baseline, ways = batch_candidates(job, [RegionOption(HOME)], now)
    verdicts = [Verdict(each.id, allowed=True, score=(0.0, 0.0)) for each in (baseline, *ways)]
    return (
        baseline,
        ways,
        choose(job, baseline, ways, Judgement((), tuple(verdicts), Limits(), ""), now),
    )


@pytest.mark.feature("C6")
@given(st.integers(0, 11 * 60), st.integers(61, 20 * 60))
def test_nothing_starts_in_a_blackout_whatever_is_chosen(minute, slack):
    submitted = utc(2021, 6, 1, 12) + minute * MINUTE
    job = replace(night(), submitted=submitted, deadline=submitted + slack * MINUTE)

    baseline, ways, decision = choice(job, submitted)

    assert all(may_start(PEAK, each.start) for each in (baseline, *ways))
    assert may_start(PEAK, decision.latest_safe_start)
    latest = submitted + (slack - 60) * MINUTE
    opens = next_open(PEAK, submitted)
    assert decision.latest_safe_start <= max(latest, opens)


def test_a_run_whose_only_starts_are_in_a_blackout_starts_when_it_ends():
    job = replace(night(), submitted=utc(2021, 6, 1, 15, 30), deadline=utc(2021, 6, 1, 17))

    _, _, decision = choice(job, job.submitted)

    assert decision.chosen.start == decision.latest_safe_start == utc(2021, 6, 1, 19)


def test_a_run_that_lost_its_slack_before_a_blackout_is_held_until_it_ends():
    job = replace(night(), deadline=utc(2021, 6, 1, 16))

    _, _, decision = choice(job, utc(2021, 6, 1, 16))

    assert decision.chosen.start == decision.latest_safe_start == utc(2021, 6, 1, 19)


def test_a_calendar_without_any_opening_closes_nothing():
    always = Calendar(BERLIN, None, (Blackout(),))
    at = utc(2021, 6, 1, 12)

    assert not may_start(always, at)
    assert next_open(always, at) == last_open(always, at) == at
