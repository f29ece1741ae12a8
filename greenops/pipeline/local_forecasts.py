"""Forecasts from a zone's own past, for zones whose provider has history but no forecast.

For whoever puts providers together: `LocalForecasts(provider, clock, run)` answers as the given provider does, and
steps in where that one has no forecast. `LocalForecasts.local` asks for such a forecast alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from greenops.domain.grid import Forecast, GridZone, IntensitySeries
from greenops.errors import AdapterUnavailable, DataMissing, GreenOpsError
from greenops.pipeline.beside import Run, at_once
from greenops.pipeline.grid_chain import HAS_NONE, degraded
from greenops.pipeline.savings_by_day import ForecastArchive
from greenops.ports import Clock, GridProvider

if TYPE_CHECKING:
    from greenops.grid.local_forecast_issue import LocalIssue

ISSUED_EVERY: Final = timedelta(days=1)
"""One training a zone and day, at midnight UTC; the forecast reaches four days."""
PAST: Final = tuple(timedelta(days=days) for days in (360, 180))
"""How much of the past is asked for, longest first. On twelve grids, second half of 2021, a 4-hour job within two days
captured 71 % of the best saving with 360 days, 70 % with 540, 69 % with 180 and with 90, and 61 % with 60."""
SHORTEST: Final = timedelta(days=90)
"""Least of the past; with less, the usual course of the zone does as well (67 %)."""
LATE: Final = tuple(timedelta(hours=hours) for hours in (0, 1, 2, 3, 6, 12, 24))
"""How far behind a source may be."""
AGAIN_AFTER: Final = timedelta(minutes=10)
"""How long a failure stands before it is tried again."""
MOST_KEPT: Final = 256
USUAL: Final = "climatology/"
"""How the id of a forecast begins that is a zone's usual course and no more."""


class LocalForecasts:
    """A grid provider that also foretells where the given one does not. Safe to ask from several threads.

    Args:
        provider: Who is asked first, and who knows the past.
        clock: Nothing later than its now is looked at, whatever instant is asked for.
        run: How a training is carried out. `at_once` for commands that ask once; `in_background` where
            decisions must not wait: until a zone's forecast of the day is made, that of an earlier day
            answers, and without one there is no forecast.
    """

    def __init__(self, provider: GridProvider, clock: Clock, run: Run = at_once) -> None:
        self.inner: Final = provider
        self._clock, self._run = clock, run
        self._lock, self._training = Lock(), Lock()
        self._made: dict[tuple[str, datetime], LocalIssue] = {}
        self._failed: dict[str, tuple[datetime, GreenOpsError, datetime]] = {}
        """Zone → the day that failed last, why, and when."""
        self._open: set[tuple[str, datetime]] = set()

    @property
    def name(self) -> str:
        """Name of the provider that is asked first."""
        return self.inner.name

    def zones(self) -> Sequence[GridZone]:
        """Zones of the provider."""
        return self.inner.zones()

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """As the provider tells it.

        Raises:
            DataMissing: The zone or a part of the time is not known.
        """
        return self.inner.actual(zone, start, end)

    def issues(self, zone: str) -> Sequence[datetime]:
        """When each forecast that the provider keeps was issued.

        Raises:
            DataMissing: It keeps none, or does not know the zone.
        """
        if isinstance(self.inner, ForecastArchive):
            return self.inner.issues(zone)
        raise DataMissing(
            "GO0310",
            f"grid provider `{self.name}` keeps no forecasts of `{zone}`",
            fix="the provider `shipped` does",
        )

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """The provider's newest forecast; where it has none, one from the zone's own past.

        The usual course of a zone is no forecast of a provider: it stands only where the past tells none
        either. One that stands in for what a provider should have given says so in `degraded`.

        Raises:
            DataMissing: Neither the provider nor the past tells one.
            AdapterUnavailable: The provider does not answer, and the past tells none either.
        """
        try:
            found = self.inner.forecast(zone, at)
        except (DataMissing, AdapterUnavailable) as error:
            try:
                return _told(self.local(zone, at), None if error.code == HAS_NONE else str(error))
            except GreenOpsError:
                raise error from None
        if found.id.startswith(USUAL):
            with suppress(GreenOpsError):
                none = HAS_NONE in (found.degraded or HAS_NONE)
                return _told(self.local(zone, at), None if none else found.degraded)
        return found

    def local(self, zone: str, at: datetime) -> Forecast:
        """The newest forecast from the zone's own past.

        Raises:
            DataMissing: The past is too short or not known, or the forecast is not made yet.
            AdapterUnavailable: The provider does not tell the past now.
        """
        now = self._clock.now()
        day = _day(min(at, now))
        self._see_to(zone, day, now)
        with self._lock:
            days = [made for name, made in self._made if name == zone and made <= day]
            found = self._made[zone, max(days)].forecast if days else None
            failed = self._failed.get(zone)
        if found is not None and found.issued_at <= at < found.end:
            return found
        if failed is not None and failed[0] == day:
            # Kept for the next who asks, so without the frames of whoever asked before.
            raise failed[1].with_traceback(None)
        raise DataMissing(
            "GO0314",
            f"`{zone}` has no forecast from its own past for {at.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
            fix="ask again in a moment",
        )

    def _see_to(self, zone: str, day: datetime, now: datetime) -> None:
        """Have the forecast of a day made, unless it is there, under way, or failed a moment ago."""
        key = zone, day
        with self._lock:
            failed = self._failed.get(zone)
            waits = failed is not None and failed[0] == day and now - failed[2] < AGAIN_AFTER
            if key in self._made or key in self._open or waits:
                return
            self._open.add(key)
        try:
            self._run(lambda: self._make(zone, day))
        except RuntimeError:  # no thread can be had
            with self._lock:
                self._open.discard(key)

    def _make(self, zone: str, day: datetime) -> None:
        key = zone, day
        try:
            with self._training:  # one after the other: nobody waits for the second
                made = _issue(self.inner, zone, day)
        except GreenOpsError as error:
            with self._lock:
                self._failed[zone] = day, error.with_traceback(None), self._clock.now()
        else:
            with self._lock:
                self._failed.pop(zone, None)
                self._made[key] = made
                while len(self._made) > MOST_KEPT:
                    del self._made[next(iter(self._made))]
        finally:
            with self._lock:
                self._open.discard(key)


