"""What stands between the planner and its providers: fresh, kept, stood in for, usual, and never wrong."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

import logging
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from greenops.adapters.clock import SystemClock
from greenops.domain.grid import Basis, Factors, SeriesKind, Signal
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing, MixedQuantities
from greenops.pipeline.beside import in_background
from greenops.testing.clock import FakeClock
from greenops.testing.grid import KIND, START, check_grid_provider
from tests.unit.pipeline.grid_chains import (
    AWAY,
    DAY,
    DAYS,
    HOUR,
    NOW,
    JumpyClock,
    chain,
    day,
    grid,
)


def forecasts(provider):
    return [what for what, _ in provider.asked].count("forecast")


def test_a_chain_keeps_the_promises_of_a_provider(tmp_path):
    made = chain(tmp_path, grid(), clock=FakeClock(START))

    check_grid_provider(made, "DE", START, START + 3 * DAY, before=START - DAY)


def test_a_forecast_is_asked_for_once_in_a_step(tmp_path):
    provider, clock = grid(), FakeClock(NOW)
    made = chain(tmp_path, provider, clock=clock)

    said = {made.forecast("DE", clock.now()).id for _ in range(5)}
    clock.advance(59 * timedelta(minutes=1))
    said.add(made.forecast("DE", clock.now()).id)

    assert forecasts(provider) == 1
    clock.advance(timedelta(minutes=2))
    assert made.forecast("DE", clock.now()).degraded is None
    assert forecasts(provider) == 2
    assert len(said) == 1


def test_a_stale_forecast_is_served_while_one_thread_asks_for_the_next(tmp_path):
    provider, clock, later = grid(), FakeClock(NOW), []
    made = chain(tmp_path, provider, clock=clock)
    first = made.forecast("DE", clock.now())
    clock.advance(2 * HOUR)
    made.sources[0].worker.run = later.append

    served = [made.forecast("DE", clock.now()) for _ in range(3)]

    assert served == [first] * 3
    assert forecasts(provider) == 1
    assert len(later) == 1
    later[0]()
    assert forecasts(provider) == 2


@pytest.mark.feature("B12")
def test_in_an_outage_the_usual_course_stands_in_and_says_so(tmp_path):
    provider, clock = grid(), FakeClock(NOW)
    made = chain(tmp_path, provider, clock=clock)
    made.forecast("DE", clock.now())
    provider.fault = AWAY
    clock.advance(3 * DAY)

    found = made.forecast("DE", clock.now())

    assert "usual course" in found.degraded
    assert "GO0320" in found.degraded
    assert found.kind.signal is KIND.signal
    assert found.issued_at == NOW + 3 * DAY
    assert len(found.values) == 96
    assert min(range(24), key=lambda hour: found.values[hour]) == 12
    assert found.low[12] <= found.values[12] <= found.high[12]


@pytest.mark.feature("B12")
def test_a_restart_during_an_outage_still_knows(tmp_path):
    clock = FakeClock(NOW)
    before = chain(tmp_path, grid(), clock=clock).forecast("DE", clock.now())
    away = grid()
    away.fault = AWAY
    clock.advance(5 * HOUR)

    after = chain(tmp_path, away, clock=clock)
    kept = after.forecast("DE", clock.now())

    assert (kept.id, kept.values) == (before.id, before.values)
    assert "5 h ago" in kept.degraded
    clock.advance(3 * DAY)
    assert "usual course" in chain(tmp_path, away, clock=clock).forecast("DE", clock.now()).degraded


def test_the_next_provider_stands_in_and_says_for_whom(tmp_path):
    first, second = grid(), grid(day(300.0) * DAYS)
    first.fault = AWAY
    made = chain(tmp_path, first, second)
    made.kinds.first = KIND

    found = made.forecast("DE", NOW)

    assert found.degraded.startswith("`second` stands in for `first`: GO0320")
    assert found.values[0] == pytest.approx(420.0)


def test_what_stands_in_goes_by_its_own_name_for_the_zone(tmp_path):
    first, second = grid(zone="US-CAL-CISO"), grid(day(300.0) * DAYS, zone="CISO")
    made = chain(tmp_path, first, second)
    made.forecast("US-CAL-CISO", NOW)
    first.fault = AWAY

    series = made.actual("US-CAL-CISO", NOW - 30 * HOUR, NOW - 29 * HOUR)

    assert series.zone == "US-CAL-CISO"
    assert ("actual", "CISO") in second.asked
    assert series.values == (second.actual("CISO", NOW - 30 * HOUR, NOW - 29 * HOUR).values[0],)


@pytest.mark.parametrize(
    "kind",
    [
        replace(KIND, signal=Signal.MARGINAL),
        replace(KIND, factors=Factors.DIRECT),
        replace(KIND, basis=Basis.MARKET),
    ],
)
@pytest.mark.feature("A4")
def test_another_kind_of_intensity_never_stands_in(tmp_path, kind, caplog):
    first, second = grid(), grid(kind=kind)
    made = chain(tmp_path, first, second)
    made.forecast("DE", NOW)
    first.fault = AWAY

    with pytest.raises(DataMissing):
        made.actual("DE", NOW - 9 * DAY, NOW - 8 * DAY)

    assert isinstance(made.sources[1].worker.refused, MixedQuantities)
    assert "cannot stand in" in caplog.text


class OnlyForetold(type(grid())):
    """Tells nothing of the past, so that no usual course can be made of it."""

    def actual(self, zone, start, end):
        raise DataMissing("GO0303", "nothing is recorded")


class Stated(type(grid())):
    """Says its kind beforehand."""

    kind = KIND


class OtherStated(type(grid())):
    """Says another kind beforehand."""

    kind = SeriesKind(Signal.MARGINAL, Factors.LIFECYCLE, "other", replay=False)


@pytest.mark.feature("A4")
def test_kinds_that_are_stated_are_compared_at_the_start(tmp_path):
    values = {"DE": day() * DAYS}

    with pytest.raises(MixedQuantities, match=r"GO0301 .*signal differs.*leave it out"):
        chain(tmp_path, Stated(values), OtherStated(values))


@pytest.mark.feature("A4")
def test_a_first_provider_that_gives_another_kind_than_it_says_is_not_used(tmp_path):
    values = {"DE": day() * DAYS}
    first, second = Stated(values, kind=OtherStated.kind), Stated(values)
    made = chain(tmp_path, first, second)

    found = made.forecast("DE", NOW)

    assert found.kind.signal is Signal.AVERAGE
    assert "`second` stands in for `first`: GO0301" in found.degraded


def test_nothing_stands_in_while_the_kind_of_the_first_is_not_known(tmp_path):
    first, second = grid(), grid()
    first.fault = AWAY
    made = chain(tmp_path, first, second)

    with pytest.raises(DataMissing, match="GO0320"):
        made.forecast("DE", NOW)
    assert forecasts(second) == 0


@pytest.mark.feature("A4")
def test_what_was_kept_under_settings_of_another_kind_is_not_used(tmp_path):
    values = {"DE": day() * DAYS}
    chain(tmp_path, OtherStated(values, kind=OtherStated.kind)).forecast("DE", NOW)
    now_average = Stated(values)
    now_average.fault = AWAY

    with pytest.raises(DataMissing):
        chain(tmp_path, now_average).forecast("DE", NOW)


def test_yesterdays_forecast_is_used_and_said_to_be_old(tmp_path):
    provider, clock = grid(every=3 * DAY), FakeClock(START + 34 * DAY + 2 * HOUR)
    made = chain(tmp_path, provider, clock=clock)

    found = made.forecast("DE", clock.now())

    assert clock.now() - found.issued_at > DAY
    assert "has no newer one" in found.degraded


def test_a_forecast_that_is_too_old_to_decide_by_gives_way_to_the_usual_course(tmp_path):
    provider, clock = grid(every=30 * DAY, length=30 * DAY), FakeClock(START + 29 * DAY)
    made = chain(tmp_path, provider, clock=clock)
    made.actual("DE", START, clock.now())

    found = made.forecast("DE", clock.now())

    assert "usual course" in found.degraded
    assert "young enough" in found.degraded


class FromTomorrow(OnlyForetold):
    """Its clock is ahead."""

    def forecast(self, zone, at):
        return super().forecast(zone, at + DAY)


def test_a_forecast_from_the_future_is_refused(tmp_path):
    made = chain(tmp_path, FromTomorrow({"DE": day() * DAYS}))

    with pytest.raises(DataMissing, match=r"GO0343 .*set this machine's clock"):
        made.forecast("DE", NOW)


def test_a_clock_that_is_put_back_asks_again_and_gives_nothing_from_later(tmp_path):
    provider, clock = grid(), JumpyClock(NOW)
    made = chain(tmp_path, provider, clock=clock)
    made.forecast("DE", clock.now())
    clock.jump(-3 * DAY)

    found = made.forecast("DE", clock.now())

    assert found.issued_at <= clock.now()
    assert found.degraded is None
    assert forecasts(provider) == 2


def test_a_clock_that_jumps_ahead_never_serves_what_has_ended(tmp_path):
    provider, clock = grid(), JumpyClock(NOW)
    made = chain(tmp_path, provider, clock=clock)
    made.forecast("DE", clock.now())
    clock.jump(400 * DAY)

    with pytest.raises(DataMissing):
        made.forecast("DE", clock.now())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_what_is_no_intensity_is_never_served(tmp_path, bad):
    values = day() * DAYS
    values[35 * 24 + 3] = bad
    made = chain(tmp_path, OnlyForetold({"DE": values}))

    with pytest.raises(DataMissing, match=r"GO0344 .*no intensity"):
        made.forecast("DE", NOW)


class Elsewhere(OnlyForetold):
    """Answers for another zone."""

    def forecast(self, zone, at):
        return replace(super().forecast(zone, at), zone="FR")


def test_an_answer_for_another_zone_is_never_served(tmp_path):
    with pytest.raises(DataMissing, match="GO0344"):
        chain(tmp_path, Elsewhere({"DE": day() * DAYS})).forecast("DE", NOW)


@pytest.mark.parametrize(
    "fault",
    [
        AWAY,
        AdapterUnavailable("GO0322", "`first` gives a web page instead of JSON"),
        AdapterUnavailable("GO0320", "its certificate is not accepted"),
        AdapterUnavailable("GO0323", "`first` was asked too often", retry_after_s=60.0),
        AdapterUnsupported("GO0325", "not here"),
        ValueError("of an adapter\nfrom elsewhere"),
        RecursionError(),
    ],
)
def test_whatever_a_provider_does_is_one_line_told_once(tmp_path, fault, caplog):
    provider, clock = grid(), FakeClock(NOW)
    provider.fault = fault
    made = chain(tmp_path, provider, clock=clock)

    for _ in range(20):
        with pytest.raises(DataMissing) as raised:
            made.forecast("DE", clock.now())
        clock.advance(timedelta(minutes=1))

    assert "\n" not in str(raised.value)
    told = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(told) == 1
    assert "`first`" in told[0].getMessage()


def test_an_end_of_the_trouble_is_told_as_well(tmp_path, caplog):
    provider, clock = grid(), FakeClock(NOW)
    provider.fault = AWAY
    made = chain(tmp_path, provider, clock=clock)
    with pytest.raises(DataMissing):
        made.forecast("DE", clock.now())
    provider.fault = None

    clock.advance(HOUR)

    assert made.forecast("DE", clock.now()).degraded is None
    assert caplog.messages[-1] == "grid provider `first` answers again"
    assert made.sources[0].worker.problem is None


def test_the_metric_of_the_last_success_tells_of_data_only(tmp_path):
    provider, clock = grid(), FakeClock(NOW)
    made = chain(tmp_path, provider, clock=clock)
    made.forecast("DE", clock.now())
    at = clock.now()
    provider.fault = AWAY
    clock.advance(2 * HOUR)

    made.forecast("DE", clock.now())

    assert made.successes() == {"first": at}


def test_a_provider_that_hangs_holds_up_no_decision_longer_than_the_bound(tmp_path):
    stuck = threading.Event()
    provider = grid()
    made = chain(tmp_path, provider, run=in_background, grid_wait_s=0.2)
    provider.fault = lambda: stuck.wait(20)

    began = time.monotonic()
    for zone in ("DE", "DE", "FR", "NL"):
        with pytest.raises(DataMissing):
            made.forecast(zone, NOW)
    took = time.monotonic() - began
    stuck.set()

    # A clock that stands still regains no patience: one bound is all there is for four questions.
    assert took < 2.0


def test_waiting_for_a_list_of_zones_counts_as_waiting(tmp_path):
    stuck, clock = threading.Event(), SystemClock()
    provider = grid()
    provider.fault = lambda: stuck.wait(20)
    made = chain(tmp_path, provider, clock=clock, run=in_background, grid_wait_s=0.3)

    listed = made.zones()
    left = made._for_actual.left_s(clock.monotonic_ns())
    stuck.set()

    assert len(listed) > 1, "those that regions need"
    assert left < made._for_actual.bound_s / 2


def test_what_comes_in_after_the_wait_is_there_for_the_next_question(tmp_path):
    stuck = threading.Event()
    provider = grid()
    made = chain(tmp_path, provider, run=in_background, grid_wait_s=0.0)
    provider.fault = lambda: stuck.wait(20)
    with pytest.raises(DataMissing, match=r"GO0345|has not answered"):
        made.forecast("DE", NOW)

    # The question that is open is the one that is asked again.
    question = made.sources[0].worker.submit(("forecast", "DE"), lambda: None)
    stuck.set()
    assert question.over.wait(20)

    assert made.forecast("DE", NOW).degraded is None


def test_the_past_is_asked_for_once_a_day_and_behind_what_is_urgent(tmp_path):
    provider, clock = grid(), FakeClock(NOW)
    made = chain(tmp_path, provider, clock=clock)

    for _ in range(20):
        made.forecast("DE", clock.now())
        clock.advance(HOUR)

    assert [what for what, _ in provider.asked].count("actual") == 1
    past = made.sources[0].past("DE")
    assert (past.start, len(past.values)) == (NOW - 28 * DAY, 28 * 24)


def test_an_old_forecast_is_looked_up_and_nothing_stands_in_for_it(tmp_path):
    provider = grid()
    made = chain(tmp_path, provider)

    found = made.forecast("DE", NOW - 9 * DAY)

    assert found == provider.forecast("DE", NOW - 9 * DAY)
    provider.fault = AWAY
    with pytest.raises(DataMissing):
        made.forecast("DE", NOW - 9 * DAY)


def test_a_zone_of_a_region_that_a_provider_does_not_list_costs_no_call(tmp_path):
    provider = grid()
    made = chain(tmp_path, provider)

    with pytest.raises(DataMissing, match=r"GO0302 `first` does not have grid zone `FR`"):
        made.forecast("FR", NOW)
    assert forecasts(provider) == 0


def test_a_zone_of_no_region_is_asked_for_by_its_name(tmp_path):
    provider = grid()
    made = chain(tmp_path, provider)

    with pytest.raises(DataMissing, match="the fake has no grid zone"):
        made.forecast("GB-7", NOW)
    assert forecasts(provider) == 1


def test_a_provider_without_forecasts_has_its_past_made_the_usual_course(tmp_path):
    class Recorded(type(grid())):
        def forecast(self, zone, at):
            raise DataMissing("GO0305", f"no forecast of `{zone}`")

    made = chain(tmp_path, Recorded({"DE": day() * DAYS}))

    assert "usual course" in made.forecast("DE", NOW).degraded


def test_a_long_past_is_handed_through_and_not_kept(tmp_path):
    made = chain(tmp_path, grid(day() * 80), clock=FakeClock(START + 80 * DAY))

    found = made.actual("DE", START, START + 70 * DAY)

    assert len(found.values) == 70 * 24
    assert made.sources[0].kept.covering("DE", START, START + DAY) is None


def test_recorded_hours_are_asked_for_once_and_given_in_any_part(tmp_path):
    provider = grid()
    made = chain(tmp_path, provider)
    whole = made.actual("DE", NOW - 6 * HOUR, NOW + HOUR)

    part = made.actual("DE", NOW, NOW + timedelta(seconds=1))

    assert part.values == whole.values[6:7]
    assert [what for what, _ in provider.asked].count("actual") == 1


def test_what_services_and_gauges_ask_in_one_hour_is_one_call(tmp_path):
    provider, clock = grid(), FakeClock(NOW + timedelta(minutes=10))
    made = chain(tmp_path, provider, clock=clock)

    for _ in range(20):
        made.actual("DE", clock.now(), clock.now() + timedelta(seconds=1))
        made.actual("DE", NOW - 6 * HOUR, NOW + HOUR)
        clock.advance(timedelta(minutes=2))

    assert [what for what, _ in provider.asked].count("actual") == 1


def test_where_earlier_hours_are_not_known_what_was_asked_for_is(tmp_path):
    provider = grid(start=NOW)
    made = chain(tmp_path, provider)

    assert made.actual("DE", NOW, NOW + timedelta(seconds=1)).values == (220.0,)


def test_a_disk_that_is_full_costs_the_memory_of_a_restart_only(tmp_path, caplog):
    (tmp_path / "grid").write_text("no folder")
    made = chain(tmp_path, grid())

    assert made.forecast("DE", NOW).degraded is None
    assert caplog.text.count("GO0346") == 1


def test_a_damaged_file_is_asked_for_again(tmp_path):
    made = chain(tmp_path, grid())
    made.forecast("DE", NOW)
    for path in (tmp_path / "grid" / "first").iterdir():
        path.write_bytes(path.read_bytes()[:40])

    provider = grid()
    assert chain(tmp_path, provider).forecast("DE", NOW).degraded is None
    assert forecasts(provider) == 1


class Short(type(grid())):
    """Tells less of a long past than it was asked for."""

    def actual(self, zone, start, end):
        return super().actual(zone, max(start, end - 9 * DAY), end)


def test_a_long_past_that_lacks_its_beginning_is_refused_like_a_short_one(tmp_path):
    made = chain(tmp_path, Short({"DE": day() * DAYS}))

    for days in (20, 34):
        with pytest.raises(DataMissing, match=r"GO0303 .*only"):
            made.actual("DE", NOW - days * DAY, NOW)


def test_issues_are_asked_for_by_the_name_that_the_provider_has_for_the_zone(tmp_path):
    made = chain(tmp_path, grid(zone="US-CAL-CISO"))

    assert len(made.issues("CISO")) == DAYS
