"""How wrong a zone's forecasts were, and which error belongs to a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from greenops.domain.grid import Forecast, IntensitySeries
from greenops.grid.series import same_kind, value_at

SHARE: Final = 0.90
"""Share of past errors inside the stated half width; the house's ranges are 90 %."""
ENOUGH: Final = 14
"""Past forecasts below which no error is stated: two weeks, so that each weekday came twice."""
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class HorizonError:
    """Relative half width over hours `[start, end)` after issue, from `forecasts` past forecasts."""

    start: timedelta
    end: timedelta
    half_width: float
    forecasts: int


def forecast_error(
    past: Iterable[Forecast],
    actual: IntensitySeries,
    *,
    before: datetime,
    block: timedelta = DAY,
) -> tuple[HorizonError, ...]:
    """Relative 90 % half width of past errors, by horizon.

    An error counts when its whole block of hours had passed at `before`, so nothing later leaks in.

    Args:
        past: Forecasts of one zone, of any age; those issued at or after `before` are left out.
        actual: What came, of the same kind.
        before: The instant the error is used at.
        block: Length of a horizon block; the blocks cover the shortest forecast.

    Returns:
        One row per block, nearest first; blocks with fewer than 14 known forecasts are left out.

    Raises:
        MixedQuantities: A forecast is of another kind than `actual`.
    """
    known: dict[int, list[list[float]]] = {}
    for forecast in past:
        same_kind(actual, forecast)
        count = min(
            (forecast.end - forecast.issued_at) // block, (before - forecast.issued_at) // block
        )
        for index in range(count):
            errors = _errors(forecast, actual, forecast.issued_at + index * block, block)
            known.setdefault(index, []).append(errors)
    return tuple(
        HorizonError(
            start=index * block,
            end=(index + 1) * block,
            half_width=float(np.quantile(np.concatenate(errors), SHARE)),
            forecasts=len(errors),
        )
        for index, errors in sorted(known.items())
        if len(errors) >= ENOUGH and any(errors)
    )


def _errors(
    forecast: Forecast, actual: IntensitySeries, start: datetime, block: timedelta
) -> list[float]:
    """|forecast / actual - 1| of each step; a gap or a zero is left out: its ratio says nothing."""
    found = []
    for index in range(block // forecast.step):
        at = start + index * forecast.step
        said, came = value_at(forecast, at), value_at(actual, at)
        if said is not None and came:
            found.append(abs(said / came - 1))
    return found


def age(forecast: Forecast, now: datetime) -> timedelta:
    """How long ago it was issued; decisions name it `forecast_age_s`."""
    return now - forecast.issued_at


def known_at(forecasts: Iterable[Forecast], at: datetime) -> Forecast | None:
    """The newest forecast issued at or before `at`; none where none was: the future stays shut."""
    issued = [each for each in forecasts if each.issued_at <= at]
    return max(issued, key=lambda each: each.issued_at) if issued else None