def _told(forecast: Forecast, why: str | None) -> Forecast:
    """With the reason that it stands in for another; none where there is no other to be had."""
    return degraded(forecast, f"from the zone's own past alone: {why}") if why else forecast


def _day(at: datetime) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (at - epoch) // ISSUED_EVERY * ISSUED_EVERY


def _issue(provider: GridProvider, zone: str, day: datetime) -> LocalIssue:
    # Arrays load when the first forecast is made: most commands make none.
    from greenops.grid.local_forecast_issue import issue

    past = known_past(provider, zone, day)
    try:
        return issue(past, day)
    except ValueError as error:
        raise DataMissing(
            "GO0314", f"`{zone}` has no forecast from its own past: {error}"
        ) from error


def known_past(provider: GridProvider, zone: str, until: datetime) -> IntensitySeries:
    """As much of a zone's past as a provider tells, up to a year.

    Args:
        provider: Who tells it; one that is behind by up to a day will do.
        zone: Grid zone.
        until: Nothing later is asked for.

    Raises:
        DataMissing: It does not tell the last 90 days.
        AdapterUnavailable: It does not answer.
    """
    found = newest(provider, zone, until, SHORTEST)
    end = min(found.end, until)
    for length in PAST:
        with suppress(DataMissing):
            return provider.actual(zone, end - length, end)
    return found


def newest(
    provider: GridProvider, zone: str, until: datetime, length: timedelta
) -> IntensitySeries:
    """So much of a zone's past, up to an instant or as shortly before it as the provider tells.

    Raises:
        DataMissing: It is behind by more than a day, or does not go back so far.
        AdapterUnavailable: It does not answer.
    """
    last = None
    for late in LATE:
        try:
            return provider.actual(zone, until - late - length, until - late)
        except DataMissing as error:
            last = last or error
    days = length / timedelta(days=1)
    raise DataMissing(
        "GO0314", f"`{provider.name}` does not have the last {days:g} days of `{zone}`"
    ) from last
