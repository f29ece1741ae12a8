"""How often to refresh: the table of cadences on the what-if page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from greenops.domain.console import Cadence, DayOfRefreshes
from greenops.show import format as show
from greenops.show.tables import Row

ALT: Final = "By cadence: carbon and cost of a day, at fixed times and at the best times"
NOTE: Final = (
    "At the home region, from now on, without the policies. At the best times each refresh still lies in its "
    "period, so the longest wait for the next one grows. Ranges take all hours' forecasts as erring together."
)
TOO_LONG: Final = "runs longer than that"


def rows(cadences: Sequence[Cadence]) -> list[Row]:
    """One row per time between two refreshes."""
    return [_row(each) for each in cadences]


def _row(cadence: Cadence) -> Row:
    every = show.duration(timedelta(seconds=cadence.every_s))
    fixed, best = cadence.fixed, cadence.best
    return {
        "Every": every,
        "Runs a day": str(cadence.refreshes),
        "CO2e a day, fixed times": TOO_LONG if fixed is None else _grams(fixed),
        "CO2e a day, best times": _grams(best),
        "90 % range": show.NOT_KNOWN
        if best is None
        else show.grams_range(best.carbon_low_g, best.carbon_high_g),
        "Cost a day": show.usd(None if fixed is None else fixed.cost_usd),
        "Longest gap, best times": show.NOT_KNOWN
        if best is None
        else show.duration(timedelta(seconds=best.longest_gap_s)),
    }


def _grams(day: DayOfRefreshes | None) -> str:
    return show.grams(None if day is None else day.carbon_g)
