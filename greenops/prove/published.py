"""What others publish, and an outcome's inputs rest on: intensity, and what holds of a region."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

from greenops.domain.grid import IntensitySeries
from greenops.errors import DataMissing
from greenops.prove.savings import Window, window
from greenops.units import GramsPerKwh

TOLERANCE: Final = 1e-9
"""Largest relative difference between a published value and the same value in the ledger."""


class Published(Protocol):
    """What is at hand to compare with; passed in, since it takes files or a network."""

    @property
    def factors_version(self) -> str:
        """Content hash of what `site` says."""

    def site(self, region: str) -> tuple[str | None, float] | None:
        """Grid zone and PUE of a region; none where it is not known."""

    def series(self, zone: str, start: datetime, end: datetime) -> IntensitySeries | None:
        """Actual intensity; none where it is not at hand."""


def departures(
    place: Window, factors_version: str | None, published: Published, *, replay: bool
) -> Iterator[str]:
    """In what a window departs from what was published, as far as that is at hand.

    Regions are compared where the outcome rests on the same factors; hours where history was played
    back and the source is the same. The rest is taken as it stands.
    """
    if factors_version == published.factors_version:
        site = published.site(place.region)
        if site != (place.zone, place.pue):
            yield f"has zone and PUE of `{place.region}` other than its factors: {site}"
    if replay:
        yield from _hours(place, published)


def _hours(place: Window, published: Published) -> Iterator[str]:
    series = published.series(place.zone, place.start, place.end)
    if series is None or series.kind.source != place.source:
        return
    try:
        again = window(series, place.start, place.end, region=place.region, pue=place.pue)
    except DataMissing:
        return
    ours = (place.signal, place.factors, place.hours_from, place.step_s, len(place.hours))
    theirs = (again.signal, again.factors, again.hours_from, again.step_s, len(again.hours))
    if ours != theirs or not all(map(_same, place.hours, again.hours)):
        yield f"has other hours than `{place.source}` published for `{place.zone}`"


def _same(ours: GramsPerKwh, theirs: GramsPerKwh) -> bool:
    return abs(ours - theirs) <= TOLERANCE * abs(theirs)
