"""WattTime, version 3 of its interface: marginal intensity every five minutes, with a login."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from greenops.adapters.grid_http import KeyRefused, Now, WebSource, required, utc_now
from greenops.adapters.grid_points import (
    SKEW,
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
from greenops.errors import DataMissing

USER: Final = "GREENOPS_WATTTIME_USER"
PASSWORD: Final = "GREENOPS_WATTTIME_PASSWORD"  # noqa: S105 - the variable's name
URL: Final = "GREENOPS_WATTTIME_URL"
"""Environment variable: address of the service, where it is not the usual one."""
ZONES: Final = "GREENOPS_WATTTIME_ZONES"
"""Environment variable: regions beside those of our table, or in their place: `PJM_NJ,PJM=PJM_SOUTHWEST_OH`."""
USUAL_URL: Final = "https://api.watttime.org"
SIGNAL: Final = "co2_moer"
UNITS: Final = "lbs_co2_per_mwh"
GRAMS_PER_UNIT: Final = 0.453_592_37
"""Grams per kWh in one pound per MWh; a pound is 453.59237 g by the international agreement of 1959."""
TOKEN_LASTS_S: Final = 25 * 60.0
"""How long a token is used [s]; the service lets it live for 30 minutes."""
HORIZON_H: Final = "72"
HOUR: Final = timedelta(hours=1)
LONGEST_QUESTION: Final = timedelta(days=31)
"""Longest time of one question about the past; the service takes 32 days."""
LOOK_BACK: Final = HOUR
"""How long before an instant the forecast in force may have been issued; one is every five minutes."""


class WattTime:
    """Marginal operating emissions rate of carbon dioxide. Stability: beta.

    Old forecasts are kept, so a replay may ask for them. Never to be mixed with average intensity.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, now: Now = utc_now) -> None:
        self._login = (
            required(environ, USER, "the name of a WattTime account"),
            required(environ, PASSWORD, "the password of the WattTime account"),
        )
        self._source = WebSource(
            "watttime",
            environ.get(URL, USUAL_URL).rstrip("/"),
            key=f"`{USER}` and `{PASSWORD}`",
            url_setting=f"`{URL}`",
            secrets=(self._login[1],),
            plan_lacks=lambda status, _text: status == HTTPStatus.FORBIDDEN,
        )
        self._names = ZoneNames("watttime", environ.get(ZONES, ""))
        self._now = now
        self._lock = threading.Lock()
        self._token: tuple[str, float] | None = None

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "watttime"

    @property
    def kind(self) -> SeriesKind:
        """Marginal and direct."""
        return SeriesKind(Signal.MARGINAL, Factors.DIRECT, "watttime", replay=False)

    def zones(self) -> Sequence[GridZone]:
        """Zones that we have a name for, and those of the setting."""
        return self._names.zones()

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Intensity in the five minutes that cover `[start, end)`.

        Raises:
            DataMissing: The zone is not known, or not for all of the time.
            AdapterUnavailable: The service does not answer, or not to this account.
        """
        points: list[Point] = []
        step, published = None, None
        for piece in pieces(start, end, HOUR, LONGEST_QUESTION):
            answer = self._ask("/v3/historical", zone, _span(*piece))
            with self._source.reading("/v3/historical"):
                step = _checked(answer)
                points += [_point(row) for row in answer["data"]]
                said = answer["meta"].get("generated_at")
                published = instant(said) if said else published
        if not points:
            raise DataMissing("GO0303", f"`watttime` has nothing of `{zone}` for {iso(start)}")
        with self._source.reading("/v3/historical"):
            laid = lay(points, step)
        part = covering(laid, start, end, f"`watttime` has no intensity of `{zone}`")
        return as_series(part, zone, self.kind, published)

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """The forecast in force at `at`: the newest, or an old one.

        Raises:
            DataMissing: The zone is not known, or no forecast was issued within an hour before.
            AdapterUnavailable: The service does not answer, or not to this account.
        """
        if at >= self._now() - SKEW:
            path, span = "/v3/forecast", {}
        else:
            # A little beyond: whether the end counts in is not said, and what is later is left out here.
            path, span = "/v3/forecast/historical", _span(at - LOOK_BACK, at + SKEW)
        answer = self._ask(path, zone, {"horizon_hours": HORIZON_H, **span})
        with self._source.reading(path):
            step = _checked(answer)
            issued, rows = _old(answer, at) if span else _newest(answer)
            laid = lay(map(_point, rows), step)
        # It is here, so it was said by now, whatever the source's clock shows.
        issued = min(issued, self._now())
        return as_forecast(laid, zone, self.kind, issued_at=issued, at=at)

    def _ask(self, path: str, zone: str, more: Mapping[str, str]) -> Any:
        params = {"region": self._names.own(zone), "signal_type": SIGNAL, **more}
        token = self._logged_in()
        try:
            return self._source.get_json(path, params, _bearer(token), zone=zone)
        except KeyRefused:
            # It may end before its time: renewed once, which tells it from an account that is refused.
            self._forget(token)
        return self._source.get_json(path, params, _bearer(self._logged_in()), zone=zone)

    def _logged_in(self) -> str:
        """A token that lives, new where the last one is old."""
        with self._lock:
            if self._token is None or time.monotonic() >= self._token[1]:
                until = time.monotonic() + TOKEN_LASTS_S
                answer = self._source.get_json("/login", auth=self._login)
                with self._source.reading("/login"):
                    token = answer["token"]
                    if not isinstance(token, str) or not token.isprintable():
                        raise ValueError("`token` is no text")
                    self._token = (token, until)
            return self._token[0]

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._token is not None and self._token[0] == token:
                self._token = None


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _span(start: datetime, end: datetime) -> dict[str, str]:
    return {"start": iso(start), "end": iso(end)}


def _checked(answer: Mapping[str, Any]) -> timedelta | None:
    """The step of an answer that is in the unit and of the signal that was asked for; none where it does not say."""
    meta = answer["meta"]
    if meta["units"] != UNITS or meta.get("signal_type", SIGNAL) != SIGNAL:
        raise ValueError(f"`{meta.get('signal_type')}` in `{meta['units']}`, not `{UNITS}`")
    seconds = meta.get("data_point_period_seconds")
    if seconds is None:
        return None
    if not isinstance(seconds, int) or seconds <= 0:
        raise ValueError("`data_point_period_seconds` is no time")
    return timedelta(seconds=seconds)


def _newest(answer: Mapping[str, Any]) -> tuple[datetime, Sequence[Mapping[str, Any]]]:
    return instant(answer["meta"]["generated_at"]), answer["data"]


def _old(answer: Mapping[str, Any], at: datetime) -> tuple[datetime, Sequence[Mapping[str, Any]]]:
    """The one in force at an instant, of all that were issued around it."""
    issues = [(instant(each["generated_at"]), each["forecast"]) for each in answer["data"]]
    known = [each for each in issues if each[0] <= at]
    if not known:
        raise DataMissing(
            "GO0305", f"`watttime` has no forecast issued in the hour before {iso(at)}"
        )
    return max(known, key=lambda each: each[0])


def _point(row: Mapping[str, Any]) -> Point:
    at = instant(row["point_time"])
    return Point(at, grams(row["value"], at, GRAMS_PER_UNIT))
