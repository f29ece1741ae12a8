"""Wires the grid: the provider by its name, the shipped regions, and factors for the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from greenops.adapters.shipped_grid import ShippedGrid, shipped_annual, shipped_regions
from greenops.config import Settings
from greenops.domain.factors import FactorTable
from greenops.domain.grid import IntensitySeries
from greenops.errors import AdapterUnavailable, DataMissing, UsageError
from greenops.grid.factors import build_factor_table
from greenops.grid.regions import RegionTable
from greenops.pipeline.beside import Run, at_once
from greenops.pipeline.grid_assembly import chained
from greenops.pipeline.grid_chain import GridChain
from greenops.pipeline.grid_context import GridContext
from greenops.pipeline.local_forecasts import LocalForecasts
from greenops.pipeline.savings_by_day import DaySaving, demo_day, median_day, saving_by_day
from greenops.plugins import PROVIDERS, load
from greenops.ports import Clock, GridProvider

__all__ = [
    "DaySaving",
    "GridContext",
    "demo_day",
    "fresh_factors",
    "last_successes",
    "load_grid",
    "median_day",
    "provider_names",
    "provider_of",
    "saving_by_day",
]

HOUR: Final = timedelta(hours=1)
SHIPPED: Final = "shipped"
BEHIND: Final = 6 * HOUR
"""How far back the factors reach: spans that end late still find the intensity of their time."""


def provider_names(settings: Settings) -> list[str]:
    """Grid providers of the setting, the one that is asked for first."""
    return [each.strip() for each in settings.provider.split(",") if each.strip()]


def load_grid(
    settings: Settings, clock: Clock, train: Run = at_once, *, patient: bool = False
) -> GridContext:
    """The grid as the settings name it.

    The shipped provider alone is asked as it is; any other, or several in a row, through a `GridChain`. Where
    no provider has a forecast of a zone, its own past tells one.

    Args:
        settings: `provider` names it, or several with commas between.
        clock: Time, for all that is kept, limited or waited for.
        train: How a forecast from the past is made: at once, or beside where decisions must not wait.
        patient: Whoever asks may wait a minute for the past that is learned from; no decision may.

    Raises:
        UsageError: No provider of that name, or what is registered is not one.
        MixedQuantities: One gives another kind of intensity than the first.
        DataMissing: The shipped tables are absent or damaged.
        AdapterUnsupported: A provider lacks a setting that it needs.
    """
    names = provider_names(settings)
    if names == [SHIPPED]:
        shipped = LocalForecasts(ShippedGrid(), clock, train)
        return GridContext(shipped, RegionTable.of(shipped_regions()), shipped_annual())
    providers = [provider_of(each) for each in names]
    # What is learned beside keeps no decision waiting.
    patient = patient or train is not at_once
    chain, regions = chained(names, providers, settings, clock, patient=patient)
    foretelling = LocalForecasts(chain, clock, train)
    return GridContext(foretelling, RegionTable.of(regions), shipped_annual())


def provider_of(name: str) -> GridProvider:
    """The provider of a name, as it is: nothing is kept of what it answers.

    Raises:
        UsageError: There is none of that name, or what is registered is not one.
        AdapterUnsupported: It lacks a setting that it needs.
    """
    # The default needs no entry point, so that it also works where nothing is installed.
    make = ShippedGrid if name == SHIPPED else load(PROVIDERS, name)
    provider = cast("Callable[[], object]", make)()
    if not isinstance(provider, GridProvider):
        raise UsageError(
            "GO0309",
            f"`{name}` is registered as a grid provider, but is none",
            fix="it must offer name, zones, actual and forecast",
        )
    return provider


def last_successes(context: GridContext, clock: Clock, *, answered: bool) -> Mapping[str, datetime]:
    """Provider → when it last gave data (wall time); one that never did is absent.

    Args:
        context: The grid.
        clock: For a provider that is asked as it is, and keeps nothing.
        answered: Such a provider gave data just now.
    """
    provider = context.provider
    inner = provider.inner if isinstance(provider, LocalForecasts) else provider
    if isinstance(inner, GridChain):
        return inner.successes()
    return {inner.name: clock.wall()} if answered else {}


def fresh_factors(context: GridContext, clock: Clock, horizon_h: float = 30) -> FactorTable:
    """The factor table for the services, with recorded intensity around now.

    The series reach six hours back. In a replay they also reach `horizon_h` simulated hours ahead,
    for a simulated day passes within a minute of wall time; without one they end with the hour that
    runs. A zone whose provider does not answer keeps its annual mean. Only what services *account*
    for rests on this table; decisions rest on forecasts.
    """
    now = clock.now().astimezone(UTC)
    running = now.replace(minute=0, second=0, microsecond=0)
    ahead = timedelta(hours=horizon_h) if clock.replay is not None else timedelta(0)
    known = {zone.id for zone in context.provider.zones()}
    actual = {
        zone: series
        for zone in context.regions.zones()
        if zone in known
        and (series := _around(context.provider, zone, running, running + HOUR + ahead))
    }
    return build_factor_table(context.regions, actual, context.annual)


def _around(
    provider: GridProvider, zone: str, running: datetime, end: datetime
) -> IntensitySeries | None:
    """The widest of some windows that the provider can fill; none where it fills none.

    Some sources are an hour or two late: what they know last still says more of now than a year's mean.
    """
    late = [(running - BEHIND, running - hours * HOUR) for hours in range(3)]
    for window in ((running - BEHIND, end), (running, end), *late):
        try:
            return provider.actual(zone, *window)
        except (DataMissing, AdapterUnavailable):
            continue
    return None
