"""What each provider calls our grid zones; facts in `greenops/data/zone_names.json`, one file for all providers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from greenops.domain.grid import GridZone
from greenops.errors import DataMissing, Location, nearest

FILE: Final = Path(__file__).parent.parent / "data" / "zone_names.json"


class ZoneNames:
    """The zones of one provider, ours beside its own names.

    Args:
        provider: As the file names it: `watttime`.
        more: Further zones with commas between, as settings have them: by the provider's name, or `ours=theirs`.
        path: The file; another one in tests.

    Raises:
        DataMissing: The file is absent or damaged.
    """

    def __init__(self, provider: str, more: str = "", path: Path = FILE) -> None:
        self._provider = provider
        self._own: dict[str, str] = {}
        self._zones: list[GridZone] = []
        for zone, names in _rows(path):
            if provider in names:
                self._own[zone.id] = names[provider]
                self._zones.append(zone)
        for each in filter(None, (part.strip() for part in more.split(","))):
            ours, _, theirs = (part.strip() for part in each.partition("="))
            if ours not in self._own:
                self._zones.append(GridZone(ours, theirs or ours))
            self._own[ours] = theirs or ours

    def zones(self) -> tuple[GridZone, ...]:
        """Zones that we have a name for, and those that were added; the provider may know more."""
        return tuple(self._zones)

    def own(self, zone: str) -> str:
        """The provider's name of a zone: by the table, or the name itself, which may be one of its own."""
        return self._own.get(zone, zone)

    def known(self, zone: str) -> str:
        """The provider's name of a zone by the table alone, given by our id, its name or the provider's.

        Raises:
            DataMissing: The table has no such zone.
        """
        if zone in self._own:
            return self._own[zone]
        wanted = zone.casefold()
        for each in self._zones:
            if wanted in {each.name.casefold(), self._own[each.id].casefold()}:
                return self._own[each.id]
        near = nearest(zone, self._own)
        hint = f"did you mean `{near}`?" if near else f"known: {', '.join(self._own)}"
        raise DataMissing(
            "GO0302", f"`{self._provider}` does not have grid zone `{zone}`", fix=hint
        )


@cache
def _rows(path: Path) -> tuple[tuple[GridZone, Mapping[str, str]], ...]:
    """Each zone with its names by provider.

    Raises:
        DataMissing: The file is absent or damaged.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["zones"]
        return tuple(
            (GridZone(row["id"], row["name"], row["time_zone"]), dict(row["names"])) for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else "is damaged"
        raise DataMissing(
            "GO0304", f"shipped file {why}", at=Location(str(path)), fix="install greenops again"
        ) from error
