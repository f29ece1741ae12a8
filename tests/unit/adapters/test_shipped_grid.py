"""The shipped series, played back; and files that are not what they should be."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.shipped_grid import DATA, ShippedGrid, shipped_annual, shipped_regions
from greenops.domain.grid import Factors, Signal
from greenops.errors import DataMissing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MORNING = datetime(2021, 10, 8, 8, 30, tzinfo=UTC)
GRID = ShippedGrid()
DEMO = {
    "us-west-1": "CISO",
    "us-west-2": "BPAT",
    "us-east-1": "PJM",
    "eu-central-1": "DE",
    "eu-north-1": "SE",
    "eu-south-2": "ES",
}


def test_twelve_zones_are_shipped_all_with_both_years():
    first, last = datetime(2020, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)

    series = [GRID.actual(each.id, first, last) for each in GRID.zones()]

    assert len(series) == 12
    assert {len(each.values) for each in series} == {17544}
    assert all(0 < value < 1000 for each in series for value in each.values)


def test_every_series_says_what_it_is():
    kind = GRID.actual("DE", MORNING, MORNING + HOUR).kind

    assert (kind.signal, kind.factors) == (Signal.AVERAGE, Factors.LIFECYCLE)
    assert (kind.source, kind.replay) == ("carboncast-entsoe", True)
    assert GRID.forecast("CISO", MORNING).kind.source == "carboncast-eia930"


def test_the_hours_that_cover_the_question_are_given_and_no_more():
    series = GRID.actual("CISO", MORNING, MORNING + HOUR)
    whole = GRID.actual("CISO", MORNING - HOUR / 2, MORNING + HOUR / 2)

    assert (series.start, series.end) == (MORNING - HOUR / 2, MORNING + 3 * HOUR / 2)
    assert whole.values == series.values[:1]


def test_the_newest_forecast_changes_at_midnight_utc_and_not_before():
    midnight = datetime(2021, 10, 8, tzinfo=UTC)

    before = GRID.forecast("CISO", midnight - timedelta(microseconds=1))
    after = GRID.forecast("CISO", midnight)

    assert before.issued_at == midnight - DAY
    assert after.issued_at == after.start == midnight
    assert after.id == "carboncast/CISO/2021-10-08T00:00Z"
    assert len(after.values) == 96


@pytest.mark.parametrize("zone", [each.id for each in GRID.zones()])
def test_no_forecast_is_from_the_future_on_any_hour(zone):
    at = datetime(2021, 7, 1, tzinfo=UTC)
    while at < datetime(2022, 1, 1, tzinfo=UTC):
        found = GRID.forecast(zone, at)
        assert found.issued_at <= at < found.end
        at += 7 * HOUR


def test_the_last_forecast_holds_until_its_96_hours_are_over():
    last = datetime(2022, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)

    assert GRID.forecast("CISO", last).issued_at == datetime(2021, 12, 28, tzinfo=UTC)
    with pytest.raises(DataMissing, match="GO0305"):
        GRID.forecast("CISO", last + timedelta(microseconds=1))


@pytest.mark.parametrize("zone", ["CISO", "DE", "ERCO", "ISNE", "PJM", "SE"])
def test_the_day_that_the_source_labels_twice_has_a_forecast_of_its_own(zone):
    fourth, fifth = (GRID.forecast(zone, datetime(2021, 12, day, tzinfo=UTC)) for day in (4, 5))

    assert fifth.issued_at == fourth.issued_at + DAY
    assert fifth.values != fourth.values


@pytest.mark.parametrize("zone", ["DE", "ERCO"])
def test_the_forecast_that_the_source_labels_wrongly_goes_on_from_the_day_it_is_put_on(zone):
    issued = datetime(2021, 12, 5, tzinfo=UTC)
    said = GRID.forecast(zone, issued).values[0]
    (before,) = GRID.actual(zone, issued - HOUR, issued).values
    (a_day_before,) = GRID.actual(zone, issued - DAY - HOUR, issued - DAY).values

    assert 2 * abs(said / before - 1) < abs(said / a_day_before - 1)


def test_an_error_is_unknown_until_14_forecasts_have_passed():
    july = datetime(2021, 7, 1, tzinfo=UTC)

    assert GRID.forecast("CISO", july).error is None
    assert GRID.forecast("CISO", july + 14 * DAY).error is None
    first, second, *later = GRID.error_by_day("CISO", july + 15 * DAY)
    assert 0 < first < second == GRID.forecast("CISO", july + 15 * DAY).error < 1
    assert later == [None, None]


def test_a_stated_error_covers_about_nine_of_ten_hours_to_come():
    inside = total = 0
    for zone in (each.id for each in GRID.zones()):
        for issued in GRID.issues(zone)[20:]:
            forecast = GRID.forecast(zone, issued)
            came = GRID.actual(zone, issued, issued + 2 * DAY).values
            width = forecast.error
            inside += sum(
                abs(f / a - 1) <= width for f, a in zip(forecast.values, came, strict=False)
            )
            total += len(came)

    assert total == 12 * 161 * 48
    assert 0.88 < inside / total < 0.97


def test_the_error_of_a_forecast_is_the_wider_of_its_first_two_days():
    forecast = GRID.forecast("CISO", MORNING)

    by_day = GRID.error_by_day("CISO", MORNING)

    assert len(by_day) == 4
    assert forecast.error == max(by_day[:2])


def test_the_fuel_mix_gives_the_intensity_again():
    mix = GRID.generation("CISO", MORNING, MORNING + HOUR)
    series = GRID.actual("CISO", MORNING, MORNING + HOUR)
    factors = {
        "coal": 820,
        "nat_gas": 490,
        "nuclear": 12,
        "oil": 650,
        "hydro": 24,
        "solar": 45,
        "wind": 11,
        "other": 700,
    }

    for hour, value in enumerate(series.values):
        total = sum(mix[fuel][hour] for fuel in mix)
        again = sum(mix[fuel][hour] * factors[fuel] for fuel in mix) / total
        assert again == pytest.approx(value, abs=0.02)


@pytest.mark.feature("J4")
def test_an_unknown_zone_is_said_in_one_line_with_the_nearest():
    with pytest.raises(DataMissing, match=r"GO0302 .*did you mean `CISO`") as raised:
        GRID.forecast("CISOO", MORNING)

    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 3


def test_time_that_is_not_covered_says_what_is():
    with pytest.raises(
        DataMissing, match=r"GO0303 .*covers 2020-01-01T00:00Z to 2022-01-01T00:00Z"
    ):
        GRID.actual("CISO", MORNING, MORNING + 1000 * DAY)
    with pytest.raises(DataMissing, match=r"GO0305 .*issued daily from 2021-07-01T00:00Z"):
        GRID.forecast("CISO", datetime(2021, 6, 30, 23, tzinfo=UTC))


@pytest.fixture
def copy(tmp_path):
    for name in ("zones.json", "SE.parquet", "SE.forecast.parquet"):
        shutil.copy(DATA / "grid" / name, tmp_path / name)
    return tmp_path


def refused(folder):
    grid = ShippedGrid(folder)
    with pytest.raises(DataMissing, match="GO0304") as raised:
        grid.actual("SE", MORNING, MORNING + HOUR)
    assert "\n" not in str(raised.value)
    assert "install greenops again" in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("length", [0, 3, 100, -1, -400])
def test_a_file_cut_short_is_said_in_one_line(copy, length):
    path = copy / "SE.parquet"
    path.write_bytes(path.read_bytes()[:length])

    assert "damaged" in refused(copy)


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7])
def test_a_changed_byte_in_the_figures_is_found(copy, place):
    path = copy / "SE.parquet"
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0x10
    path.write_bytes(content)

    assert "damaged" in refused(copy)


def test_a_file_that_is_gone_or_of_another_zone_is_said(copy):
    shutil.copy(copy / "SE.forecast.parquet", copy / "SE.parquet")
    assert "17376 rows, not 17544" in refused(copy)
    (copy / "SE.parquet").unlink()
    assert "is missing" in refused(copy)


def test_a_damaged_list_of_zones_is_said(copy):
    for text in ("", "[]", "{}", '{"zones": [{"id": "SE"}]}', '{"zones": 7}'):
        (copy / "zones.json").write_text(text)
        assert "zones.json" in refused(copy)


def test_a_forecast_file_without_its_column_is_damaged(copy):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"other": [0] * 17376}), copy / "SE.forecast.parquet")

    with pytest.raises(DataMissing, match="GO0304"):
        ShippedGrid(copy).forecast("SE", MORNING)


def test_the_demo_regions_lie_in_their_zones_with_a_source_for_each_figure():
    regions = {each.id: each for each in shipped_regions()}

    assert {name: regions[name].zone for name in DEMO} == DEMO
    assert {regions[name].location for name in DEMO} == {"US", "EU"}
    for each in regions.values():
        assert 1.0 <= each.pue < 2.0
        assert "20" in each.pue_source
        assert "as of 2026" in each.price_source
        assert each.usd_per_hour["ondemand"] > each.usd_per_hour.get("spot", 0) >= 0


def test_ids_are_unique_and_zones_are_shipped_ones():
    regions = shipped_regions()
    zones = {each.id for each in GRID.zones()}

    assert len({each.id for each in regions}) == len(regions) > 100
    assert {each.zone for each in regions} - {None} <= zones


def test_annual_means_are_grams_per_kwh_and_those_of_zones_are_the_series_own():
    annual = shipped_annual()
    year = datetime(2021, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)
    values = GRID.actual("SE", *year).values

    assert all(1 < grams < 1000 for grams, _ in annual.values())
    assert all(source for _, source in annual.values())
    assert annual["eu-north-1"][0] == pytest.approx(sum(values) / len(values), abs=0.01)


def test_importing_the_provider_loads_neither_numpy_nor_pyarrow():
    code = (
        "import sys, greenops.adapters.shipped_grid, greenops.adapters.factor_file;"
        "sys.exit(bool({'numpy', 'pyarrow', 'pandas', 'requests', 'yaml'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
