"""Grid provider over intensity files that somebody brings: CSV or Parquet, with a small declaration of what they are."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from greenops.adapters.grid_points import MOST_GRAMS, all_grams, iso
from greenops.adapters.series_declaration import Declared, Further, declaration_in, read_declaration
from greenops.adapters.series_rows import Key, Series, Stamps, Wanted, covering, read_series, stamps
from greenops.domain.grid import (
    Basis,
    Factors,
    Forecast,
    GridZone,
    IntensitySeries,
    SeriesKind,
    Signal,
)
from greenops.errors import DataMissing, Location, nearest

FILES: Final = "GREENOPS_GRID_FILES"
"""Environment variable: the declaration."""
LEAST_LIFECYCLE: Final = 2.0
"""Lifecycle intensity [gCO2e/kWh] that no grid's highest hour is below; hydro and wind are above 10."""
CONVERT: Final = (
    "values are gCO2e/kWh: kg/MWh is the same, multiply kg/kWh by 1000 and lb/MWh by 0.4536"
)
WANTED: Final = Wanted(
    0.0, MOST_GRAMS, "gCO2e/kWh", CONVERT, moment="issued_at", kinds=("actual", "forecast")
)
FURTHER: Final = {
    "signal": Further(tuple(Signal)),
    "factors": Further(tuple(Factors)),
    "basis": Further(tuple(Basis), default=Basis.LOCATION),
}


@dataclass(frozen=True, slots=True)
class _Zone:
    """What is known of one zone."""

    zone: GridZone
    actual: tuple[SeriesKind, Series] | None = None
    forecasts: tuple[SeriesKind, tuple[tuple[datetime, Series], ...]] | None = None


