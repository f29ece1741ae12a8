"""One table tells what every provider calls our zones."""

import csv
import json
import zoneinfo
from pathlib import Path

import pytest

from greenops.adapters.shipped_grid import ShippedGrid
from greenops.adapters.zone_names import FILE, ZoneNames
from greenops.errors import DataMissing

ROOT = Path(__file__).parents[3]
ROWS = json.loads(FILE.read_text())["zones"]
PROVIDERS = ("electricitymaps", "watttime", "neso", "carbon-aware-sdk")


def test_every_shipped_zone_has_a_name_at_electricity_maps_with_its_own_name_and_time():
    zones = {each.id: each for each in ZoneNames("electricitymaps").zones()}

    assert [zones.get(each.id) for each in ShippedGrid().zones()] == list(ShippedGrid().zones())


def test_californias_zone_has_a_name_of_each():
    names = [ZoneNames(each).own("CISO") for each in ("electricitymaps", "watttime")]

    assert names == ["US-CAL-CISO", "CAISO_NORTH"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_two_zones_of_a_provider_are_of_one_id(provider):
    ids = [each.id for each in ZoneNames(provider).zones()]

    assert ids
    assert len(set(ids)) == len(ids)


def test_every_time_zone_is_one():
    assert {row["time_zone"] for row in ROWS} <= zoneinfo.available_timezones()


def test_names_stand_in_the_table_of_cloud_regions_that_they_are_from(reference_data):
    path = reference_data / "mapping" / "gsf_cloud_region_metadata_2019_2024.csv"
    with path.open(encoding="utf-8-sig") as file:
        pairs = {(each["em-zone-id"], each["wt-region-id"]) for each in csv.DictReader(file)}
    exceptions = {("US-NE-ISNE", "ISONE_WCMA"), ("QA", "QAT")}
    # Of these the table knows the marginal region alone.
    exceptions |= {("CN", "CHN"), ("US-NW-WACM", "WACM"), ("US-SW-AZPS", "AZPS")}

    ours = {
        (row["names"].get("electricitymaps"), row["names"].get("watttime"))
        for row in ROWS
        if "watttime" in row["names"]
    }

    assert ours - pairs <= exceptions


def test_a_name_that_is_not_ours_is_taken_for_the_providers():
    assert ZoneNames("watttime").own("PJM_NJ") == "PJM_NJ"


def test_zones_may_be_added_and_another_part_put_in_a_zones_place():
    names = ZoneNames("watttime", " PJM_NJ, PJM = PJM_SOUTHWEST_OH,,")

    assert (names.own("PJM_NJ"), names.own("PJM")) == ("PJM_NJ", "PJM_SOUTHWEST_OH")
    assert [each.id for each in names.zones()].count("PJM") == 1
    assert names.zones()[-1].id == "PJM_NJ"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"zones": [{}]}', '{"zones": [1]}', "\xff"])
def test_a_damaged_table_is_told_with_its_file(tmp_path, text):
    path = tmp_path / "zone_names.json"
    path.write_text(text, encoding="latin-1")

    with pytest.raises(DataMissing, match=r"GO0304 .*zone_names.json: shipped file is damaged"):
        ZoneNames("watttime", path=path)


def test_an_absent_table_is_told_with_its_file(tmp_path):
    with pytest.raises(DataMissing, match=r"GO0304 .*: shipped file is missing"):
        ZoneNames("watttime", path=tmp_path / "none.json")


@pytest.mark.parametrize("provider", ["electricitymaps", "watttime"])
def test_the_page_says_how_many_zones_a_provider_has(provider):
    page = (ROOT / "docs" / "how-to" / "use-live-grid-data.md").read_text()

    assert f"| `{provider}` | {len(ZoneNames(provider).zones())} zones of our table" in page
