"""Live providers keep the port's promises, on answers made up after the documented shapes; nothing was recorded."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.carbon_aware_sdk import CarbonAwareSdk
from greenops.adapters.electricity_maps import ElectricityMaps
from greenops.adapters.neso import Neso
from greenops.adapters.watttime import WattTime
from greenops.errors import AdapterUnsupported
from greenops.plugins import PROVIDERS, load
from greenops.ports import KindStated
from greenops.testing.grid import check_grid_provider
from greenops.testing.grid_services import (
    KEY,
    USER,
    FakeCarbonAwareSdk,
    FakeElectricityMaps,
    FakeNeso,
    FakeWattTime,
)
from greenops.testing.web_service import FakeWebService

pytestmark = pytest.mark.network

START = datetime(2026, 3, 29, tzinfo=UTC)
"""The day on which Europe's clocks change."""
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def day_like(count, per_hour, level=300.0):
    return [level + 100 * math.sin(index / per_hour / 24 * 2 * math.pi) for index in range(count)]


def electricity_maps(url, now):
    found = {"GREENOPS_ELECTRICITYMAPS_URL": url, "GREENOPS_ELECTRICITYMAPS_TOKEN": KEY}
    return ElectricityMaps(found, lambda: now)


def watttime(url, now):
    found = {"URL": url, "USER": USER, "PASSWORD": KEY}
    return WattTime(
        {f"GREENOPS_WATTTIME_{name}": each for name, each in found.items()}, lambda: now
    )


def sdk(url, now):
    found = {"URL": url, "SOURCE": "watttime"}
    return CarbonAwareSdk(
        {f"GREENOPS_CARBON_AWARE_SDK_{name}": each for name, each in found.items()}, lambda: now
    )


def neso(url, now, region=""):
    return Neso({"GREENOPS_NESO_URL": url, "GREENOPS_NESO_REGION": region}, lambda: now)


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=17)])
@pytest.mark.parametrize("hours", [20, 36])
def test_electricity_maps_keeps_the_promises(hours, offset):
    past = day_like(hours + 1, 1)
    fake = FakeElectricityMaps(past, day_like(73, 1), START, START - HOUR)
    start, end = START + offset, START + hours * HOUR + SECOND

    with FakeWebService(fake) as service:
        provider = electricity_maps(service.url, end)
        check_grid_provider(provider, "CISO", start, end, before=START - 2 * HOUR)


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(days=40)])
def test_watttime_keeps_the_promises_now_and_of_a_day_long_past(ago):
    end = START + 6 * HOUR
    fake = FakeWattTime(day_like(12 * 48, 12, 900), START, end, hours=8)

    with FakeWebService(fake) as service:
        provider = watttime(service.url, end + ago)
        check_grid_provider(provider, "CISO", START, end + SECOND, before=START - 2 * HOUR)


@pytest.mark.parametrize(
    ("zone", "region"), [("GB", ""), ("GB-13", ""), ("GB", "13"), ("GB", "RG10")]
)
def test_neso_keeps_the_promises(zone, region):
    """What is said now of the hours to come, and what was of the hours before."""
    fake = FakeNeso(day_like(48, 2, 150), day_like(96, 2, 150), START)
    now = START + 23 * HOUR
    with FakeWebService(fake) as service:
        asked_now = neso(service.url, now, region)
        asked_later = neso(service.url, now + 26 * HOUR, region)

        class Both:
            name = "neso"
            zones = asked_now.zones
            actual = asked_later.actual
            forecast = asked_now.forecast

        check_grid_provider(Both(), zone, now, now + 24 * HOUR + SECOND, before=START)


@pytest.mark.feature("K4")
def test_the_carbon_aware_sdk_keeps_the_promises():
    fake = FakeCarbonAwareSdk(day_like(12 * 24, 12), START - HOUR, START)

    with FakeWebService(fake) as service:
        provider = sdk(service.url, START + 20 * HOUR)
        end = START + 20 * HOUR + SECOND
        check_grid_provider(provider, "CISO", START, end, before=START - HOUR)


def test_each_is_registered_and_says_what_it_lacks_where_nothing_is_set(monkeypatch):
    for name in ("ELECTRICITYMAPS_TOKEN", "WATTTIME_USER", "CARBON_AWARE_SDK_URL"):
        monkeypatch.delenv(f"GREENOPS_{name}", raising=False)

    for name in ("electricitymaps", "watttime", "carbon-aware-sdk"):
        with pytest.raises(AdapterUnsupported, match=r"GO0325 `GREENOPS_\w+` is not set; set it"):
            load(PROVIDERS, name)()
    assert load(PROVIDERS, "neso")().name == "neso"


def test_each_states_its_kind_before_it_is_asked():
    here, now = "http://127.0.0.1:9", START
    found = {
        each.name: (each.kind.signal, each.kind.factors, each.kind.source, each.kind.replay)
        for each in (f(here, now) for f in (electricity_maps, watttime, neso, sdk))
        if isinstance(each, KindStated)
    }

    assert found == {
        "electricitymaps": ("average", "lifecycle", "electricitymaps", False),
        "watttime": ("marginal", "direct", "watttime", False),
        "neso": ("average", "direct", "neso", False),
        "carbon-aware-sdk": ("marginal", "direct", "carbon-aware-sdk-watttime", False),
    }
