"""Errors of past forecasts, and none from the future."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greenops.domain.grid import Factors, Forecast, IntensitySeries, SeriesKind, Signal
from greenops.errors import MixedQuantities
from greenops.grid.forecasts import age, forecast_error, known_at

START = datetime(2021, 7, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
DAYS = 30
ACTUAL = IntensitySeries("Z", KIND, START, HOUR, (100.0,) * 24 * (DAYS + 2))


def forecast(day, first, second, kind=KIND):
    issued = START + day * DAY
    values = (first,) * 24 + (second,) * 24
    return Forecast("Z", kind, issued, HOUR, values, issued_at=issued, id=str(day))


def test_the_half_width_is_the_90_percent_quantile_by_day_ahead():
    rng = np.random.default_rng(5)
    near, far = rng.uniform(-0.2, 0.2, DAYS), rng.uniform(-0.5, 0.5, DAYS)
    past = [forecast(d, 100 * (1 + near[d]), 100 * (1 + far[d])) for d in range(DAYS)]

    first, second = forecast_error(past, ACTUAL, before=ACTUAL.end)

    assert first.half_width == pytest.approx(np.quantile(np.repeat(abs(near), 24), 0.9))
    assert second.half_width == pytest.approx(np.quantile(np.repeat(abs(far), 24), 0.9))
    assert (first.start, first.end, second.start) == (0 * DAY, DAY, DAY)
    assert first.forecasts == second.forecasts == DAYS


def test_what_had_not_passed_yet_does_not_count():
    good = [forecast(d, 110, 110) for d in range(20)]
    wild = [forecast(d, 900, 900) for d in range(20, DAYS)]

    found = forecast_error(good + wild, ACTUAL, before=START + 20 * DAY)

    assert [each.half_width for each in found] == pytest.approx([0.1, 0.1])
    assert [each.forecasts for each in found] == [20, 19]


def test_fewer_than_14_past_forecasts_state_no_error():
    past = [forecast(d, 110, 110) for d in range(14)]

    (first,) = forecast_error(past, ACTUAL, before=START + 14 * DAY)

    assert (first.start, first.forecasts) == (timedelta(0), 14)
    assert forecast_error(past[:13], ACTUAL, before=ACTUAL.end) == ()


def test_hours_without_a_value_or_with_zero_are_left_out():
    zero = IntensitySeries("Z", KIND, START, HOUR, (0.0, None) * 400)
    past = [forecast(d, 110, 110) for d in range(20)]

    assert forecast_error(past, zero, before=ACTUAL.end) == ()


@pytest.mark.feature("A4")
def test_a_forecast_of_another_kind_is_not_compared_with_what_came():
    direct = SeriesKind(Signal.AVERAGE, Factors.DIRECT, "test", replay=True)

    with pytest.raises(MixedQuantities):
        forecast_error([forecast(0, 1, 1, direct)], ACTUAL, before=ACTUAL.end)


def test_the_newest_forecast_that_was_known_is_taken():
    known = [forecast(d, 1, 1) for d in (2, 0, 1)]

    assert known_at(known, START + DAY).id == "1"
    assert known_at(known, START + 2 * DAY - timedelta(microseconds=1)).id == "1"
    assert known_at(known, START - HOUR) is None
    assert age(known[0], START + 2 * DAY + HOUR) == HOUR
