"""Electricity Maps, version 3 of its interface: average intensity by flow, hourly, with a token."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    pieces,
)
from greenops.adapters.zone_names import ZoneNames
from greenops.domain.grid import Factors, Forecast, GridZone, IntensitySeries, SeriesKind, Signal
from greenops.errors import AdapterUnsupported, DataMissing

TOKEN: Final = "GREENOPS_ELECTRICITYMAPS_TOKEN"  # noqa: S105 - the variable's name
URL: Final = "GREENOPS_ELECTRICITYMAPS_URL"
"""Environment variable: address of the service, where it is not the usual one."""
FACTORS: Final = "GREENOPS_ELECTRICITYMAPS_FACTORS"
"""Environment variable: `lifecycle` or `direct`."""
HORIZON: Final = "GREENOPS_ELECTRICITYMAPS_HORIZON_H"
"""Environment variable: length of a forecast [h], one of 6, 24, 48, 72."""
ZONES: Final = "GREENOPS_ELECTRICITYMAPS_ZONES"
"""Environment variable: zones beside those of our table, or in their place: `US-CAL-LDWP,SE=SE-SE3`."""
USUAL_URL: Final = "https://api.electricitymaps.com"
HORIZONS: Final = ("6", "24", "48", "72")
HOUR: Final = timedelta(hours=1)
RECENT: Final = timedelta(hours=23)
"""What the endpoint of the last day has for certain; every plan may ask it."""
LONGEST_QUESTION: Final = timedelta(days=10)
"""Longest time that one question about the past may span, in hours."""
OUTSIDE_OF_PLAN: Final = "Request unauthorized for zoneKey"
"""What the service says, with status 401, where the token is good and its plan lacks the zone or the endpoint."""
PATH: Final = "/v3/carbon-intensity"


class ElectricityMaps:
    """Flow-traced average intensity; hours without measurements are estimated, and say so. Stability: beta.

    The last day comes from the endpoint that every plan has; what is older, and forecasts, need a plan for them.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, now: Now = utc_now) -> None:
        token = required(environ, TOKEN, "the token that Electricity Maps' portal shows")
        self._source = WebSource(
            "electricitymaps",
            environ.get(URL, USUAL_URL).rstrip("/"),
            key=f"`{TOKEN}`",
            url_setting=f"`{URL}`",
            secrets=(token,),
            plan_lacks=lambda _status, text: OUTSIDE_OF_PLAN in text,
        )
        self._headers = {"auth-token": token}
        self._factors = Factors(_one_of(environ, FACTORS, tuple(Factors), Factors.LIFECYCLE))
        self._horizon = _one_of(environ, HORIZON, HORIZONS, HORIZONS[-1])
        self._names = ZoneNames("electricitymaps", environ.get(ZONES, ""))
        self._now = now

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "electricitymaps"

    @property
    def kind(self) -> SeriesKind:
        """Average; of the factors that the setting names."""
        return SeriesKind(Signal.AVERAGE, self._factors, "electricitymaps", replay=False)

    def zones(self) -> Sequence[GridZone]:
        """Zones that we have a name for, and those of the setting."""
        return self._names.zones()

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Intensity in the hours that cover `[start, end)`, the one that runs included.

        Raises:
            DataMissing: The zone is not known, or not for all of the time.
            AdapterUnavailable: The service does not answer, or not to this token.
        """
        if start >= self._now() - RECENT:
            endpoint, rows = "history", self._rows("history", "history", zone, {})[0]
        else:
            endpoint, rows = "past-range", []
            for span in _spans(start, end):
                rows += self._rows(endpoint, "data", zone, span)[0]
        with self._source.reading(f"{PATH}/{endpoint}"):
            if not rows:
                raise DataMissing("GO0303", f"`electricitymaps` has nothing of `{zone}` then")
            laid = lay(map(_point, rows), HOUR)
            published = _newest(rows, start, end)
        part = covering(laid, start, end, f"`electricitymaps` has no intensity of `{zone}`")
        return as_series(part, zone, self.kind, published)

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """The newest forecast; older ones are not kept for us.

        Raises:
            DataMissing: The zone is not known, or the newest was issued after `at`.
            AdapterUnavailable: The service does not answer, or not to this token.
        """
        rows, answer = self._rows("forecast", "forecast", zone, {"horizonHours": self._horizon})
        with self._source.reading(f"{PATH}/forecast"):
            laid = lay(map(_point, rows), HOUR)
            issued = instant(answer["updatedAt"])
        # It is here, so it was said by now, whatever the source's clock shows.
        issued = min(issued, self._now())
        return as_forecast(laid, zone, self.kind, issued_at=issued, at=at)

    def _rows(
        self, endpoint: str, key: str, zone: str, more: Mapping[str, str]
    ) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:
        """Hours of an answer, and all of it."""
        own, path = self._names.own(zone), f"{PATH}/{endpoint}"
        params = {
            "zone": own,
            "emissionFactorType": self._factors.value,
            "temporalGranularity": "hourly",
            **more,
        }
        answer = self._source.get_json(path, params, self._headers, zone=zone)
        with self._source.reading(path):
            found = answer.get("zone", own)
            if found != own:
                # It answers for where the caller sits, where it does not know the zone.
                raise DataMissing(
                    "GO0302",
                    f"`electricitymaps` does not have grid zone `{zone}`; it answers for `{found}`",
                )
            rows = answer[key]
            self._check(rows)
        return rows, answer

    def _check(self, rows: Any) -> None:
        if not isinstance(rows, list):
            raise ValueError("hours are no list")  # noqa: TRY004 - of an answer, not of a call
        other = {each.get("emissionFactorType", self._factors) for each in rows} - {self._factors}
        if other:
            raise ValueError(f"factors are `{other.pop()}`, not `{self._factors}`")


def _one_of(environ: Mapping[str, str], variable: str, known: Sequence[str], usual: str) -> str:
    value = environ.get(variable, usual).strip()
    if value not in known:
        raise AdapterUnsupported("GO0325", f"`{variable}` must be one of {', '.join(known)}")
    return value


def _spans(start: datetime, end: datetime) -> Iterator[dict[str, str]]:
    """A time as parameters of questions."""
    for first, past in pieces(start, end, HOUR, LONGEST_QUESTION):
        yield {"start": iso(first), "end": iso(past)}


def _point(row: Mapping[str, Any]) -> Point:
    at = instant(row["datetime"])
    estimated = row.get("isEstimated")
    return Point(
        at,
        grams(row["carbonIntensity"], at),
        estimated if isinstance(estimated, bool) else None,
    )


def _newest(rows: Iterable[Mapping[str, Any]], start: datetime, end: datetime) -> datetime | None:
    """When an hour that overlaps the time was last changed; none where none says so."""
    said = [
        instant(each["updatedAt"])
        for each in rows
        if each.get("updatedAt") and start - HOUR < instant(each["datetime"]) < end
    ]
    return max(said, default=None)
