"""The grid: zones, intensity series, forecasts, prices; every series knows its kind and source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from greenops.units import GramsPerKwh, Usd


class Signal(StrEnum):
    """Average and marginal intensity are different quantities."""

    AVERAGE = "average"
    MARGINAL = "marginal"


class Factors(StrEnum):
    """Which emissions the factors count."""

    LIFECYCLE = "lifecycle"
    DIRECT = "direct"


class Basis(StrEnum):
    """Whose electricity is counted: what flows in the grid, or what was bought."""

    LOCATION = "location"
    MARKET = "market"


@dataclass(frozen=True, slots=True)
class GridZone:
    """A grid zone, named as its source names it: `CISO`, `DE`."""

    id: str
    name: str
    time_zone: str = "UTC"


APART: Final = ("signal", "factors", "basis")
"""In what kinds of intensity differ so that none is compared with another or stands in for it."""


@dataclass(frozen=True, slots=True)
class SeriesKind:
    """What a series is; series of two kinds must not be added or compared.

    Attributes:
        signal: Average or marginal.
        factors: Lifecycle or direct.
        source: Who says so, for example `carboncast-eia930`.
        replay: True for recorded history that is played back, never shown as live.
        basis: By location or by market.
    """

    signal: Signal
    factors: Factors
    source: str
    replay: bool
    basis: Basis = Basis.LOCATION

    def differs_in(self, other: SeriesKind) -> str | None:
        """What keeps two kinds apart: `signal`, `factors` or `basis`; none where the sources alone differ."""
        apart = (what for what in APART if getattr(self, what) != getattr(other, what))
        return next(apart, None)


@dataclass(frozen=True, slots=True)
class IntensitySeries:
    """Carbon intensity on a regular grid of time: value `i` holds from `start + i * step`.

    Attributes:
        values: Intensity [gCO2e/kWh]; none where the source has a gap.
        estimated: Whether the source estimated each value; none where it does not say.
        published_at: When the source last changed it; none where it does not say.
    """

    zone: str
    kind: SeriesKind
    start: datetime
    step: timedelta
    values: tuple[GramsPerKwh | None, ...]
    estimated: tuple[bool, ...] | None = field(kw_only=True, default=None)
    published_at: datetime | None = field(kw_only=True, default=None)

    @property
    def end(self) -> datetime:
        """First instant after the last value."""
        return self.start + self.step * len(self.values)


@dataclass(frozen=True, slots=True)
class Forecast(IntensitySeries):
    """An intensity series said ahead of time.

    Attributes:
        issued_at: When the source said it; nothing later than this was known.
        id: Stable name of this issue, for example `carboncast/CISO/2021-10-08T00:00Z`.
        error: Relative 90 % half width of the source's past errors; none where unknown.
        low, high: 90 % range of each value [gCO2e/kWh]; none where the source gives none.
        degraded: Why this stands in for what was asked for, in words; none where nothing is missing.
        widened: Factor by which the ends of the ranges were moved away from the values, because the
            ranges of late held too few hours; none where they were not.
    """

    issued_at: datetime = field(kw_only=True)
    id: str = field(kw_only=True)
    error: float | None = field(kw_only=True, default=None)
    low: tuple[GramsPerKwh | None, ...] | None = field(kw_only=True, default=None)
    high: tuple[GramsPerKwh | None, ...] | None = field(kw_only=True, default=None)
    degraded: str | None = field(kw_only=True, default=None)
    widened: float | None = field(kw_only=True, default=None)


@dataclass(frozen=True, slots=True)
class Region:
    """A cloud region: where it is, which grid feeds it, what running there costs.

    Attributes:
        id: The provider's name, `eu-central-1`.
        provider: `aws`, `gcp`, `azure`.
        location: Where the data lies in law: `EU`, `US`, `CH` …
        zone: Grid zone id, or none where no shipped series fits.
        pue: Power usage effectiveness, 1.0 or more.
        pue_source: Where `pue` is from, with its year.
        usd_per_hour: Price of one instance by pool [USD/h]: `{"ondemand": .., "spot": ..}`.
        usd_per_gb: Price of moving data out to another region [USD/GB].
        price_source: Where the prices are from, with their date and region.
        latitude, longitude: Where it lies [degrees north and east], about; none where no source says.
        cfe: Part of its electricity that is carbon-free by the hour [1]; none where its provider does not say.
        cfe_source: Where `cfe` is from, with its year.
        wue: Water usage effectiveness of the site [L/kWh]; none where no source says.
        wue_source: Where `wue` is from, with its year.
        zone_names: What other sources call its grid zone, best first: `US-CAL-CISO`.
    """

    id: str
    provider: str
    location: str
    zone: str | None
    pue: float
    pue_source: str
    usd_per_hour: Mapping[str, Usd]
    usd_per_gb: Usd
    price_source: str
    latitude: float | None = None
    longitude: float | None = None
    cfe: float | None = None
    cfe_source: str | None = None
    wue: float | None = None
    wue_source: str | None = None
    zone_names: tuple[str, ...] = ()
