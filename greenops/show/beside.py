"""What stands beside metered energy, row by row; each table is its own kind and never added to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from greenops.domain.console import Overview, ServiceFootprint
from greenops.domain.footprint import CacheSavings, Fleet, RemoteEnergy, TokenCurve
from greenops.pipeline.sci import Sci
from greenops.show import format as show
from greenops.show.tables import Row
from greenops.units import Joules, Kwh, to_kwh

MILLION: Final = 1_000_000
HEIGHT: Final = 240

Spec = dict[str, Any]


def remote_rows(calls: Sequence[RemoteEnergy]) -> list[Row]:
    """Calls of language models served elsewhere, by service and method."""
    return [
        {
            "Service": each.service,
            "Method": each.method,
            "Calls": f"{each.calls:,}",
            "Energy elsewhere": show.joules(each.energy_j if each.calls else None),
            "90 % range": show.joules_range(each.energy_low_j, each.energy_high_j)
            if each.calls
            else show.NOT_KNOWN,
            "CO2e (location-based)": _remote_carbon(each),
            "J per output token": show.joules(each.energy_j_per_output_token),
            "Left out (server metered)": f"{each.superseded:,}",
        }
        for each in calls
    ]


def _remote_carbon(calls: RemoteEnergy) -> str:
    if calls.carbon_g is None:
        return show.NOT_KNOWN
    known = show.grams(calls.carbon_g)
    if calls.calls_with_carbon == calls.calls:
        return known
    return f"{known} of {calls.calls_with_carbon:,} calls; the others {show.NOT_KNOWN}"


def remote_line(calls: Sequence[RemoteEnergy]) -> str:
    """What must be known to read the table."""
    left_out = sum(each.superseded for each in calls)
    more = (
        f" {left_out:,} {'calls are' if left_out > 1 else 'call is'} left out: the server's own "
        "spans have the energy."
        if left_out
        else ""
    )
    return (
        "Drawn where the calls were served, cooling included: not metered here, and in no other "
        f"figure of this page.{more}"
    )


def part_rows(services: Sequence[ServiceFootprint]) -> list[Row]:
    """Embodied emissions, the network's band and energy per unit: services and columns that tell any."""
    told = [each for each in services if _parts(each) != (None,) * 4]
    rows = [
        {
            "Service": each.service,
            "Embodied CO2e": show.grams(each.embodied_g),
            "Network, low to high": show.joules_range(each.network_low_j, each.network_high_j),
            "J per item": show.joules(each.energy_j_per_item),
            "J per output token": show.joules(each.energy_j_per_output_token),
        }
        for each in told
    ]
    empty = (
        {name for name in rows[0] if {row[name] for row in rows} == {show.NOT_KNOWN}}
        if rows
        else set()
    )
    return [{name: row[name] for name in row if name not in empty} for row in rows]


def _parts(service: ServiceFootprint) -> tuple[float | None, ...]:
    return (
        service.embodied_g,
        service.network_high_j,
        service.energy_j_per_item,
        service.energy_j_per_output_token,
    )


def sci_rows(services: Sequence[ServiceFootprint], *, embodied: bool) -> list[Row]:
    """Software Carbon Intensity per request; with the making of machines, or without it.

    Args:
        services: Those that have requests are shown.
        embodied: Whether M is in the score; where it is not known, the score is not, either.
    """
    rows = []
    for each in services:
        if not each.requests:
            continue
        operational, made = each.carbon_g_per_request, each.embodied_g_per_request
        known = made is not None or not embodied
        score = (
            Sci(operational, made if embodied else None).total
            if operational is not None and known
            else None
        )
        rows.append(
            {
                "Service": each.service,
                "Operational, E x I": show.grams(operational),
                "Embodied, M": show.grams(made) if embodied else "left out",
                "SCI per request": show.grams(score),
            }
        )
    return rows


