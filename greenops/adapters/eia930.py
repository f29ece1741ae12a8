"""EIA-930, the hourly electric grid monitor of the United States: generation by fuel, times emission factors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from greenops.adapters.fuel_factors import chosen_factors
from greenops.adapters.grid_http import WebSource, required
from greenops.adapters.grid_points import as_series, covering, number, pieces, whole
from greenops.domain.fuels import Fuel, GenerationMix, make_mix
from greenops.domain.grid import Forecast, GridZone, IntensitySeries, SeriesKind
from greenops.errors import DataMissing

KEY: Final = "GREENOPS_EIA_KEY"
URL: Final = "GREENOPS_EIA_URL"
"""Environment variable: address of the service, where it is not the usual one."""
FACTORS: Final = "GREENOPS_EIA_FACTORS"
"""Environment variable: `lifecycle` or `direct`."""
USUAL_URL: Final = "https://api.eia.gov"
PATH: Final = "/v2/electricity/rto/fuel-type-data/data/"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST_ROWS: Final = 5_000
"""Most rows of one answer. Source: documentation of version 2 of the interface."""
LONGEST_QUESTION: Final = 10 * DAY
"""Time of one question: with all 16 codes it has 3,840 rows."""
RESPONDENT: Final = re.compile(r"[A-Z0-9]{2,6}")
CODES: Final[Mapping[str, Fuel | None]] = {
    "COL": Fuel.COAL,
    "GEO": Fuel.GEOTHERMAL,
    "NG": Fuel.GAS,
    "NUC": Fuel.NUCLEAR,
    "OIL": Fuel.OIL,
    "OTH": Fuel.UNKNOWN,
    "SNB": Fuel.SOLAR,
    "SUN": Fuel.SOLAR,
    "UNK": Fuel.UNKNOWN,
    "WAT": Fuel.HYDRO,
    "WNB": Fuel.WIND,
    "WND": Fuel.WIND,
    "BAT": None,
    "OES": None,
    "PS": None,
    "UES": None,
}
"""Codes of EIA-930; batteries, pumped and other storage have none, and plants with a battery are what they generate by."""
ZONES: Final = (
    GridZone("BPAT", "Bonneville Power Administration", "America/Los_Angeles"),
    GridZone("CISO", "California ISO", "America/Los_Angeles"),
    GridZone("ERCO", "Electric Reliability Council of Texas", "America/Chicago"),
    GridZone("FPL", "Florida Power & Light", "America/New_York"),
    GridZone("ISNE", "ISO New England", "America/New_York"),
    GridZone("NYISO", "New York ISO", "America/New_York"),
    GridZone("PJM", "PJM Interconnection", "America/New_York"),
    GridZone("US-CAL-LDWP", "Los Angeles Department of Water and Power", "America/Los_Angeles"),
    GridZone("US-CAR-DUK", "Duke Energy Carolinas", "America/New_York"),
    GridZone("US-CAR-SC", "South Carolina Public Service Authority", "America/New_York"),
    GridZone("US-CENT-SWPP", "Southwest Power Pool", "America/Chicago"),
    GridZone("US-MIDW-MISO", "Midcontinent ISO", "America/Chicago"),
    GridZone("US-NW-NEVP", "Nevada Power", "America/Los_Angeles"),
    GridZone("US-NW-PACE", "PacifiCorp East", "America/Denver"),
    GridZone("US-NW-PACW", "PacifiCorp West", "America/Los_Angeles"),
    GridZone("US-NW-PSCO", "Public Service Company of Colorado", "America/Denver"),
    GridZone("US-NW-WACM", "Western Area Power Administration, Rocky Mountain", "America/Denver"),
    GridZone("US-SE-SOCO", "Southern Company", "America/Chicago"),
    GridZone("US-SW-AZPS", "Arizona Public Service", "America/Phoenix"),
    GridZone("US-SW-SRP", "Salt River Project", "America/Phoenix"),
    GridZone("US-TEN-TVA", "Tennessee Valley Authority", "America/Chicago"),
)
"""Zones that have a name here; any other balancing authority is asked by its code."""
OWN_NAMES: Final = {"NYISO": "NYIS"}
PREFIX: Final = re.compile(r"US-[A-Z]+-")
"""What stands before EIA's code in names of zones that are not shipped: `US-MIDW-MISO`."""


