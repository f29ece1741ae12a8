"""A grid made up by a test, and the promises every grid provider keeps."""

# ruff: noqa: S101  (a test kit asserts)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from greenops.domain.grid import (
    Factors,
    Forecast,
    GridZone,
    IntensitySeries,
    SeriesKind,
    Signal,
)
from greenops.errors import DataMissing
from greenops.ports import GridProvider
from greenops.units import GramsPerKwh

START = datetime(2021, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KIND = SeriesKind(Signal.AVERAGE, Factors.LIFECYCLE, "fake", replay=False)


class FakeGrid:
    """A provider of hourly values that the test chose.

    Args:
        actual: Zone → recorded intensity by hour from `start` [gCO2e/kWh]; none is a gap.
        forecast: Zone → what every forecast says of the same hours; without it they are right.
        start: First hour.
        kind: What the series are.
        error: Error that each forecast states.
        every: Time between two forecasts.
        length: Length of a forecast.
    """

    def __init__(
        self,
        actual: Mapping[str, Sequence[float | None]],
        forecast: Mapping[str, Sequence[float | None]] | None = None,
        *,
        start: datetime = START,
        kind: SeriesKind = KIND,
        error: float | None = 0.1,
        every: timedelta = DAY,
        length: timedelta = 4 * DAY,
    ) -> None:
        self._actual = {zone: _series(zone, values, start, kind) for zone, values in actual.items()}
        said = {**actual, **(forecast or {})}
        self._said = {zone: _series(zone, values, start, kind) for zone, values in said.items()}
        self._error = error
        self._every = every
        self._length = length

    @property
    def name(self) -> str:
        """Its name."""
        return "fake"

    def zones(self) -> Sequence[GridZone]:
        """The zones the test gave."""
        return tuple(GridZone(zone, f"Zone {zone}") for zone in self._actual)

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """What the test gave, in whole hours that cover `[start, end)`.

        Raises:
            DataMissing: The test gave no such zone or hours.
        """
        series = self._find(self._actual, zone)
        if start < series.start or end > series.end:
            raise DataMissing("GO0303", f"the fake has no `{zone}` for {start} to {end}")
        first, past = (start - series.start) // HOUR, -((series.start - end) // HOUR)
        values = series.values[first:past]
        return IntensitySeries(zone, series.kind, series.start + first * HOUR, HOUR, values)

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """The newest forecast: what the test said, from the issue on.

        Raises:
            DataMissing: None was issued by then, or it ended.
        """
        series = self._find(self._said, zone)
        index = (min(at, series.end - HOUR) - series.start) // self._every
        issued = series.start + index * self._every
        first = (issued - series.start) // HOUR
        values = series.values[max(0, first) : first + self._length // HOUR]
        if index < 0 or at >= issued + HOUR * len(values):
            raise DataMissing("GO0305", f"the fake has no forecast of `{zone}` for {at}")
        return Forecast(
            zone,
            series.kind,
            issued,
            HOUR,
            values,
            issued_at=issued,
            id=f"fake/{zone}/{issued:%Y-%m-%dT%H:%MZ}",
            error=self._error,
        )

    def issues(self, zone: str) -> Sequence[datetime]:
        """When each forecast was issued.

        Raises:
            DataMissing: The test gave no such zone.
        """
        series = self._find(self._said, zone)
        count = -((series.start - series.end) // self._every)
        return tuple(series.start + index * self._every for index in range(count))

    @staticmethod
    def _find(where: Mapping[str, IntensitySeries], zone: str) -> IntensitySeries:
        if zone not in where:
            raise DataMissing("GO0302", f"the fake has no grid zone `{zone}`")
        return where[zone]


def _series(
    zone: str, values: Sequence[float | None], start: datetime, kind: SeriesKind
) -> IntensitySeries:
    grams = tuple(None if each is None else GramsPerKwh(each) for each in values)
    return IntensitySeries(zone, kind, start, HOUR, grams)


def check_grid_provider(
    provider: GridProvider, zone: str, start: datetime, end: datetime, *, before: datetime
) -> None:
    """Assert the promises of the port.

    Args:
        provider: What is tested.
        zone: A zone it knows.
        start: The zone is known from here, with a forecast in force …
        end: … up to here.
        before: An instant before its first forecast.
    """
    _check_zones(provider, zone)
    check_actual(provider, zone, start, end)
    check_forecast(provider, zone, start, end, before)
    refuses(lambda: provider.actual("no such zone", start, end))
    refuses(lambda: provider.forecast("no such zone", start))


def check_grid_without_forecasts(
    provider: GridProvider, zone: str, start: datetime, end: datetime
) -> None:
    """Assert the promises of the port of a provider that tells what was, and never what will be.

    Args:
        provider: What is tested.
        zone: A zone it knows …
        start: … from here …
        end: … up to here.
    """
    _check_zones(provider, zone)
    check_actual(provider, zone, start, end)
    refuses(lambda: provider.forecast(zone, start))
    refuses(lambda: provider.actual("no such zone", start, end))
    refuses(lambda: provider.forecast("no such zone", start))


def _check_zones(provider: GridProvider, zone: str) -> None:
    assert isinstance(provider, GridProvider)
    assert provider.name
    assert zone in [each.id for each in provider.zones()]
    assert len({each.id for each in provider.zones()}) == len(provider.zones())


def check_actual(provider: GridProvider, zone: str, start: datetime, end: datetime) -> None:
    """A series covers what was asked, to the edge, and no part changes with the question."""
    whole = provider.actual(zone, start, end)
    middle = start + (end - start) / 3
    part = provider.actual(zone, middle, end)
    assert whole.zone == part.zone == zone
    assert whole.kind == part.kind
    for series, first in ((whole, start), (part, middle)):
        assert series.start.utcoffset() == timedelta(0), "times are aware UTC"
        assert series.start <= first < series.start + series.step, "it starts with the first step"
        assert series.end - series.step < end <= series.end, "it ends with the last step"
    shift = (part.start - whole.start) // whole.step
    assert part.values == whole.values[shift:]
    assert all(value is None or value >= 0 for value in whole.values)


def check_forecast(
    provider: GridProvider, zone: str, start: datetime, end: datetime, before: datetime
) -> None:
    """No forecast is from the future, each is the newest, and its id names it."""
    seen: dict[str, Forecast] = {}
    newest = None
    at = start
    while at < end:
        found = provider.forecast(zone, at)
        assert found.issued_at <= at < found.end
        assert found.kind.signal == provider.actual(zone, start, end).kind.signal
        assert newest is None or newest <= found.issued_at, "time does not take a forecast back"
        assert seen.setdefault(found.id, found) == found, "one id, one forecast"
        assert provider.forecast(zone, found.issued_at).id == found.id, "known from its issue on"
        newest = found.issued_at
        at += (end - start) / 16
    refuses(lambda: provider.forecast(zone, before))


def refuses(ask: Callable[[], object]) -> None:
    """Assert that a question is answered with missing data, in one line."""
    try:
        ask()
    except DataMissing as error:
        said = str(error)
    else:
        raise AssertionError("what it does not know must be DataMissing")
    assert "\n" not in said
