"""Non-interruptible jobs: the exact best start, held to a search over every second."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.domain.wall_clock import next_local
from greenops.domain.workload import ClockTime
from greenops.plan.slot_table import QUANTA, BatchJobs, SlotTable
from greenops.plan.windows import Starts, best_windows

STEP = 4
"""Seconds of a slot: small, so that a search by the second stays small."""
value = st.one_of(st.sampled_from([0.0, 1.0, 1.0, 2.0, -1.0, np.nan]), st.integers(0, 9).map(float))
tables = st.integers(1, 3).flatmap(
    lambda zones: st.integers(1, 9).flatmap(
        lambda slots: st.lists(
            st.lists(value, min_size=slots, max_size=slots), min_size=zones, max_size=zones
        )
    )
)


def by_the_second(values, earliest, deadline, duration, starts):
    """(area, start) of the best run by search, in unit x s; none where there is none."""
    seconds = np.repeat(values, STEP)
    if starts is Starts.ANY:
        allowed = range(max(earliest, 0), deadline - duration + 1)
    elif starts is Starts.HOPS:
        allowed = (at for at in range(earliest, deadline - duration + 1, STEP) if at >= 0)
    else:
        allowed = (
            at
            for at in range(max(earliest, 0), deadline - duration + 1)
            if at % STEP == 0 or at == max(earliest, 0)
        )
    runs = [
        (float(seconds[at : at + duration].sum()), at)
        for at in allowed
        if at + duration <= len(seconds) and not np.isnan(seconds[at : at + duration]).any()
    ]
    return min(runs, default=None)


@given(tables, st.data(), st.sampled_from(Starts))
@settings(deadline=None, derandomize=True)
def test_the_best_start_is_the_one_that_a_search_by_the_second_finds(given_values, data, starts):
    values = np.array(given_values)
    end = values.shape[1] * STEP
    jobs = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, len(values) - 1),
                st.integers(-STEP - 1, end + 2),
                st.integers(-2, end + STEP + 1),
                st.integers(1, end + 1),
            ),
            min_size=1,
            max_size=6,
        )
    )

    found = best_windows(SlotTable.of(values, STEP), BatchJobs.of(*zip(*jobs, strict=True)), starts)

    for at, (zone, earliest, deadline, duration) in enumerate(jobs):
        best = by_the_second(values[zone], earliest, deadline, duration, starts)
        if best is None:
            assert not found.found[at]
            assert np.isnan(found.mean[at])
        else:
            assert (found.area[at] / QUANTA, found.start_s[at]) == pytest.approx(best)
            assert found.mean[at] == pytest.approx(best[0] / duration)


def test_a_run_may_end_with_its_deadline_and_with_the_table_and_not_a_second_later():
    table = SlotTable.of([9.0, 9.0, 1.0], 1800)

    to_the_end = best_windows(table, BatchJobs.of(0, 0, [5400, 5399, 9000], 1800))

    assert to_the_end.start_s.tolist() == [3600, 0, 3600]


def test_half_an_hour_that_touches_a_gap_by_a_second_is_no_candidate():
    table = SlotTable.of([1.0, np.nan, 5.0, 5.0], 1800)
    jobs = BatchJobs.of(0, [0, 1, 3600, 3599], 7200, 1800)

    found = best_windows(table, jobs, Starts.ANY)

    assert found.start_s.tolist() == [0, 3600, 3600, 3600]


def test_jobs_in_different_blocks_get_what_each_would_get_alone():
    draw = np.random.default_rng(3)
    values = draw.integers(0, 5, (4, 700)).astype(float)
    values[:, 300] = np.nan
    table = SlotTable.of(values, 60)
    earliest = draw.integers(0, 30_000, 900)
    length = draw.integers(1, 4_000, 900)
    deadline = earliest + length + draw.integers(0, 20_000, 900)
    jobs = BatchJobs.of(draw.integers(0, 4, 900), earliest, deadline, length)

    together = best_windows(table, jobs, Starts.ANY)

    for at in range(0, 900, 45):
        alone = best_windows(table, jobs.take(np.array([at])), Starts.ANY)
        assert (alone.start_s[0], alone.area[0]) == (together.start_s[at], together.area[at])


@pytest.mark.parametrize(("day", "hours"), [((2021, 3, 27), 23), ((2021, 10, 30), 25)])
def test_a_night_of_a_clock_change_has_its_own_number_of_hours(day, hours):
    # From 01:00 to 01:00 of the next day on Berlin's clocks, in hours of UTC.
    clock = ClockTime(time(1, 0), "Europe/Berlin")
    opens = datetime(*day, 23, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    first = next_local(clock, opens)
    last = next_local(clock, first)
    window = last - first
    values = np.full(30, 5.0)
    values[int(window / timedelta(hours=1)) - 1] = 1.0
    values[int(window / timedelta(hours=1))] = 0.0  # the first hour after the deadline

    found = best_windows(
        SlotTable.of(values, 3600), BatchJobs.of(0, 0, window.total_seconds(), 3600)
    )

    assert window == timedelta(hours=hours)
    assert found.start_s.tolist() == [(hours - 1) * 3600]


def test_series_that_do_not_lie_on_one_grid_of_time_make_no_table():
    kind = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=False)
    start = datetime(2021, 10, 8, tzinfo=UTC)
    hourly = IntensitySeries("A", kind, start, timedelta(hours=1), (1.0, None))
    later = IntensitySeries("B", kind, start + timedelta(hours=1), timedelta(hours=1), (1.0, 2.0))

    table = SlotTable.of_series([hourly, hourly])

    assert table.mean(*np.array([[0, 1], [0, 0], [3600, 7200]])).tolist() == pytest.approx(
        [1.0, np.nan], nan_ok=True
    )
    with pytest.raises(ValueError, match="start together"):
        SlotTable.of_series([hourly, later])


def test_what_cannot_be_summed_exactly_or_is_no_job_is_refused():
    with pytest.raises(ValueError, match="too large"):
        SlotTable.of(np.full(100_000, 1e9), 3600)
    with pytest.raises(ValueError, match="zones x slots"):
        SlotTable.of([], 3600)
    with pytest.raises(ValueError, match="at least a second"):
        BatchJobs.of(0, 0, 10, 0)
    with pytest.raises(ValueError, match="whole seconds"):
        SlotTable.of_series(
            [
                IntensitySeries(
                    "A",
                    SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=False),
                    datetime(2021, 10, 8, tzinfo=UTC),
                    timedelta(milliseconds=1500),
                    (1.0,),
                )
            ]
        )
    with pytest.raises(ValueError, match="whole numbers"):
        BatchJobs.of(0, 0, 10.5, 1)
