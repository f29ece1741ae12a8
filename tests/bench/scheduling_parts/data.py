"""Series, prices and jobs of the reference data, as arrays."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tests.bench.common.figures import Figure
from tests.conftest import REFERENCE

__all__ = ["Figure"]

HOUR = 3600
GRIDS = ("BPAT", "CISO", "DE", "ERCO", "ES", "FPL", "ISNE", "NL", "NYISO", "PJM", "PL", "SE")


def lines(path):
    return gzip.decompress((REFERENCE / path).read_bytes()).decode().splitlines()


def anchors():
    return json.loads((REFERENCE / "grid" / "anchors.json").read_text())


def zones_2022():
    """Names and intensity [gCO2e/kWh], shape (zone, hour), of 123 zones."""
    head, *rows = lines("grid/emaps2022/ci_lca_hourly_2022_123zones.csv.gz")
    values = [[float(each or "nan") for each in row.split(",")[1:]] for row in rows]
    return head.split(",")[1:], np.array(values).T


def germany_2020():
    """Intensity of every half hour from 2020-01-01 00:00 local on [gCO2e/kWh]."""
    found = []
    for row in lines("grid/lwa2020/ger_ci.csv.gz")[1:]:
        at, value = row.split(",")
        if at >= "2020" and at[14:16] in {"00", "30"}:
            found.append(float(value))
    return np.array(found)


def carboncast(grid):
    """Hourly lifecycle intensity 2020-2021 [gCO2e/kWh]."""
    rows = lines(f"grid/carboncast/{grid}_lifecycle_2020_2021.csv.gz")[1:]
    return np.array([float(row.split(",")[2] or "nan") for row in rows])


def sweden_prices():
    """Zone -> day-ahead price of every hour of 2022, UTC [EUR/kWh]; NaN where none is stated."""
    start = datetime(2022, 1, 1, tzinfo=UTC)
    found = {f"SE{n}": np.full(8760, np.nan) for n in range(1, 5)}
    for row in lines("price/SE1_SE4_dayahead_2022_2025_hourly_utc.csv.gz")[1:]:
        zone, at, price = row.split(",")
        hour = (datetime.fromisoformat(at) - start).total_seconds() / HOUR
        if 0 <= hour < 8760 and price:
            found[zone][int(hour)] = float(price) / 1000
    return found


def gaia_jobs():
    """Arrival [s], length [s] and cores of pai_1k."""
    path: Path = REFERENCE / "workload" / "gaia_pai_1k.csv"
    rows = [row.split(",") for row in path.read_text().splitlines()[1:]]
    return tuple(np.array(column) for column in np.array(rows, dtype=float).T)


def carboncast_mix(grid):
    """Share of each fuel in the generation of each hour 2020-2021, shape (hour, fuel)."""
    rows = lines(f"grid/carboncast/{grid}_lifecycle_2020_2021.csv.gz")[1:]
    made = np.nan_to_num([[float(each or "nan") for each in row.split(",")[3:]] for row in rows])
    return made / np.maximum(made.sum(axis=1, keepdims=True), 1)


def carboncast_forecast(grid):
    """CarbonCast's own forecasts, shape (origin, hour ahead) [gCO2e/kWh]."""
    rows = lines(f"grid/carboncast/{grid}_forecast96h_lifecycle_2021H2.csv.gz")[1:]
    return np.array([float(row.split(",")[3]) for row in rows]).reshape(-1, 96)
