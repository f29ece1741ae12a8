"""Electricity Maps as documented, and as it may go wrong; answers are made up after the documented shapes."""

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.electricity_maps import ElectricityMaps
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing
from greenops.testing.grid_services import KEY, FakeElectricityMaps
from greenops.testing.web_service import FakeWebService, Reply

pytestmark = pytest.mark.network

NOW = datetime(2026, 3, 29, 12, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOON = NOW.replace(minute=0)


def asking(url, now=NOW, **more):
    found = {"URL": url, "TOKEN": KEY, **more}
    environ = {f"GREENOPS_ELECTRICITYMAPS_{name}": each for name, each in found.items()}
    return ElectricityMaps(environ, lambda: now)


def one_day(hours=24):
    """The day up to now, of 0, 1, 2 … g/kWh, and three days foretold."""
    start = NOON - (hours - 1) * HOUR
    return FakeElectricityMaps(range(hours), range(73), start, NOW - timedelta(minutes=50))


def said(body, ask):
    with FakeWebService(lambda _: Reply(body)) as service:
        return ask(asking(service.url))


def hour(at=NOON, value=100, **more):
    return {"carbonIntensity": value, "datetime": at.isoformat(), "isEstimated": False, **more}


def of_the_last_hour(provider):
    return provider.actual("DE", NOON - HOUR, NOON)


def test_the_last_day_is_asked_of_the_endpoint_that_every_plan_has():
    with FakeWebService(one_day()) as service:
        series = asking(service.url).actual("CISO", NOW - 3 * HOUR, NOW)

    assert [each.path for each in service.asked] == ["/v3/carbon-intensity/history"]
    assert service.asked[0].params == {
        "zone": "US-CAL-CISO",
        "emissionFactorType": "lifecycle",
        "temporalGranularity": "hourly",
    }
    assert series.values == (20, 21, 22, 23)
    assert series.start == NOON - 3 * HOUR


def test_what_is_estimated_is_told_with_when_it_was_last_changed():
    with FakeWebService(one_day()) as service:
        series = asking(service.url).actual("CISO", NOON - HOUR, NOW)

    assert series.estimated == (False, True)
    assert series.published_at == NOON + HOUR


def test_what_is_older_is_asked_in_pieces_of_ten_days():
    hours = 24 * 24
    with FakeWebService(one_day(hours)) as service:
        series = asking(service.url).actual("CISO", NOON - 23 * 24 * HOUR, NOON)

    assert len(service.asked) == 3
    assert {each.path for each in service.asked} == {"/v3/carbon-intensity/past-range"}
    assert series.values == tuple(range(hours - 1 - 23 * 24, hours - 1))


def test_a_forecast_keeps_when_it_was_issued():
    with FakeWebService(one_day()) as service:
        found = asking(service.url).forecast("CISO", NOW + 20 * HOUR)

    assert service.asked[0].params["horizonHours"] == "72"
    assert found.issued_at == NOW - timedelta(minutes=50)
    assert found.id == "electricitymaps/CISO/2026-03-29T11:30:00Z"
    assert (found.start, found.end) == (NOON - HOUR, NOON + 72 * HOUR)


def test_a_forecast_of_a_plan_with_a_shorter_one_is_shorter():
    with FakeWebService(one_day()) as service:
        found = asking(service.url, HORIZON_H="24").forecast("CISO", NOW)

    assert len(found.values) == 25


def test_an_old_forecast_is_not_made_up():
    with FakeWebService(one_day()) as service, pytest.raises(DataMissing, match=r"GO0305"):
        asking(service.url).forecast("CISO", NOW - 2 * HOUR)


def test_a_clock_that_runs_ahead_does_not_make_a_forecast_of_the_future():
    body = {
        "zone": "DE",
        "forecast": [hour(NOON + index * HOUR) for index in range(4)],
        "updatedAt": (NOW + 3 * HOUR).isoformat(),
    }

    assert said(body, lambda provider: provider.forecast("DE", NOW)).issued_at == NOW


def test_a_zone_goes_by_its_own_name_too():
    with FakeWebService(one_day()) as service:
        series = asking(service.url).actual("US-CAL-CISO", NOON, NOW)

    assert series.zone == "US-CAL-CISO"


def test_a_zone_that_is_answered_for_another_is_missing():
    body = {"zone": "FR", "history": [hour()]}

    with pytest.raises(DataMissing, match=r"GO0302 .* grid zone `DE`; it answers for `FR`"):
        said(body, of_the_last_hour)


def test_hours_may_come_unsorted_with_gaps_and_twice():
    rows = [hour(NOON - index * HOUR, index) for index in (0, 3, 2, 0, 5)]

    series = said(
        {"zone": "DE", "history": [*rows, hour(NOON - HOUR, None)]},
        lambda provider: provider.actual("DE", NOON - 5 * HOUR, NOON + HOUR),
    )

    assert series.values == (5, None, 3, 2, None, 0)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([hour(NOON, 1), hour(NOON, 2)], "two values for 2026-03-29T12:00Z: 1 and 2"),
        ([hour(NOON, -1)], "-1 g/kWh at 2026-03-29T12:00Z cannot be"),
        ([hour(NOON, 5001)], "5001 g/kWh at 2026-03-29T12:00Z cannot be"),
        ([hour(NOON, "100")], "`'100'` is no number"),
        ([hour(NOON.replace(tzinfo=None))], "time `2026-03-29T12:00:00` has no offset"),
        ([{"datetime": NOON.isoformat()}], "`carbonIntensity` is missing"),
        ([hour(NOON, emissionFactorType="direct")], "factors are `direct`, not `lifecycle`"),
        ({"a": 1}, "hours are no list"),
        ([None], "of another shape (AttributeError)"),
        (None, "hours are no list"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_with_the_reason(rows, why):
    with pytest.raises(AdapterUnavailable) as caught:
        said({"zone": "DE", "history": rows}, of_the_last_hour)

    assert str(caught.value) == (
        "GO0322 `electricitymaps` gives no answer that makes sense at "
        f"`/v3/carbon-intensity/history`: {why}"
    )


@pytest.mark.parametrize("body", [[], "text", 1, None, {}])
def test_json_of_another_shape_is_refused_in_a_line(body):
    with pytest.raises(AdapterUnavailable, match=r"^GO0322 [^\n]*$"):
        said(body, of_the_last_hour)


def test_nan_is_a_gap():
    text = f'{{"zone": "DE", "history": [{{"carbonIntensity": NaN, "datetime": "{NOON - HOUR}"}}]}}'

    assert said(text, of_the_last_hour).values == (None,)


def test_no_hours_at_all_are_missing_data():
    with pytest.raises(DataMissing, match=r"GO0303"):
        said({"zone": "DE", "history": []}, of_the_last_hour)


def test_a_zone_or_endpoint_outside_of_the_plan_is_missing_and_the_token_not_called_wrong():
    body = {
        "error": "Request unauthorized for zoneKey=DE,requestType=past,dataType=carbon-intensity.",
        "message": "You do not have access to this endpoint for this zone.",
    }
    with (
        FakeWebService(lambda _: Reply(body, 401)) as service,
        pytest.raises(DataMissing) as caught,
    ):
        asking(service.url).actual("DE", NOON - 48 * HOUR, NOON)

    assert str(caught.value) == (
        "GO0326 the plan of `GREENOPS_ELECTRICITYMAPS_TOKEN` does not cover what `electricitymaps` "
        "was asked for (status 401): You do not have access to this endpoint for this zone."
    )


def test_a_wrong_token_names_its_setting():
    with FakeWebService(one_day()) as service, pytest.raises(AdapterUnavailable) as caught:
        asking(service.url, TOKEN="wrong").forecast("CISO", NOW)

    assert str(caught.value) == (
        "GO0321 `electricitymaps` refuses the key (status 401): Invalid auth-token; "
        "check `GREENOPS_ELECTRICITYMAPS_TOKEN`"
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"FACTORS": "both"}, "must be one of lifecycle, direct"),
        ({"HORIZON_H": "12"}, "must be one of 6, 24, 48, 72"),
    ],
)
def test_a_wrong_setting_is_told_at_the_start(more, why):
    with pytest.raises(AdapterUnsupported, match=why):
        asking("https://example.org", **more)


def test_direct_factors_make_another_kind():
    assert asking("https://example.org", FACTORS="direct").kind.factors == "direct"


def test_the_token_is_in_no_representation():
    provider = asking("https://example.org")

    assert KEY not in repr(provider) + repr(provider._source)
