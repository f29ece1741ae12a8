"""The Carbon Aware SDK's web service, which stands before WattTime, Electricity Maps or files of one's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from greenops.adapters.grid_http import Now, WebSource, required, utc_now
from greenops.adapters.grid_points import (
    Point,
    as_forecast,
    as_series,
    covering,
    grams,
    instant,
    iso,
    lay,
    number,
    whole,
)
from greenops.adapters.zone_names import ZoneNames
from greenops.domain.grid import Factors, Forecast, GridZone, IntensitySeries, SeriesKind, Signal
from greenops.errors import AdapterUnsupported, DataMissing

URL: Final = "GREENOPS_CARBON_AWARE_SDK_URL"
SOURCE: Final = "GREENOPS_CARBON_AWARE_SDK_SOURCE"
"""Environment variable: whose data it passes on, for it does not say: `watttime` or `electricitymaps`."""
ZONES: Final = "GREENOPS_CARBON_AWARE_SDK_LOCATIONS"
"""Environment variable: locations beside those of our table, or in their place: `northeurope,PJM=eastus2`."""
KINDS: Final = {
    "watttime": (Signal.MARGINAL, Factors.DIRECT),
    "electricitymaps": (Signal.AVERAGE, Factors.LIFECYCLE),
}
HOUR: Final = timedelta(hours=1)
DURATION: Final = "duration"


class CarbonAwareSdk:
    """Whatever source the service is set up with, in g/kWh by location, such as `eastus`. Stability: beta."""

    def __init__(self, environ: Mapping[str, str] = os.environ, now: Now = utc_now) -> None:
        url = required(environ, URL, "the address of the SDK's web service")
        said = required(environ, SOURCE, "whose data it passes on: `watttime` or `electricitymaps`")
        if said not in KINDS:
            raise AdapterUnsupported(
                "GO0325", f"`{SOURCE}` must be `watttime` or `electricitymaps`, not `{said}`"
            )
        self._source = WebSource("carbon-aware-sdk", url.rstrip("/"), url_setting=f"`{URL}`")
        self._kind = SeriesKind(*KINDS[said], f"carbon-aware-sdk-{said}", replay=False)
        self._names = ZoneNames("carbon-aware-sdk", environ.get(ZONES, ""))
        self._now = now

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "carbon-aware-sdk"

    @property
    def kind(self) -> SeriesKind:
        """As the setting says of the source behind it."""
        return self._kind

    def zones(self) -> Sequence[GridZone]:
        """Zones in which we know a location, and those of the setting."""
        return self._names.zones()

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Intensity in the steps of the source that cover `[start, end)`.

        Raises:
            DataMissing: The location is not known, or not for all of the time.
            AdapterUnavailable: The service does not answer.
        """
        path = "/emissions/bylocation"
        # In whole hours, for the step that runs at the start may have begun before it.
        first, past = whole(start, end, HOUR)
        params = {"time": iso(first), "toTime": iso(past)}
        rows = self._source.get_json(path, {"location": self._names.own(zone), **params}, zone=zone)
        with self._source.reading(path):
            if not rows:
                raise DataMissing("GO0303", f"`carbon-aware-sdk` has nothing of `{zone}` then")
            laid = lay(
                (_point(row, "time", "rating") for row in rows), _step(rows[0].get(DURATION))
            )
        part = covering(laid, start, end, f"`carbon-aware-sdk` has no intensity of `{zone}`")
        return as_series(part, zone, self.kind)

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """The newest forecast; the service does not give older ones to this question.

        Raises:
            DataMissing: The location is not known, its source makes no forecasts, or the newest is of after `at`.
            AdapterUnavailable: The service does not answer.
        """
        path = "/emissions/forecasts/current"
        answer = self._source.get_json(path, {"location": self._names.own(zone)}, zone=zone)
        with self._source.reading(path):
            said = answer[0] if isinstance(answer, list) else answer
            rows = said["forecastData"]
            if not rows:
                raise DataMissing("GO0305", f"`carbon-aware-sdk` has no forecast of `{zone}`")
            laid = lay(
                (_point(row, "timestamp", "value") for row in rows), _step(rows[0].get(DURATION))
            )
            issued = _issued(said)
        # It is here, so it was said by now, whatever the source's clock shows.
        issued = min(issued, self._now())
        return as_forecast(laid, zone, self.kind, issued_at=issued, at=at)


def _point(row: Mapping[str, Any], when: str, what: str) -> Point:
    at = instant(row[when])
    return Point(at, grams(row[what], at))


def _issued(said: Mapping[str, Any]) -> datetime:
    """When the source made it; the time of the request where it does not say."""
    return instant(said.get("generatedAt") or said["requestedAt"])


def _step(duration: object) -> timedelta | None:
    """Length of a value, in minutes or as `01:00:00`; none where it is not told.

    Raises:
        ValueError: It is no length.
    """
    if duration is None:
        return None
    if isinstance(duration, str):
        hours, minutes, seconds = (int(part) for part in duration.split(":"))
        step = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    else:
        step = timedelta(minutes=number(duration) or 0)
    if step <= timedelta(0):
        raise ValueError(f"`{duration!r:.40}` is no duration")
    return step