def fleet_rows(fleet: Fleet | None) -> list[Row]:
    """All of it per million requests and users; a cell without data says so."""
    if fleet is None:
        return []
    given = {"requests": fleet.requests or None, "users": fleet.users}
    return [
        {
            "Per": f"1 million {name}",
            "Seen": f"{count:,}" if count else show.NOT_KNOWN,
            "Energy metered": show.kwh(_per(_kwh(fleet.energy_j), count)),
            "CO2e (location-based)": show.grams(_per(fleet.carbon_g, count)),
        }
        for name, count in given.items()
    ]


def _kwh(energy: Joules | None) -> Kwh | None:
    return None if energy is None else to_kwh(energy)


def _per(amount: float | None, count: int | None) -> float | None:
    return None if amount is None or not count else amount * MILLION / count


def cache_rows(caches: Sequence[CacheSavings]) -> list[Row]:
    """What each cache saved; a cache that costs more than it saves shows a negative figure."""
    return [
        {
            "Cache": each.cache,
            "Service": each.service,
            "Hits": f"{each.hits:,}",
            "Misses": f"{each.misses:,}",
            "Stale": f"{each.stale:,}",
            "Hit rate": show.percent(_hit_rate(each)),
            "Avoided": show.joules(each.energy_j),
            "CO2e avoided": show.grams(each.carbon_g),
            "Making, per miss": show.joules(each.miss_j),
            "The cache itself": show.joules(each.cost_j),
        }
        for each in caches
    ]


def _hit_rate(cache: CacheSavings) -> float | None:
    looks = cache.hits + cache.misses + cache.stale
    return cache.hits / looks if looks else None


def curve_rows(curves: Sequence[TokenCurve]) -> list[Row]:
    """How much a token takes alone and in company, pool by pool."""
    rows = []
    for each in curves:
        least, most = each.points[0].concurrency, each.points[-1].concurrency
        rows.append(
            {
                "Pool": each.pool,
                "Calls": f"{each.calls:,}",
                "Fewest at once": f"{least:,}: {show.joules(each.at(least))} per token",
                "Most at once": f"{most:,}: {show.joules(each.at(most))} per token",
                "Error at calls left out": show.percent(each.error),
            }
        )
    return rows


def curve_spec(curves: Sequence[TokenCurve]) -> Spec:
    """Energy per output token [J] against calls at once: what was seen as points, the fit as lines."""
    seen = [
        {"pool": each.pool, "n": point.concurrency, "J": point.energy_j_per_output_token}
        for each in curves
        for point in each.points
    ]
    fitted = [
        {"pool": each.pool, "n": point.concurrency, "J": each.at(point.concurrency)}
        for each in curves
        for point in each.points
    ]
    x = {"field": "n", "type": "quantitative", "title": "calls at once", "axis": {"tickMinStep": 1}}
    y = {"field": "J", "type": "quantitative", "title": "energy per output token [J]"}
    colour = {"field": "pool", "type": "nominal", "title": None}
    encoding = {"x": x, "y": {**y, "scale": {"zero": True}}, "color": colour}
    return {
        "height": HEIGHT,
        "layer": [
            {
                "data": {"values": seen},
                "mark": {"type": "point", "filled": True, "size": 50, "tooltip": True},
                "encoding": encoding,
            },
            {"data": {"values": fitted}, "mark": {"type": "line"}, "encoding": encoding},
        ],
    }


def curve_alt(curves: Sequence[TokenCurve]) -> str:
    """The chart in words."""
    said = "; ".join(
        f"{row['Pool']}: {row['Fewest at once']}, {row['Most at once']}"
        for row in curve_rows(curves)
    )
    return f"Chart of energy per output token by calls at once: {said}"


def own_line(overview: Overview) -> tuple[str, str | None]:
    """What GreenOps took itself: its grams, then its joules and its share of what was avoided."""
    energy = overview.energy.get("overhead")
    carbon = overview.carbon.get("overhead")
    share = overview.own_share
    beside = f"{show.percent(share, 2)} of the avoided" if share is not None else "no saving yet"
    return show.grams(carbon), f"{show.joules(energy)}; {beside}"
