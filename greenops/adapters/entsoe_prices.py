"""ENTSO-E: prices of the day-ahead auction (document A44)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from greenops.adapters.entsoe_documents import PATH, ZONES, Entsoe, TimeSeries, find_zone
from greenops.adapters.grid_points import iso, pieces
from greenops.domain.grid import GridZone
from greenops.domain.prices import PerMwh, PriceKind, PriceSeries, as_known, cut
from greenops.errors import AdapterUnsupported, DataMissing

SEQUENCE: Final = "GREENOPS_ENTSOE_PRICE_SEQUENCE"
"""Environment variable: number of the auction, where a zone has several, as DE-LU and AT."""
MARKET: Final = ZoneInfo("Europe/Brussels")
"""The coupled auction's days and hours are of central European time, in Portugal and Finland too."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LONGEST_QUESTION: Final = 31 * DAY
CONTRACT: Final = "contract_MarketAgreement.type"
AHEAD: Final = "A01"
"""Contract of a day-ahead auction; A07 is intraday."""
POSITION: Final = "classificationSequence_AttributeInstanceComponent.position"

Points = dict[datetime, tuple[timedelta, float]]
"""Start of each step → its length and price."""


class EntsoePrices:
    """Day-ahead prices of a bidding zone. Stability: beta.

    The service does not say when a price was published: a day's count as known from 12:45 of the day before, Brussels
    time, and later where it has them later.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._entsoe = Entsoe(environ)
        self._sequence = environ.get(SEQUENCE, "").strip()
        if self._sequence and not (self._sequence.isascii() and self._sequence.isdigit()):
            raise AdapterUnsupported(
                "GO0325", f"`{SEQUENCE}` must be a number, not `{self._sequence}`"
            )

    @property
    def name(self) -> str:
        """The name it is registered under."""
        return "entsoe"

    def zones(self) -> Sequence[GridZone]:
        """Zones with one price that we have a name for; any other is asked by its energy identification code."""
        return tuple(each.zone for each in ZONES if each.bidding != "")

    def prices(self, zone: str, start: datetime, end: datetime, at: datetime) -> PriceSeries:
        """Prices from the step that holds `start`, as they were published by `at`.

        Raises:
            DataMissing: The zone has no price of its own, or none for `start` by `at`, or several auctions.
            AdapterUnavailable: The service does not answer, or not to this token.
        """
        area = find_zone(zone)
        if area.bidding == "":
            fix = "name a bidding zone: `SE-SE3`"
            raise DataMissing("GO0302", f"`{zone}` has several prices and none of its own", fix=fix)
        currency, points = self._fetched(
            zone, area.bidding or area.eic, start, min(end, at + 2 * DAY)
        )
        step = min((step for step, _ in points.values()), default=DAY)
        fine = {
            moment + part * step: PerMwh(price)
            for moment, (length, price) in sorted(points.items(), key=lambda each: -each[1][0])
            for part in range(length // step)
        }
        found = cut(fine, step, start, end)
        series = found and as_known(
            PriceSeries(
                zone, PriceKind.DAY_AHEAD, "entsoe", False, currency, found[0], step, found[1]
            ),
            at,
            MARKET,
        )
        if not series:
            raise DataMissing(
                "GO0335",
                f"`entsoe` has no price of `{zone}` for {iso(start)} published by {iso(at)}",
            )
        return series

    def _fetched(self, zone: str, area: str, start: datetime, end: datetime) -> tuple[str, Points]:
        """Currency, and prices of the market's whole days that hold `[start, end)`."""
        params = {"documentType": "A44", CONTRACT: AHEAD, "in_Domain": area, "out_Domain": area}
        days = _midnight(start), _midnight(end, 1)
        auctions: dict[tuple[str, str], Points] = {}
        for first, past in pieces(*days, HOUR, LONGEST_QUESTION):
            document = self._entsoe.ask(zone, params, first, past)
            with self._entsoe.source.reading(PATH):
                for series in document.series:
                    if series.words.get(CONTRACT, AHEAD) == AHEAD:
                        _collect(auctions, series)
        return self._one(zone, auctions)

    def _one(self, zone: str, auctions: Mapping[tuple[str, str], Points]) -> tuple[str, Points]:
        """The auction that the setting names, or the only one."""
        left = {
            key: points
            for key, points in auctions.items()
            if not self._sequence or key[0] in {self._sequence, ""}
        }
        if len(left) > 1:
            said = " and ".join(
                f"{number or 'none'} in {currency}" for number, currency in sorted(left)
            )
            raise DataMissing(
                "GO0336",
                f"`entsoe` has several auctions of `{zone}`: {said}",
                fix=f"name one in `{SEQUENCE}`; the platform's page of the prices says which is which",
            )
        return next(((currency, points) for (_, currency), points in left.items()), ("EUR", {}))


def _collect(auctions: dict[tuple[str, str], Points], series: TimeSeries) -> None:
    unit = series.words.get("price_Measure_Unit.name", "MWH")
    if unit != "MWH":
        raise ValueError(f"prices per `{unit}`, not per MWH")
    key = (series.words.get(POSITION, ""), series.words["currency_Unit.name"])
    points = auctions.setdefault(key, {})
    for at, step, price in series.values():
        told = points.get(at)
        if told is not None and told[0] == step and told[1] != price:
            raise ValueError(f"two prices at {iso(at)}")
        if told is None or step < told[0]:
            points[at] = (step, price)


def _midnight(at: datetime, days: int = 0) -> datetime:
    """The market's midnight before an instant, or that many days later."""
    local = at.astimezone(MARKET).date() + days * DAY
    return datetime.combine(local, time(), MARKET).astimezone(UTC)
