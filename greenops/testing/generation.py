"""Fakes of the services that tell generation by fuel; their answers are made up after the documented shapes.

Nothing here was recorded from the services. Each looks at the parameters and the key as the service is documented to,
and answers from the values that the test gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
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
