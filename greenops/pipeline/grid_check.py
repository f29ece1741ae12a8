"""Whether each grid provider of the setting can be used now, asked on the spot: what it gives, and what to do where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final, TypeVar

from greenops.domain.grid import Forecast, GridZone, SeriesKind
from greenops.errors import DataMissing, GreenOpsError, MixedQuantities, UsageError, one_line
from greenops.pipeline.grid_answers import refuse_nonsense, refuse_untimely
from greenops.pipeline.grid_chain import YESTERDAYS, refuse_mixed
from greenops.ports import Clock, GridProvider, KindStated

A = TypeVar("A")
BACK: Final = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""How far back recorded intensity is looked for: sources publish it with a delay."""


class State(StrEnum):
    """How a provider stands."""

    OK = "ok"
    STALE = "stale"
    MISSING = "missing"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Health:
    """One provider, looked at.

    Attributes:
        provider: Its name in the setting.
        state: Whether it can be used.
        kind: What its series are; none where it gave none and does not say.
        zone: The zone that was asked about; none where it lists none.
        issued_at: When its newest forecast was issued; none where it has none.
        age: How old that is.
        zones: How many zones it lists; none where it does not answer.
        note: What is wrong or degraded, and what to do; empty where nothing is.
    """

    provider: str
    state: State
    kind: SeriesKind | None = None
    zone: str | None = None
    issued_at: datetime | None = None
    age: timedelta | None = None
    zones: int | None = None
    note: str = ""


def look_at_all(
    names: Sequence[str],
    made: Callable[[str], GridProvider],
    clock: Clock,
    needed: Iterable[str],
    zone: str | None = None,
) -> list[Health]:
    """Ask every provider; one that fails does not keep the next from being asked.

    Args:
        names: Providers of the setting.
        made: Makes one; may raise.
        clock: The time to ask for.
        needed: Zones that regions need; the first that a provider lists is asked about.
        zone: The zone to ask about instead.
    """
    found: list[Health] = []
    wanted = list(needed)
    for name in names:
        health = _look(name, made, clock.now(), wanted, zone)
        first = found[0].kind if found else None
        found.append(_compared(health, first))
    return found


def _look(
    name: str,
    made: Callable[[str], GridProvider],
    now: datetime,
    needed: Sequence[str],
    zone: str | None,
) -> Health:
    provider, error = _tried(lambda: made(name))
    if provider is None:
        return Health(name, State.UNREACHABLE, note=str(error))
    kind = provider.kind if isinstance(provider, KindStated) else None
    zones, error = _tried(lambda: list(provider.zones()))
    if zones is None:
        return Health(name, State.UNREACHABLE, kind, note=str(error))
    about = zone or _first(zones, needed)
    health = Health(name, State.OK, kind, about, zones=len(zones))
    if about is None:
        return replace(health, state=State.MISSING, note="it lists no grid zone")
    forecast, error = _tried(lambda: _forecast(provider, name, about, now))
    if forecast is None:
        return _without_forecast(health, provider, now, error)
    age = now - forecast.issued_at
    health = replace(health, kind=forecast.kind, issued_at=forecast.issued_at, age=age)
    if age > YESTERDAYS:
        hours = age / timedelta(hours=1)
        note = f"its newest forecast is {hours:.0f} h old; ask whoever runs it"
        return replace(health, state=State.STALE, note=note)
    return health


def _without_forecast(
    health: Health, provider: GridProvider, now: datetime, error: GreenOpsError | None
) -> Health:
    """Away, or one that only records: then a zone's own past foretells."""
    if not isinstance(error, DataMissing):
        return replace(health, state=State.UNREACHABLE, note=str(error))
    for back in BACK:
        start, end = now - 2 * back, now - back
        recorded, why = _tried(partial(provider.actual, health.zone or "", start, end))
        if recorded is not None:
            note = f"no forecast, so a zone's own past foretells: {error}"
            return replace(health, kind=recorded.kind, note=note)
        if not isinstance(why, DataMissing):
            return replace(health, state=State.UNREACHABLE, note=str(why))
    return replace(health, state=State.MISSING, note=str(error))


def _forecast(provider: GridProvider, name: str, zone: str, now: datetime) -> Forecast:
    found = provider.forecast(zone, now)
    refuse_nonsense(found, zone, name)
    refuse_untimely(found, now, name)
    return found


def _compared(health: Health, first: SeriesKind | None) -> Health:
    """One of another kind than the first never stands in."""
    if first is None or health.kind is None:
        return health
    try:
        refuse_mixed(first, health.kind)
    except MixedQuantities as error:
        return replace(health, state=State.REFUSED, note=str(error))
    return health


def _first(zones: Sequence[GridZone], needed: Sequence[str]) -> str | None:
    known = [each.id for each in zones]
    return next((each for each in needed if each in known), known[0] if known else None)


def _tried(ask: Callable[[], A]) -> tuple[A | None, GreenOpsError | None]:
    """What comes of a question; an adapter from elsewhere may raise anything.

    Raises:
        UsageError: The setting is wrong, not the provider.
    """
    try:
        return ask(), None
    except UsageError:
        raise
    except GreenOpsError as error:
        return None, error
    except Exception as error:  # noqa: BLE001 - it is told, and the next provider is asked
        said = one_line(f"{type(error).__name__}: {error}", 200)
        return None, GreenOpsError("GO0342", f"it failed: {said}")
