"""The table that services read."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.shipped_grid import shipped_annual, shipped_regions
from greenops.domain.energy import Method
from greenops.domain.factors import FactorTable
from greenops.domain.grid import Factors, IntensitySeries, Region, SeriesKind, Signal
from greenops.domain.record import canonical, plain, restore
from greenops.errors import MixedQuantities
from greenops.grid.factors import VCPUS, build_factor_table, intensity_at

START = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "test", replay=True)
SERIES = IntensitySeries("Z", KIND, START, HOUR, (100, None, 300))
REGIONS = [
    Region("in", "aws", "EU", "Z", 1.2, "test", {"ondemand": 0.096}, 0.02, "test"),
    Region("annual", "aws", "EU", "Y", 1.2, "test", {"spot": 0.04}, 0.02, "test"),
    Region("nowhere", "aws", "EU", None, 1.2, "test", {"ondemand": 0.096}, 0.02, "test"),
]
ANNUAL = {"in": (50.0, "test 2021"), "annual": (70.0, "test 2021"), "nowhere": (80.0, "test 2021")}
TABLE = build_factor_table(REGIONS, {"Z": SERIES}, ANNUAL)


def test_a_price_per_vcpu_hour_is_the_instance_over_its_vcpus():
    assert TABLE.regions["in"].usd_per_vcpu_hour == 0.048
    assert TABLE.regions["annual"].usd_per_vcpu_hour is None


def test_the_shipped_prices_are_of_instances_with_two_vcpus():
    skus = {each.price_source.split(", ")[1].split(" ")[0] for each in shipped_regions()}

    assert skus == {"m5.large", "n2-standard-2", "D2s_v5"}
    assert VCPUS == 2


def test_a_recorded_hour_goes_before_the_annual_mean():
    assert intensity_at(TABLE, "in", START) == (100, Method.REPORTED)
    assert intensity_at(TABLE, "in", START + 2 * HOUR) == (300, Method.REPORTED)
    assert intensity_at(TABLE, "in", START + HOUR) == (50, Method.ESTIMATED)
    assert intensity_at(TABLE, "in", START - HOUR) == (50, Method.ESTIMATED)


def test_the_newest_hour_stands_for_three_hours_after_it_and_is_no_report_of_them():
    end = START + 3 * HOUR

    assert intensity_at(TABLE, "in", end) == (300, Method.ESTIMATED)
    assert intensity_at(TABLE, "in", end + 3 * HOUR) == (300, Method.ESTIMATED)
    assert intensity_at(TABLE, "in", end + 3.01 * HOUR) == (50, Method.ESTIMATED)
    assert intensity_at(TABLE, "annual", START) == (70, Method.ESTIMATED)


@pytest.mark.feature("J4")
@pytest.mark.parametrize("region", ["nowhere", "unheard of", None])
def test_where_no_zone_fits_intensity_is_unknown(region):
    assert intensity_at(TABLE, region, START) == (None, None)


def test_a_region_without_any_figure_is_unknown():
    table = build_factor_table(REGIONS, {}, {})

    assert intensity_at(table, "in", START) == (None, None)


def test_the_version_changes_with_the_content_and_only_with_it():
    again = build_factor_table(reversed(REGIONS), {"Z": SERIES}, ANNUAL)
    other = build_factor_table(REGIONS, {"Z": replace(SERIES, values=(100, None, 301))}, ANNUAL)

    assert again.version == TABLE.version
    assert other.version != TABLE.version
    assert len(TABLE.version) == 64


def test_the_table_comes_back_from_json():
    assert restore(FactorTable, plain(TABLE)) == TABLE
    assert canonical(restore(FactorTable, plain(TABLE))) == canonical(TABLE)


@pytest.mark.feature("A4")
def test_a_table_does_not_mix_average_and_marginal_series():
    marginal = SeriesKind(Signal.MARGINAL, Factors.LIFECYCLE, "test", replay=True)
    other = replace(SERIES, zone="Y", kind=marginal)

    with pytest.raises(MixedQuantities):
        build_factor_table(REGIONS, {"Z": SERIES, "Y": other}, ANNUAL)


def test_every_region_of_a_shipped_zone_has_an_annual_mean():
    annual = shipped_annual()

    assert all(each.id in annual for each in shipped_regions() if each.zone is not None)
