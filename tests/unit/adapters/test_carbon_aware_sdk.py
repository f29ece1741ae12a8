"""The Carbon Aware SDK's web service as documented and coded; answers are made up after these shapes."""

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.carbon_aware_sdk import CarbonAwareSdk
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing
from greenops.testing.grid_services import FakeCarbonAwareSdk
from greenops.testing.web_service import FakeWebService, Reply

pytestmark = [pytest.mark.network, pytest.mark.feature("K4")]

NOW = datetime(2026, 3, 29, 12, 2, tzinfo=UTC)
NOON = NOW.replace(minute=0)
STEP = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def asking(url, now=NOW, source="watttime"):
    found = {"URL": url, "SOURCE": source}
    environ = {f"GREENOPS_CARBON_AWARE_SDK_{name}": each for name, each in found.items()}
    return CarbonAwareSdk(environ, lambda: now)


def said(body, ask):
    with FakeWebService(lambda _: Reply(body)) as service:
        return ask(asking(service.url))


def point(at=NOON, value=100.0, **more):
    return {"location": "IE", "timestamp": at.isoformat(), "value": value, **more}


def forecast(**more):
    return {
        "generatedAt": NOON.isoformat(),
        "requestedAt": NOW.isoformat(),
        "location": "northeurope",
        "forecastData": [point(NOON, 1.0), point(NOON + STEP, 2.0)],
        **more,
    }


def of_now(provider):
    return provider.forecast("northeurope", NOW)


@pytest.mark.parametrize("spelling", ["optimalDataPoints", "optimalDataPoint"])
def test_the_forecast_is_the_whole_of_it_however_the_best_point_is_spelled(spelling):
    fake = FakeCarbonAwareSdk(range(300), NOON - HOUR, NOON, optimal=spelling)
    with FakeWebService(fake) as service:
        found = asking(service.url).forecast("CISO", NOW)

    assert (service.asked[0].path, service.asked[0].params) == (
        "/emissions/forecasts/current",
        {"location": "westus"},
    )
    assert found.values == tuple(range(12, 300))
    assert (found.issued_at, found.step) == (NOON, STEP)
    assert found.id == "carbon-aware-sdk-watttime/CISO/2026-03-29T12:00:00Z"


def test_a_location_goes_by_its_own_name_and_points_may_name_the_grid():
    found = said([forecast()], of_now)

    assert found.zone == "northeurope"
    assert found.values == (1.0, 2.0)


@pytest.mark.parametrize("optimal", [[], None, [point()], point()])
def test_the_best_point_says_nothing_that_is_needed(optimal):
    assert said([forecast(optimalDataPoints=optimal)], of_now).values == (1.0, 2.0)


def test_without_a_time_of_issue_that_of_the_request_stands():
    assert said([forecast(generatedAt=None)], of_now).issued_at == NOW


def test_times_with_seven_digits_are_read():
    rows = [point() | {"timestamp": f"2026-03-29T12:0{i}:00.0000000+00:00"} for i in (0, 5)]

    assert said([forecast(forecastData=rows)], of_now).start == NOON


@pytest.mark.parametrize("duration", [5, 5.0, "00:05:00", None])
def test_actual_intensity_is_asked_in_whole_hours(duration):
    rows = [
        {"location": "IE", "time": (NOON + i * STEP).isoformat(), "rating": i} for i in range(12)
    ]
    rows = [each | ({} if duration is None else {"duration": duration}) for each in rows]
    with FakeWebService(lambda _: Reply(rows)) as service:
        series = asking(service.url).actual("northeurope", NOON + 2 * STEP, NOON + 7 * STEP)

    assert service.asked[0].params == {
        "location": "northeurope",
        "time": "2026-03-29T12:00Z",
        "toTime": "2026-03-29T13:00Z",
    }
    assert series.values == (2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("source", "signal", "factors"),
    [("watttime", "marginal", "direct"), ("electricitymaps", "average", "lifecycle")],
)
def test_the_kind_is_that_of_the_source_behind_it(source, signal, factors):
    kind = asking("https://example.org", source=source).kind

    assert (kind.signal, kind.factors, kind.source) == (
        signal,
        factors,
        f"carbon-aware-sdk-{source}",
    )


def test_a_source_that_is_not_known_is_refused_for_its_kind_is_not_known():
    with pytest.raises(AdapterUnsupported, match="must be `watttime` or `electricitymaps`"):
        asking("https://example.org", source="json")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply({"title": "LocationException", "detail": "Unknown location"}, 400), "GO0324"),
        (Reply({"title": "NotImplementedException"}, 501), "GO0324"),
        (Reply(b"", 204), "GO0303"),
        (Reply([forecast(forecastData=[])]), "GO0305"),
    ],
    ids=["unknown location", "a source without forecasts", "nothing", "no points"],
)
def test_what_it_does_not_know_is_missing_data(reply, code):
    with FakeWebService(lambda _: reply) as service, pytest.raises(DataMissing) as caught:
        asking(service.url).forecast("northeurope", NOW)

    assert caught.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        [forecast(forecastData=None, generatedAt="x")],
        [forecast(forecastData=[point(duration=0)])],
        [forecast(forecastData=[point(duration="5 min")])],
        [forecast(forecastData=[point(value=6000)])],
        [forecast(forecastData=[point()])],
    ],
)
def test_an_answer_of_another_shape_is_refused_in_a_line(body):
    with pytest.raises((AdapterUnavailable, DataMissing), match=r"^GO03(22|05) [^\n]*$"):
        said(body, of_now)


def test_an_empty_list_of_actual_values_is_missing_data():
    with pytest.raises(DataMissing, match="has nothing of `northeurope`"):
        said([], lambda provider: provider.actual("northeurope", NOON, NOW))
