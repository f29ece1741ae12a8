"""What a grid provider answers, and what of it cannot be an answer."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from greenops.domain.grid import Forecast, IntensitySeries
from greenops.errors import DataMissing


def refuse_nonsense(series: IntensitySeries, zone: str, provider: str) -> None:
    """Refuse a series that is of another zone, is empty, or holds what is no intensity.

    Raises:
        DataMissing: It is; it is not used at all.
    """
    known = [each for each in series.values if each is not None]
    if series.zone != zone:
        wrong = f"is of `{series.zone}`"
    elif series.step <= timedelta(0):
        wrong = "has no step"
    elif not known:
        wrong = "is empty"
    elif not all(0 <= each < math.inf for each in known):
        wrong = "holds what is no intensity"
    else:
        return
    raise DataMissing("GO0344", f"what `{provider}` answers for `{zone}` {wrong}")


def refuse_untimely(forecast: Forecast, at: datetime, provider: str) -> None:
    """Refuse a forecast that was not issued yet at an instant, or is over then.

    Raises:
        DataMissing: It is one.
    """
    if forecast.issued_at > at:
        raise DataMissing(
            "GO0343",
            f"`{provider}` says its forecast of `{forecast.zone}` was issued at "
            f"{iso(forecast.issued_at)}, after {iso(at)}",
            fix="set this machine's clock",
        )
    if forecast.end <= at:
        ended = f"the newest forecast of `{forecast.zone}` that `{provider}` has ended at"
        raise DataMissing("GO0347", f"{ended} {iso(forecast.end)}")


def none_in_force(provider: str, zone: str) -> DataMissing:
    """Why a provider that answers still gives nothing to decide by."""
    return DataMissing("GO0347", f"`{provider}` has no forecast of `{zone}` that is young enough")


def iso(at: datetime) -> str:
    """An instant for a person."""
    return f"{at:%Y-%m-%dT%H:%MZ}"
