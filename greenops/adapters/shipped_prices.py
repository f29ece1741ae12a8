"""Price provider over the files of `greenops/data/price`: recorded history, played back, never live."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from greenops.adapters.grid_points import iso
from greenops.domain.grid import GridZone
from greenops.domain.prices import PerMwh, PriceKind, PriceSeries, as_known, cut
from greenops.errors import DataMissing, Location, nearest

DATA: Final = Path(__file__).parent.parent / "data" / "price"
"""Folder of the shipped files; `docs/reference/data.md` says what is in them."""
STEP: Final = timedelta(hours=1)
_HUNDREDTHS: Final = 100.0


@dataclass(frozen=True, slots=True)
class _Market:
    """What `markets.json` says of a market."""

    id: str
    name: str
    also: tuple[str, ...]
    time_zone: str
    kind: PriceKind
    currency: str
    source: str
    start: datetime
    hours: int

    @property
    def end(self) -> datetime:
        return self.start + self.hours * STEP


class ShippedPrices:
    """Day-ahead prices of Germany and Luxembourg in 2020, from SMARD.de. Stability: beta.

    A day's prices count as published at 12:45 of the day before, market time.
    """

    def __init__(self, folder: Path = DATA) -> None:
        self._folder = folder
        self._markets: dict[str, _Market] | None = None
        self._values: dict[str, tuple[PerMwh | None, ...]] = {}

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "shipped"

    def zones(self) -> Sequence[GridZone]:
        """Bidding zones, and the grid zones that have their price.

        Raises:
            DataMissing: The shipped files are absent or damaged.
        """
        return tuple(
            GridZone(zone, each.name, each.time_zone) for zone, each in self._known().items()
        )

    def prices(self, zone: str, start: datetime, end: datetime, at: datetime) -> PriceSeries:
        """Recorded prices from the hour that holds `start`, as they were published by `at`.

        Raises:
            DataMissing: The zone or the time is not shipped, or was not published by `at`; or damaged files.
        """
        known = self._known()
        if zone not in known:
            near = nearest(zone, known)
            hint = f"did you mean `{near}`?" if near else f"shipped: {', '.join(known)}"
            raise DataMissing("GO0302", f"no prices of `{zone}` are shipped", fix=hint)
        market = known[zone]
        values = self._read(market)
        first = max(0, (start - market.start) // STEP)
        past = min(len(values), -((market.start - end) // STEP))
        points = {market.start + place * STEP: values[place] for place in range(first, past)}
        found = cut(points, STEP, start, end)
        series = found and as_known(
            PriceSeries(
                zone, market.kind, market.source, True, market.currency, found[0], STEP, found[1]
            ),
            at,
            ZoneInfo(market.time_zone),
        )
        if not series:
            raise DataMissing(
                "GO0335",
                f"no price of `{zone}` for {iso(start)} was published by {iso(at)}; the shipped replay covers "
                f"{iso(market.start)} to {iso(market.end)}",
                fix="set GREENOPS_REPLAY to a day in it, or choose another price provider",
            )
        return series

    def _known(self) -> Mapping[str, _Market]:
        if self._markets is None:
            path = self._folder / "markets.json"
            try:
                rows = json.loads(path.read_text(encoding="utf-8"))["markets"]
                found = {zone: _parse(row) for row in rows for zone in (row["id"], *row["also"])}
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise _damaged(path, error) from error
            self._markets = found
        return self._markets

    def _read(self, market: _Market) -> tuple[PerMwh | None, ...]:
        if market.id not in self._values:
            self._values[market.id] = _values(self._folder / f"{market.id}.parquet", market.hours)
        return self._values[market.id]


def _values(path: Path, hours: int) -> tuple[PerMwh | None, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read(columns=["price"])
        cents = table.column("price").to_pylist()
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    if len(cents) != hours:
        raise _damaged(path, ValueError(f"{len(cents)} rows, not {hours}"))
    return tuple(None if each is None else PerMwh(each / _HUNDREDTHS) for each in cents)


def _parse(row: Mapping[str, Any]) -> _Market:
    return _Market(
        id=row["id"],
        name=row["name"],
        also=tuple(row["also"]),
        time_zone=row["time_zone"],
        kind=PriceKind(row["kind"]),
        currency=row["currency"],
        source=row["source"],
        start=datetime.fromisoformat(row["start"]),
        hours=row["hours"],
    )


def _damaged(path: Path, error: Exception) -> DataMissing:
    why = "is missing" if isinstance(error, FileNotFoundError) else "is damaged"
    fix = "install greenops again"
    return DataMissing("GO0304", f"shipped file {why}", at=Location(str(path)), fix=fix)
