"""ENTSO-E's day-ahead prices; documents are made up after the documented shapes."""

# Plain numbers stand for prices here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.entsoe_prices import EntsoePrices
from greenops.domain.prices import PriceKind
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing
from greenops.testing.generation import KEY, FakeEntsoe
from greenops.testing.web_service import FakeWebService, Reply

pytestmark = pytest.mark.network
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = datetime(2026, 3, 1, 23, tzinfo=UTC)
NOON = FIRST + 13 * HOUR


def asked(service, **more):
    return EntsoePrices({"GREENOPS_ENTSOE_TOKEN": KEY, "GREENOPS_ENTSOE_URL": service.url} | more)


def test_a_price_series_says_what_it_is_and_when_it_was_known():
    with FakeWebService(FakeEntsoe(prices={"": range(-5, 67)}, start=FIRST)) as service:
        found = asked(service).prices("DE", FIRST, FIRST + 4 * DAY, NOON)
        params = service.asked[0].params

    assert found.values == tuple(range(-5, 43))
    assert (found.kind, found.currency, found.source) == (PriceKind.DAY_AHEAD, "EUR", "entsoe")
    assert found.published_at == datetime(2026, 3, 2, 11, 45, tzinfo=UTC)
    assert params["in_Domain"] == params["out_Domain"] == "10Y1001A1001A82H"
    assert params["contract_MarketAgreement.type"] == "A01"


def test_what_the_service_does_not_have_yet_is_not_given():
    with FakeWebService(FakeEntsoe(prices={"": range(24)}, start=FIRST)) as service:
        found = asked(service).prices("DE", FIRST, FIRST + 4 * DAY, NOON)

    assert found.end == FIRST + DAY
    assert found.published_at == datetime(2026, 3, 1, 11, 45, tzinfo=UTC)


def test_a_price_that_is_left_out_is_the_one_before():
    prices = {"": [10.0, 10.0, 10.0, 20.0] * 24}

    with FakeWebService(
        FakeEntsoe(prices=prices, start=FIRST, step=HOUR / 4, curve="A03")
    ) as service:
        found = asked(service).prices("DE", FIRST, FIRST + HOUR, NOON)

    assert found.values == (10, 10, 10, 20)


def test_several_auctions_are_refused_until_one_is_named():
    two = {"1": [10.0] * 48, "2": [11.0] * 48}

    with FakeWebService(FakeEntsoe(prices=two, start=FIRST)) as service:
        with pytest.raises(
            DataMissing, match=r"GO0336 .*1 in EUR and 2 in EUR; name one in `GREENOPS_ENTSOE_PRICE"
        ):
            asked(service).prices("DE", FIRST, FIRST + HOUR, NOON)
        named = asked(service, GREENOPS_ENTSOE_PRICE_SEQUENCE="2")
        assert named.prices("DE", FIRST, FIRST + HOUR, NOON).values == (11,)


def test_a_country_of_several_prices_and_a_zone_that_is_not_there_are_said():
    with FakeWebService(FakeEntsoe(prices={"": [1.0] * 48}, start=FIRST)) as service:
        prices = asked(service)
        with pytest.raises(DataMissing, match="GO0302 `SE` has several prices"):
            prices.prices("SE", FIRST, FIRST + HOUR, NOON)
        with pytest.raises(DataMissing, match="GO0335 `entsoe` has no price of `FR`"):
            prices.prices("FR", FIRST, FIRST + HOUR, NOON)
        assert "SE" not in [each.id for each in prices.zones()]
        assert "SE-SE3" in [each.id for each in prices.zones()]


def series(words, price="5"):
    return (
        f"<TimeSeries>{words}<Period><timeInterval><start>2026-03-01T23:00Z</start><end>2026-03-02T00:00Z</end>"
        f"</timeInterval><resolution>PT60M</resolution><Point><position>1</position>"
        f"<price.amount>{price}</price.amount></Point></Period></TimeSeries>"
    )


EUR = "<currency_Unit.name>EUR</currency_Unit.name>"
INTRADAY = f"{EUR}<contract_MarketAgreement.type>A07</contract_MarketAgreement.type>"


def document(*parts):
    return lambda _: Reply(
        f"<Publication_MarketDocument>{''.join(parts)}</Publication_MarketDocument>"
    )


def test_intraday_auctions_are_passed_over():
    with FakeWebService(document(series(INTRADAY, "9"), series(EUR))) as service:
        assert asked(service).prices("ES", FIRST, FIRST + HOUR, NOON).values == (5,)


@pytest.mark.parametrize(
    "broken",
    [
        document(series("")),
        document(series(f"{EUR}<price_Measure_Unit.name>KWH</price_Measure_Unit.name>")),
        document(series(EUR), series(EUR, "6")),
        document(series(EUR, "x")),
    ],
    ids=["no currency", "per kWh", "two prices", "no number"],
)
def test_an_answer_that_cannot_be_is_one_line(broken):
    with (
        FakeWebService(broken) as service,
        pytest.raises(AdapterUnavailable, match="GO0322") as caught,
    ):
        asked(service).prices("ES", FIRST, FIRST + HOUR, NOON)

    assert "\n" not in str(caught.value)


def test_a_sequence_is_a_number():
    with pytest.raises(AdapterUnsupported, match="must be a number, not `SDAC`"):
        EntsoePrices({"GREENOPS_ENTSOE_TOKEN": KEY, "GREENOPS_ENTSOE_PRICE_SEQUENCE": "SDAC"})
