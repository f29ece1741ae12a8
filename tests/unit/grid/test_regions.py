"""Regions by id."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

import pytest

from greenops.domain.grid import Region
from greenops.errors import DataMissing
from greenops.grid.regions import RegionTable


def region(name, zone, pue=1.0):
    return Region(name, "aws", "EU", zone, pue, "test", {"ondemand": 0.1}, 0.02, "test")


TABLE = RegionTable.of(
    [region("c", "Z2"), region("a", "Z1"), region("b", "Z2", 1.5), region("d", None)]
)


def test_regions_come_in_the_order_of_their_ids():
    assert [each.id for each in TABLE] == ["a", "b", "c", "d"]
    assert len(TABLE) == 4
    assert TABLE.zones() == ("Z1", "Z2")


def test_an_unknown_region_names_the_nearest():
    table = RegionTable.of([region("eu-central-1", "DE")])

    assert table.get("eu-centrl-1") is None
    assert "eu-centrl-1" not in table
    with pytest.raises(DataMissing, match=r"GO0306 .*did you mean `eu-central-1`"):
        table["eu-centrl-1"]
