"""`greenops grid prices`: what electricity costs in a zone, as it was known at an instant."""

from __future__ import annotations

import argparse
from typing import Any

from greenops.cli.grid_output import instant, iso, show

MOST_HOURS = 24 * 366


def add_parser(commands: Any) -> None:
    """Add `grid prices`."""
    prices = commands.add_parser("prices", help="prices of electricity known at an instant")
    prices.add_argument("zone", metavar="ZONE", help="grid zone, or bidding zone of the market")
    prices.add_argument("--provider", default="shipped", help="who tells them; default: shipped")
    prices.add_argument("--at", metavar="T", help="RFC 3339 instant; default: now")
    prices.add_argument("--hours", type=int, default=48, help="hours from then on; default: 48")
    prices.add_argument("-o", "--output", choices=("table", "json"), default="table")
    prices.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the prices from the step that runs on, as far as they were known then."""
    from datetime import timedelta

    from greenops.adapters.clock import SystemClock
    from greenops.errors import UsageError
    from greenops.pipeline.site_prices import price_provider_of

    if not 1 <= args.hours <= MOST_HOURS:
        raise UsageError("GO0348", f"`--hours` must be 1 to {MOST_HOURS}, not {args.hours}")
    at = instant(args.at) if args.at else SystemClock.from_environment().now()
    found = price_provider_of(args.provider).prices(
        args.zone, at, at + timedelta(hours=args.hours), at
    )
    unit = f"{found.currency}/MWh"
    rows: list[dict[str, Any]] = [
        {"start": iso(found.start + index * found.step), "price": value}
        for index, value in enumerate(found.values)
    ]
    published = iso(found.published_at) if found.published_at else None
    whole = {
        "zone": found.zone,
        "at": iso(at),
        "kind": found.kind.value,
        "source": found.source,
        "replay": found.replay,
        "unit": unit,
        "published_at": published,
        "values": rows,
    }
    source = f"{found.source} (replay)" if found.replay else found.source
    told = f", published {published}" if published else ""
    show(
        args,
        whole,
        rows,
        f"{found.zone}: {found.kind} prices [{unit}] known at {iso(at)}{told}\n{source}",
    )
    return 0
