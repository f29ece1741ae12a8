"""Makes the files of `greenops/data` from the folder of reference data; the same input, the same files.

python tests/data/build_shipped.py [REFERENCE_DATA [TARGET]]
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.data import build_regions

SERIES_START = datetime(2020, 1, 1, tzinfo=UTC)
FORECAST_START = datetime(2021, 7, 1, tzinfo=UTC)
HOURS = 96
"""Length of a forecast [h]."""
MIN_PAST = 14
"""Past forecasts below which an error is not stated."""
SHARE = 0.90
"""Share of past errors inside the stated half width."""
CENTI = 100
"""The source writes two decimals of a gram; the files hold whole hundredths."""


@dataclass(frozen=True)
class Zone:
    id: str
    name: str
    time_zone: str
    source: str


ZONES = (
    Zone("BPAT", "Bonneville Power Administration", "America/Los_Angeles", "eia930"),
    Zone("CISO", "California ISO", "America/Los_Angeles", "eia930"),
    Zone("DE", "Germany", "Europe/Berlin", "entsoe"),
    Zone("ERCO", "Electric Reliability Council of Texas", "America/Chicago", "eia930"),
    Zone("ES", "Spain", "Europe/Madrid", "entsoe"),
    Zone("FPL", "Florida Power & Light", "America/New_York", "eia930"),
    Zone("ISNE", "ISO New England", "America/New_York", "eia930"),
    Zone("NL", "Netherlands", "Europe/Amsterdam", "entsoe"),
    Zone("NYISO", "New York ISO", "America/New_York", "eia930"),
    Zone("PJM", "PJM Interconnection", "America/New_York", "eia930"),
    Zone("PL", "Poland", "Europe/Warsaw", "entsoe"),
    Zone("SE", "Sweden", "Europe/Stockholm", "entsoe"),
)


def main() -> None:
    """Write all files."""
    reference = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["GREENOPS_REFERENCE_DATA"])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("greenops/data")
    build(reference, target)


def build(reference: Path, target: Path) -> None:
    """Write `grid/*`, `regions.json` and `factors.json` under `target`."""
    (target / "grid").mkdir(parents=True, exist_ok=True)
    factors = json.loads((reference / "factors" / "emission_factors.json").read_text())
    zones, means = [], {}
    for zone in ZONES:
        entry, mean = build_zone(zone, reference, target / "grid", factors)
        zones.append(entry)
        means[zone.id] = mean
    write_json(target / "grid" / "zones.json", {"source": SOURCE, "zones": zones})
    build_regions.build(reference, target, means)


SOURCE = {
    "title": "CarbonCast, hourly lifecycle intensity and 96-hour forecasts",
    "licence": "Apache-2.0; EIA-930 public domain; ENTSO-E Transparency Platform CC BY 4.0",
    "signal": "average",
    "factors": "lifecycle",
    "intensity_unit": "0.01 gCO2e/kWh",
    "generation_unit": "as the source writes it; DE sums four quarter hours",
    "issued": "each forecast counts as issued at its first instant, 00:00 UTC",
    "error": "90 % quantile of |forecast / actual - 1| of this zone's earlier forecasts, by day "
    "ahead, of hours that had passed at issue; absent before 14 such forecasts",
}


def build_zone(
    zone: Zone, reference: Path, target: Path, factors: dict[str, Any]
) -> tuple[dict[str, Any], float]:
    """Write a zone's two files; its entry in `zones.json` and its mean of 2021 [g/kWh]."""
    folder = reference / "grid" / "carboncast"
    rows = read(folder / f"{zone.id}_lifecycle_2020_2021.csv.gz")
    stamps = [instant(row["UTC time"]) for row in rows]
    assert stamps == [SERIES_START + timedelta(hours=i) for i in range(len(rows))], zone
    fuels = [c for c in rows[0] if c in factors["carboncast_lifecycle"]]
    columns = {"carbon_intensity": centi([row["carbon_intensity"] for row in rows])}
    columns |= {
        f: pa.array([int(float(row[f])) for row in rows], pa.int32()) for f in sorted(fuels)
    }
    write_table(columns, target / f"{zone.id}.parquet")

    values = np.array([float(row["carbon_intensity"]) for row in rows])
    forecasts = read_forecasts(folder / f"{zone.id}_forecast96h_lifecycle_2021H2.csv.gz", values)
    write_table(
        {
            "forecast": pa.array(np.rint(forecasts.ravel() * CENTI).astype(int), pa.int32()),
            "error_permille": pa.array(past_errors(forecasts, values), pa.int16()),
        },
        target / f"{zone.id}.forecast.parquet",
    )
    in_2021 = int((datetime(2021, 1, 1, tzinfo=UTC) - SERIES_START) / timedelta(hours=1))
    return {
        "id": zone.id,
        "name": zone.name,
        "time_zone": zone.time_zone,
        "source": f"carboncast-{zone.source}",
        "start": SERIES_START.isoformat(),
        "hours": len(rows),
        "forecast_start": FORECAST_START.isoformat(),
        "forecasts": len(forecasts),
        "lifecycle_factors": fuel_factors(zone, rows, fuels, factors["carboncast_lifecycle"]),
        "direct_factors": {f: factors["carboncast_direct"][f] for f in sorted(fuels)},
    }, float(values[in_2021:].mean())


