"""Watches forecasts as what they foretold arrives, and tells how good they were once a day."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from greenops.adapters.grid_cache_files import GridCacheFiles
from greenops.domain.grid import Forecast
from greenops.domain.record import canonical, parse
from greenops.errors import GreenOpsError
from greenops.pipeline.beside import Run
from greenops.pipeline.forecast_quality import LOOKED_BACK, keeps_forecasts, qualities
from greenops.ports import Clock, GridProvider
from greenops.units import NS_PER_S

if TYPE_CHECKING:
    from greenops.grid.forecast_quality import ForecastQuality

log = logging.getLogger("greenops.forecasts")

REMEMBER_EVERY: Final = timedelta(hours=1)
"""Simulated time between two looks at the forecast in force."""
TELL_EVERY: Final = timedelta(days=1)
"""Simulated time between two reckonings."""
RESTS_NS: Final = 3600 * NS_PER_S
"""Least wall time between two reckonings [ns]: in a fast replay days pass in seconds."""
SETTLES_NS: Final = 300 * NS_PER_S
"""Wall time before the first one [ns]: a start has better things to do."""

FOLDER: Final = "forecasts of four weeks"
"""Folder of what is remembered, beside those of the providers' answers."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Forecasts of one zone, as they lie on disk."""

    forecasts: tuple[Forecast, ...]


class ForecastWatch:
    """Remembers the forecasts that were in force, and compares them with what came.

    Those that a provider keeps itself need no memory; of others the first issue of each day is kept, on disk too.

    Args:
        provider: Who foretells, and knows what came.
        zones: Grid zones where something may run.
        clock: Time.
        tell: Told the figures of each zone and source.
        files: Where forecasts outlast the process.
        run: How a look is carried out; no tick waits for one that starts a thread.
    """

    def __init__(
        self,
        provider: GridProvider,
        zones: Iterable[str],
        clock: Clock,
        tell: Callable[[ForecastQuality], None],
        files: GridCacheFiles,
        run: Run,
    ) -> None:
        self._provider, self._zones = provider, sorted(zones)
        self._clock, self._tell, self._files, self._run = clock, tell, files, run
        self._seen: dict[str, dict[date, Forecast]] = {}
        self._remembered: datetime | None = None
        self._told: datetime | None = None
        self._next_ns = clock.monotonic_ns() + SETTLES_NS
        self._looks = Lock()

    def look(self) -> None:
        """Remember and reckon what is due, unless the last look is still under way."""
        now = self._clock.now()
        remember = _due(self._remembered, now, REMEMBER_EVERY)
        tell = _due(self._told, now, TELL_EVERY) and self._clock.monotonic_ns() >= self._next_ns
        if not (remember or tell) or not self._looks.acquire(blocking=False):
            return
        self._remembered = now
        if tell:
            self._told, self._next_ns = now, self._clock.monotonic_ns() + RESTS_NS
        try:
            self._run(lambda: self._carry_out(now, tell=tell))
        except RuntimeError:  # no thread can be had
            self._looks.release()

    def _carry_out(self, now: datetime, *, tell: bool) -> None:
        try:
            for zone in self._zones:
                self._remember(zone, now)
            for zone in self._zones if tell else ():
                self._reckon(zone, now)
        except Exception:
            # A fault of ours must not end in a thread's trace: figures are missing, decisions go on.
            log.exception("forecasts: unexpected")
        finally:
            self._looks.release()

    def _remember(self, zone: str, now: datetime) -> None:
        # Asked of all: whoever foretells from the past makes its forecast of the day now.
        try:
            found = self._provider.forecast(zone, now)
        except GreenOpsError:
            return
        if keeps_forecasts(self._provider, zone):
            return
        seen = self._seen_of(zone)
        if found.issued_at.date() in seen:
            return
        seen[found.issued_at.date()] = found
        for day, each in list(seen.items()):
            # After a change of provider, what another kind foretold cannot be compared with what comes.
            other = found.kind.differs_in(each.kind)
            if other or not now - LOOKED_BACK <= each.issued_at <= now:
                del seen[day]
        try:
            self._files.write(FOLDER, zone, canonical(Seen(tuple(seen.values()))))
        except (GreenOpsError, ValueError) as error:
            log.warning("forecasts of %s are not kept: %s", zone, error)

    def _seen_of(self, zone: str) -> dict[date, Forecast]:
        if zone not in self._seen:
            kept = remembered(self._files, zone)
            self._seen[zone] = {each.issued_at.date(): each for each in kept}
        return self._seen[zone]

    def _reckon(self, zone: str, now: datetime) -> None:
        try:
            for each in qualities(self._provider, zone, now, tuple(self._seen_of(zone).values())):
                self._tell(each)
        except GreenOpsError as error:
            log.info("forecasts of %s: %s", zone, error)


def remembered(files: GridCacheFiles, zone: str) -> tuple[Forecast, ...]:
    """Forecasts of a zone that a watch kept; none where there was none, or what it kept cannot be read."""
    content = files.read(FOLDER, zone)
    if content is None:
        return ()
    try:
        return parse(Seen, content).forecasts
    except ValueError:  # damaged, or another version's
        return ()


def _due(last: datetime | None, now: datetime, every: timedelta) -> bool:
    return last is None or now - last >= every
