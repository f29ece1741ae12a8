"""The shipped prices are what the reference data gives, and are played back as they were known."""

# Plain numbers stand for prices here.
# mypy: disable-error-code="arg-type,type-var,union-attr,dict-item,comparison-overlap,operator,misc"

import importlib.util
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from greenops.adapters.shipped_prices import DATA, ShippedPrices
from greenops.domain.prices import PriceKind
from greenops.errors import DataMissing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BUILDER = Path(__file__).parents[2] / "data" / "build_prices.py"
EASTER = datetime(2020, 4, 13, 10, tzinfo=UTC)
"""Noon of a windy and sunny holiday."""


def test_a_series_says_what_it_is_and_prices_may_be_negative():
    found = ShippedPrices().prices("DE-LU", EASTER, EASTER + 3 * HOUR, EASTER)

    assert (found.kind, found.currency, found.source) == (PriceKind.DAY_AHEAD, "EUR", "smard")
    assert found.replay
    assert all(-100 < value < 0 for value in found.values)


def test_germany_has_the_price_of_its_bidding_zone():
    prices = ShippedPrices()

    germany, zone = (prices.prices(each, EASTER, EASTER + DAY, EASTER) for each in ("DE", "DE-LU"))

    assert germany.values == zone.values
    assert (germany.zone, zone.zone) == ("DE", "DE-LU")


def test_the_year_is_whole_from_its_first_hour_to_its_last():
    first, last = datetime(2019, 12, 31, 23, tzinfo=UTC), datetime(2020, 12, 31, 23, tzinfo=UTC)

    found = ShippedPrices().prices("DE", first, last, last)

    assert len(found.values) == 8784
    assert None not in found.values
    assert (found.values[0], found.values[-1]) == (41.88, 52.26)
    assert sum(value < 0 for value in found.values) == 298
    assert min(found.values) == -83.94
    assert sum(found.values) / 8784 == pytest.approx(30.47, abs=0.01)


def test_what_is_not_shipped_is_said():
    prices = ShippedPrices()

    with pytest.raises(DataMissing, match="GO0302 no prices of `FR` are shipped"):
        prices.prices("FR", EASTER, EASTER + HOUR, EASTER)
    with pytest.raises(DataMissing, match=r"GO0335 .*the shipped replay covers 2019-12-31T23:00Z"):
        prices.prices("DE", EASTER + 2 * DAY, EASTER + 3 * DAY, EASTER)
    with pytest.raises(DataMissing, match="GO0335"):
        prices.prices(
            "DE",
            datetime(2021, 6, 1, tzinfo=UTC),
            datetime(2021, 6, 2, tzinfo=UTC),
            EASTER + 900 * DAY,
        )


def test_damaged_and_missing_files_are_said(tmp_path):
    shutil.copytree(DATA, tmp_path / "price")
    (tmp_path / "price" / "DE-LU.parquet").write_bytes(b"no")
    prices = ShippedPrices(tmp_path / "price")

    with pytest.raises(DataMissing, match=r"GO0304 .*DE-LU.parquet: shipped file is damaged"):
        prices.prices("DE", EASTER, EASTER + HOUR, EASTER)
    (tmp_path / "price" / "markets.json").write_text("{}")
    with pytest.raises(DataMissing, match="GO0304"):
        ShippedPrices(tmp_path / "price").zones()
    with pytest.raises(DataMissing, match="is missing"):
        ShippedPrices(tmp_path / "none").zones()


@pytest.mark.slow
def test_the_files_are_rebuilt_from_the_reference_data(reference_data, tmp_path):
    known = importlib.util.spec_from_file_location("build_prices", BUILDER)
    assert known is not None
    assert known.loader is not None
    builder = importlib.util.module_from_spec(known)
    known.loader.exec_module(builder)

    builder.build(reference_data, tmp_path)

    made = tmp_path / "price"
    assert (made / "markets.json").read_bytes() == (DATA / "markets.json").read_bytes()
    assert pq.read_table(made / "DE-LU.parquet").equals(pq.read_table(DATA / "DE-LU.parquet"))
    assert sum(each.stat().st_size for each in DATA.iterdir()) < 20_000


def test_the_source_is_attributed():
    text = (DATA.parent / "LICENSES.md").read_text()

    assert "Bundesnetzagentur | SMARD.de" in text
    assert "`price/" in text
