"""Great Britain as its system operator NESO tells it: carbonintensity.org.uk, half-hourly, no key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from greenops.adapters.grid_http import Now, WebSource, utc_now
from greenops.adapters.grid_points import (
    SKEW,
    Laid,
    Point,
    as_forecast,
    as_series,
    covering,
    floor,
    grams,
    instant,
    iso,
    lay,
    pieces,
)
from greenops.adapters.zone_names import ZoneNames
from greenops.domain.grid import Factors, Forecast, GridZone, IntensitySeries, SeriesKind, Signal
from greenops.errors import AdapterUnsupported, DataMissing

URL: Final = "GREENOPS_NESO_URL"
"""Environment variable: address of the service, where it is not the usual one."""
REGION: Final = "GREENOPS_NESO_REGION"
"""Environment variable: the region that answers for `GB`, by number, name or outward postcode; none is all of it."""
USUAL_URL: Final = "https://api.carbonintensity.org.uk"
NATIONAL: Final = "national"
STEP: Final = timedelta(minutes=30)
LONGEST_QUESTION: Final = timedelta(days=13)
"""Longest time of one question; the service takes 14 days."""
POSTCODE: Final = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]?")
REGIONS: Final = tuple(str(number) for number in range(1, 18))


class Neso:
    """NESO's average direct intensity: of the country with actual values, of a region estimated. Stability: beta.

    A region has no actual values, so what it was foretold at last stands for them, marked as estimated. Forecasts
    of two days are overwritten every half hour and not kept: each counts as issued when it was asked for.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, now: Now = utc_now) -> None:
        self._source = WebSource(
            "neso", environ.get(URL, USUAL_URL).rstrip("/"), url_setting=f"`{URL}`"
        )
        self._names = ZoneNames("neso")
        self._region = _region(environ.get(REGION, ""), self._names)
        self._now = now

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "neso"

    @property
    def kind(self) -> SeriesKind:
        """Average; direct, since only what power stations emit is counted. The source names a region that is set."""
        source = "neso" if self._region == NATIONAL else f"neso-{self._region}"
        return SeriesKind(Signal.AVERAGE, Factors.DIRECT, source, replay=False)

    def zones(self) -> Sequence[GridZone]:
        """Great Britain, and its regions as `GB-1` to `GB-17`."""
        return self._names.zones()

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Intensity in the half hours that cover `[start, end)`; of those to come there is none.

        Raises:
            DataMissing: The zone is not known, or the service has less.
            AdapterUnavailable: It does not answer.
        """
        region = self._place(zone)
        points: list[Point] = []
        for first, past in pieces(start, end, STEP, LONGEST_QUESTION):
            path = _path(region, first, iso(past))
            rows = self._rows(region, path, zone)
            with self._source.reading(path):
                points += list(_actuals(rows, region, self._now()))
        if not points:
            raise DataMissing("GO0303", f"`neso` has no intensity of `{zone}` for {iso(start)}")
        with self._source.reading(_path(region, start, iso(end))):
            laid = lay(points, STEP)
        part = covering(laid, start, end, f"`neso` has no actual intensity of `{zone}`")
        return as_series(part, zone, self.kind)

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """The newest forecast, of 48 hours; it is known from the moment it is asked for.

        Raises:
            DataMissing: The zone is not known, or `at` is past: old forecasts are not kept.
            AdapterUnavailable: The service does not answer.
        """
        region, now = self._place(zone), self._now()
        if at < now - SKEW:
            raise DataMissing("GO0305", f"`neso` keeps no old forecasts; none is left of {iso(at)}")
        path = _path(region, now, "fw48h")
        rows = self._rows(region, path, zone)
        with self._source.reading(path):
            laid = _from(lay((_point(row, "forecast") for row in rows), STEP), now)
        return as_forecast(laid, zone, self.kind, issued_at=now, at=at)

    def _place(self, zone: str) -> str:
        found = self._names.known(zone)
        return self._region if found == NATIONAL else found

    def _rows(self, region: str, path: str, zone: str) -> list[Mapping[str, Any]]:
        """Half hours of an answer; those of a region lie one level deeper, in a list or not."""
        answer = self._source.get_json(path, zone=zone)
        with self._source.reading(path):
            data = answer["data"]
            if region != NATIONAL:
                data = (data[0] if isinstance(data, list) else data)["data"]
            if not isinstance(data, list):
                raise ValueError("`data` is no list")  # noqa: TRY004 - of an answer, not of a call
            return data


def _region(said: str, names: ZoneNames) -> str:
    """A region as the setting names it; none is the country.

    Raises:
        AdapterUnsupported: It is no region and no outward postcode.
    """
    region = said.strip()
    if not region:
        return NATIONAL
    if POSTCODE.fullmatch(region.upper()):
        return region.upper()
    try:
        return names.known(region)
    except DataMissing as error:
        raise AdapterUnsupported(
            "GO0325",
            f"`{REGION}` must be 1 to 17, a region's name or an outward postcode as `RG10`, not `{said}`",
        ) from error


def _path(region: str, start: datetime, until: str) -> str:
    """Path of a question: `until` is an instant or `fw48h`."""
    span = f"{iso(floor(start, STEP))}/{until}"
    if region == NATIONAL:
        return f"/intensity/{span}"
    kind = "regionid" if region in REGIONS else "postcode"
    return f"/regional/intensity/{span}/{kind}/{region}"


def _actuals(rows: Sequence[Mapping[str, Any]], region: str, now: datetime) -> Iterator[Point]:
    """Half hours that have begun; a region's are estimates."""
    estimated = region != NATIONAL
    for row in rows:
        point = _point(row, "forecast" if estimated else "actual")
        if point.at <= now:
            yield Point(point.at, point.value, estimated)


def _point(row: Mapping[str, Any], which: str) -> Point:
    at = instant(row["from"])
    if instant(row["to"]) - at != STEP:
        raise ValueError(f"{iso(at)} is not the start of a half hour")
    return Point(at, grams(row["intensity"][which], at))


def _from(laid: Laid, now: datetime) -> Laid:
    """Without the half hour before: the service counts the one that ends with its first instant."""
    return covering(laid, max(laid.start, floor(now, STEP)), laid.end, "`neso` has no forecast")
