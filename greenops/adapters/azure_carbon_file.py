"""Azure: monthly emissions of the Emissions Impact Dashboard or of Carbon optimization, as CSV or as the JSON that their APIs answer.

Sources: Microsoft Cloud for Sustainability API, entity `EnrollmentEmission` (`dateKey` yyyymm01, `subscriptionId`,
`azureServiceName`, `azureRegionName`, `scope`, `totalEmissions` in tonnes); Carbon Service REST API 2025-04-01, `carbonEmissionReports`
(`date`, `latestMonthEmissions` in kilograms, `subscriptionId`, `itemName`, `categoryType`). The columns of the portal's own CSV are not
documented: headers are taken by their letters and digits alone (`Date Key`, `Subscription ID`), and a unit in a header's brackets counts.

Neither says whether scope 2 is by location or by market, so whoever brings the file does; else it is not told. A month is there by the
19th of the next; rows do not say when they were made. The dashboard ends on 2027-03-31.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from greenops.adapters.import_row import Row, month_after, once
from greenops.adapters.import_rows import rows_of
from greenops.domain.energy import Boundary, Method
from greenops.domain.grid import Basis
from greenops.domain.reported import Amount, Kind, Quantity
from greenops.errors import InvalidFile, Location
from greenops.units import grams

TITLE: Final = "Azure's emissions"
KG: Final = {
    **dict.fromkeys(("mtco2e", "mtco2", "tco2e", "tco2", "tonnes", "tonne", "t"), 1e3),
    **dict.fromkeys(("kgco2e", "kgco2", "kg"), 1.0),
    **dict.fromkeys(("gco2e", "gco2", "g"), 1e-3),
}
"""Kilograms of each unit that a header may name."""
UNIT: Final = re.compile(r"[(\[]\s*(" + "|".join(KG) + r")\s*[)\]]", re.IGNORECASE)
TOTALS: Final = {"totalemissions": 1e3, "latestmonthemissions": 1.0}
"""Column of the amount, and kilograms of its unit where its header names none."""
MONTHS: Final = ("datekey", "date", "month", "usagemonth")
LEVELS: Final = {
    "resource": "resource",
    "resourcegroup": "resource group",
    "resourcetype": "service",
    "location": "region",
}
"""What an item of Carbon optimization is, by its `categoryType`; of a subscription, and of rows without items, the account."""
SCOPE: Final = re.compile(r"(?:scope\s*)?([123])", re.IGNORECASE)


def read(path: Path, accounting: Basis | None) -> list[Amount]:
    """Every month of an export.

    Args:
        path: The file.
        accounting: How scope 2 is counted in it; none: not told.

    Raises:
        DataMissing: It cannot be read.
        InvalidFile: It is not such an export, a cell cannot be, or a month is told twice in two ways.
    """
    units: dict[str, float] = {}

    def name(column: str) -> str:
        found = UNIT.search(column)
        plain = re.sub(r"[^a-z0-9]", "", UNIT.sub("", column).lower())
        if found:
            units[plain] = KG[found[1].lower()]
        return plain

    rows = rows_of(path, TITLE, (), name)
    told = ((row, _amount(row, accounting, units)) for row in rows)
    return once(told, MONTHS, _is_value)


def _is_value(column: str) -> bool:
    """Whether a column holds emissions, or what is computed from them."""
    return "emissions" in column or column == "carbonintensity"


def _amount(row: Row, accounting: Basis | None, units: dict[str, float]) -> Amount:
    total = next((each for each in TOTALS if each in row.cells), None)
    month = next((each for each in MONTHS if each in row.cells), None)
    if total is None or month is None:
        lacks = "a total (`totalEmissions`, `latestMonthEmissions`)" if total is None else "a month (`dateKey`, `date`)"  # fmt: skip
        raise InvalidFile(
            "GO0440", f"no file of {TITLE}: it lacks {lacks}", at=Location(str(row.path))
        )
    value = row.number(total)
    if value is None:
        raise row.wrong(total, "must not be empty", "leave the row out")
    scope, start = _scope(row), row.month(month)
    category = (row.text("categorytype") or "").lower()
    level, item = LEVELS.get(category, "account"), row.text("itemname")
    kind = Kind(
        source="azure",
        quantity=Quantity.CARBON,
        method=Method.REPORTED,
        level=level,
        boundary=Boundary.SITE,
        # Only purchased electricity is counted in two ways.
        accounting=None if scope in ("1", "3") else accounting,
        scope=scope,
    )
    return Amount(
        kind,
        grams(value * units.get(total, TOTALS[total])),
        start,
        month_after(start),
        account=_first(row, "subscriptionid", "subscriptionname", "enrollmentid")
        or (item if category == "subscription" else None),
        service=item if level == "service" else _first(row, "azureservicename", "resourcetype"),
        region=_region(item if level == "region" else _first(row, "azureregionname", "location")),
        workload=item if level.startswith("resource") else None,
        more={"subservice": sub} if (sub := row.text("subservice")) else {},
    )


def _first(row: Row, *names: str) -> str | None:
    return next((told for each in names if (told := row.text(each))), None)


def _region(told: str | None) -> str | None:
    """A region as Azure's own tools name it: `West Europe` is `westeurope`."""
    return told.replace(" ", "").lower() if told else None


def _scope(row: Row) -> str | None:
    told = row.text("scope") or row.text("scopeid")
    if told is None:
        return None
    found = SCOPE.fullmatch(told)
    if found is None:
        raise row.wrong("scope", f"must be scope 1, 2 or 3, not `{told[:40]}`")
    return found[1]
