"""Where a cloud region lies, what other sources call its zone, its water and carbon-free energy: facts with their sources."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

PROVIDERS = {"Amazon Web Services": "aws", "Google Cloud": "gcp", "Microsoft Azure": "azure"}
Key = tuple[str, str]

CITIES = {
    ("aws", "sa-east-1"): (-23.55, -46.63, "São Paulo; the table's point lies in the Amazon"),
    ("gcp", "southamerica-east1"): (
        -23.55,
        -46.63,
        "São Paulo; the table's point lies in the Amazon",
    ),
    ("gcp", "us-south1"): (32.78, -96.8, "Dallas; the table's point lies in Oregon"),
    ("gcp", "us-east5"): (39.96, -83.0, "Columbus, Ohio; the table's point lies in Nebraska"),
    ("gcp", "us-west4"): (36.17, -115.14, "Las Vegas; the table's point lies in New Mexico"),
    ("gcp", "europe-west4"): (53.44, 6.83, "Eemshaven; the table's point lies in Rotterdam"),
    ("gcp", "northamerica-south1"): (
        20.59,
        -100.39,
        "Querétaro; the table has the middle of Mexico",
    ),
    ("gcp", "africa-south1"): (-26.2, 28.05, "Johannesburg; the table has no point"),
    ("gcp", "me-central1"): (25.29, 51.53, "Doha; the table has no point"),
    ("gcp", "me-central2"): (26.43, 50.1, "Dammam; the table has no point"),
    ("gcp", "us-central2"): (36.31, -95.32, "Pryor, Oklahoma; the table has no point"),
    ("azure", "spaincentral"): (
        40.43,
        -3.7,
        "Madrid; carbon-aware-sdk lacks the sign of its longitude",
    ),
    ("azure", "westcentralus"): (
        41.13,
        -104.83,
        "Cheyenne; carbon-aware-sdk's point lies 450 km west",
    ),
    ("azure", "israelcentral"): (
        32.02,
        34.77,
        "Tel Aviv; carbon-aware-sdk's point lies in the sea",
    ),
}
"""Where a source has no point or one that cannot be: degrees north and east, and why."""

MARGINAL = {
    ("azure", "westus"): "CAISO_NORTH",
    ("azure", "westus2"): "BPA",
}
"""Marginal regions of places that the table takes for one another."""
AWS_MEAN_WUE = 0.18
"""AWS's mean of all its sites in 2023 [L/kWh]; the table puts it wherever it has no own figure."""


def read_places(mapping: Path) -> dict[Key, tuple[float, float, str]]:
    """Region → degrees north and east, and the source."""
    found: dict[Key, tuple[float, float, str]] = {}
    for key, row in _rows(mapping):
        if row["geolocation"]:
            north, east = map(float, row["geolocation"].split(","))
            found[key] = round(north, 2), round(east, 2), f"GSF Real Time Cloud {row['year']}"
    text = (mapping / "casdk_azure_regions_latlon.json").read_text(encoding="latin-1")
    for name, point in json.loads(text).items():
        north, east = float(point["Latitude"]), float(point["Longitude"])
        found["azure", name] = round(north, 2), round(east, 2), "carbon-aware-sdk (MIT)"
    return {**found, **CITIES}


def read_marginal(mapping: Path) -> dict[Key, str]:
    """Region → name of its marginal region, from the newest year that names one."""
    found = {key: row["wt-region-id"] for key, row in _rows(mapping) if row["wt-region-id"]}
    return {**found, **MARGINAL}


def read_water(mapping: Path) -> dict[Key, tuple[float, str]]:
    """Region → water usage effectiveness [L/kWh] with its source; a zero says that the table knows none."""
    found = {}
    for key, row in _rows(mapping):
        litres = float(row["water-usage-effectiveness"] or 0)
        if litres > 0:
            mean = key[0] == "aws" and litres == AWS_MEAN_WUE
            note = ", the mean of all its provider's sites" if mean else ""
            found[key] = litres, f"GSF Real Time Cloud {row['year']}{note}"
    return found


def read_carbon_free(annual: Path) -> dict[Key, tuple[float, str]]:
    """Region → part of its electricity that is carbon-free by the hour [1]; only Google tells."""
    with (annual / "gcp_region_carbon_2024.csv").open(encoding="utf-8-sig") as file:
        return {
            ("gcp", row["Google Cloud Region"]): (
                float(row["Google CFE"]),
                "Google region carbon 2024",
            )
            for row in csv.DictReader(file)
            if row["Google CFE"]
        }


def zone_names(zones: dict[Key, str], marginal: dict[Key, str]) -> dict[Key, list[str]]:
    """Region → what other sources call its zone; a marginal region that is not named is that of its zone's others."""
    of_zone = defaultdict(set)
    for key, zone in zones.items():
        if key in marginal:
            of_zone[zone].add(marginal[key])
    found = {}
    for key, zone in zones.items():
        alike = of_zone[zone]
        own = marginal.get(key) or (next(iter(alike)) if len(alike) == 1 else None)
        found[key] = list(dict.fromkeys(each for each in (zone, own) if each))
    return found


def _rows(mapping: Path) -> list[tuple[Key, dict[str, Any]]]:
    """Rows of the table by region, oldest first."""
    with (mapping / "gsf_cloud_region_metadata_2019_2024.csv").open(encoding="utf-8-sig") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["year"])
    return [((PROVIDERS[row["cloud-provider"]], row["cloud-region"]), row) for row in rows]
