"""Google Cloud: rows of the Carbon Footprint export, taken out of BigQuery as JSON lines, CSV or Parquet.

Source: Google Cloud, "Carbon Footprint export data schema" (fields `usage_month`, `project.id`, `service.description`,
`location.region`, `carbon_model_version`, `carbon_footprint_kgCO2e.*`, `carbon_footprint_total_kgCO2e.*`); nested fields come as
`a.b` or, flattened by BigQuery, as `a_b`. Kilograms by project, service and region. A month is published by the 15th of the next;
rows do not say when they were. Zones of a region have rows of their own, and are added up. `after_offsets` is empty since 2025 and is
not read: offsets are no emissions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from greenops.adapters.import_row import Row, month_after, once
from greenops.adapters.import_rows import rows_of
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.domain.reported import Amount, Kind, Quantity
from greenops.units import grams

NEEDED: Final = ("usage_month", "carbon_model_version", "billing_account_id")
LOCATION, MARKET = Basis.LOCATION, Basis.MARKET
SCOPES: Final = "carbon_footprint_kgco2e"
TOTALS: Final = "carbon_footprint_total_kgco2e"
VALUES: Final[tuple[tuple[str, str, Basis | None], ...]] = (
    (f"{TOTALS}_location_based", "total", LOCATION),
    (f"{TOTALS}_market_based", "total", MARKET),
    (f"{SCOPES}_scope1", "1", None),
    (f"{SCOPES}_scope2_location_based", "2", LOCATION),
    (f"{SCOPES}_scope2_market_based", "2", MARKET),
    (f"{SCOPES}_scope3", "3", None),
)
"""Column, its scope and accounting."""


def read(path: Path) -> list[Amount]:
    """Every month of an export.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is not such an export, a cell cannot be, or a month is told twice in two ways.
    """
    rows = rows_of(path, "Google Cloud's Carbon Footprint", NEEDED, _name)
    told = ((row, each) for row in rows for each in _amounts(row))
    return once(told, ("usage_month",), _is_value)


def _name(column: str) -> str:
    return column.strip().replace(".", "_").lower()


def _is_value(column: str) -> bool:
    return column.startswith((SCOPES, TOTALS, "carbon_offsets"))


def _amounts(row: Row) -> Iterator[Amount]:
    start = row.month("usage_month")
    for name, scope, accounting in VALUES:
        kg = row.number(name)
        if kg is None:
            continue
        kind = Kind(
            source="gcp",
            quantity=Quantity.CARBON,
            method=Method.REPORTED,
            level="account",
            boundary=Boundary.SITE,
            accounting=accounting,
            scope=scope,
        )
        yield Amount(
            kind,
            grams(kg),
            start,
            month_after(start),
            account=row.text("project_id")
            or row.text("project_number")
            or row.needed("billing_account_id"),
            service=row.text("service_description") or row.text("service_id"),
            region=row.text("location_region") or row.text("location_location"),
            version=row.text("carbon_model_version"),
            more={"location": place} if (place := row.text("location_location")) else {},
        )
