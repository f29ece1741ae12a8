"""Carbon intensity that others already export: a PromQL query, asked at a Prometheus HTTP interface."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from greenops.adapters.grid_http import Now, WebSource, required, utc_now
from greenops.adapters.grid_points import Point, as_series, covering, grams, iso, lay, pieces
from greenops.domain.grid import Factors, Forecast, GridZone, IntensitySeries, SeriesKind, Signal
from greenops.errors import AdapterUnsupported, DataMissing

URL: Final = "GREENOPS_GRID_PROMETHEUS"
"""Environment variable: address of the server, as `http://prometheus:9090`."""
QUERY: Final = "GREENOPS_GRID_PROMETHEUS_QUERY"
SIGNAL: Final = "GREENOPS_GRID_PROMETHEUS_SIGNAL"
FACTORS: Final = "GREENOPS_GRID_PROMETHEUS_FACTORS"
LABEL: Final = "GREENOPS_GRID_PROMETHEUS_LABEL"
"""Environment variable: the label that names the grid zone, where it is none of the usual ones."""
ZONES: Final = "GREENOPS_GRID_PROMETHEUS_ZONES"
"""Environment variable: our zones and the label's values, with commas between: `CISO=US-CAL-CISO,DE`."""
STEP: Final = "GREENOPS_GRID_PROMETHEUS_STEP_S"
"""Environment variable: time between two values [s]."""
TOKEN: Final = "GREENOPS_GRID_PROMETHEUS_TOKEN"  # noqa: S105 - the variable's name
"""Environment variable: bearer token; without it none is sent."""
USUAL_QUERY: Final = "grid_intensity_carbon_average"
"""What the grid-intensity exporter of the Green Web Foundation exports."""
AVERAGE: Final = re.compile(r"\bgrid_intensity_carbon_average\b")
"""A metric whose name says that it is average intensity."""
USUAL_LABELS: Final = ("greenops_zone", "location", "zone", "region")
"""Labels that name a zone, the likeliest first: ours, the exporter's, others'."""
UNITS: Final = re.compile(r"g ?(CO2(e|eq)?)? ?(per|/) ?kWh", re.IGNORECASE)
USUAL_STEP_S: Final = 300
"""Time between two values [s]: Prometheus looks back as far for the newest one."""
MOST_POINTS: Final = 2_000
"""Values of one question; Prometheus refuses more than 11,000 of one series."""
LOOK_BACK: Final = timedelta(hours=1)
"""How far back a zone counts as known."""
RANGE: Final = "/api/v1/query_range"
Word = TypeVar("Word", Signal, Factors)


