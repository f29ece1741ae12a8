"""EIA-930: intensity out of generation by fuel; answers are made up after the documented shape."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.eia930 import Eia930
from greenops.adapters.shipped_grid import shipped_regions
from greenops.domain.fuels import Fuel
from greenops.domain.grid import Factors, Signal
from greenops.errors import AdapterUnavailable, AdapterUnsupported, DataMissing, InvalidFile
from greenops.testing.generation import KEY, FakeEia930
from greenops.testing.web_service import FakeWebService, Reply

pytestmark = pytest.mark.network
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
NOON = START + DAY + 12 * HOUR
MIX = {"NG": [100.0] * 72, "SUN": [100.0] * 72, "BAT": [-500.0] * 72}


def asked(service, **more):
    return Eia930({"GREENOPS_EIA_KEY": KEY, "GREENOPS_EIA_URL": service.url} | more)


def test_intensity_is_generation_times_factors_and_names_them():
    with FakeWebService(FakeEia930(MIX, START)) as service:
        series = asked(service).actual("CISO", NOON - HOUR / 2, NOON + 2 * HOUR)

    assert (series.start, series.step) == (NOON - HOUR, HOUR)
    assert series.values == ((490 + 45) / 2,) * 3
    assert (series.kind.signal, series.kind.factors) == (Signal.AVERAGE, Factors.LIFECYCLE)
    assert series.kind.source.startswith("eia930 x carboncast-")
    assert not series.kind.replay


def test_direct_factors_are_a_setting():
    with FakeWebService(FakeEia930(MIX, START)) as service:
        grid = asked(service, GREENOPS_EIA_FACTORS="direct")
        series = grid.actual("CISO", NOON, NOON + HOUR)

    assert series.values == (185,)
    assert series.kind.factors is Factors.DIRECT


def test_an_hour_is_named_by_its_end():
    amounts = {"NG": [0.0] * 37 + [100.0] + [0.0] * 34, "SUN": [100.0] * 37 + [0.0] + [100.0] * 34}

    with FakeWebService(FakeEia930(amounts, START)) as service:
        values = asked(service).actual("CISO", NOON, NOON + 3 * HOUR).values
        periods = {each.params["start"] for each in service.asked}

    assert values == (45, 490, 45)
    assert periods == {"2026-03-01T01"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("NYISO", "NYIS"), ("US-MIDW-MISO", "MISO"), ("CISO", "CISO"), ("WALC", "WALC")],
)
def test_our_name_of_a_zone_is_translated(ours, theirs):
    with FakeWebService(FakeEia930(MIX, START, respondent=theirs)) as service:
        series = asked(service).actual(ours, NOON, NOON + HOUR)

    assert series.zone == ours


def test_zones_of_regions_in_the_united_states_are_known():
    needed = {each.zone for each in shipped_regions() if each.zone}
    known = {each.id for each in Eia930({"GREENOPS_EIA_KEY": KEY}).zones()}

    assert {zone for zone in needed if zone.startswith("US-")} <= known
    assert {"BPAT", "CISO", "ERCO", "FPL", "ISNE", "NYISO", "PJM"} <= known


def test_an_hour_whose_coal_is_not_reported_is_a_gap_and_the_end_is_where_all_is():
    amounts = {"COL": [50.0] * 72, "NG": [50.0] * 72}
    amounts["COL"][36] = None
    amounts["COL"][60:] = [None] * 12

    with FakeWebService(FakeEia930(amounts, START)) as service:
        grid = asked(service)
        assert grid.actual("CISO", NOON - HOUR, NOON + 2 * HOUR).values == (655, None, 655)
        with pytest.raises(DataMissing, match=r"GO0303 .*it gives .* to 2026-03-03T12:00Z"):
            grid.actual("CISO", NOON, NOON + 25 * HOUR)


def test_unknown_codes_count_as_unknown_and_their_share_can_be_asked():
    with FakeWebService(FakeEia930(MIX | {"XYZ": [200.0] * 72}, START)) as service:
        grid = asked(service)
        mix = grid.mix("CISO", NOON, NOON + 2 * HOUR)
        values = grid.actual("CISO", NOON, NOON + HOUR).values

    assert mix.unknown_codes == ("XYZ",)
    assert mix.unknown_share() == pytest.approx(0.5)
    assert (mix.start, len(mix.fuels)) == (NOON, 2)
    assert mix.fuels[0] == {Fuel.GAS: 100, Fuel.SOLAR: 100, Fuel.UNKNOWN: 200}
    assert values == ((490 + 45 + 2 * 700) / 4,)


def test_a_long_time_is_asked_in_parts():
    amounts = {"NG": [100.0] * 24 * 25}

    with FakeWebService(FakeEia930(amounts, START)) as service:
        series = asked(service).actual("CISO", START + DAY, START + 25 * DAY)
        spans = [(each.params["start"], each.params["end"]) for each in service.asked]

    assert series.values == (490,) * 24 * 24
    assert spans == [
        ("2026-03-01T01", "2026-03-11T00"),
        ("2026-03-11T01", "2026-03-21T00"),
        ("2026-03-21T01", "2026-03-26T00"),
    ]


def test_it_has_no_forecast_and_does_not_know_every_zone():
    with FakeWebService(FakeEia930(MIX, START)) as service:
        grid = asked(service)
        with pytest.raises(DataMissing, match="GO0305 `eia930` has no forecasts"):
            grid.forecast("CISO", NOON)
        with pytest.raises(DataMissing, match=r"GO0302 .*name a balancing authority"):
            grid.actual("New York", NOON, NOON + HOUR)
        with pytest.raises(DataMissing, match="GO0302 `eia930` has nothing of `XXXX`"):
            grid.actual("XXXX", NOON, NOON + HOUR)


def test_nothing_generated_is_no_intensity():
    with (
        FakeWebService(FakeEia930({"SUN": [0.0] * 72}, START)) as service,
        pytest.raises(DataMissing, match="GO0303 `eia930` has of `CISO` no time for which"),
    ):
        asked(service).actual("CISO", NOON, NOON + HOUR)


def test_a_wrong_key_is_refused_and_not_told():
    with (
        FakeWebService(FakeEia930(MIX, START)) as service,
        pytest.raises(AdapterUnavailable, match=r"GO0321 .*check `GREENOPS_EIA_KEY`") as caught,
    ):
        asked(service, GREENOPS_EIA_KEY="secret-of-mine").actual("CISO", NOON, NOON + HOUR)

    assert "secret-of-mine" not in str(caught.value)


BROKEN = {
    "no list": {"response": {"total": "1", "data": None}},
    "another unit": {
        "response": {
            "total": "1",
            "data": [
                {
                    "period": "2026-03-02T13",
                    "respondent": "CISO",
                    "fueltype": "NG",
                    "value": "1",
                    "value-units": "megawatts",
                }
            ],
        }
    },
    "another respondent": {
        "response": {
            "total": "1",
            "data": [
                {"period": "2026-03-02T13", "respondent": "PJM", "fueltype": "NG", "value": "1"}
            ],
        }
    },
    "local time": {
        "response": {
            "total": "1",
            "data": [
                {"period": "2026-03-02T13-05", "respondent": "CISO", "fueltype": "NG", "value": "1"}
            ],
        }
    },
    "infinite": {
        "response": {
            "total": "1",
            "data": [
                {"period": "2026-03-02T13", "respondent": "CISO", "fueltype": "NG", "value": "inf"}
            ],
        }
    },
    "cut off": {"response": {"total": "6001", "data": []}},
    "a list": [],
}


@pytest.mark.parametrize("broken", BROKEN)
def test_an_answer_of_another_shape_is_one_line(broken):
    with (
        FakeWebService(lambda _: Reply(BROKEN[broken])) as service,
        pytest.raises(AdapterUnavailable, match="GO0322") as caught,
    ):
        asked(service).actual("CISO", NOON, NOON + HOUR)

    assert "\n" not in str(caught.value)


def test_settings_that_lack_or_cannot_be_are_said(tmp_path):
    with pytest.raises(AdapterUnsupported, match="GO0325 `GREENOPS_EIA_KEY` is not set"):
        Eia930({})
    with pytest.raises(AdapterUnsupported, match="must be `lifecycle` or `direct`, not `both`"):
        Eia930({"GREENOPS_EIA_KEY": KEY, "GREENOPS_EIA_FACTORS": "both"})
    with pytest.raises(InvalidFile, match="GO0330"):
        Eia930({"GREENOPS_EIA_KEY": KEY, "GREENOPS_FUEL_FACTORS": str(tmp_path / "none.json")})
