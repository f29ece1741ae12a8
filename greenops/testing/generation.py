"""Fakes of the services that tell generation by fuel; their answers are made up after the documented shapes.

Nothing here was recorded from the services. Each looks at the parameters and the key as the service is documented to,
and answers from the values that the test gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from greenops.testing.web_service import Reply, Request

KEY: Final = "made-up-key-51c9"
"""Key that the fakes accept."""
HOUR: Final = timedelta(hours=1)
Amounts = Mapping[str, Sequence[float | None]]
"""Code → generation by step from the fake's start; none where nothing is reported."""


class FakeEia930:
    """Version 2 of EIA's interface, hourly generation by fuel of one balancing authority.

    Args:
        amounts: Code of the fuel → generation by hour [MWh].
        start: Start of the first hour; the service names an hour by its end.
        respondent: The balancing authority.
    """

    def __init__(self, amounts: Amounts, start: datetime, respondent: str = "CISO") -> None:
        self.amounts, self.start, self.respondent = amounts, start, respondent
        self.unit = "megawatthours"

    def __call__(self, request: Request) -> Reply:
        """Answer as the service is documented to."""
        if request.params.get("api_key") != KEY:
            said = {"code": "API_KEY_INVALID", "message": "An invalid api_key was supplied."}
            return Reply({"error": said}, 403)
        if request.path != "/v2/electricity/rto/fuel-type-data/data/":
            return Reply({"error": "Not found", "code": 404}, 404)
        asked = request.params
        rows = [
            row
            for row in self._rows()
            if asked["facets[respondent][]"] == self.respondent
            and asked["start"] <= row["period"] <= asked["end"]
        ]
        most = min(int(asked.get("length", "5000")), 5000)
        return Reply(
            {
                "response": {
                    "total": str(len(rows)),
                    "dateFormat": 'YYYY-MM-DD"T"HH24',
                    "frequency": asked["frequency"],
                    "data": rows[:most],
                    "description": "Hourly net generation by balancing authority and energy source.",
                },
                "request": {"command": request.path},
                "apiVersion": "2.1.8",
            }
        )

    def _rows(self) -> list[dict[str, str]]:
        return sorted(
            (
                {
                    "period": f"{self.start + (index + 1) * HOUR:%Y-%m-%dT%H}",
                    "respondent": self.respondent,
                    "respondent-name": "made up",
                    "fueltype": code,
                    "type-name": code.title(),
                    "value": f"{amount:g}",
                    "value-units": self.unit,
                }
                for code, amounts in self.amounts.items()
                for index, amount in enumerate(amounts)
                if amount is not None
            ),
            key=lambda row: row["period"],
        )


