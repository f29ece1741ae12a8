"""What waiting saves, by day: chosen by what was known, paid by what came."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type"
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenops.adapters.packaged import packaged
from greenops.config import Settings
from greenops.domain.grid import Factors, SeriesKind, Signal
from greenops.errors import DataMissing, MixedQuantities, UsageError
from greenops.grid.regions import RegionTable
from greenops.pipeline.grid import GridContext, load_grid
from greenops.pipeline.policies import read_policies
from greenops.pipeline.savings_by_day import (
    ENRICHMENT,
    demo_day,
    median_day,
    saving_by_day,
    submitted,
)
from greenops.testing.clock import FakeClock
from greenops.testing.grid import START, FakeGrid

HOUR = timedelta(hours=1)
CAME = [100, 100, 50, 80, 20, 100] + [100] * 18
SAID = [100, 100, 90, 40, 80, 100] + [100] * 18


def context(provider):
    return GridContext(provider, RegionTable(), {})


def savings(provider, **changed):
    asked = {"local_time": time(1), "duration": HOUR, "deadline": 4 * HOUR, **changed}
    return saving_by_day(context(provider), "Z", **asked)


def test_the_start_is_chosen_by_the_forecast_and_paid_by_what_came():
    (day,) = savings(FakeGrid({"Z": CAME}, {"Z": SAID}))

    assert day.day == date(2021, 10, 8)
    assert day.baseline_start == START + HOUR
    assert day.chosen_start == START + 3 * HOUR
    assert (day.baseline_g_per_kwh, day.chosen_g_per_kwh) == (100, 80)
    assert day.saving == pytest.approx(0.2)
    assert day.oracle_saving == pytest.approx(0.8)


def test_the_run_ends_by_the_deadline():
    (day,) = savings(FakeGrid({"Z": CAME}), deadline=3 * HOUR)

    assert day.chosen_start == START + 2 * HOUR
    assert day.oracle_saving == pytest.approx(0.5)


def test_a_start_leaves_room_for_the_p95_run():
    (day,) = savings(FakeGrid({"Z": CAME}), longest=3 * HOUR)

    assert day.chosen_start == START + 2 * HOUR
    assert day.oracle_saving == pytest.approx(0.5)


def test_a_wrong_forecast_gives_a_negative_saving():
    (day,) = savings(
        FakeGrid({"Z": [9, 10, 30, 10, 10, *([10] * 19)]}, {"Z": [9, 9, 1, *([9] * 21)]})
    )

    assert day.saving == pytest.approx(-2.0)


def test_of_equal_slots_the_earliest_is_taken():
    (day,) = savings(FakeGrid({"Z": [5] * 24}))

    assert day.chosen_start == day.baseline_start
    assert day.saving == 0


def test_a_gap_a_strange_zone_or_a_deadline_too_short_is_said():
    with pytest.raises(DataMissing, match=r"GO0303 .*gap"):
        savings(FakeGrid({"Z": [100, 100, None, *([100] * 21)]}))
    with pytest.raises(DataMissing, match="GO0310"):
        savings(FakeGrid({"Y": CAME}))
    with pytest.raises(UsageError, match="GO0311"):
        savings(FakeGrid({"Z": CAME}), duration=5 * HOUR)
    with pytest.raises(UsageError, match="GO0311"):
        savings(FakeGrid({"Z": CAME}), longest=5 * HOUR)


@pytest.mark.feature("A4")
def test_a_marginal_forecast_does_not_choose_for_average_intensity():
    marginal = SeriesKind(Signal.MARGINAL, Factors.LIFECYCLE, "fake", replay=False)

    class Mixed(FakeGrid):
        def forecast(self, zone, at):
            return replace(super().forecast(zone, at), kind=marginal)

    with pytest.raises(MixedQuantities):
        savings(Mixed({"Z": CAME}))


def test_the_median_day_is_one_of_the_days():
    (day,) = savings(FakeGrid({"Z": CAME}))
    days = [replace(day, saving=s) for s in (0.4, 0.1, 0.3, 0.2)]

    assert median_day(days).saving == 0.2
    assert median_day(days[:3]).saving == 0.3
    with pytest.raises(DataMissing, match="GO0310"):
        median_day([])


@pytest.mark.feature("B5")
@pytest.mark.parametrize(
    ("zone", "day", "at", "utc"),
    [
        ("America/Los_Angeles", date(2021, 11, 6), time(1), datetime(2021, 11, 6, 8)),
        ("America/Los_Angeles", date(2021, 11, 7), time(1), datetime(2021, 11, 7, 8)),
        ("America/Los_Angeles", date(2021, 11, 8), time(1), datetime(2021, 11, 8, 9)),
        ("America/Los_Angeles", date(2021, 3, 14), time(2, 30), datetime(2021, 3, 14, 10, 30)),
        ("Europe/Berlin", date(2021, 3, 28), time(2, 30), datetime(2021, 3, 28, 1, 30)),
        ("Europe/Berlin", date(2021, 10, 31), time(2, 30), datetime(2021, 10, 31, 0, 30)),
        ("Europe/Berlin", date(2021, 10, 31), time(3, 30), datetime(2021, 10, 31, 2, 30)),
    ],
)
def test_a_local_submission_follows_the_clock_change(zone, day, at, utc):
    assert submitted(day, at, ZoneInfo(zone)) == utc.replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def shipped():
    return load_grid(Settings(), FakeClock())


@pytest.mark.parametrize(("zone", "count"), [("CISO", 181), ("DE", 180)])
def test_every_local_day_with_a_forecast_is_there_once(shipped, zone, count):
    days = saving_by_day(shipped, zone, time(1), 2 * HOUR, 12 * HOUR)

    assert [each.day for each in days] == sorted({each.day for each in days})
    assert len(days) == (days[-1].day - days[0].day).days + 1 == count
    for each in days:
        assert each.baseline_start <= each.chosen_start <= each.baseline_start + 10 * HOUR
        assert each.saving <= each.oracle_saving


def test_the_nightly_job_in_california_saves_10_percent_on_180_of_181_days(shipped):
    days = saving_by_day(shipped, "CISO", time(1), 2 * HOUR, 12 * HOUR)

    assert sum(each.saving >= 0.10 for each in days) == 180
    assert {each.baseline_start.hour for each in days} == {8, 9}


def test_the_demo_day_is_the_median_of_all_days(shipped):
    days = saving_by_day(shipped, "CISO", time(1), 2 * HOUR, 12 * HOUR)

    day = demo_day(shipped)

    assert sum(each.saving < day.saving for each in days) == 90
    assert 0.35 < day.saving < 0.37


def test_the_shipped_workload_saves_a_third_on_its_median_day_and_on_the_demo_day(shipped):
    asked = (time(1), ENRICHMENT.usual, ENRICHMENT.deadline)
    days = saving_by_day(shipped, "CISO", *asked, longest=ENRICHMENT.p95)

    middle, demo = median_day(days), demo_day(shipped).day
    played = next(each for each in days if each.day == demo)
    assert (middle.day, round(middle.saving, 3)) == (date(2021, 9, 14), 0.344)
    assert round(played.saving, 3) == 0.356
    assert sum(each.saving < played.saving for each in days) == 96
    assert all(each.chosen_start + ENRICHMENT.p95 <= _deadline(each) for each in days)


def _deadline(day):
    return day.baseline_start + ENRICHMENT.deadline


def test_the_enrichment_that_is_reckoned_with_is_the_shipped_one():
    shipped = read_policies(packaged("policies")).workloads["nightly-enrichment"]

    assert shipped.duration_s == ENRICHMENT.usual.total_seconds()
    assert shipped.duration_p95_s == ENRICHMENT.p95.total_seconds()
    assert shipped.limits.deadline_within == ENRICHMENT.deadline
