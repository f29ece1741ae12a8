"""The shipped table of cloud regions: places, carbon-free energy, water, and what sources call its zones."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

import csv
import json

import pytest

from greenops.adapters.eia930 import ZONES as EIA_ZONES
from greenops.adapters.electricity_maps import ElectricityMaps
from greenops.adapters.shipped_grid import DATA, shipped_annual, shipped_regions
from greenops.pipeline.grid_zones import ZoneNames, as_listed

REGIONS = {each.id: each for each in shipped_regions()}


def google(reference_data):
    path = reference_data / "annual" / "gcp_region_carbon_2024.csv"
    with path.open(encoding="utf-8-sig") as file:
        return {
            row["Google Cloud Region"]: float(row["Google CFE"]) for row in csv.DictReader(file)
        }


@pytest.mark.feature("B15", "K6")
def test_carbon_free_energy_of_google_regions_ranks_as_in_its_source(reference_data):
    source = google(reference_data)
    ours = {name: each.cfe for name, each in REGIONS.items() if each.cfe is not None}

    assert len(source) == 44
    assert sorted(ours, key=lambda name: (-ours[name], name)) == sorted(
        source, key=lambda name: (-source[name], name)
    )
    assert ours == source


def test_only_who_tells_carbon_free_energy_by_the_hour_has_it():
    told = {each.provider for each in REGIONS.values() if each.cfe is not None}

    assert told == {"gcp"}
    assert all(0 <= each.cfe <= 1 for each in REGIONS.values() if each.cfe is not None)
    assert REGIONS["us-east-1"].cfe is None


def test_every_figure_has_its_source():
    rows = json.loads((DATA / "regions.json").read_text())["regions"]

    for row in rows:
        for what in ("cfe", "wue", "annual"):
            assert (row[what] is None) == (row[f"{what}_source"] is None), (row["id"], what)
        assert row["place_source"], row["id"]


def test_no_figure_is_zero_where_it_is_only_missing():
    assert all(each.wue is None or each.wue > 0 for each in REGIONS.values())
    assert REGIONS["newzealandnorth"].wue is None


@pytest.mark.parametrize(
    ("region", "north", "east"),
    [
        ("us-east-1", 39, -77),
        ("sa-east-1", -23.5, -46.6),
        ("us-south1", 32.8, -96.8),
        ("spaincentral", 40.4, -3.7),
        ("eu-north-1", 59.3, 18.1),
        ("africa-south1", -26.2, 28),
    ],
)
def test_regions_lie_where_their_provider_says(region, north, east):
    found = REGIONS[region]

    assert found.latitude == pytest.approx(north, abs=1)
    assert found.longitude == pytest.approx(east, abs=1)


def test_regions_of_one_grid_zone_lie_near_each_other():
    by_zone = {}
    for each in REGIONS.values():
        by_zone.setdefault(each.zone_names[0], []).append(each)

    for zone, regions in by_zone.items():
        north = [each.latitude for each in regions]
        east = [each.longitude for each in regions]
        # PJM, the widest of them, reaches from Virginia to Ohio.
        assert max(north) - min(north) < 8.5, zone
        assert max(east) - min(east) < 12, zone


def test_a_region_without_a_shipped_zone_says_what_other_sources_call_it():
    assert REGIONS["eu-west-3"].zone is None
    assert REGIONS["eu-west-3"].zone_names == ("FR",)
    assert REGIONS["uksouth"].zone_names == ("GB", "UK")
    assert all(each.zone_names for each in REGIONS.values())
    assert "eu-west-3" in shipped_annual()


def test_one_zone_is_found_under_the_name_of_another_source():
    names = ZoneNames.of(REGIONS.values())

    assert names.groups["US-CAL-CISO"][0] == "CISO"
    assert "US-CAL-CISO" in names.groups["CISO"]


def test_every_region_can_be_asked_for_at_the_source_with_most_zones(monkeypatch):
    monkeypatch.setenv("GREENOPS_ELECTRICITYMAPS_TOKEN", "none")
    listed = ElectricityMaps().zones()

    found = as_listed(REGIONS.values(), listed)

    known = {each.id for each in listed}
    assert [each.id for each in found if each.zone not in known] == []
    assert next(each for each in found if each.id == "us-west-1").zone == "CISO"
    assert next(each for each in found if each.id == "norwayeast").zone == "NO-NO1"


def test_american_regions_have_zones_of_form_eia_930():
    listed = {each.id for each in EIA_ZONES}

    found = {each.id: each.zone for each in as_listed(REGIONS.values(), EIA_ZONES)}

    american = ("us-central1", "us-central2", "us-west-1", "westus3", "us-east-1", "us-west3")
    assert {found[each] for each in american} <= listed
    assert found["eu-west-3"] is None
