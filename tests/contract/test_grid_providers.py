"""Every grid provider keeps the port's promises."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.shipped_grid import ShippedGrid
from greenops.config import Settings
from greenops.errors import DataMissing
from greenops.pipeline.beside import at_once
from greenops.pipeline.grid_assembly import chained
from greenops.testing.clock import FakeClock
from greenops.testing.grid import START, FakeGrid, check_grid_provider

DAY = timedelta(days=1)


@pytest.mark.parametrize("zone", ["CISO", "SE", "PL"])
@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=17)])
def test_the_shipped_grid_keeps_the_promises(zone, offset):
    start = datetime(2021, 10, 8, tzinfo=UTC) + offset
    before = datetime(2021, 6, 30, tzinfo=UTC)

    check_grid_provider(ShippedGrid(), zone, start, start + 4 * DAY, before=before)


@pytest.mark.parametrize("zone", ["CISO", "SE"])
def test_a_chain_of_providers_keeps_the_promises(zone, tmp_path):
    start = datetime(2021, 10, 8, 0, 17, tzinfo=UTC)
    chosen = Settings(state=tmp_path, provider="shipped,files", grid_calls_per_minute=1000)
    providers = [ShippedGrid(), FakeGrid({})]
    chain, _ = chained(["shipped", "files"], providers, chosen, FakeClock(start), at_once)

    check_grid_provider(
        chain, zone, start, start + 4 * DAY, before=datetime(2021, 6, 30, tzinfo=UTC)
    )


def test_the_fake_keeps_the_promises():
    grid = FakeGrid({"Z": range(96), "Y": [1, None] * 48})

    check_grid_provider(grid, "Z", START, START + 3 * DAY, before=START - DAY)


class FromTomorrow(FakeGrid):
    """Gives the next forecast before it was issued."""

    def forecast(self, zone, at):
        return super().forecast(zone, at + DAY)


class OneHourLate(FakeGrid):
    """Leaves out the hour that runs."""

    def actual(self, zone, start, end):
        return super().actual(zone, start + timedelta(hours=1), end + timedelta(hours=1))


class KnowsAll(FakeGrid):
    """Answers for zones it does not know."""

    def forecast(self, zone, at):
        return super().forecast("Z", at)


@pytest.mark.parametrize("broken", [FromTomorrow, OneHourLate, KnowsAll])
def test_a_provider_that_breaks_a_promise_is_found(broken):
    grid = broken({"Z": range(120)})

    with pytest.raises((AssertionError, DataMissing)):
        check_grid_provider(grid, "Z", START, START + 3 * DAY, before=START - DAY)
