"""ENTSO-E: actual generation by kind of plant (document A75), times emission factors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from greenops.adapters.entsoe_documents import PATH, ZONES, Entsoe, TimeSeries, find_zone
from greenops.adapters.fuel_factors import chosen_factors
from greenops.adapters.grid_points import as_series, covering, iso
from greenops.domain.fuels import Fuel, GenerationMix, make_mix
from greenops.domain.grid import Forecast, GridZone, IntensitySeries, SeriesKind
from greenops.errors import DataMissing

FACTORS: Final = "GREENOPS_ENTSOE_FACTORS"
"""Environment variable: `lifecycle` or `direct`."""
DAY: Final = timedelta(days=1)
LONGEST_QUESTION: Final = 7 * DAY
"""Time of one question: a week of quarter hours of 21 kinds of plant is some 1.5 MB."""
MEGAWATTS: Final = "MAW"
CODES: Final[Mapping[str, Fuel | None]] = {
    "B01": Fuel.BIOMASS,
    "B02": Fuel.COAL,
    "B03": Fuel.COAL,
    "B04": Fuel.GAS,
    "B05": Fuel.COAL,
    "B06": Fuel.OIL,
    "B07": Fuel.COAL,
    "B08": Fuel.COAL,
    "B09": Fuel.GEOTHERMAL,
    "B10": None,
    "B11": Fuel.HYDRO,
    "B12": Fuel.HYDRO,
    "B13": Fuel.HYDRO,
    "B14": Fuel.NUCLEAR,
    "B15": Fuel.UNKNOWN,
    "B16": Fuel.SOLAR,
    "B17": Fuel.UNKNOWN,
    "B18": Fuel.WIND,
    "B19": Fuel.WIND,
    "B20": Fuel.UNKNOWN,
    "B25": None,
}
"""Kinds of plant; lignite, coal gas, oil shale and peat count as coal, waves and tides as hydro, pumped and other storage not."""


class EntsoeGeneration:
    """Average intensity of what a zone generates, in the zone's steps, about an hour late. Stability: beta.

    Imports are not counted. It has no forecasts.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._entsoe = Entsoe(environ)
        self._factors = chosen_factors(environ, FACTORS)

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "entsoe"

    @property
    def kind(self) -> SeriesKind:
        """Average, of the factors that the settings name."""
        return self._factors.kind(self.name)

    def zones(self) -> Sequence[GridZone]:
        """Zones that we have a name for; any other is asked by its energy identification code."""
        return tuple(each.zone for each in ZONES)

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Average intensity in the steps that cover `[start, end)`.

        Raises:
            DataMissing: The zone is not known, or not for all of the time.
            AdapterUnavailable: The service does not answer, or not to this token.
        """
        mix = self._fetched(zone, start, end)
        try:
            laid = self._factors.lay(mix)
        except ValueError as error:
            raise DataMissing("GO0303", f"`entsoe` has of `{zone}` {error}") from error
        part = covering(laid, start, end, f"`entsoe` has no generation of `{zone}`")
        return as_series(part, zone, self.kind)

    def mix(self, zone: str, start: datetime, end: datetime) -> GenerationMix:
        """Generation by fuel [MW] in the steps that cover `[start, end)`, and the codes that are not known.

        Raises:
            DataMissing, AdapterUnavailable: As `actual`.
        """
        return self._fetched(zone, start, end).part(start, end)

    def forecast(self, zone: str, at: datetime) -> Forecast:  # noqa: ARG002
        """Generation by kind is foretold for wind and sun alone.

        Raises:
            DataMissing: Always.
        """
        raise DataMissing(
            "GO0305", f"`entsoe` has no forecasts of all generation, so none of `{zone}`"
        )

    def _fetched(self, zone: str, start: datetime, end: datetime) -> GenerationMix:
        """The mix of the whole UTC days that hold `[start, end)`."""
        eic = find_zone(zone).eic
        first, past = _day(start), _day(end - timedelta(microseconds=1)) + DAY
        params = {"documentType": "A75", "processType": "A16", "in_Domain": eic}
        reported: dict[str, dict[datetime, tuple[timedelta, float]]] = {}
        asked = first - DAY
        while asked < past:
            until = min(asked + LONGEST_QUESTION, past)
            document = self._entsoe.ask(zone, params, asked, until)
            with self._entsoe.source.reading(PATH):
                _collect(reported, document.series)
            asked = until
        if not reported:
            raise DataMissing(
                "GO0303",
                f"`entsoe` has nothing of `{zone}` from {first:%Y-%m-%d} to {past:%Y-%m-%d}",
            )
        step = min(step for by_time in reported.values() for step, _ in by_time.values())
        fine = {code: dict(_finer(by_time, step)) for code, by_time in reported.items()}
        return make_mix(zone, fine, CODES, first, past, step)


def _collect(
    reported: dict[str, dict[datetime, tuple[timedelta, float]]], series: Sequence[TimeSeries]
) -> None:
    for each in series:
        for code, at, step, amount in _amounts(each):
            told = reported.setdefault(code, {}).setdefault(at, (step, amount))
            if told != (step, amount):
                raise ValueError(f"two values of `{code}` at {iso(at)}")


def _amounts(series: TimeSeries) -> Iterator[tuple[str, datetime, timedelta, float]]:
    """Code, start, length and power [MW] of each step; nothing of what draws power instead of making it."""
    if "outBiddingZone_Domain.mRID" in series.words:
        return
    unit = series.words.get("quantity_Measure_Unit.name", MEGAWATTS)
    if unit != MEGAWATTS:
        raise ValueError(f"power in `{unit}`, not in megawatts")
    for at, step, power in series.values():
        yield series.words["psrType"], at, step, power


def _finer(
    by_time: Mapping[datetime, tuple[timedelta, float]], step: timedelta
) -> Iterator[tuple[datetime, float]]:
    """A mean power holds in each part of its step as well."""
    for at, (length, power) in by_time.items():
        for part in range(length // step):
            yield at + part * step, power


def _day(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
