"""Price provider over files that somebody brings: CSV or Parquet, with a small declaration of what they are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from greenops.adapters.grid_points import iso
from greenops.adapters.series_declaration import Declared, Further, declaration_in, read_declaration
from greenops.adapters.series_rows import Key, Series, Stamps, Wanted, read_series, stamps
from greenops.domain.grid import GridZone
from greenops.domain.prices import PerMwh, PriceKind, PriceSeries, as_known, cut
from greenops.errors import DataMissing, InvalidFile, Location, nearest

FILES: Final = "GREENOPS_PRICE_FILES"
"""Environment variable: the declaration."""
MOST: Final = 25_000.0
"""Price beyond which a number cannot be meant [currency/MWh]; Australia's cap, the highest known, is about 20,000."""
WEEK: Final = 168
"""Values from which on a market has had an hour that is not nearly free."""
LEAST_HIGHEST: Final = 1.5
"""Highest price of a week [currency/MWh] below which they are taken for prices per kWh."""
CONVERT: Final = "values are per MWh: multiply prices per kWh by 1000, and cents per kWh by 10"
WANTED: Final = Wanted(-MOST, MOST, "per MWh", CONVERT, moment="published_at")
CURRENCY: Final = re.compile(r"[A-Z]{3}")
FURTHER: Final = {"kind": Further(tuple(PriceKind)), "currency": Further()}


@dataclass(frozen=True, slots=True)
class _Market:
    """Prices of one zone: when each part was published, or none where the kind tells."""

    declared: Declared
    parts: tuple[tuple[datetime | None, Series], ...]


class PriceFiles:
    """Prices out of files. A file that has changed is read again at the next question. Stability: beta.

    Args:
        declaration: The YAML file that says what each file is.

    Raises:
        InvalidFile: The declaration says something that cannot be.
    """

    def __init__(self, declaration: Path) -> None:
        self._declared = read_declaration(declaration, FURTHER, WANTED.columns)
        for each in self._declared:
            _check(each)
        self._stamps: Stamps = ()
        self._known: dict[str, _Market] = {}

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "files"

    def zones(self) -> Sequence[GridZone]:
        """Zones of all files, in their order.

        Raises:
            DataMissing: A file cannot be read, or has a fault; names the line and column.
        """
        return tuple(
            GridZone(zone, zone, each.declared.time_zone or "UTC")
            for zone, each in self._markets().items()
        )

    def prices(self, zone: str, start: datetime, end: datetime, at: datetime) -> PriceSeries:
        """Prices from the step that holds `start`, as they were published by `at`.

        Rows that say when they were published count from then on, the newest before older ones; others as their kind
        tells.

        Raises:
            DataMissing: The zone or the time is not in the files, or was not published by `at`; or a file has a fault.
        """
        known = self._markets()
        if zone not in known:
            near = nearest(zone, known)
            hint = f"did you mean `{near}`?" if near else f"they have {', '.join(known)}"
            raise DataMissing("GO0302", f"no file has prices of `{zone}`", fix=hint)
        found = _told(zone, known[zone], start, end, at)
        if found is None:
            raise DataMissing(
                "GO0335",
                f"the files have no price of `{zone}` for {iso(start)} that was published by {iso(at)}",
                fix="add the rows, or set GREENOPS_REPLAY to a time that they cover",
            )
        return found

    def _markets(self) -> Mapping[str, _Market]:
        now = stamps(each.path for each in self._declared)
        if now != self._stamps:
            known: dict[str, _Market] = {}
            for declared in self._declared:
                _join(known, declared, read_series(declared, WANTED))
            self._known, self._stamps = known, now
        return self._known


def from_environment(environ: Mapping[str, str] = os.environ) -> PriceFiles:
    """The provider over the files that `GREENOPS_PRICE_FILES` declares.

    Raises:
        AdapterUnsupported: It is not set.
        InvalidFile: The declaration says something that cannot be.
        DataMissing: A file cannot be read, or has a fault; at the start that is said aloud.
    """
    provider = PriceFiles(declaration_in(environ, FILES, "price"))
    provider.zones()
    return provider


def _check(declared: Declared) -> None:
    currency = declared.further["currency"]
    if not CURRENCY.fullmatch(currency):
        fix = "write `currency: EUR`"
        raise InvalidFile("GO0331", f"`{currency}` is no currency", at=declared.at, fix=fix)
    if declared.further["kind"] == PriceKind.DAY_AHEAD and declared.time_zone is None:
        raise InvalidFile(
            "GO0331",
            "`time_zone` is missing: a day's prices are known from 12:45 of the day before, in the market's time",
            at=declared.at,
            fix="write `time_zone: Europe/Berlin`, or what it is",
        )


def _join(known: dict[str, _Market], declared: Declared, found: Mapping[Key, Series]) -> None:
    """Add what one file holds.

    Raises:
        DataMissing: Another file has the zone already, or what it says cannot be.
    """
    at = Location(str(declared.path))
    for zone in dict.fromkeys(zone for zone, _ in found):
        parts = {told: series for (each, told), series in found.items() if each == zone}
        if zone in known:
            fix = "keep them in one, or name the zones apart"
            raise DataMissing("GO0332", f"another file has `{zone}` too", at=at, fix=fix)
        if None in parts and len(parts) > 1:
            raise DataMissing(
                "GO0332", f"some rows of `{zone}` say `published_at`, and some do not", at=at
            )
        finest = min(series.step for series in parts.values())
        first = min(series.start for series in parts.values())
        if any((series.start - first) % finest for series in parts.values()):
            raise DataMissing("GO0332", f"rows of `{zone}` lie on no common grid of time", at=at)
        values = [each for series in parts.values() for each in series.values if each is not None]
        if len(values) >= WEEK and max(map(abs, values)) < LEAST_HIGHEST:
            what = f"`{zone}` is never above {max(map(abs, values)):g} per MWh"
            raise DataMissing("GO0332", what, at=at, fix=CONVERT)
        order = sorted(parts.items(), key=lambda each: each[0] or datetime.min.replace(tzinfo=UTC))
        known[zone] = _Market(declared, tuple(order))


def _told(
    zone: str, market: _Market, start: datetime, end: datetime, at: datetime
) -> PriceSeries | None:
    """What was published by an instant; none where the first step was not."""
    told = [(each, series) for each, series in market.parts if each is None or each <= at]
    if not told:
        return None
    step = min(series.step for _, series in told)
    points: dict[datetime, PerMwh | None] = {}
    newest: datetime | None = None
    for published, series in told:
        first = max(0, (start - series.start) // series.step)
        past = min(len(series.values), -((series.start - end) // series.step))
        newest = published if past > first else newest
        for place in range(first, past):
            value = series.values[place]
            for part in range(series.step // step):
                moment = series.start + place * series.step + part * step
                points[moment] = None if value is None else PerMwh(value)
    found = cut(points, step, start, end)
    if found is None:
        return None
    declared = market.declared
    whole = PriceSeries(
        zone,
        PriceKind(declared.further["kind"]),
        declared.source,
        declared.replay,
        declared.further["currency"],
        found[0],
        step,
        found[1],
        newest,
    )
    if told[0][0] is not None:
        return whole
    return as_known(whole, at, ZoneInfo(declared.time_zone or "UTC"))
