"""What a grid published, for whoever checks an outcome's inputs."""

from __future__ import annotations

from datetime import datetime

from greenops.domain.grid import IntensitySeries
from greenops.errors import AdapterUnavailable, DataMissing
from greenops.grid.factors import build_factor_table
from greenops.pipeline.grid_context import GridContext


def factors_version(grid: GridContext) -> str:
    """Content hash of what holds of each region whatever the hour: zone, PUE, prices, annual mean."""
    return build_factor_table(grid.regions, {}, grid.annual).version


class PublishedGrid:
    """A grid as `prove` asks for it; what it does not know is not at hand.

    Args:
        grid: Provider and regions.
    """

    def __init__(self, grid: GridContext) -> None:
        self._grid = grid
        self.factors_version = factors_version(grid)

    def site(self, region: str) -> tuple[str | None, float] | None:
        """Grid zone and PUE of a region; none where it is not known."""
        found = self._grid.regions.get(region)
        return None if found is None else (found.zone, found.pue)

    def series(self, zone: str, start: datetime, end: datetime) -> IntensitySeries | None:
        """Actual intensity; none where it is not at hand."""
        try:
            return self._grid.provider.actual(zone, start, end)
        except (DataMissing, AdapterUnavailable):
            return None
