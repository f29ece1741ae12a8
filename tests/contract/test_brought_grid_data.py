"""Providers over data that somebody brings, and over generation by fuel, keep the port's promises."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.eia930 import Eia930
from greenops.adapters.entsoe import EntsoeGeneration
from greenops.adapters.grid_files import GridFiles
from greenops.adapters.shipped_grid import ShippedGrid
from greenops.testing.generation import KEY, FakeEia930, FakeEntsoe
from greenops.testing.grid import check_grid_provider, check_grid_without_forecasts
from greenops.testing.web_service import FakeWebService

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FIRST = datetime(2021, 10, 8, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["CISO", "DE"])
@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=17)])
def test_files_keep_the_promises_on_what_was_shipped(tmp_path, zone, offset):
    shipped = ShippedGrid()
    rows = ["time,zone,value,issued_at"]
    for each in ("CISO", "DE"):
        known = shipped.actual(each, FIRST, FIRST + 4 * DAY)
        rows += lines(known, "")
        for day in range(4):
            found = shipped.forecast(each, FIRST + day * DAY)
            rows += lines(found, found.issued_at.isoformat())
    (tmp_path / "ci.csv").write_text("\n".join(rows))
    (tmp_path / "grid.yaml").write_text(
        "series:\n  - {file: ci.csv, source: CarbonCast, replay: true, signal: average, factors: lifecycle}\n"
    )
    start = FIRST + offset

    check_grid_provider(
        GridFiles(tmp_path / "grid.yaml"), zone, start, start + 3 * DAY, before=FIRST - HOUR
    )


@pytest.mark.network
@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=17)])
def test_eia930_keeps_the_promises(offset):
    wave = {"COL": [100.0 + i % 24 for i in range(144)], "WND": [50.0 + i % 7 for i in range(144)]}
    wave["COL"][60] = None
    start = FIRST + DAY + offset

    with FakeWebService(FakeEia930(wave, FIRST)) as service:
        grid = Eia930({"GREENOPS_EIA_KEY": KEY, "GREENOPS_EIA_URL": service.url})
        check_grid_without_forecasts(grid, "CISO", start, start + 3 * DAY)
        assert grid.kind == grid.actual("CISO", start, start + DAY).kind


@pytest.mark.network
@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=17)])
@pytest.mark.parametrize("curve", ["A01", "A03"])
def test_entsoe_keeps_the_promises(offset, curve):
    steps = 24 * 4 * 6
    wave = {
        "B05": [100.0 + i % 96 // 8 for i in range(steps)],
        "B19": [50.0 + i % 7 for i in range(steps)],
    }
    start = FIRST + DAY + offset
    ahead = {"": [200.0 + i % 5 for i in range(steps)], "B19": wave["B19"]}
    fake = FakeEntsoe(
        wave, foretold=ahead, start=FIRST - DAY, step=timedelta(minutes=15), curve=curve
    )

    with FakeWebService(fake) as service:
        grid = EntsoeGeneration({"GREENOPS_ENTSOE_TOKEN": KEY, "GREENOPS_ENTSOE_URL": service.url})
        check_grid_provider(grid, "DE", start, start + 3 * DAY, before=FIRST - 2 * DAY)
        assert grid.kind == grid.actual("DE", start, start + DAY).kind


def lines(series, issued):
    return [
        f"{(series.start + i * series.step).isoformat()},{series.zone},{value},{issued}"
        for i, value in enumerate(series.values)
    ]
