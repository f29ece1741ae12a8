"""ENTSO-E: intensity out of generation by kind of plant; documents are made up after the documented shapes."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.entsoe import EntsoeGeneration
from greenops.adapters.entsoe_documents import ZONES, find_zone, is_eic, read_document
from greenops.domain.fuels import Fuel
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing
from greenops.testing.generation import KEY, FakeEntsoe
from greenops.testing.web_service import FakeWebService, Reply

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUARTER = HOUR / 4
START = datetime(2026, 3, 1, tzinfo=UTC)
NOON = START + DAY + 12 * HOUR
MIX = {"B04": [100.0] * 72, "B16": [100.0] * 72, "B10": [900.0] * 72, "B10-": [400.0] * 72}


def asked(service, **more):
    environ = {"GREENOPS_ENTSOE_TOKEN": KEY, "GREENOPS_ENTSOE_URL": service.url}
    return EntsoeGeneration(environ | more)


@pytest.mark.network
def test_intensity_is_generation_times_factors_without_pumped_storage():
    with FakeWebService(FakeEntsoe(MIX, start=START)) as service:
        series = asked(service).actual("DE", NOON - HOUR / 2, NOON + 2 * HOUR)
        direct = asked(service, GREENOPS_ENTSOE_FACTORS="direct").actual("DE", NOON, NOON + HOUR)

    assert (series.start, series.step) == (NOON - HOUR, HOUR)
    assert series.values == ((490 + 45) / 2,) * 3
    assert series.kind.source.startswith("entsoe x carboncast-")
    assert direct.values == (185,)


@pytest.mark.network
def test_what_a_plant_draws_is_not_what_it_makes():
    mix = {"B19": [50.0] * 72, "B19-": [400.0] * 72}

    with FakeWebService(FakeEntsoe(mix, start=START)) as service:
        found = asked(service).mix("DE", NOON, NOON + HOUR)

    assert found.fuels == ({Fuel.WIND: 50},)


@pytest.mark.network
def test_a_position_that_is_left_out_repeats_the_one_before_and_only_in_that_curve():
    mix = {"B04": [100.0] * 288, "B16": [float(i % 3) for i in range(288)]}
    with FakeWebService(FakeEntsoe(mix, start=START, step=QUARTER)) as service:
        every = asked(service).actual("DE", NOON, NOON + HOUR)
    with FakeWebService(FakeEntsoe(mix, start=START, step=QUARTER, curve="A03")) as service:
        changes = asked(service).actual("DE", NOON, NOON + HOUR)
    gaps = mix | {"B04": [100.0 if i % 2 else None for i in range(288)]}
    with FakeWebService(FakeEntsoe(gaps, start=START, step=QUARTER)) as service:
        holes = asked(service).actual("DE", NOON + QUARTER, NOON + HOUR)

    assert every.step == QUARTER
    assert changes == every
    assert [value is None for value in holes.values] == [False, True, False]


@pytest.mark.network
def test_kinds_of_plant_with_two_steps_are_laid_on_the_finer_one():
    fake = FakeEntsoe(
        {"B04": [100.0] * 288, "B16": [float(i) for i in range(72)]}, start=START, step=QUARTER
    )
    fake.steps["B16"] = HOUR

    with FakeWebService(fake) as service:
        found = asked(service).mix("DE", NOON, NOON + 2 * HOUR)

    assert [each[Fuel.SOLAR] for each in found.fuels] == [36] * 4 + [37] * 4


@pytest.mark.network
def test_kinds_that_are_not_known_count_as_unknown_and_are_named():
    with FakeWebService(
        FakeEntsoe({"B04": [60.0] * 72, "B99": [40.0] * 72}, start=START)
    ) as service:
        found = asked(service).mix("DE", NOON, NOON + HOUR)

    assert found.unknown_codes == ("B99",)
    assert found.unknown_share() == pytest.approx(0.4)


@pytest.mark.network
def test_any_area_is_asked_by_its_code_and_a_long_time_in_weeks():
    fake = FakeEntsoe({"B14": [10.0] * 24 * 16}, start=START, eic="10Y1001A1001A73I")

    with FakeWebService(fake) as service:
        series = asked(service).actual("10Y1001A1001A73I", START + DAY, START + 16 * DAY)
        spans = [(each.params["periodStart"], each.params["periodEnd"]) for each in service.asked]

    assert set(series.values) == {12}
    assert spans == [
        ("202603010000", "202603080000"),
        ("202603080000", "202603150000"),
        ("202603150000", "202603170000"),
    ]


@pytest.mark.network
def test_what_it_does_not_have_is_said():
    with FakeWebService(FakeEntsoe(MIX, start=START)) as service:
        grid = asked(service)
        with pytest.raises(DataMissing, match="GO0303 `entsoe` has nothing of `FR`"):
            grid.actual("FR", NOON, NOON + HOUR)
        with pytest.raises(DataMissing, match=r"GO0303 .*it gives .* to 2026-03-04T00:00Z"):
            grid.actual("DE", NOON, NOON + 40 * HOUR)
        with pytest.raises(DataMissing, match=r"GO0302 .*did you mean `NO-NO1`"):
            grid.actual("NO1", NOON, NOON + HOUR)
        with pytest.raises(
            DataMissing, match="GO0305 `entsoe` has no forecast of generation of `DE`"
        ):
            grid.forecast("DE", NOON)


WEEK = 24 * 7
AHEAD = {
    "": [200.0] * WEEK,
    "B16": [50.0] * WEEK,
    "B19": [100.0 if i < 96 else 150.0 for i in range(WEEK)],
}
EVENING = datetime(2026, 3, 4, 17, tzinfo=UTC)
"""18:00 in Brussels, on the fourth day."""


def foretelling(**changed):
    mix = {"B04": [30.0] * WEEK, "B05": [10.0] * WEEK, "B16": [5.0] * WEEK, "B10": [900.0] * WEEK}
    return FakeEntsoe(mix, foretold=AHEAD | changed, start=START)


@pytest.mark.network
def test_a_forecast_is_wind_and_sun_as_foretold_and_the_rest_as_it_was_the_day_before():
    rest = (30 * 490 + 10 * 820) / 40

    with FakeWebService(foretelling()) as service:
        found = asked(service).forecast("DE", EVENING)

    assert found.issued_at == EVENING
    assert (found.start, found.end) == (EVENING - 18 * HOUR, EVENING + 30 * HOUR)
    assert found.values[0] == pytest.approx((50 * 45 + 100 * 11 + 50 * rest) / 200)
    assert found.values[-1] == pytest.approx((50 * 45 + 150 * 11) / 200)
    assert found.id == "entsoe/DE/2026-03-04T17:00Z"


@pytest.mark.network
def test_tomorrow_is_not_foretold_before_its_evening_nor_where_the_service_lacks_it():
    short = {code: values[: 24 * 4 - 1] for code, values in AHEAD.items()}

    with FakeWebService(foretelling()) as service:
        before = asked(service).forecast("DE", EVENING - HOUR / 60)
    with FakeWebService(foretelling(**short)) as service:
        late = asked(service).forecast("DE", EVENING)
    with FakeWebService(foretelling(B16=short["B16"])) as service:
        without_sun = asked(service).forecast("DE", EVENING)

    assert before.issued_at == EVENING - DAY
    assert late.issued_at == without_sun.issued_at == EVENING - DAY
    assert late.end == EVENING + 6 * HOUR
    with (
        FakeWebService(foretelling(**short)) as service,
        pytest.raises(DataMissing, match="GO0305"),
    ):
        asked(service).forecast("DE", EVENING + 8 * HOUR)


@pytest.mark.network
def test_a_step_of_which_a_part_is_not_foretold_is_a_gap():
    hole = [None if i == 100 else 50.0 for i in range(WEEK)]

    with FakeWebService(foretelling(B16=hole)) as service:
        found = asked(service).forecast("DE", EVENING)

    places = [i for i, value in enumerate(found.values) if value is None]
    assert [found.start + i * HOUR for i in places] == [START + 100 * HOUR]


@pytest.mark.network
def test_there_is_no_forecast_where_the_day_before_is_not_known():
    fake = FakeEntsoe({"B16": [5.0] * WEEK}, foretold=AHEAD, start=START)

    with FakeWebService(fake) as service, pytest.raises(DataMissing, match="GO0305"):
        asked(service).forecast("DE", EVENING)


@pytest.mark.network
def test_a_wrong_token_and_a_refused_question_are_one_line_without_the_token():
    refusal = (
        "<Acknowledgement_MarketDocument><Reason><code>A59</code><text>The period is too long: securityToken="
        "mine-alone</text></Reason></Acknowledgement_MarketDocument>"
    )
    with (
        FakeWebService(FakeEntsoe(MIX, start=START)) as service,
        pytest.raises(AdapterUnavailable, match="GO0321") as caught,
    ):
        asked(service, GREENOPS_ENTSOE_TOKEN="mine-alone").actual("DE", NOON, NOON + HOUR)
    with (
        FakeWebService(lambda _: Reply(refusal)) as service,
        pytest.raises(AdapterUnavailable, match=r"GO0322 .*The period is too long") as refused,
    ):
        asked(service, GREENOPS_ENTSOE_TOKEN="mine-alone").actual("DE", NOON, NOON + HOUR)

    assert "mine-alone" not in str(caught.value) + str(refused.value)


BROKEN = {
    "page": "<html><body>Sign in</body></html>",
    "not xml": "no",
    "empty": "",
    "cut off": "<GL_MarketDocument><TimeSeries>",
    "no period": "<GL_MarketDocument><TimeSeries><Period/></TimeSeries></GL_MarketDocument>",
}


@pytest.mark.network
@pytest.mark.parametrize("broken", BROKEN)
def test_an_answer_of_another_shape_is_one_line(broken):
    with (
        FakeWebService(lambda _: Reply(BROKEN[broken])) as service,
        pytest.raises(AdapterUnavailable, match="GO0322") as caught,
    ):
        asked(service).actual("DE", NOON, NOON + HOUR)

    assert "\n" not in str(caught.value)


def document(points, *, period="", words="<MktPSRType><psrType>B04</psrType></MktPSRType>"):
    return (
        f"<x:GL_MarketDocument xmlns:x='y'><TimeSeries>{words}<Period><timeInterval><start>2026-03-01T00:00Z</start>"
        f"<end>2026-03-01T02:00Z</end></timeInterval><resolution>PT60M</resolution>{period}{points}"
        "</Period></TimeSeries></x:GL_MarketDocument>"
    )


def point(position, value):
    return f"<Point><position>{position}</position><quantity>{value}</quantity></Point>"


def test_a_document_gives_its_values_by_time():
    found = read_document(document(point(1, 5) + point(2, 6.5)))

    assert found.root == "GL_MarketDocument"
    assert list(found.series[0].values()) == [(START, HOUR, 5), (START + HOUR, HOUR, 6.5)]


@pytest.mark.parametrize(
    "points", [point(3, 1), point(0, 1), point(1, 1) + point(1, 2), point(1, "nan"), point(1, "x")]
)
def test_points_that_cannot_be_are_refused(points):
    with pytest.raises(ValueError):  # noqa: PT011 - of several places
        list(read_document(document(points)).series[0].values())


def test_entities_and_document_types_are_refused_before_they_expand():
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        '<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
    )
    outside = '<!DOCTYPE x SYSTEM "file:///etc/hostname"><x/>'

    for text in (bomb, outside):
        with pytest.raises(ValueError, match="document type"):
            read_document(text)


def test_a_document_beyond_all_bounds_is_refused():
    with pytest.raises(ValueError, match="nested deeper"):
        read_document("<a>" * 40 + "</a>" * 40)
    with pytest.raises(ValueError, match="more values"):
        read_document(document("".join(point(1, 1) for _ in range(200_001))))


def test_every_area_has_a_code_that_checks_and_a_damaged_one_does_not():
    codes = [each.eic for each in ZONES] + [each.bidding for each in ZONES if each.bidding]

    assert all(map(is_eic, codes))
    assert not is_eic("10YDE-RWENET---J")
    assert is_eic("10YDE-RWENET---I")
    assert not is_eic("Germany")
    assert find_zone("10YDE-RWENET---I").eic == "10YDE-RWENET---I"


def test_a_token_is_asked_for():
    with pytest.raises(AdapterUnsupported, match="GO0325 `GREENOPS_ENTSOE_TOKEN` is not set"):
        EntsoeGeneration({})
