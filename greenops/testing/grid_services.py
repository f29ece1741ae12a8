"""Fakes of the services that tell live carbon intensity; their answers are made up after the documented shapes.

Nothing here was recorded from the services. Each fake looks at path, parameters and key as the service is documented
to, and answers from the values that the test gives.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from greenops.testing.web_service import Reply, Request

HOUR: Final = timedelta(hours=1)
HALF_HOUR: Final = timedelta(minutes=30)
FIVE_MINUTES: Final = timedelta(minutes=5)
KEY: Final = "made-up-key-7f3a"
"""Key, or password, that the fakes accept."""
USER: Final = "someone"
Values = Sequence[float | None]


def _iso(at: datetime, form: str = "%Y-%m-%dT%H:%M:%S.000Z") -> str:
    return at.astimezone(UTC).strftime(form)


def _steps(values: Values, start: datetime, step: timedelta) -> list[tuple[datetime, float | None]]:
    return [(start + index * step, value) for index, value in enumerate(values)]


def _asked(request: Request, first: str, last: str) -> tuple[datetime, datetime]:
    return (
        datetime.fromisoformat(request.params[first]),
        datetime.fromisoformat(request.params[last]),
    )


class FakeElectricityMaps:
    """Electricity Maps v3 for one zone.

    Args:
        past: Intensity by hour from `start`; the last one is the hour that runs.
        foretold: The same, from `issued` on.
        start: First hour.
        issued: When the forecast was made.
        zone: The one that it has.
    """

    def __init__(
        self,
        past: Values,
        foretold: Values,
        start: datetime,
        issued: datetime,
        zone: str = "US-CAL-CISO",
    ) -> None:
        self.past = _steps(past, start, HOUR)
        self.foretold = _steps(foretold, issued.replace(minute=0, second=0), HOUR)
        self.issued, self.zone = issued, zone

    def __call__(self, request: Request) -> Reply:
        """Answer as the service is documented to."""
        if request.headers.get("auth-token") != KEY:
            return Reply({"message": "Invalid auth-token"}, 401)
        if request.params.get("zone") != self.zone:
            return Reply({"message": "Zone does not exist"}, 404)
        match request.path.removeprefix("/v3/carbon-intensity/"):
            case "history":
                return Reply({"zone": self.zone, "history": self._hours(self.past[-24:])})
            case "past-range":
                start, end = _asked(request, "start", "end")
                if end - start > timedelta(days=10):
                    return Reply({"message": "The range is too long"}, 400)
                hours = [each for each in self.past if start <= each[0] < end]
                return Reply({"zone": self.zone, "data": self._hours(hours)})
            case "forecast":
                most = int(request.params.get("horizonHours", "24"))
                said = [
                    {"carbonIntensity": value, "datetime": _iso(at)}
                    for at, value in self.foretold[: most + 1]
                ]
                return Reply({"zone": self.zone, "forecast": said, "updatedAt": _iso(self.issued)})
            case _:
                return Reply({"message": "Not found"}, 404)

    def _hours(self, hours: Sequence[tuple[datetime, float | None]]) -> list[dict[str, Any]]:
        last = self.past[-1][0]
        return [
            {
                "zone": self.zone,
                "carbonIntensity": value,
                "datetime": _iso(at),
                "updatedAt": _iso(at + HOUR),
                "createdAt": _iso(at),
                "emissionFactorType": "lifecycle",
                "isEstimated": at == last,
                "estimationMethod": "FORECASTS_HIERARCHY" if at == last else None,
            }
            for at, value in hours
        ]


class FakeWattTime:
    """WattTime v3 for one region, a forecast every five minutes.

    Args:
        past: Emission rate by five minutes from `start` [lb/MWh]; what forecasts say is the same.
        start: First of them.
        now: Time of the newest forecast.
        hours: Length of a forecast [h].
        region: The one that it has.
    """

    def __init__(
        self,
        past: Values,
        start: datetime,
        now: datetime,
        hours: int = 24,
        region: str = "CAISO_NORTH",
    ) -> None:
        self.past = _steps(past, start, FIVE_MINUTES)
        self.now, self.hours, self.region = now, hours, region
        self.tokens: list[str] = []
        """Tokens that were given; only the last one is good."""

    def __call__(self, request: Request) -> Reply:
        """Answer as the service is documented to."""
        said = request.headers.get("authorization", "")
        if request.path == "/login":
            basic = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
            if said != f"Basic {basic}":
                return Reply({"message": "Incorrect username or password"}, 401)
            self.tokens.append(f"token-{len(self.tokens)}")
            return Reply({"token": self.tokens[-1]})
        if not self.tokens or said != f"Bearer {self.tokens[-1]}":
            return Reply({"error": "Unauthorized"}, 401)
        if request.params.get("signal_type") != "co2_moer":
            return Reply({"error": "INVALID_SIGNAL_TYPE"}, 400)
        if request.params.get("region") != self.region:
            return Reply({"error": "Invalid region"}, 400)
        return self._data(request)

    def _data(self, request: Request) -> Reply:
        meta: dict[str, Any] = {
            "data_point_period_seconds": 300,
            "region": self.region,
            "signal_type": "co2_moer",
            "units": "lbs_co2_per_mwh",
            "warnings": [],
            "model": {"date": "2023-03-01"},
        }
        match request.path:
            case "/v3/historical":
                start, end = _asked(request, "start", "end")
                if end - start > timedelta(days=32):
                    return Reply({"error": "INVALID_DATE_RANGE"}, 400)
                return Reply({"data": self._points(start, end), "meta": meta})
            case "/v3/forecast":
                said = self._points(self.now, self.now + self.hours * HOUR)
                more = {"generated_at": self.now.isoformat(), "generated_at_period_seconds": 300}
                return Reply({"data": said, "meta": meta | more})
            case "/v3/forecast/historical":
                start, end = _asked(request, "start", "end")
                issues = [at for at, _ in self.past if start <= at < end]
                said = [
                    {
                        "generated_at": at.isoformat(),
                        "forecast": self._points(at, at + self.hours * HOUR),
                    }
                    for at in issues
                ]
                return Reply({"data": said, "meta": meta})
            case _:
                return Reply({"message": "Not Found"}, 404)

    def _points(self, start: datetime, end: datetime) -> list[dict[str, Any]]:
        return [
            {"point_time": at.isoformat(), "value": value}
            for at, value in self.past
            if start <= at < end
        ]


class FakeNeso:
    """NESO's carbonintensity.org.uk, national and of any region.

    Args:
        actual: Intensity by half hour from `start`, of what has been; a region has 10 g more.
        forecast: The same, with what is to come.
        start: First half hour.
    """

    def __init__(self, actual: Values, forecast: Values, start: datetime) -> None:
        self.actual = dict(_steps(actual, start, HALF_HOUR))
        self.forecast = _steps(forecast, start, HALF_HOUR)

    def __call__(self, request: Request) -> Reply:
        """Answer as the service is documented to."""
        span = r"/intensity/([^/]+)/([^/]+)"
        if found := re.fullmatch(span, request.path):
            return Reply({"data": self._rows(found[1], found[2], 0)})
        place = re.fullmatch(f"/regional{span}/(regionid|postcode)/([A-Z0-9]+)", request.path)
        if place is None or (place[3] == "regionid" and not 1 <= int(place[4]) <= 17):  # noqa: PLR2004
            said = "Please enter a valid path e.g. /intensity"
            return Reply({"error": {"code": "400 Bad Request", "message": said}}, 400)
        rows = self._rows(place[1], place[2], 10)
        region = {"regionid": 13, "dnoregion": "UKPN London", "shortname": "London", "data": rows}
        return Reply({"data": region})

    def _rows(self, first: str, last: str, more: float) -> list[dict[str, Any]]:
        start = datetime.fromisoformat(first)
        end = start + 48 * HOUR if last == "fw48h" else datetime.fromisoformat(last)
        # The service counts the half hour that ends with the first instant in.
        return [
            self._row(at, value, more)
            for at, value in self.forecast
            if start - HALF_HOUR <= at < end
        ]

    def _row(self, at: datetime, value: float | None, more: float) -> dict[str, Any]:
        said: dict[str, Any] = {"forecast": None if value is None else value + more}
        if not more:
            said["actual"] = self.actual.get(at)
        form = "%Y-%m-%dT%H:%MZ"
        return {
            "from": _iso(at, form),
            "to": _iso(at + HALF_HOUR, form),
            "intensity": said | {"index": "moderate"},
        }


class FakeCarbonAwareSdk:
    """The Carbon Aware SDK's web service for one location, with a source of five minutes.

    Args:
        past: Intensity by five minutes from `start`; what the forecast says is the same.
        start: First of them.
        issued: When its source made the forecast.
        location: The one that it has.
        optimal: How it spells the best point: documentation and code differ.
    """

    def __init__(
        self,
        past: Values,
        start: datetime,
        issued: datetime,
        location: str = "westus",
        optimal: str = "optimalDataPoints",
    ) -> None:
        self.past = _steps(past, start, FIVE_MINUTES)
        self.issued, self.location, self.optimal = issued, location, optimal

    def __call__(self, request: Request) -> Reply:
        """Answer as the service is documented to."""
        if request.params.get("location") != self.location:
            said = f"Unknown location: '{request.params.get('location')}' not found"
            return Reply({"title": "LocationException", "status": 400, "detail": said}, 400)
        match request.path:
            case "/emissions/bylocation":
                start, end = _asked(request, "time", "toTime")
                # Points carry the name of the grid, not of the location.
                rows = [
                    {
                        "location": "CAISO_NORTH",
                        "time": at.isoformat(),
                        "rating": value,
                        "duration": "00:05:00",
                    }
                    for at, value in self.past
                    if start <= at < end
                ]
                return Reply(rows) if rows else Reply(b"", 204)
            case "/emissions/forecasts/current":
                return Reply([self._forecast()])
            case _:
                return Reply("", 404)

    def _forecast(self) -> dict[str, Any]:
        points: list[dict[str, Any]] = [
            {
                "location": "CAISO_NORTH",
                "timestamp": at.isoformat(),
                "duration": 5,
                "value": value,
            }
            for at, value in self.past
            if at >= self.issued
        ]
        known = [each for each in points if each["value"] is not None]
        best = min(known, key=lambda each: each["value"]) if known else None
        return {
            "generatedAt": self.issued.isoformat(),
            "requestedAt": (self.issued + FIVE_MINUTES).isoformat(),
            "location": self.location,
            "dataStartAt": points[0]["timestamp"],
            "dataEndAt": points[-1]["timestamp"],
            "windowSize": 5,
            self.optimal: [best] if self.optimal.endswith("s") else best,
            "forecastData": points,
        }
