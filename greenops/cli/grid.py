"""`greenops grid zones|now|forecast`: what is known of the grid, with unit, source and kind."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from greenops.domain.grid import Forecast, SeriesKind
    from greenops.pipeline.grid import GridContext
    from greenops.ports import Clock

UNIT = "gCO2e/kWh"


def add_parser(subparsers: Any) -> None:
    """Add `grid zones`, `grid now` and `grid forecast`."""
    parser = subparsers.add_parser("grid", help="carbon intensity by grid zone and region")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    zones = commands.add_parser("zones", help="grid zones and the regions they feed")
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


def run_zones(args: argparse.Namespace) -> int:
    """Print the zones."""
    context, _ = _open()
    rows = [
        {
            "zone": zone.id,
            "name": zone.name,
            "time_zone": zone.time_zone,
            "regions": [each.id for each in context.regions if each.zone == zone.id],
        }
        for zone in context.provider.zones()
    ]
    head = f"{len(rows)} grid zones of provider `{context.provider.name}`"
    _show(args, {"provider": context.provider.name, "zones": rows}, rows, head)
    return 0


def run_now(args: argparse.Namespace) -> int:
    """Print the intensity of each region now: recorded where known, else the annual mean."""
    from greenops.domain.energy import Method
    from greenops.grid.factors import intensity_at
    from greenops.pipeline.grid import fresh_factors

    context, clock = _open()
    chosen = [context.regions[args.region]] if args.region else list(context.regions)
    table, now = fresh_factors(context, clock, horizon_h=0), clock.now()
    rows = []
    for region in chosen:
        factors = table.regions[region.id]
        value, method = intensity_at(table, region.id, now)
        estimated = factors.annual_source if method is Method.ESTIMATED else None
        series = factors.series if method is Method.REPORTED else None
        rows.append(
            {
                "region": region.id,
                "zone": region.zone,
                "intensity": value,
                "pue": region.pue,
                "method": method.value if method else None,
                "source": _source(series.kind) if series else estimated,
            }
        )
    head = f"average carbon intensity [{UNIT}] at {_iso(now)}, before PUE"
    _show(args, {"at": _iso(now), "unit": UNIT, "regions": rows}, rows, head)
    return 0


def run_forecast(args: argparse.Namespace) -> int:
    """Print a forecast's hours."""
    context, clock = _open()
    at = _instant(args.at) if args.at else clock.now()
    forecast = context.provider.forecast(args.zone, at)
    rows = list(_hours(forecast))
    kind = forecast.kind
    known = "unknown" if forecast.error is None else f"±{100 * forecast.error:.0f} %"
    head = (
        f"{forecast.zone}: {kind.signal} {kind.factors} carbon intensity [{UNIT}], "
        f"issued {_iso(forecast.issued_at)}, 90 % range {known}\n{_source(kind)}, {forecast.id}"
    )
    whole = {
        "id": forecast.id,
        "zone": forecast.zone,
        "issued_at": _iso(forecast.issued_at),
        "signal": kind.signal.value,
        "factors": kind.factors.value,
        "source": kind.source,
        "replay": kind.replay,
        "unit": UNIT,
        "error": forecast.error,
        "values": rows,
    }
    _show(args, whole, rows, head)
    return 0


def _open() -> tuple[GridContext, Clock]:
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.pipeline.grid import load_grid

    clock = SystemClock.from_environment()
    return load_grid(load_settings(), clock), clock


def _hours(forecast: Forecast) -> Iterator[dict[str, object]]:
    for index, value in enumerate(forecast.values):
        yield {"start": _iso(forecast.start + index * forecast.step), "intensity": value}


def _source(kind: SeriesKind) -> str:
    return f"{kind.source} (replay)" if kind.replay else kind.source


def _instant(text: str) -> datetime:
    from datetime import UTC, datetime

    from greenops.errors import UsageError

    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise UsageError(
            "GO0312",
            f"`--at {text}` is not an instant with its offset",
            fix="for example 2021-10-08T08:00:00Z",
        )
    return instant.astimezone(UTC)


def _iso(at: datetime) -> str:
    from datetime import UTC

    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _show(
    args: argparse.Namespace, whole: object, rows: Sequence[dict[str, Any]], head: str
) -> None:
    if args.output == "json":
        import json

        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    print(head)
    names = list(rows[0]) if rows else []
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        print("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    match value:
        case None | []:
            return "-"
        case float():
            return f"{value:.4g}"
        case list():
            return " ".join(map(str, value))
        case _:
            return str(value)