class GridFiles:
    """Intensity out of files. A file that has changed is read again at the next question. Stability: beta.

    Args:
        declaration: The YAML file that says what each file is.

    Raises:
        InvalidFile: The declaration says something that cannot be.
    """

    def __init__(self, declaration: Path) -> None:
        self._declaration = declaration
        self._declared = read_declaration(declaration, FURTHER, WANTED.columns)
        self._stamps: Stamps = ()
        self._known: dict[str, _Zone] = {}

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "files"

    def zones(self) -> Sequence[GridZone]:
        """Zones of all files, in their order.

        Raises:
            DataMissing: A file cannot be read, or has a fault; names the line and column.
        """
        return tuple(each.zone for each in self._zones().values())

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Intensity that covers `[start, end)`, in the file's steps.

        Raises:
            DataMissing: No file has the zone or all of the time, or a file has a fault.
        """
        found = self._zone(zone).actual
        if found is None:
            raise DataMissing(
                "GO0303",
                f"the files hold forecasts of `{zone}` and no recorded intensity",
                at=Location(str(self._declaration)),
                fix="add a file whose rows have no `issued_at`",
            )
        kind, series = found
        covered = covering(series, start, end)
        if covered is None:
            raise DataMissing(
                "GO0303",
                f"the files have `{zone}` from {iso(series.start)} to {iso(series.end)}, not all "
                f"of {iso(start)} to {iso(end)}",
                fix="add the rows, or set GREENOPS_REPLAY to a time that they cover",
            )
        first, places = covered
        return IntensitySeries(
            zone,
            kind,
            first,
            series.step,
            all_grams(series.values[places]),
            estimated=tuple(series.estimated[places]) if any(series.estimated) else None,
        )

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """Newest forecast that was issued at or before `at`.

        Raises:
            DataMissing: None was issued by then, or it ended before `at`; or a file has a fault.
        """
        found = self._zone(zone).forecasts
        if found is None:
            raise DataMissing(
                "GO0305",
                f"the files hold no forecast of `{zone}`",
                fix="add rows that say in `issued_at` when they were said",
            )
        kind, issues = found
        index = bisect_right(issues, at, key=lambda each: each[0]) - 1
        if index < 0:
            raise DataMissing("GO0305", f"the first forecast of `{zone}` is of {iso(issues[0][0])}")
        issued, series = issues[index]
        if at >= series.end:
            raise DataMissing(
                "GO0305",
                f"the forecast of `{zone}` in force at {iso(at)} is of {iso(issued)} and ended at "
                f"{iso(series.end)}",
            )
        return Forecast(
            zone,
            kind,
            series.start,
            series.step,
            all_grams(series.values),
            issued_at=issued,
            id=f"files/{zone}/{issued.isoformat().replace('+00:00', 'Z')}",
        )

    def issues(self, zone: str) -> Sequence[datetime]:
        """When each forecast of a zone was issued, oldest first.

        Raises:
            DataMissing: No file has the zone, or a file has a fault.
        """
        found = self._zone(zone).forecasts
        return tuple(issued for issued, _ in found[1]) if found else ()

    def _zone(self, zone: str) -> _Zone:
        known = self._zones()
        if zone not in known:
            near = nearest(zone, known)
            hint = f"did you mean `{near}`?" if near else f"they have {', '.join(known)}"
            raise DataMissing("GO0302", f"no file has the grid zone `{zone}`", fix=hint)
        return known[zone]

    def _zones(self) -> Mapping[str, _Zone]:
        now = stamps(each.path for each in self._declared)
        if now != self._stamps:
            known: dict[str, _Zone] = {}
            for declared in self._declared:
                _join(known, declared, read_series(declared, WANTED))
            self._known, self._stamps = known, now
        return self._known


def from_environment(environ: Mapping[str, str] = os.environ) -> GridFiles:
    """The provider over the files that `GREENOPS_GRID_FILES` declares.

    Raises:
        AdapterUnsupported: It is not set.
        InvalidFile: The declaration says something that cannot be.
        DataMissing: A file cannot be read, or has a fault; at the start that is said aloud.
    """
    provider = GridFiles(declaration_in(environ, FILES, "intensity"))
    provider.zones()
    return provider


def _join(known: dict[str, _Zone], declared: Declared, found: Mapping[Key, Series]) -> None:
    """Add what one file holds.

    Raises:
        DataMissing: Another file has it already, or its forecasts are of another signal.
    """
    kind = SeriesKind(
        Signal(declared.further["signal"]),
        Factors(declared.further["factors"]),
        declared.source,
        declared.replay,
        Basis(declared.further["basis"]),
    )
    for name in dict.fromkeys(zone for zone, _ in found):
        before = known.get(name) or _Zone(GridZone(name, name, declared.time_zone or "UTC"))
        actual = found.get((name, None))
        issues = tuple(
            sorted(
                (
                    (issued, series)
                    for (zone, issued), series in found.items()
                    if zone == name and issued
                ),
                key=lambda each: each[0],
            )
        )
        _check(declared, kind, name, before, actual, bool(issues))
        known[name] = replace(
            before,
            actual=(kind, actual) if actual else before.actual,
            forecasts=(kind, issues) if issues else before.forecasts,
        )


def _check(
    declared: Declared,
    kind: SeriesKind,
    name: str,
    before: _Zone,
    actual: Series | None,
    has_forecasts: bool,
) -> None:
    at = Location(str(declared.path))
    if (actual and before.actual) or (has_forecasts and before.forecasts):
        what = "recorded intensity" if actual and before.actual else "forecasts"
        fix = "keep them in one, or name the zones apart"
        raise DataMissing("GO0332", f"another file has {what} of `{name}` too", at=at, fix=fix)
    for other in (before.actual, before.forecasts):
        if other and other[0].differs_in(kind):
            theirs, ours = (f"{e.signal}, {e.factors}, {e.basis}" for e in (other[0], kind))
            raise DataMissing(
                "GO0332",
                f"`{name}` is {theirs} in another file, and {ours} here",
                at=at,
                fix=f"mend the declaration at {declared.at}, or name the zones apart",
            )
    if actual and kind.factors is Factors.LIFECYCLE:
        highest = max((each for each in actual.values if each is not None), default=None)
        if highest is not None and highest < LEAST_LIFECYCLE:
            raise DataMissing(
                "GO0332", f"`{name}` is never above {highest:g} gCO2e/kWh", at=at, fix=CONVERT
            )
