"""Emission factors by fuel: the shipped table gives the shipped series back; broken tables are refused."""

# Plain numbers stand for grams here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

import csv
import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.fuel_factors import SHIPPED, read_factors, shipped_factors
from greenops.adapters.shipped_grid import ShippedGrid
from greenops.domain.fuels import (
    WEATHER,
    Fuel,
    GenerationMix,
    foretold_intensity,
    intensity_of_the_rest,
    make_mix,
    mix_intensity,
)
from greenops.domain.grid import Factors
from greenops.errors import InvalidFile

HOUR = timedelta(hours=1)
FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)
GRID = ShippedGrid()
ROUNDING = 0.006
"""The source writes two decimals of a gram."""
FUEL_OF = {each.value: each for each in Fuel} | {"other": Fuel.UNKNOWN}


def mix_of(zone, generation):
    rows = zip(*generation.values(), strict=True)
    fuels = tuple(dict(zip(map(FUEL_OF.__getitem__, generation), row, strict=True)) for row in rows)
    return GenerationMix(zone, FIRST, HOUR, fuels)


@pytest.mark.parametrize("zone", [each.id for each in GRID.zones()])
def test_the_shipped_mix_and_the_factors_give_the_shipped_series(zone):
    stated = GRID.actual(zone, FIRST, LAST).values

    again = mix_of(zone, GRID.generation(zone, FIRST, LAST)).intensities(
        shipped_factors().of(Factors.LIFECYCLE, zone)
    )

    assert len(again) == 17544
    assert max(abs(a - b) for a, b in zip(again, stated, strict=True)) < ROUNDING


@pytest.mark.parametrize("zone", ["CISO", "DE", "SE"])
def test_the_direct_factors_give_the_sources_direct_series(zone, reference_data):
    path = reference_data / "grid" / "carboncast" / f"{zone}_direct_2020_2021.csv.gz"
    with gzip.open(path, "rt") as file:
        stated = [float(row["carbon_intensity"]) for row in csv.DictReader(file)]

    again = mix_of(zone, GRID.generation(zone, FIRST, LAST)).intensities(
        shipped_factors().of(Factors.DIRECT, zone)
    )

    assert max(abs(a - b) for a, b in zip(again, stated, strict=True)) < ROUNDING


def test_the_id_of_factors_changes_with_their_content(tmp_path):
    table = json.loads(SHIPPED.read_text())
    table["sets"][0]["grams"]["coal"] += 1
    own = tmp_path / "own.json"
    own.write_text(json.dumps(table))

    found = read_factors(own).of(Factors.LIFECYCLE, "PL")

    assert found.grams[Fuel.COAL] == 821
    assert found.id != shipped_factors().of(Factors.LIFECYCLE, "PL").id


