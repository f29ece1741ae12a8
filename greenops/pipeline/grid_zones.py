"""What sources call a grid zone: each has its own names, and a region knows those of its zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from greenops.domain.grid import GridZone, Region


def names_of(region: Region) -> tuple[str, ...]:
    """Every name of the zone that feeds a region, best first; the region's own name where a source goes by regions."""
    own = () if region.zone is None else (region.zone,)
    return tuple(dict.fromkeys((*own, *region.zone_names, region.id)))


@dataclass(frozen=True, slots=True)
class ZoneNames:
    """Names that mean one zone.

    Attributes:
        groups: Name → every name that a region has for it.
        zones: Zones that the regions need, as the first provider calls them.
    """

    groups: Mapping[str, tuple[str, ...]]
    zones: tuple[str, ...]

    @classmethod
    def of(cls, regions: Iterable[Region], needed: Iterable[Region] = ()) -> ZoneNames:
        """From the table of regions, and the same with their zones as the first provider calls them."""
        groups: dict[str, tuple[str, ...]] = {}
        for region in regions:
            names = names_of(region)
            # The last is the region's own, and none but itself is called so.
            for name in names[:-1]:
                groups[name] = tuple(dict.fromkeys((*groups.get(name, ()), *names[:-1])))
        return cls(groups, tuple(sorted({each.zone for each in needed if each.zone is not None})))

    def needed(self) -> Sequence[str]:
        """Zones that feed at least one region."""
        return self.zones

    def known_as(self, zone: str, listed: Sequence[GridZone]) -> str | None:
        """What a source calls a zone; none where it is one of a region and the source lists no name of it.

        Any other is asked for by its name, for a source may know more zones than it lists; so is every one
        where nothing is listed.
        """
        if not listed or zone not in self.groups:
            return zone
        known = {each.id for each in listed}
        return next((name for name in (zone, *self.groups[zone]) if name in known), None)


def as_listed(regions: Iterable[Region], listed: Sequence[GridZone]) -> list[Region]:
    """Regions with their zones as a provider calls them.

    A zone that the provider does not list keeps its name: intensity by the hour is then not known, the annual mean may be.

    Args:
        regions: As they are shipped.
        listed: Zones of the provider; empty where they are not known: our own name is taken.
    """
    known = {each.id for each in listed}
    found = []
    for region in regions:
        names = names_of(region)
        zone = next((name for name in names if name in known), region.zone)
        if not known:
            zone = names[0]
        found.append(region if zone == region.zone else replace(region, zone=zone))
    return found