class Eia930:
    """Average intensity of what a balancing authority generates, hourly, one to two hours late. Stability: beta.

    Imports are not counted. It has no forecasts.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._key = required(environ, KEY, "the key that EIA sends by e-mail")
        self._source = WebSource(
            "eia930",
            environ.get(URL, USUAL_URL).rstrip("/"),
            key=f"`{KEY}`",
            url_setting=f"`{URL}`",
            secrets=(self._key,),
        )
        self._factors = chosen_factors(environ, FACTORS)

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "eia930"

    @property
    def kind(self) -> SeriesKind:
        """Average, of the factors that the settings name."""
        return self._factors.kind(self.name)

    def zones(self) -> Sequence[GridZone]:
        """Zones that we have a name for; any other balancing authority is asked by its code."""
        return ZONES

    def actual(self, zone: str, start: datetime, end: datetime) -> IntensitySeries:
        """Average intensity in the hours that cover `[start, end)`.

        Raises:
            DataMissing: The zone is not known, or not for all of the time.
            AdapterUnavailable: The service does not answer, or not to this key.
        """
        mix = self._fetched(zone, start, end)
        try:
            laid = self._factors.lay(mix)
        except ValueError as error:
            raise DataMissing("GO0303", f"`eia930` has of `{zone}` {error}") from error
        part = covering(laid, start, end, f"`eia930` has no generation of `{zone}`")
        return as_series(part, zone, self.kind)

    def mix(self, zone: str, start: datetime, end: datetime) -> GenerationMix:
        """Generation by fuel [MWh] in the hours that cover `[start, end)`, and the codes that are not known.

        Raises:
            DataMissing, AdapterUnavailable: As `actual`.
        """
        return self._fetched(zone, start, end).part(start, end)

    def forecast(self, zone: str, at: datetime) -> Forecast:  # noqa: ARG002
        """EIA-930 foretells demand, and not by fuel.

        Raises:
            DataMissing: Always.
        """
        raise DataMissing("GO0305", f"`eia930` has no forecasts of generation, so none of `{zone}`")

    def _fetched(self, zone: str, start: datetime, end: datetime) -> GenerationMix:
        """The mix of the whole UTC days that hold `[start, end)`."""
        respondent = OWN_NAMES.get(zone, PREFIX.sub("", zone))
        if not RESPONDENT.fullmatch(respondent):
            raise DataMissing(
                "GO0302",
                f"`eia930` does not have grid zone `{zone}`",
                fix="name a balancing authority as EIA does: `CISO`",
            )
        first, past = whole(start, end, DAY)
        reported: dict[str, dict[datetime, float]] = {}
        for span in pieces(first - DAY, past, DAY, LONGEST_QUESTION):
            for code, at, amount in self._rows(respondent, *span):
                reported.setdefault(code, {})[at] = amount
        if not reported:
            raise DataMissing(
                "GO0302",
                f"`eia930` has nothing of `{zone}` from {first:%Y-%m-%d} to {past:%Y-%m-%d}",
            )
        return make_mix(zone, reported, CODES, first, past, HOUR)

    def _rows(
        self, respondent: str, start: datetime, end: datetime
    ) -> Iterator[tuple[str, datetime, float]]:
        params = {
            "api_key": self._key,
            "frequency": "hourly",
            "data[0]": "value",
            "facets[respondent][]": respondent,
            # An hour is named by its end.
            "start": f"{start + HOUR:%Y-%m-%dT%H}",
            "end": f"{end:%Y-%m-%dT%H}",
            "sort[0][column]": "period",
            "sort[0][direction]": "asc",
            "length": str(MOST_ROWS),
        }
        answer = self._source.get_json(PATH, params, zone=respondent)
        with self._source.reading(PATH):
            rows = answer["response"]["data"]
            if int(answer["response"]["total"]) > len(rows):
                raise ValueError("fewer rows than it says that there are")
            found = [_row(each, respondent) for each in rows]
        yield from (each for each in found if each is not None)


def _row(row: Mapping[str, Any], respondent: str) -> tuple[str, datetime, float] | None:
    """Code, start of the hour and amount [MWh] of a row; none where it has no amount."""
    if row["respondent"] != respondent:
        raise ValueError(f"a row of `{row['respondent']}`, not of `{respondent}`")
    unit = row.get("value-units", "megawatthours")
    if unit != "megawatthours":
        raise ValueError(f"values in `{unit}`, not in megawatthours")
    value = row["value"]
    amount = number(float(value) if isinstance(value, str) else value)
    at = datetime.strptime(row["period"], "%Y-%m-%dT%H").replace(tzinfo=UTC) - HOUR
    return None if amount is None else (str(row["fueltype"]), at, amount)