class PrometheusGrid:
    """Intensity as another system exports it; what it is, the settings say. Stability: beta.

    The value of a step is what the query gave at its start. It has no forecasts.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, now: Now = utc_now) -> None:
        token = required(environ, TOKEN, "a bearer token") if environ.get(TOKEN, "").strip() else ""
        self._source = WebSource(
            "prometheus",
            required(
                environ, URL, "the address of a Prometheus, as `http://prometheus:9090`"
            ).rstrip("/"),
            key=f"`{TOKEN}`",
            url_setting=f"`{URL}`",
            secrets=(token,),
        )
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._query = environ.get(QUERY, "").strip() or USUAL_QUERY
        usual = Signal.AVERAGE if AVERAGE.search(self._query) else None
        self._kind = SeriesKind(
            _word(environ, SIGNAL, Signal, usual),
            _word(environ, FACTORS, Factors, None),
            f"prometheus: {self._query}",
            replay=False,
        )
        self._label = environ.get(LABEL, "").strip()
        self._own = dict(_pairs(environ.get(ZONES, "")))
        self._step = timedelta(seconds=_seconds(environ))
        self._now = now

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "prometheus"

    @property
    def kind(self) -> SeriesKind:
        """As the metric's name and the settings say."""
        return self._kind

    def zones(self) -> Sequence[GridZone]:
        """Zones that the setting names; without it, those that had a value within the last hour.

        Raises:
            DataMissing, AdapterUnavailable: As `actual`.
        """
        if self._own:
            return tuple(GridZone(each, each) for each in self._own)
        now = self._now()
        rows = self._series(now - LOOK_BACK, now)
        return tuple(GridZone(each, each) for each in dict.fromkeys(map(self._zone, rows)))

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Intensity in the steps that cover `[start, end)`.

        Raises:
            DataMissing: The query gives nothing for the zone, or not for all of the time, or is refused.
            AdapterUnavailable: Prometheus does not answer, or with what is no intensity.
        """
        if self._own and zone not in self._own:
            fix = f"`{ZONES}` names {', '.join(self._own)}"
            raise DataMissing("GO0302", f"`prometheus` does not have grid zone `{zone}`", fix=fix)
        wanted = self._own.get(zone, zone)
        points: list[Point] = []
        sorts: set[str] = set()
        # It would answer for the minutes to come as well, with the value that is.
        until = min(end, self._now())
        for first, past in pieces(start, until, self._step, MOST_POINTS * self._step):
            for row in self._series(first, past - self._step):
                if self._zone(row) == wanted:
                    with self._source.reading(RANGE):
                        points += _points(row)
                        sorts.add(_shown(row))
        if not points:
            raise DataMissing(
                "GO0303",
                f"`{self._query}` gave nothing for grid zone `{zone}` from {iso(start)} to {iso(end)}",
                fix=f"`{ZONES}` names zones, `{LABEL}` the label that they are in",
            )
        try:
            laid = lay(points, self._step)
        except ValueError as error:
            raise DataMissing(
                "GO0336",
                f"`{self._query}` gives several series of `{zone}` ({', '.join(sorted(sorts))}): {error}",
                fix=f"put one together in `{QUERY}`, as `max by (location) (…)`",
            ) from error
        part = covering(laid, start, end, f"`prometheus` has no intensity of `{zone}`")
        return as_series(part, zone, self._kind)

    def forecast(self, zone: str, at: datetime) -> Forecast:  # noqa: ARG002
        """A series of what was.

        Raises:
            DataMissing: Always.
        """
        raise DataMissing("GO0305", f"`prometheus` has no forecasts, so none of `{zone}`")

    def _series(self, start: datetime, end: datetime) -> list[Mapping[str, Any]]:
        params = {
            "query": self._query,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{self._step.total_seconds():g}",
        }
        answer = self._source.get_json(RANGE, params, self._headers)
        with self._source.reading(RANGE):
            if answer["status"] != "success":
                raise ValueError(f"status `{answer['status']}`")
            rows: list[Mapping[str, Any]] = list(answer["data"]["result"])
            for row in rows:
                _check_unit(row["metric"].get("units", "g/kWh"))
            return rows

    def _zone(self, row: Mapping[str, Any]) -> str:
        """The zone of a series: in the label of the setting, or the first of the usual ones that it has."""
        labels = row["metric"]
        for label in [self._label] if self._label else USUAL_LABELS:
            if labels.get(label):
                return str(labels[label])
        raise DataMissing(
            "GO0336",
            f"`{self._query}` gives a series whose labels name no grid zone: {_shown(row)}",
            fix=f"name the label in `{LABEL}`",
        )


def _check_unit(unit: str) -> None:
    if not UNITS.fullmatch(unit.strip()):
        raise DataMissing(
            "GO0336",
            f"`prometheus` has values in `{unit}`, not in g per kWh",
            fix=f"multiply in `{QUERY}`, and drop the label `units` there",
        )


def _points(row: Mapping[str, Any]) -> Iterator[Point]:
    said = row["metric"].get("is_estimated")
    estimated = {"true": True, "false": False}.get(said) if said is not None else None
    for seconds, value in row["values"]:
        at = datetime.fromtimestamp(float(seconds), UTC)
        yield Point(at, grams(float(value), at), estimated)


def _shown(row: Mapping[str, Any]) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(row["metric"].items()))
    return f"{{{labels}}}"


def _word(environ: Mapping[str, str], variable: str, kind: type[Word], usual: Word | None) -> Word:
    said = environ.get(variable, "").strip()
    if not said and usual is not None:
        return usual
    if said not in tuple(kind):
        words = " or ".join(f"`{each}`" for each in kind)
        why = f"not `{said}`" if said else "since the metric does not say which it is"
        raise AdapterUnsupported("GO0325", f"`{variable}` must be {words}, {why}")
    return kind(said)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for each in filter(None, (part.strip() for part in text.split(","))):
        ours, _, theirs = (part.strip() for part in each.partition("="))
        yield ours, theirs or ours


def _seconds(environ: Mapping[str, str]) -> int:
    said = environ.get(STEP, "").strip() or str(USUAL_STEP_S)
    seconds = int(said) if said.isascii() and said.isdigit() else 0
    if not seconds or timedelta(days=1) % timedelta(seconds=seconds):
        raise AdapterUnsupported(
            "GO0325", f"`{STEP}` must be seconds that divide a day, not `{said}`"
        )
    return seconds
