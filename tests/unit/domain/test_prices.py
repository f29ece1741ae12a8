"""When prices are known, and what part of a series was."""

# Plain numbers stand for prices here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenops.domain.prices import PriceKind, PriceSeries, as_known, cut, known_until

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ("2026-01-14T12:44", "2026-01-15T00:00+01:00"),
        ("2026-01-14T12:45", "2026-01-16T00:00+01:00"),
        ("2026-01-14T00:00", "2026-01-15T00:00+01:00"),
        ("2026-03-28T13:00", "2026-03-30T00:00+02:00"),
        ("2026-10-24T13:00", "2026-10-26T00:00+01:00"),
        ("2026-10-25T13:00", "2026-10-27T00:00+01:00"),
    ],
)
def test_tomorrow_is_known_from_a_quarter_to_one_market_time(local, until):
    at = datetime.fromisoformat(local).replace(tzinfo=BERLIN)

    assert known_until(PriceKind.DAY_AHEAD, at, BERLIN) == datetime.fromisoformat(until)


def series(kind, start="2026-01-13T23:00Z", count=72):
    at = datetime.fromisoformat(start)
    return PriceSeries("Z", kind, "test", False, "EUR", at, HOUR, tuple(range(count)))


def test_a_day_ahead_series_ends_with_the_day_that_is_known_and_says_when_it_was():
    morning = datetime(2026, 1, 14, 8, tzinfo=UTC)
    evening = datetime(2026, 1, 14, 18, tzinfo=UTC)

    early, late = (as_known(series(PriceKind.DAY_AHEAD), at, BERLIN) for at in (morning, evening))

    assert (len(early.values), len(late.values)) == (24, 48)
    assert early.published_at == datetime(2026, 1, 13, 11, 45, tzinfo=UTC)
    assert late.published_at == datetime(2026, 1, 14, 11, 45, tzinfo=UTC)


def test_real_time_is_known_when_its_step_is_over_and_a_tariff_always():
    at = datetime(2026, 1, 14, 8, 30, tzinfo=UTC)

    real = as_known(series(PriceKind.REAL_TIME), at, BERLIN)

    assert len(real.values) == 9
    assert real.published_at == datetime(2026, 1, 14, 8, tzinfo=UTC)
    assert as_known(series(PriceKind.TARIFF), at, BERLIN) == series(PriceKind.TARIFF)


def test_nothing_is_known_before_it_was_published():
    long_before = datetime(2026, 1, 1, tzinfo=UTC)

    assert as_known(series(PriceKind.DAY_AHEAD), long_before, BERLIN) is None
    assert as_known(series(PriceKind.REAL_TIME), long_before, BERLIN) is None


def test_a_cut_starts_with_the_step_that_runs_and_keeps_gaps():
    start = datetime(2026, 1, 14, tzinfo=UTC)
    points = {start: 1.0, start + HOUR: -2.0, start + 3 * HOUR: 4.0}

    assert cut(points, HOUR, start + HOUR / 2, start + 9 * HOUR) == (start, (1.0, -2.0, None, 4.0))
    assert cut(points, HOUR, start + HOUR, start + 1.5 * HOUR) == (start + HOUR, (-2.0,))
    assert cut(points, HOUR, start + 2 * HOUR, start + 4 * HOUR) is None
    assert cut(points, HOUR, start - HOUR, start + 4 * HOUR) is None
    assert cut({}, HOUR, start, start + HOUR) is None
