"""What one grid provider answered last: forecast and past of each zone, in memory and on disk, so many and no more."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from greenops.adapters.grid_cache_files import GridCacheFiles
from greenops.domain.grid import Forecast, GridZone, IntensitySeries
from greenops.domain.record import canonical, parse
from greenops.errors import GreenOpsError
from greenops.grid.past import KEPT, covering, extended

log = logging.getLogger("greenops.grid")

ZONES: Final = 256
"""Zones that are kept in memory; the one that was asked for longest ago goes first."""
ANSWERS: Final = 8
"""Recorded series that are kept of a zone as they were answered."""
LIST: Final = "zones of the provider"
"""Under what name the list of its zones is kept; no source calls a zone so."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a zone over a restart.

    Attributes:
        forecast: The newest one.
        asked_at: For which instant it was asked.
        past: Whole hours that were recorded.
        past_asked_at: When the past was last asked for as a whole.
    """

    forecast: Forecast | None = None
    asked_at: datetime | None = None
    past: IntensitySeries | None = None
    past_asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeptZones:
    """Zones of a provider, as it last listed them."""

    zones: tuple[GridZone, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded series and for which instant it was asked."""

    series: IntensitySeries
    asked_at: datetime


@dataclass(slots=True)
class KeptAnswers:
    """The answers of one provider.

    Attributes:
        provider: Its name.
        files: Where they outlive the process.
    """

    provider: str
    files: GridCacheFiles
    _kept: OrderedDict[str, Kept] = field(default_factory=OrderedDict)
    _recorded: OrderedDict[str, tuple[Recorded, ...]] = field(default_factory=OrderedDict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _told: bool = False

    def of(self, zone: str) -> Kept:
        """What is kept of a zone; read from disk when first asked for."""
        with self._lock:
            if zone not in self._kept:
                self._kept[zone] = self._read(zone)
                _trim(self._kept)
            self._kept.move_to_end(zone)
            return self._kept[zone]

    def foretold(self, zone: str, forecast: Forecast, asked_at: datetime) -> None:
        """Keep a newer forecast."""
        self._keep(zone, replace(self.of(zone), forecast=forecast, asked_at=asked_at))

    def recorded(
        self, zone: str, series: IntensitySeries, asked_at: datetime, *, whole: bool = False
    ) -> None:
        """Keep a recorded series, and its hours for the zone's past.

        Args:
            zone: The grid zone.
            series: What was answered.
            asked_at: When.
            whole: It was asked for the sake of the past.
        """
        with self._lock:
            if not whole:
                newer = (Recorded(series, asked_at), *self._recorded.get(zone, ()))
                self._recorded[zone] = newer[:ANSWERS]
                _trim(self._recorded)
            kept = self.of(zone)
        past = extended(kept.past, series, KEPT)
        when = asked_at if whole else kept.past_asked_at
        if past != kept.past or whole:
            self._keep(zone, replace(self.of(zone), past=past, past_asked_at=when))

    def asked_for_past(self, zone: str, at: datetime) -> None:
        """Remember that the past was asked for, though it was not had."""
        self._keep(zone, replace(self.of(zone), past_asked_at=at))

    def covering(self, zone: str, start: datetime, end: datetime) -> Recorded | None:
        """The newest answer that covers a time, cut to it; none where none does."""
        with self._lock:
            answers = self._recorded.get(zone, ())
        for each in answers:
            cut = covering(each.series, start, end)
            if cut is not None:
                return Recorded(cut, each.asked_at)
        return None

    def zones(self) -> tuple[GridZone, ...]:
        """Zones as they were listed last; empty where they never were."""
        content = self.files.read(self.provider, LIST)
        try:
            return parse(KeptZones, content).zones if content else ()
        except ValueError:
            return ()

    def listed(self, zones: Sequence[GridZone]) -> None:
        """Keep a list of zones."""
        self._write(LIST, KeptZones(tuple(zones)))

    def _keep(self, zone: str, kept: Kept) -> None:
        with self._lock:
            self._kept[zone] = kept
            self._kept.move_to_end(zone)
            _trim(self._kept)
        self._write(zone, kept)

    def _read(self, zone: str) -> Kept:
        content = self.files.read(self.provider, zone)
        try:
            kept = parse(Kept, content) if content else Kept()
        except ValueError:
            # Damaged, or of another version: it is asked for again.
            return Kept()
        same = all(each is None or each.zone == zone for each in (kept.forecast, kept.past))
        return kept if same else Kept()

    def _write(self, name: str, record: object) -> None:
        try:
            self.files.write(self.provider, name, canonical(record))
            self._told = False
        except (GreenOpsError, ValueError) as error:
            if not self._told:
                log.warning("%s", error)
            self._told = True


def _trim(found: OrderedDict[str, Kept] | OrderedDict[str, tuple[Recorded, ...]]) -> None:
    while len(found) > ZONES:
        found.popitem(last=False)
