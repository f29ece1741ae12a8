"""ENTSO-E: generation by kind of plant (document A75), times emission factors; and day-ahead forecasts of it (A71, A69)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from greenops.adapters.entsoe_documents import PATH, ZONES, Entsoe, TimeSeries, find_zone
from greenops.adapters.fuel_factors import chosen_factors
from greenops.adapters.grid_points import as_series, covering, iso, pieces, whole
from greenops.domain.fuels import (
    WEATHER,
    Fuel,
    GenerationMix,
    foretold_intensity,
    intensity_of_the_rest,
    make_mix,
)
from greenops.domain.grid import Forecast, GridZone, IntensitySeries, SeriesKind
from greenops.errors import DataMissing
from greenops.units import GramsPerKwh

FACTORS: Final = "GREENOPS_ENTSOE_FACTORS"
"""Environment variable: `lifecycle` or `direct`."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MARKET: Final = ZoneInfo("Europe/Brussels")
PUBLISHED: Final = time(18)
"""By when forecasts of the next day are published. Source: Regulation (EU) 543/2013, article 14."""
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

Reported = dict[str, dict[datetime, tuple[timedelta, float]]]
"""Kind of plant → start of each step → its length and power [MW]."""


class EntsoeGeneration:
    """Average intensity of what a zone generates, in the zone's steps, about an hour late. Stability: beta.

    Imports are not counted. A forecast is of the day that runs and, from 18:00 Brussels time, of the next one: the whole
    and wind and sun as they were foretold, the rest with what it emitted on the day before.
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

    def forecast(self, zone: str, at: datetime) -> Forecast:
        """Newest forecast that was published by `at`, which is at 18:00 Brussels time at the latest.

        Raises:
            DataMissing: The zone is not known, or nothing was foretold for then.
            AdapterUnavailable: The service does not answer, or not to this token.
        """
        day = at.astimezone(MARKET).date()
        if at < _evening(day):
            day -= DAY
        found = self._issued(zone, day) or self._issued(zone, day - DAY)
        if found is None or at >= found.end:
            raise DataMissing(
                "GO0305", f"`entsoe` has no forecast of generation of `{zone}` for {iso(at)}"
            )
        return found

    def _issued(self, zone: str, day: date) -> Forecast | None:
        """The forecast of a day's evening: of that day and the next; none where the next is not there."""
        eic = find_zone(zone).eic
        first, middle, past = (_morning(day + days * DAY) for days in range(3))
        rest = self._rest(zone, first)
        ahead = {"processType": "A01", "in_Domain": eic}
        whole = self._reported(zone, ahead | {"documentType": "A71"}, first, past)
        by_weather = self._reported(zone, ahead | {"documentType": "A69"}, first, past)
        if rest is None or not whole:
            return None
        step = min(
            step
            for by_time in (*whole.values(), *by_weather.values())
            for step, _ in by_time.values()
        )
        fine = {code: dict(_finer(each, step)) for code, each in (whole | by_weather).items()}
        values = self._foretold(
            zone, fine, rest, [first + place * step for place in range((past - first) // step)]
        )
        if all(each is None for each in values[(middle - first) // step :]):
            return None
        issued = _evening(day)
        return Forecast(
            zone,
            self.kind,
            first,
            step,
            values,
            issued_at=issued,
            id=f"entsoe/{zone}/{issued:%Y-%m-%dT%H:%MZ}",
        )

    def _foretold(
        self,
        zone: str,
        powers: Mapping[str, Mapping[datetime, float]],
        rest: GramsPerKwh,
        times: Sequence[datetime],
    ) -> tuple[GramsPerKwh | None, ...]:
        """Intensity of each step; none where the whole, or a kind of plant that other steps have, is not told."""
        factors = self._factors.of(zone)
        return tuple(
            foretold_intensity(
                powers[""][at],
                _by_fuel({code: each[at] for code, each in powers.items() if code}),
                rest,
                factors,
            )
            if "" in powers and all(at in each for each in powers.values())
            else None
            for at in times
        )

    def _rest(self, zone: str, morning: datetime) -> GramsPerKwh | None:
        """What all but wind and sun emitted on the day before a morning [gCO2e/kWh]."""
        try:
            mix = self._fetched(zone, morning - DAY, morning).part(morning - DAY, morning)
        except DataMissing:
            return None
        return intensity_of_the_rest(mix, self._factors.of(zone))

    def _fetched(self, zone: str, start: datetime, end: datetime) -> GenerationMix:
        """The mix of the whole UTC days that hold `[start, end)`."""
        eic = find_zone(zone).eic
        first, past = whole(start, end, DAY)
        params = {"documentType": "A75", "processType": "A16", "in_Domain": eic}
        reported = self._reported(zone, params, first - DAY, past)
        if not reported:
            raise DataMissing(
                "GO0303",
                f"`entsoe` has nothing of `{zone}` from {first:%Y-%m-%d} to {past:%Y-%m-%d}",
            )
        step = min(step for by_time in reported.values() for step, _ in by_time.values())
        fine = {code: dict(_finer(by_time, step)) for code, by_time in reported.items()}
        return make_mix(zone, fine, CODES, first, past, step)

    def _reported(
        self, zone: str, params: Mapping[str, str], start: datetime, end: datetime
    ) -> Reported:
        """What documents of a kind report of `[start, end)`, by kind of plant; an empty one is all of them."""
        reported: Reported = {}
        for first, past in pieces(start, end, HOUR, LONGEST_QUESTION):
            document = self._entsoe.ask(zone, params, first, past)
            with self._entsoe.source.reading(PATH):
                _collect(reported, document.series)
        return reported


def _collect(reported: Reported, series: Sequence[TimeSeries]) -> None:
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
        yield series.words.get("psrType", ""), at, step, power


def _finer(
    by_time: Mapping[datetime, tuple[timedelta, float]], step: timedelta
) -> Iterator[tuple[datetime, float]]:
    """A mean power holds in each part of its step as well."""
    for at, (length, power) in by_time.items():
        for part in range(length // step):
            yield at + part * step, power


def _by_fuel(by_code: Mapping[str, float]) -> Mapping[Fuel, float]:
    """Wind on land and at sea is one fuel."""
    fuels: dict[Fuel, float] = {}
    for code, power in by_code.items():
        fuel = CODES.get(code)
        if fuel in WEATHER:
            fuels[fuel] = fuels.get(fuel, 0.0) + power
    return fuels


def _evening(day: date) -> datetime:
    return datetime.combine(day, PUBLISHED, MARKET).astimezone(UTC)


def _morning(day: date) -> datetime:
    return datetime.combine(day, time(), MARKET).astimezone(UTC)
