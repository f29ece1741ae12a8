"""The tables of enrichment as CSV texts, one a table, for whoever reads them beside the Collector; and back."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from greenops.domain.factors import FactorTable
from greenops.domain.language_model import LanguageModelTable
from greenops.domain.workload import Workload, WorkloadKind
from greenops.errors import InvalidFile, Location
from greenops.observe.enrichment_look import grams_per_joule
from greenops.observe.enrichment_tables import (
    Coefficient,
    EnrichmentTables,
    RegionRow,
    coefficients,
    region_rows_at,
)
from greenops.units import to_joules

MODELS, REGIONS, WORKLOADS = "models.csv", "regions.csv", "workloads.csv"
FILES: Final = (MODELS, REGIONS, WORKLOADS)
"""Tables of one folder."""
VERSION: Final = "version"
GRAMS: Final = "grams_per_joule"
"""Column for readers that have no units of ours: intensity and PUE as one factor; it follows from them."""
_MODEL: Final = ("name", "input_j", "cached_j", "output_j", "method")
_REGION: Final = ("region", "zone", "pue", "intensity", "valid_from", "valid_until", VERSION)
_WORKLOAD: Final = ("workload", "watts")
Row = Mapping[str, str]
T = TypeVar("T")


def tables_at(
    factors: FactorTable,
    models: LanguageModelTable,
    workloads: Iterable[Workload],
    now: datetime,
) -> EnrichmentTables:
    """What a Collector is given at an instant."""
    return EnrichmentTables(
        models=coefficients(models),
        regions=region_rows_at(factors, now),
        watts=watts_of(workloads),
        version=factors.version,
    )


def watts_of(workloads: Iterable[Workload]) -> dict[str, float]:
    """Mean draw of a run by workload [W]: its declared energy by its declared time, where both are."""
    found = {}
    for each in workloads:
        seconds, energy = each.duration_p95_s, each.energy_kwh
        if each.kind is WorkloadKind.BATCH and energy is not None and seconds:
            found[each.name] = to_joules(energy) / seconds
    return dict(sorted(found.items()))


def texts(tables: EnrichmentTables) -> dict[str, str]:
    """File name → CSV."""
    regions = [
        {
            "region": row.region,
            "zone": row.zone or "",
            "pue": repr(row.pue),
            "intensity": "" if row.intensity is None else repr(row.intensity),
            "valid_from": row.valid_from.isoformat(),
            "valid_until": row.valid_until.isoformat(),
            GRAMS: _grams(row),
            VERSION: tables.version,
        }
        for row in tables.regions
    ]
    models = [{name: str(getattr(row, name)) for name in _MODEL} for row in tables.models]
    watts = [{"workload": name, "watts": repr(draw)} for name, draw in tables.watts.items()]
    return {
        MODELS: _csv(_MODEL, models),
        REGIONS: _csv((*_REGION, GRAMS), regions),
        WORKLOADS: _csv(_WORKLOAD, watts),
    }


def parse(files: Mapping[str, str], folder: str = "") -> EnrichmentTables:
    """Tables from their CSV texts.

    Args:
        files: File name → text, as `texts` gives them.
        folder: Where they are, for errors.

    Raises:
        InvalidFile: A column is missing, or a cell is not what it should be.
    """

    def rows(name: str, columns: Sequence[str], make: Callable[[Row], T]) -> tuple[T, ...]:
        return tuple(_rows(files[name], columns, make, f"{folder}/{name}"))

    versions = rows(REGIONS, _REGION, lambda row: row[VERSION])
    return EnrichmentTables(
        models=rows(MODELS, _MODEL, _model),
        regions=rows(REGIONS, _REGION, _region),
        watts=dict(
            rows(WORKLOADS, _WORKLOAD, lambda row: (row["workload"], _amount(row["watts"])))
        ),
        version=versions[0] if versions else "none",
    )


def _grams(row: RegionRow) -> str:
    grams, unknown = grams_per_joule(row)
    return "" if unknown else repr(grams)


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _rows(text: str, columns: Sequence[str], make: Callable[[Row], T], path: str) -> Iterable[T]:
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidFile("GO0920", f"no column `{missing[0]}`", at=Location(path, 1))
    for row in reader:
        try:
            yield make(row)
        except (ValueError, TypeError) as error:
            at = Location(path, reader.line_num)
            raise InvalidFile("GO0920", f"not a row of this table: {error}", at=at) from error


def _model(row: Row) -> Coefficient:
    read, cached, wrote = (_amount(row[each]) for each in ("input_j", "cached_j", "output_j"))
    return Coefficient(row["name"], read, cached, wrote, row["method"])


def _region(row: Row) -> RegionRow:
    return RegionRow(
        row["region"],
        row["zone"] or None,
        _amount(row["pue"]),
        _amount(row["intensity"]) if row["intensity"] else None,
        _instant(row["valid_from"]),
        _instant(row["valid_until"]),
    )


def _amount(text: str) -> float:
    found = float(text)
    if not 0 <= found < math.inf:
        raise ValueError(f"`{text}` is no amount")
    return found


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"`{text}` has no time zone")
    return found.astimezone(UTC)
