"""A provider with history but no forecast gets one, off the decision's path, that sees nothing later."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,union-attr,operator"

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greenops.adapters.shipped_grid import ShippedGrid
from greenops.errors import AdapterUnavailable, DataMissing
from greenops.grid.local_forecast_issue import MODEL
from greenops.pipeline.local_forecasts import LocalForecasts
from greenops.ports import GridProvider
from greenops.testing.clock import FakeClock
from greenops.testing.grid import KIND, START, FakeGrid, check_grid_provider
from tests.unit.pipeline.grid_chains import chain

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS = 110
NOW = START + DAYS * DAY + 8 * HOUR


def hours(days: int = DAYS + 10, seed: int = 4) -> list[float]:
    draw = np.random.default_rng(seed)
    at = np.arange(days * 24)
    return [
        float(each)
        for each in 300 - 100 * np.sin((at % 24 - 6) / 12 * np.pi) + draw.normal(0, 9, len(at))
    ]


class NoForecast(FakeGrid):
    """Knows the past alone, and counts how often it is asked for it."""

    def __init__(self, *given, error: Exception | None = None, late: timedelta = timedelta(0)):
        super().__init__(*given)
        self.error = error or DataMissing("GO0305", "no forecast here")
        self.asked: list[tuple[datetime, datetime]] = []
        self.known_until = NOW - late

    def forecast(self, zone, at):
        self._find(self._said, zone)
        raise self.error

    def actual(self, zone, start, end):
        self.asked.append((start, end))
        if end > self.known_until:
            raise DataMissing("GO0303", "not known yet")
        return super().actual(zone, start, end)


def grid(clock=None, run=None, values=None, **more):
    inner = NoForecast({"Z": values or hours()}, **more)
    made = LocalForecasts(inner, clock or FakeClock(NOW), *([run] if run else []))
    return inner, made


def test_a_zone_without_a_forecast_gets_one_from_its_past():
    _, provider = grid()

    found = provider.forecast("Z", NOW)

    assert found.id.startswith(f"{MODEL}/Z/{NOW:%Y-%m-%d}T00:00Z/")
    assert found.issued_at == NOW - 8 * HOUR
    assert found.degraded is None
    assert found.low
    assert isinstance(provider, GridProvider)
    assert provider.name == "fake"


def test_it_is_made_once_a_day():
    inner, provider = grid()

    first = provider.forecast("Z", NOW)
    asked = len(inner.asked)
    again = provider.forecast("Z", NOW - 3 * HOUR)
    other_day = provider.forecast("Z", NOW - DAY)

    assert first is again
    assert other_day.issued_at == first.issued_at - DAY
    assert len(inner.asked) == 2 * asked


def test_a_forecast_of_the_provider_itself_is_left_alone():
    provider = LocalForecasts(FakeGrid({"Z": hours()}), FakeClock(NOW))

    assert provider.forecast("Z", NOW).id.startswith("fake/Z/")
    assert provider.local("Z", NOW).id.startswith(f"{MODEL}/Z/")
    assert len(provider.issues("Z")) == DAYS + 10


def test_one_that_stands_in_for_a_provider_that_is_away_says_so():
    _, provider = grid(error=AdapterUnavailable("GO0331", "asleep"))

    found = provider.forecast("Z", NOW)

    assert found.id.startswith(MODEL)
    assert found.degraded == "from the zone's own past alone: GO0331 asleep"


@pytest.mark.parametrize(
    ("fault", "degraded"),
    [(None, None), (AdapterUnavailable("GO0320", "asleep"), "GO0320 asleep")],
    ids=["both have none", "one is away"],
)
@pytest.mark.parametrize("first", [0, 1])
def test_in_a_chain_one_that_is_away_is_told_though_the_other_never_has_a_forecast(
    tmp_path, first, fault, degraded
):
    givers = [
        NoForecast({"DE": hours()}, error=DataMissing("GO0305", "has none")),
        NoForecast({"DE": hours()}, error=fault),
    ]
    made = chain(tmp_path, givers[first], givers[1 - first], clock=FakeClock(NOW))
    made.kinds.first = KIND
    provider = LocalForecasts(made, FakeClock(NOW))

    found = provider.forecast("DE", NOW)

    assert found.id.startswith(MODEL)
    assert (found.degraded is None) is (degraded is None)
    assert (degraded or "") in (found.degraded or "")


class UsualCourse(NoForecast):
    """Gives the usual course of a zone where it has no forecast, as a chain of providers does."""

    def forecast(self, zone, at):
        found = FakeGrid.forecast(self, zone, at)
        why = f"usual course in place of a forecast: {self.error}"
        return replace(found, id=f"climatology/fake/{zone}", degraded=why)


@pytest.mark.parametrize(
    ("error", "degraded"), [("GO0305 has none", None), ("GO0320 is away", "GO0320 is away")]
)
def test_the_usual_course_stands_only_where_the_past_tells_no_forecast(error, degraded):
    long, short = (UsualCourse({"Z": hours(days)}, error=error) for days in (DAYS + 10, 50))

    found = LocalForecasts(long, FakeClock(NOW)).forecast("Z", NOW)
    usual = LocalForecasts(short, FakeClock(START + 40 * DAY)).forecast("Z", START + 40 * DAY)

    assert found.id.startswith(MODEL)
    assert (found.degraded or "").endswith(degraded or "")
    assert (found.degraded is None) is (degraded is None)
    assert usual.id == "climatology/fake/Z"


@pytest.mark.feature("A3")
def test_whatever_instant_is_asked_for_nothing_after_now_is_looked_at():
    inner, provider = grid()
    inner.known_until = NOW + 9 * DAY

    found = provider.forecast("Z", NOW + 2 * DAY)

    assert found.issued_at == NOW - 8 * HOUR
    assert max(end for _, end in inner.asked) <= NOW


def test_a_source_that_is_behind_moves_the_issue_back():
    _, provider = grid(late=timedelta(hours=10, minutes=30))

    found = provider.forecast("Z", NOW)

    assert found.issued_at == NOW - 11 * HOUR


@pytest.mark.parametrize("error", [DataMissing("GO0305", "none"), AdapterUnavailable("GO0331", "")])
def test_where_the_past_tells_none_the_provider_s_own_words_stand(error):
    _, provider = grid(values=hours(50), error=error)

    with pytest.raises(type(error), match=error.code):
        provider.forecast("Z", NOW)
    with pytest.raises(DataMissing, match="90 days"):
        provider.local("Z", NOW)
    with pytest.raises(DataMissing, match="GO0302"):
        provider.forecast("no such zone", NOW)


def test_a_past_full_of_gaps_is_told_in_one_line():
    _, provider = grid(values=[None] * 24 * 120)

    with pytest.raises(DataMissing, match=r"GO0314 .*60 days"):
        provider.local("Z", NOW)


def test_a_failure_is_not_tried_again_at_once_but_a_while_later():
    clock = FakeClock(NOW)
    inner, provider = grid(clock, values=hours(50))

    for _ in range(3):
        with pytest.raises(DataMissing):
            provider.local("Z", NOW)
    asked = len(inner.asked)
    clock.sleep(11 * HOUR / 60)
    with pytest.raises(DataMissing):
        provider.local("Z", NOW)

    assert len(inner.asked) == 2 * asked


def test_a_failure_that_is_kept_keeps_nothing_of_who_asked():
    _, provider = grid(values=hours(50))

    for _ in range(5):
        with pytest.raises(DataMissing) as caught:
            provider.local("Z", NOW)

    assert len(caught.traceback) == 2


def test_a_decision_does_not_wait_for_a_training_and_meanwhile_has_the_day_before():
    clock, work = FakeClock(NOW - DAY), []
    _, provider = grid(clock, run=work.append)

    with pytest.raises(DataMissing, match="GO0305"):
        provider.forecast("Z", clock.now())
    with pytest.raises(DataMissing, match="GO0305"):
        provider.forecast("Z", clock.now())
    assert len(work) == 1
    work.pop()()
    yesterday = provider.forecast("Z", clock.now())
    clock.sleep(DAY)
    meanwhile = provider.forecast("Z", clock.now())
    work.pop()()
    today = provider.forecast("Z", clock.now())

    assert meanwhile is yesterday
    assert today.issued_at == yesterday.issued_at + DAY
    assert work == []


def test_where_no_thread_can_be_had_there_is_no_forecast_and_it_is_tried_again():
    def refuses(work):
        raise RuntimeError("can't start new thread")

    _, provider = grid(run=refuses)

    for _ in range(2):
        with pytest.raises(DataMissing, match="GO0314"):
            provider.local("Z", NOW)


@pytest.mark.slow
def test_the_shipped_grid_with_local_forecasts_keeps_the_promises_where_it_had_none():
    start = datetime(2021, 3, 10, tzinfo=UTC)
    provider = LocalForecasts(ShippedGrid(), FakeClock(start + 9 * DAY))

    check_grid_provider(
        provider, "PL", start, start + 2 * DAY, before=datetime(2020, 2, 1, tzinfo=UTC)
    )
