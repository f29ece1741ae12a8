"""`greenops grid quality`: what came of the forecasts, by zone and source."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from greenops.cli.grid_output import UNIT, instant, iso, opened, show

if TYPE_CHECKING:
    from greenops.grid.forecast_quality import ForecastQuality

HEAD = (
    "forecasts of the 28 days before {at}, against what came; mae in gCO2e/kWh\n"
    "captured: share of the best saving that a 4-hour job makes which starts when the forecast says, ends within "
    "24 or 48 h, against the mean of all its starts"
)


def add_parser(commands: Any) -> None:
    """Add `grid quality`."""
    quality = commands.add_parser("quality", help="how good forecasts of the last 28 days were")
    quality.add_argument("zone", metavar="ZONE", nargs="?", help="one grid zone; default: all")
    quality.add_argument("--at", metavar="T", help="RFC 3339 instant; default: now")
    quality.add_argument("-o", "--output", choices=("table", "json"), default="table")
    quality.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line by zone and source."""
    from greenops.adapters.grid_cache_files import GridCacheFiles
    from greenops.config import load_settings
    from greenops.errors import DataMissing
    from greenops.pipeline.forecast_quality import qualities
    from greenops.pipeline.forecast_watch import remembered

    context, clock = opened()
    now = clock.now()
    at = min(instant(args.at), now) if args.at else now
    provider = context.provider
    zones = [args.zone] if args.zone else [each.id for each in provider.zones()]
    files = GridCacheFiles(load_settings().state / "grid")
    found = [
        quality
        for zone in zones
        for quality in qualities(provider, zone, at, remembered(files, zone))
    ]
    if not found:
        raise DataMissing(
            "GO0315",
            f"nothing is known of what came of forecasts of `{args.zone or provider.name}` in the 28 days "
            f"before {iso(at)}",
            fix="a provider that keeps the past tells it",
        )
    rows = [_row(each) for each in found]
    whole = {"at": iso(at), "unit": UNIT, "quality": [_whole(each) for each in found]}
    show(args, whole, rows, HEAD.format(at=iso(at)))
    if args.output == "table":
        _tell_widened(found)
    return 0


def _whole(of: ForecastQuality) -> dict[str, object]:
    from greenops.grid.forecast_quality import WINDOWS

    shares = zip(WINDOWS, of.captured, strict=True)
    return {
        "zone": of.zone,
        "source": of.source,
        "since": iso(of.since),
        "until": iso(of.until),
        "issues": of.issues,
        "hours": of.hours,
        "coverage_90": of.coverage,
        "mae": of.mae,
        "mape": of.mape,
        **{f"captured_{hours}h": share for hours, share in shares},
        "widening": of.widened,
    }


def _row(of: ForecastQuality) -> dict[str, object]:
    whole = _whole(of)
    shares = ("coverage_90", "mape", *(name for name in whole if name.startswith("captured")))
    for name in shares:
        value = whole[name]
        whole[name] = f"{100 * value:.1f} %" if isinstance(value, float) else None
    kept = ("zone", "source", "issues", "coverage_90", "mae", *shares[1:], "widening")
    return {name: whole[name] for name in kept}


def _tell_widened(found: list[ForecastQuality]) -> None:
    from greenops.grid.forecast_quality import PROMISED, TOO_FEW
    from greenops.grid.local_forecast_issue import MODEL

    if any(each.widened for each in found):
        print(
            f"\nwidening: fewer than {100 * TOO_FEW:.0f} % of the hours lay in the range; by this factor it "
            f"would have held {100 * PROMISED:.0f} %. Newer ranges of `{MODEL}` are widened by it; those of "
            "others stand as their source gives them"
        )
