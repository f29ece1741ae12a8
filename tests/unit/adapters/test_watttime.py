"""WattTime as documented, and as it may go wrong; answers are made up after the documented shapes."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.watttime import TOKEN_LASTS_S, WattTime
from greenops.errors import AdapterUnavailable, DataMissing
from greenops.testing.grid_services import KEY, USER, FakeWattTime
from greenops.testing.web_service import FakeWebService, Reply

pytestmark = pytest.mark.network

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def asking(url, now=NOW, **more):
    found = {"URL": url, "USER": USER, "PASSWORD": KEY, **more}
    return WattTime(
        {f"GREENOPS_WATTTIME_{name}": each for name, each in found.items()}, lambda: now
    )


def two_days(value=1000.0):
    """A day before now and one after."""
    return FakeWattTime([value] * 576, NOW - 24 * HOUR, NOW)


def paths(service):
    return [each.path for each in service.asked]


def test_pounds_per_megawatt_hour_become_grams_per_kilowatt_hour():
    with FakeWebService(two_days(1000.0)) as service:
        series = asking(service.url).actual("CISO", NOW - HOUR, NOW)

    assert series.values == (pytest.approx(453.59237),) * 12
    assert series.kind.signal == "marginal"
    assert service.asked[-1].params["signal_type"] == "co2_moer"


@pytest.mark.parametrize(
    "meta",
    [
        {"units": "lbs_co2_per_mwh", "signal_type": "health_damage"},
        {"units": "g_per_kwh", "signal_type": "co2_moer"},
        {"signal_type": "co2_moer"},
        {"units": "lbs_co2_per_mwh", "data_point_period_seconds": -5},
        {"units": "lbs_co2_per_mwh", "data_point_period_seconds": "300"},
    ],
)
def test_another_unit_or_signal_is_refused(meta):
    def answer(request):
        if request.path == "/login":
            return Reply({"token": "t"})
        return Reply({"data": [{"point_time": NOW.isoformat(), "value": 1}], "meta": meta})

    with FakeWebService(answer) as service, pytest.raises(AdapterUnavailable, match="GO0322"):
        asking(service.url).actual("CISO", NOW, NOW + STEP)


def test_one_login_serves_many_questions():
    with FakeWebService(two_days()) as service:
        provider = asking(service.url)
        for _ in range(3):
            provider.forecast("CISO", NOW)

    assert paths(service) == ["/login", *["/v3/forecast"] * 3]


def test_an_old_token_is_renewed_before_it_ends(monkeypatch):
    at = [time.monotonic()]
    monkeypatch.setattr("greenops.adapters.watttime.time.monotonic", lambda: at[0])
    with FakeWebService(two_days()) as service:
        provider = asking(service.url)
        provider.forecast("CISO", NOW)
        at[0] += TOKEN_LASTS_S
        provider.forecast("CISO", NOW)

    assert paths(service) == ["/login", "/v3/forecast"] * 2


def test_a_token_that_ended_early_is_renewed_once():
    fake = two_days()
    with FakeWebService(fake) as service:
        provider = asking(service.url)
        provider.forecast("CISO", NOW)
        fake.tokens.append("another")
        provider.forecast("CISO", NOW)

    assert paths(service)[2:] == ["/v3/forecast", "/login", "/v3/forecast"]


def test_a_token_that_is_never_good_ends_in_a_line_and_not_in_a_loop():
    def answer(request):
        if request.path == "/login":
            return Reply({"token": "t"})
        return Reply({"error": "Unauthorized"}, 401)

    with FakeWebService(answer) as service, pytest.raises(AdapterUnavailable, match="GO0321"):
        asking(service.url).forecast("CISO", NOW)

    assert paths(service) == ["/login", "/v3/forecast"] * 2


def test_a_region_outside_of_the_plan_is_missing_and_asks_for_no_new_login():
    def answer(request):
        if request.path == "/login":
            return Reply({"token": "t"})
        return Reply({"message": "no access to region"}, 403)

    with FakeWebService(answer) as service, pytest.raises(DataMissing) as caught:
        asking(service.url).forecast("PJM", NOW)

    assert paths(service) == ["/login", "/v3/forecast"]
    assert str(caught.value) == (
        "GO0326 the plan of `GREENOPS_WATTTIME_USER` and `GREENOPS_WATTTIME_PASSWORD` does not cover "
        "what `watttime` was asked for (status 403): no access to region"
    )


def test_a_wrong_password_is_refused_without_being_shown():
    wrong = "made-up-but-wrong"
    with FakeWebService(two_days()) as service, pytest.raises(AdapterUnavailable) as caught:
        asking(service.url, PASSWORD=wrong).forecast("CISO", NOW)

    assert "`GREENOPS_WATTTIME_PASSWORD`" in str(caught.value)
    assert wrong not in str(caught.value)
    assert paths(service) == ["/login"]


@pytest.mark.parametrize("body", [{}, {"token": None}, {"token": "a\nb"}, [], "text"])
def test_a_login_that_gives_no_token_is_refused(body):
    with (
        FakeWebService(lambda _: Reply(body)) as service,
        pytest.raises(AdapterUnavailable) as caught,
    ):
        asking(service.url).forecast("CISO", NOW)

    assert caught.value.code == "GO0322"


def test_an_old_forecast_is_the_one_that_was_in_force():
    at = NOW - 6 * HOUR + timedelta(minutes=7)
    with FakeWebService(two_days()) as service:
        found = asking(service.url).forecast("CISO", at)

    assert paths(service)[-1] == "/v3/forecast/historical"
    assert found.issued_at == NOW - 6 * HOUR + STEP
    assert found.start == found.issued_at


def test_no_forecast_in_the_hour_before_is_missing():
    with (
        FakeWebService(two_days()) as service,
        pytest.raises(DataMissing, match="in the hour before"),
    ):
        asking(service.url).forecast("CISO", NOW - 48 * HOUR)


def test_a_long_time_is_asked_in_pieces_that_the_service_takes():
    days = 40
    fake = FakeWattTime([900.0] * (days * 288), NOW - days * 24 * HOUR, NOW)
    with FakeWebService(fake) as service:
        series = asking(service.url).actual("CISO", NOW - days * 24 * HOUR, NOW)

    assert paths(service) == ["/login", "/v3/historical", "/v3/historical"]
    assert len(series.values) == days * 288


def test_a_part_that_is_not_known_is_missing_and_not_shortened():
    with FakeWebService(two_days()) as service, pytest.raises(DataMissing, match="GO0303"):
        asking(service.url).actual("CISO", NOW - 30 * HOUR, NOW)


def test_nothing_is_missing_data():
    with FakeWebService(two_days()) as service, pytest.raises(DataMissing, match="has nothing of"):
        asking(service.url).actual("CISO", NOW - 60 * HOUR, NOW - 50 * HOUR)


def test_another_part_of_a_zone_may_stand_for_it():
    fake = FakeWattTime([1000.0] * 576, NOW - 24 * HOUR, NOW, region="PJM_SOUTHWEST_OH")
    with FakeWebService(fake) as service:
        found = asking(service.url, ZONES="PJM=PJM_SOUTHWEST_OH").forecast("PJM", NOW)

    assert found.zone == "PJM"


def test_the_password_is_in_no_representation():
    provider = asking("https://example.org")

    assert KEY not in repr(provider) + repr(provider._source)