def test_a_zone_may_have_its_own_factor():
    table = shipped_factors()

    assert table.of(Factors.LIFECYCLE, "SE").grams[Fuel.UNKNOWN] == 292.9
    assert table.of(Factors.DIRECT, "SE").grams[Fuel.UNKNOWN] == 575
    assert table.of(Factors.LIFECYCLE, "DE").grams[Fuel.UNKNOWN] == 700


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t["sets"][0]["grams"].pop("coal"), "no lifecycle factor for `coal`"),
        (lambda t: t["sets"][1]["grams"].update(peat=1), "unknown fuel `peat`"),
        (lambda t: t["sets"][1]["grams"].update(coal=-1), "3000 gCO2e/kWh, not -1"),
        (
            lambda t: t["sets"][1]["grams"].update(coal=float("nan")),
            "`coal` is 0 to 3000 gCO2e/kWh, not nan",
        ),
        (lambda t: t.update(unit="lb/MWh"), "`unit` must be `gCO2e/kWh`"),
        (lambda t: t["zones"][0].pop("zone"), "name their `zone`"),
        (lambda t: t["sets"][0].update(zone="DE"), "stand under `zones`"),
        (lambda t: t.pop("name"), "lacks `name`"),
    ],
)
def test_a_broken_table_is_refused_in_one_line(tmp_path, change, said):
    table = json.loads(SHIPPED.read_text())
    change(table)
    own = tmp_path / "own.json"
    own.write_text(json.dumps(table))

    with pytest.raises(InvalidFile, match="GO0330") as caught:
        read_factors(own)

    assert said in str(caught.value)


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidFile, match="GO0330"):
        read_factors(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("zone", "most"), [("DE", 0.100), ("ES", 0.095), ("NL", 0.032), ("PL", 0.011), ("SE", 0.049)]
)
def test_the_rest_of_two_days_before_stands_in_for_tomorrows(zone, most):
    """With wind, sun and the whole foretold without error, over 2020 and 2021."""
    factors = shipped_factors().of(Factors.LIFECYCLE, zone)
    mix = mix_of(zone, GRID.generation(zone, FIRST, LAST))
    stated = GRID.actual(zone, FIRST, LAST).values
    errors = []
    for day in range(2, 731):
        before = FIRST + (day - 2) * 24 * HOUR
        rest = intensity_of_the_rest(mix.part(before, before + 24 * HOUR), factors)
        for hour in range(24 * day, 24 * day + 24):
            fuels = mix.fuels[hour]
            weather = {fuel: fuels[fuel] for fuel in WEATHER if fuel in fuels}
            said = foretold_intensity(sum(fuels.values()), weather, rest, factors)
            errors.append(abs(said / stated[hour] - 1))

    assert sum(errors) / len(errors) < most


def test_wind_and_sun_above_the_whole_are_all_of_it():
    factors = shipped_factors().of(Factors.LIFECYCLE, "Z")

    assert foretold_intensity(10.0, {Fuel.WIND: 20.0}, 500, factors) == 11
    assert foretold_intensity(0.0, {}, 500, factors) is None


DAY = datetime(2026, 3, 1, tzinfo=UTC)
CODES = {"COL": Fuel.COAL, "WND": Fuel.WIND, "BAT": None}


def test_storage_is_in_neither_side_of_the_mean():
    at = {DAY: 100.0}

    with_storage = make_mix("Z", {"COL": at, "BAT": {DAY: 900.0}}, CODES, DAY, DAY + HOUR, HOUR)

    assert with_storage.fuels == ({Fuel.COAL: 100.0},)


def test_a_step_that_lacks_a_fuel_of_its_day_or_the_day_before_is_a_gap():
    hours = [DAY + i * HOUR for i in range(72)]
    coal = {at: 50.0 for at in hours[:24] if at != hours[3]}
    wind = dict.fromkeys(hours, 50.0)

    mix = make_mix("Z", {"COL": coal, "WND": wind}, CODES, DAY, DAY + 72 * HOUR, HOUR)

    assert [i for i, each in enumerate(mix.fuels) if each is None] == [3, *range(24, 48)]
    assert mix.fuels[48] == {Fuel.WIND: 50.0}


def test_what_draws_power_makes_nothing_and_a_mix_of_nothing_has_no_intensity():
    factors = shipped_factors().of(Factors.LIFECYCLE, "Z")

    assert mix_intensity({Fuel.COAL: 10.0, Fuel.SOLAR: -5.0}, factors) == 820
    assert mix_intensity({Fuel.SOLAR: -5.0}, factors) is None
    assert make_mix("Z", {}, CODES, DAY, DAY + HOUR, HOUR).fuels == (None,)


def test_an_unknown_code_counts_as_unknown_and_its_share_is_told():
    at = {DAY: 75.0}

    mix = make_mix("Z", {"COL": at, "XYZ": {DAY: 25.0}}, CODES, DAY, DAY + HOUR, HOUR)

    assert mix.unknown_codes == ("XYZ",)
    assert mix.unknown_share() == pytest.approx(0.25)
    assert mix.intensities(shipped_factors().of(Factors.LIFECYCLE, "Z")) == (790,)
    assert make_mix("Z", {}, CODES, DAY, DAY + HOUR, HOUR).unknown_share() is None
