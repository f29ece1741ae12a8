"""Cloud regions by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from greenops.domain.grid import Region
from greenops.errors import DataMissing, nearest


@dataclass(frozen=True, slots=True)
class RegionTable:
    """Regions by id; ids are unique over all providers."""

    by_id: Mapping[str, Region] = field(default_factory=dict)

    @classmethod
    def of(cls, regions: Iterable[Region]) -> RegionTable:
        """A table of regions, in the order of their ids."""
        return cls({each.id: each for each in sorted(regions, key=lambda each: each.id)})

    def __iter__(self) -> Iterator[Region]:
        """Every region."""
        return iter(self.by_id.values())

    def __len__(self) -> int:
        """How many."""
        return len(self.by_id)

    def __contains__(self, region: object) -> bool:
        """Is a region of this id known?"""
        return region in self.by_id

    def get(self, region: str) -> Region | None:
        """The region of an id, or none."""
        return self.by_id.get(region)

    def __getitem__(self, region: str) -> Region:
        """The region of an id.

        Raises:
            DataMissing: It is not known; names the nearest.
        """
        found = self.by_id.get(region)
        if found is None:
            near = nearest(region, self.by_id)
            hint = f"did you mean `{near}`?" if near else "`greenops grid now` lists them"
            raise DataMissing("GO0306", f"region `{region}` is not known", fix=hint)
        return found

    def zones(self) -> tuple[str, ...]:
        """Grid zones that feed at least one region, by id."""
        return tuple(sorted({each.zone for each in self if each.zone is not None}))
