"""Prices for decisions: asked once an hour, bounded in time, from nobody's future, and refused at the start where settings cannot be."""

# Plain numbers stand for prices and dollars here.
# mypy: disable-error-code="arg-type,union-attr"

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenops.adapters.clock import SystemClock
from greenops.config import Settings
from greenops.domain.decision import Candidate
from greenops.domain.grid import Region
from greenops.domain.prices import PriceKind, PriceSeries
from greenops.errors import AdapterUnavailable, UsageError
from greenops.grid.regions import RegionTable
from greenops.pipeline.beside import at_once, in_background
from greenops.pipeline.grid_limits import TokenBucket
from greenops.pipeline.grid_worker import Worker
from greenops.pipeline.site_prices import SitePrices, load_site_prices, priced_ways, unpriced_wait
from greenops.pipeline.site_settings import Site, rates_of, sites_of
from greenops.plan.threshold import queued
from greenops.testing.clock import FakeClock
from greenops.testing.prices import FaultyPrices

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2021, 10, 4, tzinfo=UTC)
NOW = START + 3 * DAY + 10.5 * HOUR
"""12:30 in Germany: the next day's auction is not published."""
AWAY = AdapterUnavailable("GO0320", "the market is away")
SITES = {"rack": Site("DE", 1.2), "lab": Site("DE", 1.5), "far": Site("NL", 1.1)}
REGIONS = RegionTable.of(
    [
        Region(name, "own", "EU", "DE", 1.2, "test", {"ondemand": 0.5}, 0.0, "test")
        for name in ("rack", "lab")
    ]
)


def market(**more) -> FaultyPrices:
    values = [float(hour) for hour in range(10 * 24)]
    return FaultyPrices({"DE": values, "NL": values}, start=START, **more)


def asked_of(provider, clock, *, run=at_once, wait_s=3.0, usd_per=None) -> SitePrices:
    worker = Worker("fake", clock, TokenBucket(60), lambda longest: 0.0, run)
    return SitePrices(provider, SITES, usd_per or {"EUR": 1.1}, clock, worker, wait_s)


def test_a_zone_is_asked_for_once_an_hour_whatever_regions_and_decisions_want_it():
    provider, clock = market(), FakeClock(NOW)
    prices = asked_of(provider, clock)

    for _ in range(3):
        found = prices(clock.now(), NOW + DAY, ("rack", "lab", "elsewhere"))
        clock.advance(timedelta(minutes=5))
    clock.advance(HOUR)
    prices(clock.now(), NOW + DAY, ("rack",))

    hour = NOW.replace(minute=0)
    assert provider.asked == [("DE", hour), ("DE", hour + HOUR)]
    assert {region: each.pue for region, each in found.items()} == {"rack": 1.2, "lab": 1.5}
    assert {each.usd_per_unit for each in found.values()} == {1.1}


def test_nothing_is_known_before_it_was_published():
    provider, clock = market(), FakeClock(NOW)
    prices = asked_of(provider, clock)

    before = prices(NOW, NOW + 3 * DAY, ("rack",))["rack"].series
    ahead = prices(NOW + DAY, NOW + 3 * DAY, ("rack",))["rack"].series
    clock.advance(HOUR)
    after = prices(clock.now(), NOW + 3 * DAY, ("rack",))["rack"].series
    again = prices(NOW, NOW + 3 * DAY, ("rack",))["rack"].series

    midnight = datetime(2021, 10, 7, 22, tzinfo=UTC)
    assert before == ahead == again, (
        "an instant ahead of the clock knows no more, nor one before it"
    )
    assert before.end == midnight
    assert after.end == midnight + DAY


def test_the_hours_before_come_along_where_there_are_any():
    provider, clock = market(), FakeClock(NOW)
    first = asked_of(provider, FakeClock(START + HOUR))

    late = asked_of(provider, clock)(NOW, NOW + HOUR, ("rack",))["rack"].series
    early = first(START + HOUR, START + 2 * HOUR, ("rack",))["rack"].series

    assert late.start == NOW.replace(minute=0) - DAY
    assert early.start == START + HOUR


def test_what_was_known_stands_while_the_provider_is_away_and_the_gap_is_told_once(caplog):
    provider, clock = market(), FakeClock(NOW)
    prices = asked_of(provider, clock)
    before = prices(NOW, NOW + DAY, ("rack",))
    provider.fault = AWAY

    clock.advance(2 * HOUR)
    assert prices(clock.now(), NOW + DAY, ("rack",)) == before

    with caplog.at_level(logging.WARNING, "greenops.prices"):
        clock.advance(2 * DAY)
        for _ in range(3):
            assert prices(clock.now(), NOW + 3 * DAY, ("rack",)) == {"rack": None}
            clock.advance(HOUR)
    (told,) = [each.message for each in caplog.records if each.name == "greenops.prices"]
    assert told.startswith("GO0338 ")
    assert "GO0320" in told
    provider.fault = None
    clock.advance(HOUR)
    assert prices(clock.now(), clock.now() + HOUR, ("rack",))["rack"] is not None


