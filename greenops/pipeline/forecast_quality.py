"""What came of a zone's forecasts in the last four weeks: the provider's own, and those from its past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from greenops.domain.grid import Forecast
from greenops.errors import AdapterUnavailable, DataMissing
from greenops.grid.series import same_kind
from greenops.pipeline.local_forecasts import LocalForecasts, known_past, newest
from greenops.pipeline.savings_by_day import ForecastArchive
from greenops.ports import GridProvider

if TYPE_CHECKING:
    from greenops.grid.forecast_quality import ForecastQuality

LOOKED_BACK: Final = timedelta(days=28)
"""Over how many days forecasts are looked at."""
KEEPS_NONE: Final = "GO0310"
"""Error of a provider that does not keep its forecasts."""


def qualities(
    provider: GridProvider, zone: str, now: datetime, seen: Sequence[Forecast] = ()
) -> list[ForecastQuality]:
    """The figures by source, over the forecasts issued in the 28 days before an instant.

    Forecasts from the zone's own past are told whether or not they are needed: by one model trained
    before those days, so that a provider's can be compared with what costs nothing.

    Args:
        provider: Who foretold, and who knows what came.
        zone: Grid zone.
        now: Nothing later is looked at; whole days of UTC are.
        seen: Forecasts that were remembered, for providers that do not keep them.

    Returns:
        One record by source; empty where nothing is known of what came.

    Raises:
        DataMissing: The provider does not know the zone, or its steps do not make whole hours.
        MixedQuantities: What was foretold and what came are of different kinds.
    """
    inner = provider.inner if isinstance(provider, LocalForecasts) else provider
    until = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    tried = _local(inner, zone, until)
    local = {each.source for each in tried}
    made = [each for each in seen if each.kind.source not in local]
    return [*_provider_s_own(inner, zone, until, made), *tried]


def _provider_s_own(
    provider: GridProvider, zone: str, until: datetime, seen: Sequence[Forecast]
) -> list[ForecastQuality]:
    from greenops.grid.forecast_quality import quality_by_source

    since = until - LOOKED_BACK
    made = [*_kept(provider, zone, since, until)]
    made += [each for each in seen if since <= each.issued_at < until]
    if not made:
        return []
    first = min(each.start for each in made)
    try:
        actual = newest(provider, zone, until, until - first)
    except (DataMissing, AdapterUnavailable):
        return []
    same_kind(actual, *made)
    try:
        return quality_by_source(made, actual)
    except ValueError as error:
        raise DataMissing(
            "GO0315", f"forecasts of `{zone}` cannot be compared with what came: {error}"
        ) from error


def keeps_forecasts(provider: GridProvider, zone: str) -> bool:
    """Whether a provider knows the forecasts that it gave of a zone.

    Raises:
        DataMissing: It does not know the zone.
    """
    return _issues(provider, zone) is not None


def _issues(provider: GridProvider, zone: str) -> Sequence[datetime] | None:
    if not isinstance(provider, ForecastArchive):
        return None
    try:
        return provider.issues(zone)
    except DataMissing as error:
        if error.code == KEEPS_NONE:
            return None
        raise


def _kept(
    provider: GridProvider, zone: str, since: datetime, until: datetime
) -> Iterator[Forecast]:
    """Forecasts of the 28 days that a provider keeps; none where it keeps none."""
    for at in _issues(provider, zone) or ():
        if since <= at < until:
            with suppress(DataMissing, AdapterUnavailable):
                yield provider.forecast(zone, at)


def _local(provider: GridProvider, zone: str, until: datetime) -> list[ForecastQuality]:
    from greenops.grid.local_forecast_issue import trial

    try:
        past = known_past(provider, zone, until)
    except (DataMissing, AdapterUnavailable):
        return []
    try:
        found = trial(past, until)
    except ValueError:  # its steps do not make whole hours
        return []
    return [] if found is None else [found]
