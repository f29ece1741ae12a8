"""The forecast from a zone's own past as a record: what it saw, what it says, and how far it may be off."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,union-attr,operator"

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenops.adapters.shipped_grid import ShippedGrid
from greenops.domain.grid import Factors, IntensitySeries, SeriesKind, Signal
from greenops.grid.local_forecast_issue import MODEL, issue, trial, widened

START = datetime(2021, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "made-up", replay=True)


def sunny(days: int, *, noise: float = 8.0, seed: int = 1) -> list[float | None]:
    """Low at noon, with noise that lasts about two days [gCO2e/kWh]."""
    draw, wander, found = np.random.default_rng(seed), 0.0, []
    for hour in range(24 * days):
        wander = 0.98 * wander + noise * draw.normal() / 5
        found.append(300 - 120 * max(0, np.sin((hour % 24 - 6) / 12 * np.pi)) + wander)
    return found


def series(values, *, start=START, step=HOUR) -> IntensitySeries:
    return IntensitySeries("Z", KIND, start, step, tuple(values))


PAST = sunny(120)


def test_it_starts_where_what_is_known_ends_and_names_model_and_last_hour():
    at = START + 110 * DAY + timedelta(hours=5, minutes=40)

    found = issue(series(PAST), at).forecast

    assert found.issued_at == found.start == START + 110 * DAY + 5 * HOUR
    assert found.id.startswith(f"{MODEL}/Z/2021-04-21T05:00Z/")
    assert found.kind.source == f"{MODEL}/made-up"
    assert (found.kind.signal, found.kind.replay) == (Signal.AVERAGE, True)
    assert (found.step, len(found.values)) == (HOUR, 96)
    for low, value, high in zip(found.low, found.values, found.high, strict=True):
        assert 0 <= low <= value <= high


def test_hours_that_are_not_known_yet_move_the_issue_back():
    late = [*PAST[:-3], None, None, None]

    found = issue(series(late), START + 120 * DAY)

    assert found.forecast.issued_at == START + 120 * DAY - 3 * HOUR
    assert found.quality.until == found.forecast.issued_at
    assert found.quality == trial(series(late), START + 120 * DAY)


@pytest.mark.untraced
@pytest.mark.feature("A3")
@settings(max_examples=8, deadline=None)
@given(hour=st.integers(90 * 24, 110 * 24), seed=st.integers(0, 99), data=st.data())
def test_another_future_changes_nothing_that_is_foretold(hour, seed, data):
    later = data.draw(st.lists(st.one_of(st.none(), st.floats(0, 2000)), min_size=1, max_size=96))
    past = sunny(115, seed=seed)
    at = START + hour * HOUR

    known = issue(series(past), at)
    other = issue(series([*past[:hour], *later]), at)
    nothing = issue(series(past[:hour]), at)

    assert known == other == nothing


def test_another_past_is_another_forecast_by_its_id():
    at = START + 120 * DAY
    revised = [*PAST[:-5], PAST[-5] + 1, *PAST[-4:]]

    ids = {issue(series(each), at).forecast.id for each in (PAST, PAST, revised)}

    assert len(ids) == 2


def test_half_hours_and_minutes_count_as_the_hours_they_make():
    at = START + 120 * DAY
    halves = [each + by for each in PAST for by in (-7, 7)]
    early = series([1.0, *halves], start=START - HOUR / 2, step=HOUR / 2)

    found = issue(early, at).forecast

    assert found.values == pytest.approx(issue(series(PAST), at).forecast.values, abs=1e-3)
    with pytest.raises(ValueError, match="whole hours"):
        issue(series(PAST, start=START + HOUR / 2), at)
    with pytest.raises(ValueError, match="whole hours"):
        issue(series(PAST, step=timedelta(minutes=7)), at)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (PAST[: 59 * 24], "60 days"),
        ([], "60 days"),
        ([None] * 70 * 24, "60 days"),
        ([*PAST[:-240], *[None] * 60, *PAST[-180:]], "gap"),
    ],
)
def test_too_little_of_the_past_is_told(values, why):
    with pytest.raises(ValueError, match=why):
        issue(series(values), START + 200 * DAY)


def test_a_past_too_short_for_a_trial_still_gives_a_forecast():
    found = issue(series(PAST), START + 70 * DAY)

    assert found.quality is None
    assert found.forecast.widened is None
    assert trial(series(PAST), START + 70 * DAY) is None


def test_the_trial_is_the_one_that_the_issue_rests_on_and_looks_at_four_weeks():
    at = START + 120 * DAY

    found = issue(series(PAST), at).quality

    assert found == trial(series(PAST), at)
    assert (found.issues, found.until) == (28, at)
    assert found.since == at - 28 * DAY
    # Days 28 to 5 before the end came whole; of the last three, 72, 48 and 24 hours.
    assert found.hours == 25 * 96 + 72 + 48 + 24
    assert found.source == f"{MODEL}/made-up"


def test_ranges_that_held_too_little_are_widened_and_say_so():
    # The noise of the last five weeks is five times that of what the ranges were learned from.
    calm, wild = sunny(400, noise=2), sunny(36, noise=10, seed=5)
    at = START + 436 * DAY

    found = issue(series([*calm, *wild]), at)

    assert found.quality.coverage < 0.85
    assert found.forecast.widened == found.quality.widening > 1
    assert issue(series(calm), START + 400 * DAY).forecast.widened is None


def test_widening_moves_each_end_away_from_the_value_and_never_below_zero():
    told = issue(series(sunny(120)), START + 120 * DAY).forecast

    wider = widened(told, 50.0)

    for low, value, high, far in zip(told.low, told.values, told.high, wider.high, strict=True):
        assert far - value == pytest.approx(50 * (high - value))
        assert low <= value
    assert min(wider.low) == 0
    assert wider.values == told.values
    assert widened(wider, 1.0).widened == 1.0


def test_what_else_is_known_of_the_past_makes_another_source():
    wind = np.random.default_rng(2).uniform(0, 1, (len(PAST) + 24, 1))
    at = START + 120 * DAY

    found = issue(series(PAST), at, wind).forecast

    changed = wind.copy()
    changed[len(PAST) :] = 9
    assert found.kind.source == f"{MODEL}+drivers/made-up"
    assert found == issue(series(PAST), at, changed).forecast
    assert found.id != issue(series(PAST), at).forecast.id


@pytest.mark.untraced
@pytest.mark.slow
@pytest.mark.parametrize("zone", ["CISO", "PL"])
def test_issues_of_a_half_year_hold_nine_of_ten_hours_and_take_less_than_a_second(zone):
    grid, inside, seconds = ShippedGrid(), [], []

    for week in range(0, 26, 3):
        at = datetime(2021, 7, 1, tzinfo=UTC) + week * 7 * DAY
        past = grid.actual(zone, at - 540 * DAY, at)
        began = time.thread_time()
        found = issue(past, at).forecast
        seconds.append(time.thread_time() - began)
        came = grid.actual(zone, at, at + 4 * DAY).values
        ranges = zip(found.low, came, found.high, strict=True)
        inside += [low <= true <= high for low, true, high in ranges]

    assert 0.84 < np.mean(inside) < 0.98
    assert min(seconds) < 1