def test_a_provider_that_never_answers_holds_all_decisions_up_no_longer_than_the_bound():
    provider, clock = market(kind=PriceKind.TARIFF), SystemClock()
    release = threading.Event()
    provider.fault = lambda: release.wait(30) and None
    prices = asked_of(provider, clock, run=in_background, wait_s=0.2)

    began = time.monotonic()
    found = [prices(clock.now(), clock.now() + DAY, SITES) for _ in range(10)]
    took_s = time.monotonic() - began
    release.set()

    assert found == [dict.fromkeys(SITES)] * 10
    assert took_s < 2.0


def test_a_late_answer_is_there_for_the_next_decision():
    provider, clock = market(), FakeClock(NOW)
    beside = []
    prices = asked_of(provider, clock, run=beside.append, wait_s=0)

    assert prices(NOW, NOW + HOUR, ("rack",)) == {"rack": None}
    beside.pop()()

    assert prices(NOW, NOW + HOUR, ("rack",))["rack"].series.values[24] == 3 * 24 + 10.0


class Altered(FaultyPrices):
    """A market whose answers are changed before they are given."""

    change: Mapping[str, Any]

    def prices(self, *question) -> PriceSeries:
        return replace(super().prices(*question), **self.change)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"zone": "FR"}, "GO0344"),
        ({"step": timedelta()}, "GO0344"),
        ({"values": (float("nan"),)}, "GO0344"),
        ({"published_at": NOW}, "GO0343"),
        ({"currency": "GBP"}, "GO0337"),
    ],
)
def test_an_answer_that_cannot_be_used_leaves_the_price_unknown(change, code, caplog):
    provider = Altered({"DE": [50.0] * 240}, start=START)
    provider.change = change

    with caplog.at_level(logging.WARNING, "greenops.prices"):
        found = asked_of(provider, FakeClock(NOW))(NOW, NOW + HOUR, ("rack",))

    assert found == {"rack": None}
    assert code in caplog.text


def test_only_ways_where_electricity_is_paid_by_the_hour_are_priced():
    prices = asked_of(market(), FakeClock(NOW))
    ways = [
        Candidate(name, name, start=NOW, end=NOW + HOUR, energy_kwh=1000.0, cost_usd=1.0)
        for name in ("rack", "rented")
    ]

    here, (rented,) = priced_ways(prices, (ways[0], ways[1:]), NOW)

    assert rented is ways[1]
    assert here.cost_usd == pytest.approx(1.0 + 1.2 * 1.1 * (3 * 24 + 10.5))


def test_a_run_that_waits_without_a_start_has_no_price():
    prices = asked_of(market(), FakeClock(NOW))
    now = Candidate("baseline", "rack", start=NOW, end=NOW + HOUR, cost_usd=1.0)
    elsewhere = replace(now, region="rented")

    baseline, (waits, rented) = unpriced_wait(
        prices, (now, (queued(now, NOW + DAY), queued(elsewhere, NOW + DAY)))
    )

    assert (baseline.cost_usd, waits.cost_usd, rented.cost_usd) == (1.0, None, 1.0)


def test_without_a_provider_nothing_is_asked_and_ways_cost_their_rents():
    assert load_site_prices(Settings(), REGIONS, FakeClock(NOW)) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"priced_regions": "rak=DE"}, "did you mean `rack`?"),
        ({"priced_regions": "rack"}, "`region=zone`"),
        ({"priced_regions": "rack="}, "`region=zone`"),
        ({"priced_regions": "rack=DE,rack=NL"}, "`rack` twice"),
        ({"priced_regions": ""}, "set `priced_regions` too"),
        ({"price_provider": ""}, "set `price_provider` too"),
        ({"price_provider": "shiped"}, "did you mean `shipped`?"),
        ({"usd_per": "EUR"}, "`currency=rate`"),
        ({"usd_per": "EUR=dear"}, "not `EUR=dear`"),
        ({"usd_per": "EUR=0"}, "not `EUR=0`"),
        ({"usd_per": "EUR=nan"}, "not `EUR=nan`"),
        ({"usd_per": "euro=1.1"}, "not `euro=1.1`"),
        ({"usd_per": "EUR=1.1,EUR=1.2"}, "two rates"),
        ({"usd_per": "USD=2"}, "two rates"),
        ({"usd_per": ""}, "GO0337 "),
        ({"usd_per": "GBP=1.27"}, "set `usd_per` to `EUR=`"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_the_start_in_one_line(given, told, caplog):
    right = {"price_provider": "shipped", "priced_regions": "rack=DE-LU", "usd_per": "EUR=1.1"}
    clock = FakeClock(datetime(2020, 9, 5, 18, tzinfo=UTC))

    with pytest.raises(UsageError) as refused:
        load_site_prices(Settings(**{**right, **given}), REGIONS, clock, at_once)

    assert told in str(refused.value)
    assert not caplog.messages
    assert load_site_prices(Settings(**right), REGIONS, clock, at_once) is not None


def test_spaces_and_the_dollar_itself_are_taken():
    given = Settings(
        price_provider="shipped", priced_regions=" rack = DE , ", usd_per=" USD=1, EUR = 1.1"
    )

    assert sites_of(given, REGIONS) == {"rack": Site("DE", 1.2)}
    assert rates_of(given) == {"USD": 1.0, "EUR": 1.1}
