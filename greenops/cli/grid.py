"""`greenops grid zones|now|forecast|quality|check|prices`: what is known of the grid, with unit, source and kind."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from greenops.cli import grid_check, grid_prices, grid_quality
from greenops.cli.grid_output import UNIT, instant, iso, opened, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenops.domain.grid import Forecast, Region, SeriesKind


def add_parser(subparsers: Any) -> None:
    """Add `grid` with its commands."""
    parser = subparsers.add_parser("grid", help="carbon intensity by grid zone and region")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    zones = commands.add_parser("zones", help="grid zones and the regions they feed")
    zones.add_argument(
        "--regions", action="store_true", help="list cloud regions: place, CFE, PUE and WUE"
    )
    zones.set_defaults(run=run_zones)
    now = commands.add_parser("now", help="intensity of each region now")
    now.add_argument("--region", help="one region only")
    now.set_defaults(run=run_now)
    forecast = commands.add_parser("forecast", help="the forecast known at an instant")
    forecast.add_argument(
        "zone", metavar="ZONE", help="grid zone, as `greenops grid zones` names it"
    )
    forecast.add_argument("--at", metavar="T", help="RFC 3339 instant; default: now")
    forecast.set_defaults(run=run_forecast)
    for each in (zones, now, forecast):
        each.add_argument("-o", "--output", choices=("table", "json"), default="table")
    grid_quality.add_parser(commands)
    grid_check.add_parser(commands)
    grid_prices.add_parser(commands)


def run_zones(args: argparse.Namespace) -> int:
    """Print the zones, or the regions with what is known of them; JSON has both."""
    context, _ = opened()
    zones: list[dict[str, Any]] = [
        {
            "zone": zone.id,
            "name": zone.name,
            "time_zone": zone.time_zone,
            "regions": [each.id for each in context.regions if each.zone == zone.id],
        }
        for zone in context.provider.zones()
    ]
    regions = [_region(each, context.annual.get(each.id)) for each in context.regions]
    whole = {"provider": context.provider.name, "zones": zones, "regions": regions}
    if args.regions:
        head = f"{len(regions)} cloud regions; annual {UNIT}, CFE part of 1 by the hour, WUE L/kWh"
        show(args, whole, [_without_sources(each) for each in regions], head)
    else:
        head = f"{len(zones)} grid zones of provider `{context.provider.name}`"
        show(args, whole, zones, head)
    return 0


def _region(region: Region, annual: tuple[float, str] | None) -> dict[str, Any]:
    value, source = annual or (None, None)
    return {
        "region": region.id,
        "provider": region.provider,
        "zone": region.zone,
        "location": region.location,
        "latitude": region.latitude,
        "longitude": region.longitude,
        "cfe": region.cfe,
        "cfe_source": region.cfe_source,
        "pue": region.pue,
        "pue_source": region.pue_source,
        "wue": region.wue,
        "wue_source": region.wue_source,
        "annual": value,
        "annual_source": source,
    }


def _without_sources(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.endswith("_source")}


def run_now(args: argparse.Namespace) -> int:
    """Print the intensity of each region now: recorded where known, else what a late source knew last, else the annual mean."""
    from greenops.domain.energy import Method
    from greenops.grid.factors import intensity_at
    from greenops.pipeline.grid import fresh_factors

    context, clock = opened()
    chosen = [context.regions[args.region]] if args.region else list(context.regions)
    table, now = fresh_factors(context, clock, horizon_h=0), clock.now()
    rows = []
    for region in chosen:
        factors = table.regions[region.id]
        value, method = intensity_at(table, region.id, now)
        late = factors.newest(now) if method is Method.ESTIMATED else None
        estimated = factors.annual_source if method is Method.ESTIMATED else None
        series = factors.series if method is Method.REPORTED or late else None
        rows.append(
            {
                "region": region.id,
                "zone": region.zone,
                "intensity": value,
                "pue": region.pue,
                "method": method.value if method else None,
                "age_s": late[1].total_seconds() if late else None,
                "source": _source(series.kind) if series else estimated,
            }
        )
    head = f"average carbon intensity [{UNIT}] at {iso(now)}, before PUE"
    show(args, {"at": iso(now), "unit": UNIT, "regions": rows}, rows, head)
    return 0


def run_forecast(args: argparse.Namespace) -> int:
    """Print a forecast's hours."""
    context, clock = opened()
    at = instant(args.at) if args.at else clock.now()
    forecast = context.provider.forecast(args.zone, at)
    rows = list(_hours(forecast))
    kind = forecast.kind
    head = (
        f"{forecast.zone}: {kind.signal} {kind.factors} carbon intensity [{UNIT}], "
        f"issued {iso(forecast.issued_at)}, 90 % range {_range(forecast)}\n"
        f"{_source(kind)}, {forecast.id}"
    )
    if forecast.degraded is not None:
        head += f"\ndegraded: {forecast.degraded}"
    whole = {
        "id": forecast.id,
        "zone": forecast.zone,
        "issued_at": iso(forecast.issued_at),
        "signal": kind.signal.value,
        "factors": kind.factors.value,
        "source": kind.source,
        "replay": kind.replay,
        "unit": UNIT,
        "error": forecast.error,
        "widened": forecast.widened,
        "degraded": forecast.degraded,
        "values": rows,
    }
    show(args, whole, rows, head)
    return 0


def _hours(forecast: Forecast) -> Iterator[dict[str, object]]:
    for index, value in enumerate(forecast.values):
        start = iso(forecast.start + index * forecast.step)
        row: dict[str, object] = {"start": start, "intensity": value}
        if forecast.low is not None and forecast.high is not None:
            row |= {"low": forecast.low[index], "high": forecast.high[index]}
        yield row


def _range(forecast: Forecast) -> str:
    if forecast.low is not None and forecast.high is not None:
        grown = "" if forecast.widened is None else f", widened {forecast.widened:.2f} times"
        return f"of each hour below{grown}"
    return "unknown" if forecast.error is None else f"±{100 * forecast.error:.0f} %"


def _source(kind: SeriesKind) -> str:
    return f"{kind.source} (replay)" if kind.replay else kind.source