class FakeEntsoe:
    """The transparency platform: generation by kind of plant (A75), its forecasts and day-ahead prices (A44) of one area each.

    Args:
        amounts: Kind of plant → power by step [MW]; a kind that ends in `-` is what it draws.
        foretold: Kind of plant → power by step as it was foretold (A69) [MW]; an empty kind is all of it (A71).
        prices: Sequence of the auction → price by step [EUR/MWh]; an empty sequence is not written.
        start: Start of the first step.
        step: Of both.
        curve: `A01` writes every step; `A03` leaves out one that repeats the value before.
        eic: Area of the generation.
        bidding: Area of the prices.
    """

    def __init__(
        self,
        amounts: Amounts | None = None,
        prices: Amounts | None = None,
        *,
        foretold: Amounts | None = None,
        start: datetime,
        step: timedelta = HOUR,
        curve: str = "A01",
        eic: str = "10Y1001A1001A83F",
        bidding: str = "10Y1001A1001A82H",
    ) -> None:
        self.amounts, self.prices, self.foretold = amounts or {}, prices or {}, foretold or {}
        self.start, self.step, self.curve = start, step, curve
        self.eic, self.bidding = eic, bidding
        self.steps: dict[str, timedelta] = {}
        """Kinds of plant that have a step of their own."""

    def __call__(self, request: Request) -> Reply:
        """Answer as the service is documented to."""
        if request.params.get("securityToken") != KEY:
            return Reply("<html>Unauthorized. Missing or invalid security token</html>", 401)
        asked = request.params
        start, end = (
            datetime.strptime(asked[name], "%Y%m%d%H%M").replace(tzinfo=UTC)
            for name in ("periodStart", "periodEnd")
        )
        match asked["documentType"], asked["in_Domain"]:
            case "A75", self.eic if asked["processType"] == "A16":
                return self._reply("GL", self._generation(self.amounts, start, end))
            case ("A71" | "A69") as kind, self.eic if asked["processType"] == "A01":
                told = {
                    code: each
                    for code, each in self.foretold.items()
                    if bool(code) == (kind == "A69")
                }
                return self._reply("GL", self._generation(told, start, end))
            case "A44", self.bidding if asked["out_Domain"] == self.bidding:
                return self._reply("Publication", self._auctions(start, end))
            case _:
                return self._reply("", [])

    def _reply(self, root: str, series: Sequence[str]) -> Reply:
        if not series:
            return Reply(
                '<?xml version="1.0" encoding="UTF-8"?><Acknowledgement_MarketDocument '
                'xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0">'
                "<mRID>made-up</mRID><Reason><code>999</code>"
                "<text>No matching data found</text></Reason></Acknowledgement_MarketDocument>"
            )
        return Reply(
            f'<?xml version="1.0" encoding="UTF-8"?><{root}_MarketDocument '
            f'xmlns="urn:iec62325.351:tc57wg16:451:made-up:0"><mRID>made-up</mRID>'
            f"<createdDateTime>2026-03-05T00:00:00Z</createdDateTime>{''.join(series)}"
            f"</{root}_MarketDocument>"
        )

    def _generation(self, given: Amounts, start: datetime, end: datetime) -> list[str]:
        found = []
        for code, amounts in given.items():
            step = self.steps.get(code, self.step)
            side = "out" if code.endswith("-") else "in"
            words = (
                f'<{side}BiddingZone_Domain.mRID codingScheme="A01">{self.eic}</{side}BiddingZone_Domain.mRID>'
                f"<quantity_Measure_Unit.name>MAW</quantity_Measure_Unit.name><curveType>{self.curve}</curveType>"
            )
            if code:
                words += f"<MktPSRType><psrType>{code.rstrip('-')}</psrType></MktPSRType>"
            found += self._series(words, "quantity", amounts, step, start, end)
        return found

    def _auctions(self, start: datetime, end: datetime) -> list[str]:
        found = []
        for sequence, prices in self.prices.items():
            tag = "classificationSequence_AttributeInstanceComponent.position"
            words = (
                "<businessType>A62</businessType>"
                "<contract_MarketAgreement.type>A01</contract_MarketAgreement.type>"
                "<currency_Unit.name>EUR</currency_Unit.name>"
                "<price_Measure_Unit.name>MWH</price_Measure_Unit.name>"
                + (f"<{tag}>{sequence}</{tag}>" if sequence else "")
                + f"<curveType>{self.curve}</curveType>"
            )
            found += self._series(words, "price.amount", prices, self.step, start, end)
        return found

    def _series(
        self,
        words: str,
        tag: str,
        amounts: Sequence[float | None],
        step: timedelta,
        start: datetime,
        end: datetime,
    ) -> list[str]:
        first = max(0, (start - self.start) // step)
        part = amounts[first : max(0, (end - self.start) // step)]
        known = [place for place, amount in enumerate(part) if amount is not None]
        if not known:
            return []
        part = part[: known[-1] + 1]
        at = self.start + first * step
        until = at + len(part) * step
        minutes = int(step.total_seconds() // 60)
        span = f"<start>{at:%Y-%m-%dT%H:%MZ}</start><end>{until:%Y-%m-%dT%H:%MZ}</end>"
        period = (
            f"<timeInterval>{span}</timeInterval><resolution>PT{minutes}M</resolution>"
            f"{''.join(self._points(tag, part))}"
        )
        return [f"<TimeSeries><mRID>1</mRID>{words}<Period>{period}</Period></TimeSeries>"]

    def _points(self, tag: str, amounts: Sequence[float | None]) -> Iterable[str]:
        last = None
        for position, amount in enumerate(amounts, 1):
            if amount is not None and not (self.curve == "A03" and amount == last):
                yield f"<Point><position>{position}</position><{tag}>{amount:g}</{tag}></Point>"
            last = amount
