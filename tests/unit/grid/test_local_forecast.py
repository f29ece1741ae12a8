"""A forecast from a zone's own past: looks back only, says where it cannot, and its ranges hold."""

from __future__ import annotations

import numpy as np
import pytest

from greenops.grid.local_forecast import HISTORY, HORIZON, LocalForecast

DAY = 24
FIRST_HOUR = 437_016  # midnight


def days(count: int, *, noise: float = 0.0, seed: int = 1) -> np.ndarray:
    """A sunny grid: low at noon, with noise that lasts about two days [gCO2e/kWh]."""
    draw = np.random.default_rng(seed)
    hours = np.arange(count * DAY)
    shape = 300 - 120 * np.maximum(0, np.sin((hours % DAY - 6) / 12 * np.pi))
    wander = np.zeros(len(hours))
    for hour in range(1, len(hours)):
        wander[hour] = 0.98 * wander[hour - 1] + draw.normal()
    return shape + noise * wander


def test_days_that_are_all_alike_are_foretold_as_they_come():
    past = days(120)

    found = LocalForecast.train(past, FIRST_HOUR).foretell(past, np.array([HISTORY, len(past)]))

    assert found.mean.shape == found.low.shape == found.high.shape == (2, HORIZON)
    assert found.mean == pytest.approx(np.array([past[:HORIZON]] * 2), abs=2)


@pytest.mark.parametrize("hour", [5, 17])
def test_a_model_learns_for_the_hour_of_day_that_it_will_be_asked_at(hour):
    past = days(120)
    at = HISTORY + hour

    found = LocalForecast.train(past, FIRST_HOUR, hour=hour).foretell(past, np.array([at]))

    assert found.mean[0] == pytest.approx(past[at : at + HORIZON], abs=2)
    with pytest.raises(ValueError, match=f"from {hour:02d}:00 UTC"):
        LocalForecast.train(past, FIRST_HOUR, hour=hour).foretell(past, np.array([at + 1]))


def test_nothing_after_an_origin_changes_what_is_foretold():
    past = days(200, noise=4)
    model = LocalForecast.train(past[: 150 * DAY], FIRST_HOUR)
    later = past.copy()
    later[160 * DAY :] = 9_999.0

    origin = np.array([160 * DAY])

    assert (model.foretell(past, origin).mean == model.foretell(later, origin).mean).all()
    assert (
        model.foretell(past[: 160 * DAY], origin).mean == model.foretell(past, origin).mean
    ).all()


def test_nine_of_ten_hours_lie_in_the_range():
    past = days(500, noise=4, seed=3)
    origins = np.arange(400, 490) * DAY

    found = LocalForecast.train(past[: 400 * DAY], FIRST_HOUR).foretell(past, origins)

    true = past[origins[:, None] + np.arange(HORIZON)]
    inside = (true >= found.low) & (true <= found.high)
    assert 0.82 < inside.mean() < 0.97
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()
    assert (found.high - found.low)[:, :12].mean() < (found.high - found.low)[:, -12:].mean()


def test_what_else_is_known_of_the_past_helps_where_it_leads():
    draw = np.random.default_rng(9)
    wind = np.repeat(draw.uniform(0, 1, 300), DAY)
    # Each day's level follows the wind of the day before.
    past = days(300) - 150 * np.roll(wind, DAY)
    origins = np.arange(250, 290) * DAY
    true = past[origins[:, None] + np.arange(DAY)]

    def error(drivers):
        known = None if drivers is None else drivers[: 250 * DAY]
        model = LocalForecast.train(past[: 250 * DAY], FIRST_HOUR, drivers=known)
        found = model.foretell(past, origins, drivers=drivers)
        return np.abs(found.mean[:, :DAY] - true).mean()

    constant = np.ones((len(wind), 1))
    assert error(wind[:, None]) < 0.6 * error(None)
    assert error(constant) == pytest.approx(error(None))


def test_a_gap_of_a_day_is_bridged_and_a_longer_one_is_told():
    past = days(120, noise=1)
    model = LocalForecast.train(past, FIRST_HOUR)
    short, long = past.copy(), past.copy()
    short[75 * DAY : 75 * DAY + 20] = np.nan
    long[75 * DAY : 77 * DAY] = np.nan

    within, beyond = np.array([80 * DAY]), np.array([77 * DAY + HISTORY])

    assert np.isfinite(model.foretell(short, within).mean).all()
    assert np.isnan(model.foretell(long, within).mean).all()
    assert np.isnan(model.foretell(long, within).low).all()
    assert np.isfinite(model.foretell(long, beyond).mean).all()


def test_an_intensity_is_never_foretold_below_zero():
    past = np.maximum(days(120, noise=30) - 250, 0)

    found = LocalForecast.train(past, FIRST_HOUR).foretell(past, np.array([len(past)]))

    assert (found.low >= 0).all()
    assert (found.mean >= 0).all()


def test_too_short_a_past_or_one_full_of_gaps_trains_no_model():
    past = days(120)

    with pytest.raises(ValueError, match="60 days"):
        LocalForecast.train(past[: 59 * DAY], FIRST_HOUR)
    with pytest.raises(ValueError, match="too many gaps"):
        LocalForecast.train(np.full_like(past, np.nan), FIRST_HOUR)
    late = past.copy()
    late[80 * DAY :] = np.nan
    with pytest.raises(ValueError, match="last part"):
        LocalForecast.train(late, FIRST_HOUR)
    model = LocalForecast.train(past, FIRST_HOUR)
    for origin in (HISTORY - DAY, len(past) + DAY):
        with pytest.raises(ValueError, match="28 days"):
            model.foretell(past, np.array([origin]))
