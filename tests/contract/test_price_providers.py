"""Every price provider keeps the port's promises."""

# Plain numbers stand for prices here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.entsoe_prices import EntsoePrices
from greenops.adapters.price_files import PriceFiles
from greenops.adapters.shipped_prices import ShippedPrices
from greenops.domain.prices import PriceKind
from greenops.errors import DataMissing
from greenops.testing.generation import KEY, FakeEntsoe
from greenops.testing.prices import FakePrices, check_price_provider
from greenops.testing.web_service import FakeWebService

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WINTER = datetime(2020, 1, 14, 23, tzinfo=UTC)
CLOCKS = [datetime(2020, 3, 27, tzinfo=UTC), datetime(2020, 10, 23, tzinfo=UTC)]
"""Two days before the clocks of Germany go forward, and back."""


@pytest.mark.parametrize("zone", ["DE-LU", "DE"])
@pytest.mark.parametrize("start", [WINTER, WINTER + timedelta(minutes=17), *CLOCKS])
def test_the_shipped_prices_keep_the_promises(zone, start):
    before = datetime(2019, 12, 1, tzinfo=UTC)

    check_price_provider(ShippedPrices(), zone, start, start + 4 * DAY, before=before)


@pytest.mark.parametrize("kind", list(PriceKind))
def test_the_fake_keeps_the_promises(kind):
    prices = FakePrices({"Z": range(240), "Y": [1, None] * 120}, start=WINTER, kind=kind)
    before = WINTER - 30 * DAY
    start = WINTER + DAY

    if kind is PriceKind.TARIFF:
        with pytest.raises(AssertionError, match="must be DataMissing"):
            check_price_provider(prices, "Z", start, start + 4 * DAY, before=before)
    else:
        check_price_provider(prices, "Z", start, start + 4 * DAY, before=before)


@pytest.mark.parametrize("how", ["by kind", "by row", "real-time"])
@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=17)])
def test_files_keep_the_promises(tmp_path, how, offset):
    first = CLOCKS[1] - 2 * DAY + 22 * HOUR
    rows = ["time,zone,value,published_at"]
    for index in range(24 * 9):
        at = first + index * HOUR
        told = (first + (index // 24 - 1) * DAY + timedelta(hours=12, minutes=50)).isoformat()
        rows.append(f"{at.isoformat()},Z,{index % 30 - 5},{told if how == 'by row' else ''}")
    (tmp_path / "price.csv").write_text("\n".join(rows))
    kind = "real-time" if how == "real-time" else "day-ahead"
    (tmp_path / "price.yaml").write_text(
        "series:\n  - {file: price.csv, source: ours, replay: true, currency: EUR, "
        f"kind: {kind}, time_zone: Europe/Berlin}}\n"
    )
    start = first + 2 * DAY + offset
    prices = PriceFiles(tmp_path / "price.yaml")

    check_price_provider(prices, "Z", start, start + 4 * DAY, before=first - 10 * DAY)


@pytest.mark.network
@pytest.mark.parametrize("curve", ["A01", "A03"])
@pytest.mark.parametrize("start", [*CLOCKS, CLOCKS[0] + timedelta(minutes=17)])
def test_entsoe_keeps_the_promises(curve, start):
    first = start.replace(minute=0) - 2 * DAY - HOUR
    wave = {"1": [float(i % 96 // 8 - 3) for i in range(96 * 8)]}
    fake = FakeEntsoe(prices=wave, start=first, step=timedelta(minutes=15), curve=curve)

    with FakeWebService(fake) as service:
        prices = EntsoePrices({"GREENOPS_ENTSOE_TOKEN": KEY, "GREENOPS_ENTSOE_URL": service.url})
        check_price_provider(prices, "DE-LU", start, start + 3 * DAY, before=first - 20 * DAY)


class AllAtOnce(FakePrices):
    """Tells tomorrow's prices this morning."""

    def prices(self, zone, start, end, at):
        return super().prices(zone, start, end, at + 2 * DAY)


class StartsLate(FakePrices):
    """Leaves out the hour that runs."""

    def prices(self, zone, start, end, at):
        return super().prices(zone, start + HOUR, end, at)


class Revises(FakePrices):
    """Changes what it told, as time goes by."""

    def prices(self, zone, start, end, at):
        found = super().prices(zone, start, end, at)
        object.__setattr__(found, "values", (at.timestamp(), *found.values[1:]))
        return found


@pytest.mark.parametrize("broken", [AllAtOnce, StartsLate, Revises])
def test_a_provider_that_breaks_a_promise_is_found(broken):
    prices = broken({"Z": range(240)}, start=WINTER)
    start = WINTER + DAY

    with pytest.raises((AssertionError, DataMissing)):
        check_price_provider(prices, "Z", start, start + 4 * DAY, before=WINTER - 30 * DAY)
