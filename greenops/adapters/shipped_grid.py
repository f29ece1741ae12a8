"""Grid provider over the files of `greenops/data`: recorded history, played back, never live."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from greenops.domain.grid import (
    Factors,
    Forecast,
    GridZone,
    IntensitySeries,
    Region,
    SeriesKind,
    Signal,
)
from greenops.errors import DataMissing, Location, nearest
from greenops.units import GramsPerKwh, Usd

DATA: Final = Path(__file__).parent.parent / "data"
"""Folder of the shipped files; `docs/reference/data.md` says what is in them."""
STEP: Final = timedelta(hours=1)
FORECAST_HOURS: Final = 96
"""Length of each shipped forecast [h]. Source: CarbonCast's files."""
ISSUED_EVERY: Final = timedelta(days=1)
ERROR_HOURS: Final = 48
"""The stated error of a forecast is the wider one of its first two days: where starts are chosen."""
_HUNDREDTHS: Final = 100.0
_THOUSANDTHS: Final = 1000.0
_REINSTALL: Final = "install greenops again"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What `zones.json` says of a zone."""

    zone: GridZone
    kind: SeriesKind
    start: datetime
    hours: int
    forecast_start: datetime
    forecasts: int

    @property
    def end(self) -> datetime:
        return self.start + self.hours * STEP


class ShippedGrid:
    """CarbonCast's hourly series of 2020-2021 and its real 96-hour forecasts of 2021 H2.

    A zone's files are read at its first use. Stability: beta.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or DATA / "grid"
        self._known: dict[str, _Entry] | None = None
        self._columns: dict[str, dict[str, list[Any]]] = {}

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "shipped"

    @property
    def kind(self) -> SeriesKind:
        """What all its series are; the source differs between Europe and America."""
        return SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "carboncast", replay=True)

    def zones(self) -> Sequence[GridZone]:
        """Zones it knows, by id.

        Raises:
            DataMissing: The shipped files are absent or damaged.
        """
        return tuple(each.zone for each in self._entries().values())

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Recorded intensity that covers `[start, end)`, in whole hours.

        Raises:
            DataMissing: The zone is not shipped, or a part of the time is not; or damaged files.
        """
        entry = self._entry(zone)
        if not (entry.start <= start and end <= entry.end):
            raise DataMissing(
                "GO0303",
                f"`{zone}` has no recorded intensity for {_span(start, end)}; the shipped replay "
                f"covers {_span(entry.start, entry.end)}",
                fix="set GREENOPS_REPLAY to a day in it, or choose another grid provider",
            )
        first = (start - entry.start) // STEP
        past = -((entry.start - end) // STEP)
        values = self._column(zone, "", "carbon_intensity", entry.hours)[first:past]
        return IntensitySeries(zone, entry.kind, entry.start + first * STEP, STEP, _grams(values))

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """Newest forecast issued at or before `at`; each counts as issued at its first instant.

        Raises:
            DataMissing: None was issued by then, or the newest ended before `at`; or damaged files.
        """
        entry = self._entry(zone)
        index = min((at - entry.forecast_start) // ISSUED_EVERY, entry.forecasts - 1)
        issued = entry.forecast_start + index * ISSUED_EVERY
        if index < 0 or at >= issued + FORECAST_HOURS * STEP:
            last = entry.forecast_start + (entry.forecasts - 1) * ISSUED_EVERY
            raise DataMissing(
                "GO0305",
                f"`{zone}` has no forecast for {_iso(at)}; the shipped ones were issued daily "
                f"from {_iso(entry.forecast_start)} to {_iso(last)}",
                fix="set GREENOPS_REPLAY to a day between, or choose another grid provider",
            )
        rows = slice(index * FORECAST_HOURS, (index + 1) * FORECAST_HOURS)
        length = entry.forecasts * FORECAST_HOURS
        values = self._column(zone, ".forecast", "forecast", length)[rows]
        errors = self._column(zone, ".forecast", "error_permille", length)[rows][:ERROR_HOURS]
        return Forecast(
            zone,
            entry.kind,
            issued,
            STEP,
            _grams(values),
            issued_at=issued,
            id=f"carboncast/{zone}/{issued:%Y-%m-%dT%H:%MZ}",
            error=None if None in errors else max(errors) / _THOUSANDTHS,
        )

    def issues(self, zone: str) -> Sequence[datetime]:
        """When each of its forecasts was issued, oldest first.

        Raises:
            DataMissing: The zone is not shipped.
        """
        entry = self._entry(zone)
        return tuple(entry.forecast_start + i * ISSUED_EVERY for i in range(entry.forecasts))

    def error_by_day(self, zone: str, at: datetime) -> tuple[float | None, ...]:
        """Relative 90 % half width of the forecast in force at `at`, by day ahead (four).

        Raises:
            DataMissing: As `forecast`.
        """
        issued = self.forecast(zone, at).issued_at
        entry = self._entry(zone)
        first = (issued - entry.forecast_start) // ISSUED_EVERY * FORECAST_HOURS
        length = entry.forecasts * FORECAST_HOURS
        column = self._column(zone, ".forecast", "error_permille", length)
        return tuple(
            None if column[first + hour] is None else column[first + hour] / _THOUSANDTHS
            for hour in range(0, FORECAST_HOURS, 24)
        )

    def generation(
        self, zone: str, start: datetime, end: datetime
    ) -> Mapping[str, tuple[int, ...]]:
        """Generation by fuel over the hours that cover `[start, end)`, in the source's unit.

        Raises:
            DataMissing: As `actual`.
        """
        series, entry = self.actual(zone, start, end), self._entry(zone)
        first = (series.start - entry.start) // STEP
        rows = slice(first, first + len(series.values))
        columns = self._columns[zone]
        return {f: tuple(v[rows]) for f, v in columns.items() if f != "carbon_intensity"}

    def _entry(self, zone: str) -> _Entry:
        known = self._entries()
        if zone not in known:
            near = nearest(zone, known)
            hint = f"did you mean `{near}`?" if near else f"shipped: {', '.join(known)}"
            raise DataMissing("GO0302", f"grid zone `{zone}` is not shipped", fix=hint)
        return known[zone]

    def _entries(self) -> dict[str, _Entry]:
        if self._known is None:
            path = self._folder / "zones.json"
            try:
                rows = json.loads(path.read_text(encoding="utf-8"))["zones"]
                self._known = {row["id"]: _parse(row) for row in rows}
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise _damaged(path, error) from error
        return self._known

    def _column(self, zone: str, suffix: str, name: str, length: int) -> list[Any]:
        key = zone + suffix
        if key not in self._columns:
            path = self._folder / f"{key}.parquet"
            self._columns[key] = _read(path, length)
        try:
            return self._columns[key][name]
        except KeyError as error:
            raise _damaged(self._folder / f"{key}.parquet", error) from error


def _read(path: Path, length: int) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    if table.num_rows != length:
        raise _damaged(path, ValueError(f"{table.num_rows} rows, not {length}"))
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _parse(row: Mapping[str, Any]) -> _Entry:
    return _Entry(
        zone=GridZone(row["id"], row["name"], row["time_zone"]),
        kind=SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, row["source"], replay=True),
        start=datetime.fromisoformat(row["start"]),
        hours=row["hours"],
        forecast_start=datetime.fromisoformat(row["forecast_start"]),
        forecasts=row["forecasts"],
    )


def _grams(values: list[Any]) -> tuple[GramsPerKwh | None, ...]:
    return tuple(None if each is None else GramsPerKwh(each / _HUNDREDTHS) for each in values)


def _damaged(path: Path, error: Exception) -> DataMissing:
    why = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({_line(error)})"
    return DataMissing("GO0304", f"shipped file {why}", at=Location(str(path)), fix=_REINSTALL)


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:120] or type(error).__name__


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _span(start: datetime, end: datetime) -> str:
    return f"{_iso(start)} to {_iso(end)}"


@cache
def _region_rows() -> tuple[dict[str, Any], ...]:
    path = DATA / "regions.json"
    try:
        return tuple(json.loads(path.read_text(encoding="utf-8"))["regions"])
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def shipped_regions() -> tuple[Region, ...]:
    """Cloud regions with grid zone, PUE and prices, each figure with its source and year.

    Raises:
        DataMissing: The shipped file is absent or damaged.
    """
    return tuple(
        Region(
            id=row["id"],
            provider=row["provider"],
            location=row["location"],
            zone=row["zone"],
            pue=row["pue"],
            pue_source=row["pue_source"],
            usd_per_hour={pool: Usd(price) for pool, price in row["usd_per_hour"].items()},
            usd_per_gb=Usd(row["usd_per_gb"]),
            price_source=row["price_source"],
            latitude=row["latitude"],
            longitude=row["longitude"],
            cfe=row["cfe"],
            cfe_source=row["cfe_source"],
            wue=row["wue"],
            wue_source=row["wue_source"],
            zone_names=tuple(row["zone_names"]),
        )
        for row in _region_rows()
    )


def shipped_annual() -> Mapping[str, tuple[GramsPerKwh, str]]:
    """Region → annual mean intensity [gCO2e/kWh] and its source; regions without one are absent.

    Raises:
        DataMissing: The shipped file is absent or damaged.
    """
    return {
        row["id"]: (GramsPerKwh(row["annual"]), row["annual_source"])
        for row in _region_rows()
        if row["annual"] is not None
    }
