"""NESO as documented, and as it may go wrong; answers are made up after the documented shapes."""

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.neso import Neso
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing
from greenops.testing.grid_services import FakeNeso
from greenops.testing.web_service import FakeWebService, Reply

pytestmark = pytest.mark.network

NOW = datetime(2026, 3, 29, 12, 40, tzinfo=UTC)
RUNNING = NOW.replace(minute=30)
HALF = timedelta(minutes=30)
HOUR = timedelta(hours=1)


def asking(url, now=NOW, region=""):
    return Neso({"GREENOPS_NESO_URL": url, "GREENOPS_NESO_REGION": region}, lambda: now)


def three_days():
    """A day up to the half hour that runs, which has no actual value, and two to come."""
    start = RUNNING - 24 * HOUR
    return FakeNeso(range(48), [value + 0.5 for value in range(145)], start)


def paths(service):
    return [each.path for each in service.asked]


def row(at=RUNNING, **intensity):
    return {
        "from": f"{at:%Y-%m-%dT%H:%MZ}",
        "to": f"{at + HALF:%Y-%m-%dT%H:%MZ}",
        "intensity": intensity or {"forecast": 100, "actual": 90, "index": "low"},
    }


def test_the_country_has_actual_values_and_a_gap_where_one_is_not_there_yet():
    with FakeWebService(three_days()) as service:
        series = asking(service.url).actual("GB", NOW - HOUR, NOW)

    assert paths(service) == ["/intensity/2026-03-29T11:30Z/2026-03-29T13:00Z"]
    assert series.values == (46, 47, None)
    assert series.estimated == (False, False, False)
    assert (series.kind.factors, series.kind.signal) == ("direct", "average")


def test_a_region_has_estimates_for_actual_values_and_says_so():
    with FakeWebService(three_days()) as service:
        series = asking(service.url).actual("GB-13", NOW - HOUR, NOW)

    assert paths(service) == ["/regional/intensity/2026-03-29T11:30Z/2026-03-29T13:00Z/regionid/13"]
    assert series.values == (56.5, 57.5, 58.5)
    assert series.estimated == (True, True, True)


@pytest.mark.parametrize(
    ("region", "path"),
    [
        ("13", "/regional/intensity/2026-03-29T12:30Z/fw48h/regionid/13"),
        ("London", "/regional/intensity/2026-03-29T12:30Z/fw48h/regionid/13"),
        ("rg10", "/regional/intensity/2026-03-29T12:30Z/fw48h/postcode/RG10"),
        ("", "/intensity/2026-03-29T12:30Z/fw48h"),
    ],
)
def test_a_region_that_is_set_answers_for_the_country(region, path):
    with FakeWebService(three_days()) as service:
        found = asking(service.url, region=region).forecast("GB", NOW)

    assert paths(service) == [path]
    assert found.kind.source == {"": "neso", "rg10": "neso-RG10"}.get(region, "neso-13")


@pytest.mark.parametrize("zone", ["GB-13", "London", "london", "13"])
def test_a_region_goes_by_our_name_and_by_its_own(zone):
    with FakeWebService(three_days()) as service:
        asking(service.url).forecast(zone, NOW)

    assert paths(service)[0].endswith("/regionid/13")


@pytest.mark.parametrize("region", ["18", "0", "Paris", "RG10 2AB", "../x"])
def test_a_region_that_is_none_is_told_at_the_start(region):
    with pytest.raises(AdapterUnsupported, match=r"GO0325 .GREENOPS_NESO_REGION. must be 1 to 17,"):
        asking("https://example.org", region=region)


def test_a_forecast_of_two_days_begins_with_the_half_hour_that_runs():
    with FakeWebService(three_days()) as service:
        found = asking(service.url).forecast("GB", NOW)

    assert (found.start, found.end) == (RUNNING, RUNNING + 48 * HOUR)
    assert found.values[0] == 48.5
    assert found.issued_at == NOW


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=4)])
def test_a_forecast_is_known_from_when_it_was_asked_for(late):
    with FakeWebService(three_days()) as service:
        found = asking(service.url).forecast("GB", NOW - late)

    assert found.issued_at == NOW - late


def test_an_old_forecast_is_missing_without_a_question():
    with FakeWebService(three_days()) as service, pytest.raises(DataMissing, match="keeps no old"):
        asking(service.url).forecast("GB", NOW - HOUR)

    assert service.asked == []


def test_half_hours_to_come_have_no_actual_values():
    with FakeWebService(three_days()) as service, pytest.raises(DataMissing, match="GO0303"):
        asking(service.url).actual("GB", NOW, NOW + 2 * HOUR)


def test_a_month_is_asked_in_pieces_that_the_service_takes():
    start = RUNNING - 30 * 24 * HOUR
    with FakeWebService(FakeNeso([7.0] * 1500, [8.0] * 1500, start)) as service:
        series = asking(service.url).actual("GB", start, RUNNING)

    assert len(service.asked) == 3
    assert series.values == (7.0,) * (30 * 48)


def test_a_region_may_come_as_a_list_of_one():
    body = {"data": [{"regionid": 13, "data": [row(forecast=5)]}]}
    with FakeWebService(lambda _: Reply(body)) as service:
        found = asking(service.url).forecast("GB-13", NOW)

    assert found.values == (5,)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"data": [{**row(), "to": "2026-03-29T13:30Z"}]}, "is not the start of a half hour"),
        ({"data": [{**row(), "from": "2026-03-29T12:30"}]}, "has no offset"),
        ({"data": [row(forecast=-3)]}, "-3 g/kWh"),
        ({"data": {}}, "`data` is no list"),
        ({"error": {"code": "500"}}, "`data` is missing"),
        ([], "of another shape"),
        ({"data": []}, "no values"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_with_the_reason(body, why):
    with (
        FakeWebService(lambda _: Reply(body)) as service,
        pytest.raises(AdapterUnavailable) as caught,
    ):
        asking(service.url).forecast("GB", NOW)

    assert caught.value.code == "GO0322"
    assert why in str(caught.value)


def test_nothing_is_missing_data():
    with FakeWebService(lambda _: Reply({"data": []})) as service, pytest.raises(DataMissing):
        asking(service.url).actual("GB", NOW - HOUR, NOW)


def test_a_zone_elsewhere_is_missing_and_the_nearest_is_named():
    with pytest.raises(DataMissing) as caught:
        asking("https://example.org").actual("GB-18", NOW - HOUR, NOW)

    assert str(caught.value) == (
        "GO0302 `neso` does not have grid zone `GB-18`; did you mean `GB-8`?"
    )
