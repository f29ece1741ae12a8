"""AWS: the table of carbon emissions of Data Exports, of the Customer Carbon Footprint Tool, as CSV (packed or not) or Parquet.

Source: AWS Data Exports user guide, "Carbon emissions columns", model v3.0.0 of 2025 (`total_lbm_*`, `total_mbm_*` and scopes) and
v2.0.0 (`total_mbm_*` alone, of scopes 1 and 2). Tonnes (`MTCO2e`) by account, region and service. A month is published between the
15th and the 21st of the next by the guide, later with models before v3; when it was says `last_refresh_timestamp`.

One month may be there by several models: the newest counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from greenops.adapters.import_row import Row, month_after, twice
from greenops.adapters.import_rows import rows_of
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.domain.reported import Amount, Kind, Quantity
from greenops.units import grams

NEEDED: Final = (
    "usage_period_start",
    "usage_period_end",
    "usage_account_id",
    "model_version",
    "total_mbm_emissions_value",
    "total_mbm_emissions_unit",
)
LOCATION, MARKET = Basis.LOCATION, Basis.MARKET
VALUES: Final[tuple[tuple[str, str, Basis | None], ...]] = (
    ("total_lbm", "total", LOCATION),
    ("total_mbm", "total", MARKET),
    ("total_scope_1", "1", None),
    ("total_scope_2_lbm", "2", LOCATION),
    ("total_scope_2_mbm", "2", MARKET),
    ("total_scope_3_lbm", "3", LOCATION),
    ("total_scope_3_mbm", "3", MARKET),
)
"""Beginning of a pair of columns, its scope and accounting."""
TONNES: Final = ("MTCO2e", "MTCO2E")
KG_PER_TONNE: Final = 1000.0
BEFORE_SCOPE_3: Final = 3
"""First model whose totals have scope 3 in them [major version]."""


def read(path: Path) -> list[Amount]:
    """Every month of an export.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is not such an export, a cell cannot be, or a month is told twice in two ways.
    """
    newest: dict[tuple[object, ...], tuple[tuple[int, ...], Amount, Row]] = {}
    for row in rows_of(path, "AWS Data Exports (carbon emissions)", NEEDED):
        model = _model(row)
        for amount in _amounts(row, model):
            scope = amount.kind.scope if amount.kind.scope != "1+2" else "total"
            key = (scope, amount.kind.accounting, *amount.key[1:])
            before = newest.get(key)
            if before is not None and before[0] == model and before[1].value != amount.value:
                raise twice(row, "usage_period_start", before[2])
            if before is None or before[0] <= model:
                newest[key] = (model, amount, row)
    return [amount for _, amount, _ in newest.values()]


def _amounts(row: Row, model: tuple[int, ...]) -> Iterator[Amount]:
    start = row.month("usage_period_start")
    end = month_after(start)
    if not start < row.instant("usage_period_end") <= end:
        raise row.wrong("usage_period_end", "must lie in the month after `usage_period_start`")
    has_refresh = row.text("last_refresh_timestamp") is not None
    for name, scope, accounting in VALUES:
        tonnes = row.number(f"{name}_emissions_value")
        if tonnes is None:
            continue
        unit = row.text(f"{name}_emissions_unit")
        if unit not in TONNES:
            what = f"must be `{TONNES[0]}`, not `{unit}`"
            raise row.wrong(f"{name}_emissions_unit", what, "export the table with its unit")
        old = scope == "total" and model < (BEFORE_SCOPE_3,)
        kind = Kind(
            source="aws",
            quantity=Quantity.CARBON,
            method=Method.REPORTED,
            level="account",
            boundary=Boundary.SITE,
            accounting=accounting,
            scope="1+2" if old else scope,
        )
        yield Amount(
            kind,
            grams(tonnes * KG_PER_TONNE),
            start,
            end,
            account=row.needed("usage_account_id"),
            service=row.text("product_code"),
            region=row.text("region_code") or row.text("location"),
            published=row.instant("last_refresh_timestamp") if has_refresh else None,
            version=row.text("model_version"),
        )


def _model(row: Row) -> tuple[int, ...]:
    told = row.needed("model_version")
    numbers = re.findall(r"\d+", told)
    if not numbers:
        raise row.wrong("model_version", f"must be a version, not `{told[:40]}`", "as v3.0.0")
    return tuple(int(each) for each in numbers)
