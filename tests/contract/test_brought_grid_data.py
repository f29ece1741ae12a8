"""Providers over data that somebody brings, and over generation by fuel, keep the port's promises."""

# Plain numbers stand for grams, dollars and kWh here.
# mypy: disable-error-code="arg-type,union-attr,dict-item,comparison-overlap,operator,misc"

from datetime import UTC, datetime, timedelta

import pytest

from greenops.adapters.grid_files import GridFiles
from greenops.adapters.shipped_grid import ShippedGrid
from greenops.testing.grid import check_grid_provider

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


def lines(series, issued):
    return [
        f"{(series.start + i * series.step).isoformat()},{series.zone},{value},{issued}"
        for i, value in enumerate(series.values)
    ]