def fuel_factors(
    zone: Zone, rows: list[dict[str, str]], fuels: list[str], given: dict[str, float]
) -> dict[str, float]:
    """Factors [g/kWh] that give the stored intensity from the mix; checked on every hour."""
    found = {f: given[f] for f in sorted(fuels)}
    if zone.id == "SE":
        found["unknown"] = 293  # what the source's own series implies in each of its hours
    mix = np.array([[float(row[f]) for f in found] for row in rows])
    stated = np.array([float(row["carbon_intensity"]) for row in rows])
    again = mix @ np.array(list(found.values())) / mix.sum(axis=1)
    assert np.abs(again - stated).max() < 0.02, zone
    return found


def read_forecasts(path: Path, actual: np.ndarray) -> np.ndarray:
    """Forecasts [g/kWh], shape (origin, hour).

    Origin `i` is 2021-07-01 + i days: the source labels the one of 5 December as 4 December in six
    zones. Its own column of actual values says which hours it means, and is checked here; in DE and
    ERCO its first hour also goes on from the 5th and not from the 4th.
    """
    rows = read(path)
    shape = (len(rows) // HOURS, HOURS)
    assert [int(row["origin"]) for row in rows] == [
        i for i in range(shape[0]) for _ in range(HOURS)
    ]
    first = int((FORECAST_START - SERIES_START) / timedelta(hours=1))
    hours = first + 24 * np.arange(shape[0])[:, None] + np.arange(HOURS)
    said = np.array([float(row["actual"]) for row in rows]).reshape(shape)
    assert np.abs(said - actual[hours]).max() < 0.01, path
    return np.array([float(row["forecast"]) for row in rows]).reshape(shape)


def past_errors(forecasts: np.ndarray, actual: np.ndarray) -> list[int | None]:
    """Half width [1/1000] per forecast hour, from hours that had passed when it was issued."""
    first = int((FORECAST_START - SERIES_START) / timedelta(hours=1))
    origins = first + 24 * np.arange(len(forecasts))
    hours = origins[:, None] + np.arange(HOURS)
    relative = np.abs(forecasts / actual[hours] - 1)
    found: list[int | None] = []
    for issued in origins:
        for day in range(HOURS // 24):
            block = slice(24 * day, 24 * day + 24)
            known = relative[:, block][hours[:, block][:, -1] < issued]
            enough = len(known) >= MIN_PAST
            found += [round(1000 * float(np.quantile(known, SHARE))) if enough else None] * 24
    return found


def read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def instant(text: str) -> datetime:
    """The source writes three forms; all are UTC."""
    plain = text.removesuffix("+00:00")
    form = "%m/%d/%Y %H:%M:%S" if "/" in plain else "%Y-%m-%d %H:%M:%S"
    return datetime.strptime(plain, form).replace(tzinfo=UTC)


def centi(texts: list[str]) -> pa.Array:
    return pa.array([round(float(text) * CENTI) for text in texts], pa.int32())


def write_table(columns: dict[str, pa.Array], path: Path) -> None:
    """Hourly rows; `zones.json` says when they start."""
    pq.write_table(
        pa.table(columns),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        column_encoding="DELTA_BINARY_PACKED",
        write_page_checksum=True,
        store_schema=False,
    )


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
