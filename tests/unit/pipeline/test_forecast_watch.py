"""Forecasts are remembered while they are in force and reckoned with once a day; nothing of it stops a tick."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,union-attr,operator"

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.grid_cache_files import GridCacheFiles
from greenops.adapters.shipped_grid import ShippedGrid
from greenops.domain.grid import Signal
from greenops.errors import AdapterUnavailable, DataMissing, MixedQuantities
from greenops.pipeline.beside import at_once
from greenops.pipeline.forecast_quality import qualities
from greenops.pipeline.forecast_watch import FOLDER, SETTLES_NS, ForecastWatch
from greenops.testing.clock import FakeClock
from greenops.testing.grid import KIND, START, FakeGrid

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = timedelta(microseconds=SETTLES_NS / 1000)


class Forgets(FakeGrid):
    """Says on each day that all hours have 100 g/kWh; keeps no forecast that it gave."""

    def __init__(self, days=40, error=None, every=DAY, kind=KIND):
        values = [100.0 + 10 * (hour // 24 % 2) for hour in range(24 * days)]
        super().__init__({"Z": values}, {"Z": [100.0] * len(values)}, every=every, kind=kind)
        self.error, self.asked = error, 0

    def issues(self, zone):
        raise DataMissing("GO0310", "keeps none")

    def forecast(self, zone, at):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return super().forecast(zone, at)


@pytest.fixture
def watch(tmp_path):
    def begin(provider, clock, run=at_once, zones=("Z",), state=tmp_path):
        told = []
        files = GridCacheFiles(state)
        return ForecastWatch(provider, zones, clock, told.append, files, run), told

    return begin


def test_forecasts_that_their_provider_does_not_keep_are_told_once_they_have_come(watch):
    clock, provider = FakeClock(START), Forgets()
    looking, told = watch(provider, clock)

    for _ in range(10 * 24):
        looking.look()
        clock.advance(HOUR)

    last = told[-1]
    assert (last.zone, last.source, last.issues) == ("Z", "fake", 9)
    assert last.mae == pytest.approx(5, abs=1)
    assert last.coverage == 1
    assert provider.asked == 10 * 24
    # Nothing had come yet on the first day; then once a day.
    assert len(told) == 9


def test_of_what_was_seen_only_four_weeks_count(watch):
    clock = FakeClock(START)
    looking, told = watch(Forgets(days=60), clock)

    for _ in range(40):
        looking.look()
        clock.advance(DAY)

    assert told[-1].issues == 28


def test_of_a_source_that_issues_by_the_hour_the_first_of_each_day_is_remembered(watch):
    clock = FakeClock(START + HOUR / 2)
    provider = Forgets(every=HOUR)
    looking, _ = watch(provider, clock)

    for _ in range(3 * 24):
        looking.look()
        clock.advance(HOUR)

    kept = looking._seen["Z"].values()
    assert [each.issued_at for each in kept] == [START + day * DAY for day in range(3)]


def test_a_start_is_left_alone_and_a_fast_replay_reckons_by_the_wall(watch):
    clock = FakeClock(START + 5 * DAY)
    looking, told = watch(Forgets(), clock)
    looking._seen["Z"] = {START.date(): Forgets().forecast("Z", START)}

    looking.look()
    assert told == []
    clock.advance(FIRST)
    looking.look()
    assert len(told) == 1
    clock._now += 3 * DAY  # a replay: simulated days, and no time on the wall
    looking.look()
    assert len(told) == 1


def test_one_look_at_a_time(watch):
    clock, work = FakeClock(START), []
    provider = Forgets()
    looking, _ = watch(provider, clock, work.append)

    for _ in range(3):
        looking.look()
        clock.advance(HOUR)
    assert len(work) == 1
    work.pop()()
    looking.look()

    assert len(work) == 1


def test_what_was_seen_outlasts_the_process(watch):
    clock, provider = FakeClock(START), Forgets()
    before, _ = watch(provider, clock)
    for _ in range(5):
        before.look()
        clock.advance(DAY)

    after, told = watch(provider, clock)
    after.look()
    clock.advance(FIRST)
    after.look()

    assert told[-1].issues == 5


def test_what_a_later_replay_left_behind_goes(watch):
    later, _ = watch(Forgets(), FakeClock(START + 30 * DAY))
    later.look()

    earlier, _ = watch(Forgets(), FakeClock(START))
    earlier.look()

    assert [each.issued_at for each in earlier._seen["Z"].values()] == [START]


@pytest.mark.feature("A4")
def test_after_a_change_to_another_kind_of_intensity_the_old_forecasts_go(watch):
    clock = FakeClock(START)
    before, _ = watch(Forgets(), clock)
    for _ in range(3):
        before.look()
        clock.advance(DAY)
    marginal = replace(KIND, signal=Signal.MARGINAL)

    after, told = watch(Forgets(kind=marginal), clock)
    for _ in range(3):
        after.look()
        clock.advance(DAY)

    assert {each.kind for each in after._seen["Z"].values()} == {marginal}
    assert told[-1].issues == 2


@pytest.mark.parametrize("content", [b"", b"{", b'{"forecasts": 7}', b'{"forecasts": [{}]}'])
def test_a_damaged_memory_is_begun_anew(watch, tmp_path, content):
    GridCacheFiles(tmp_path).write(FOLDER, "Z", content)
    looking, _ = watch(Forgets(), FakeClock(START))

    looking.look()

    assert len(looking._seen["Z"]) == 1
    assert GridCacheFiles(tmp_path).read(FOLDER, "Z").startswith(b'{"forecasts":[{')


def test_a_full_disk_is_told_and_memory_goes_on(watch, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    clock = FakeClock(START)
    looking, _ = watch(Forgets(), clock, state=tmp_path / "file")

    for _ in range(3):
        looking.look()
        clock.advance(DAY)

    assert "forecasts of Z are not kept: GO0346" in caplog.text
    assert len(looking._seen["Z"]) == 3


@pytest.mark.parametrize(
    "error",
    [DataMissing("GO0305", "-"), AdapterUnavailable("GO0320", "-"), ZeroDivisionError("ours")],
)
def test_what_fails_is_looked_at_again_and_no_tick_hears_of_it(watch, error, caplog):
    clock, provider = FakeClock(START), Forgets(error=error)
    looking, told = watch(provider, clock)

    for _ in range(50):
        looking.look()
        clock.advance(HOUR)

    assert provider.asked == 50
    assert told == []
    assert ("unexpected" in caplog.text) is isinstance(error, ZeroDivisionError)


def test_where_no_thread_can_be_had_the_next_tick_tries_again(watch):
    clock, calls = FakeClock(START), []

    def refuses(work):
        calls.append(work)
        raise RuntimeError("can't start new thread")

    looking, _ = watch(Forgets(), clock, refuses)

    looking.look()
    clock.advance(HOUR)
    looking.look()

    assert len(calls) == 2


def test_what_was_foretold_and_what_came_must_be_of_one_kind(watch):
    provider = Forgets()
    found = provider.forecast("Z", START + DAY)
    marginal = replace(found, kind=replace(found.kind, signal=Signal.MARGINAL))

    with pytest.raises(MixedQuantities, match="GO0301"):
        qualities(provider, "Z", START + 20 * DAY, [marginal])


def test_forecasts_that_the_provider_keeps_are_not_kept_twice(watch, tmp_path):
    looking, _ = watch(ShippedGrid(), FakeClock(datetime(2021, 9, 1, tzinfo=UTC)), zones=("PL",))

    looking.look()

    assert list(tmp_path.iterdir()) == []


def test_forecasts_that_were_both_kept_and_seen_count_once(watch):
    now = datetime(2021, 10, 8, 8, tzinfo=UTC)
    grid = ShippedGrid()

    found = qualities(grid, "PL", now, [grid.forecast("PL", now - 3 * DAY)])

    assert [each.issues for each in found] == [28, 28]
    assert found == qualities(grid, "PL", now)
