"""`greenops grid check`: whether each grid provider of the setting can be used, and what decisions rest on now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from greenops.cli.grid_output import iso, show
from greenops.errors import ExitCode, GreenOpsError, UsageError

if TYPE_CHECKING:
    from greenops.config import Settings
    from greenops.pipeline.grid_check import Health
    from greenops.ports import Clock


def add_parser(commands: Any) -> None:
    """Add `grid check`."""
    check = commands.add_parser(
        "check", help="ask every grid provider of the setting, and tell what is degraded"
    )
    check.add_argument("--zone", help="grid zone to ask about; default: one that a region needs")
    check.add_argument("-o", "--output", choices=("table", "json"), default="table")
    check.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line by provider; the exit code tells of the first one, which is the one that is asked for.

    Returns:
        0 where it can be used, 3 where what it has is missing, stale or of a kind that cannot be used, 4 where it
        cannot be reached.
    """
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.pipeline.grid import provider_names, provider_of
    from greenops.pipeline.grid_check import State, look_at_all

    settings, clock = load_settings(), SystemClock.from_environment()
    names = provider_names(settings)
    if not names:
        raise UsageError(
            "GO0804", "`provider` names no grid provider", fix="`shipped` needs nothing"
        )
    found = look_at_all(names, provider_of, clock, _needed(), args.zone)
    zone = next((each.zone for each in found if each.zone), None)
    rests = _rests_on(settings, clock, zone)
    rows = [_row(each) for each in found]
    limit = settings.grid_calls_per_minute
    whole = {"at": iso(clock.now()), "calls_per_minute": limit, "providers": rows, "now": rests}
    head = f"grid providers at {iso(clock.now())}, each asked up to {limit:g} times a minute"
    show(args, whole, [{k: v for k, v in row.items() if k != "note"} for row in rows], head)
    if args.output == "table":
        for line in (
            *(f"{each.provider}: {each.note}" for each in found if each.note),
            rests["said"],
        ):
            print(line)
    first = found[0].state
    if first is State.UNREACHABLE:
        return ExitCode.UNREACHABLE
    return ExitCode.OK if first is State.OK else ExitCode.DATA


def _needed() -> list[str]:
    """Zones that regions need, those with a shipped series first."""
    from greenops.adapters.shipped_grid import shipped_regions
    from greenops.pipeline.grid_zones import names_of

    regions = sorted(shipped_regions(), key=lambda each: each.zone is None)
    return list(dict.fromkeys(names_of(each)[0] for each in regions))


def _rests_on(settings: Settings, clock: Clock, zone: str | None) -> dict[str, str | None]:
    """What a decision in the zone would rest on now, with all that stands in."""
    from greenops.pipeline.grid import load_grid

    found: dict[str, str | None] = {"zone": zone, "forecast": None, "degraded": None}
    if zone is None:
        return {**found, "said": "decisions rest on no forecast: work runs as without GreenOps"}
    try:
        forecast = load_grid(settings, clock).provider.forecast(zone, clock.now())
    except GreenOpsError as error:
        said = (
            f"decisions in {zone} rest on no forecast, and work runs as without GreenOps: {error}"
        )
        return {**found, "said": said}
    why = f", degraded: {forecast.degraded}" if forecast.degraded else ""
    said = f"decisions in {zone} rest on {forecast.id}{why}"
    return {**found, "forecast": forecast.id, "degraded": forecast.degraded, "said": said}


def _row(health: Health) -> dict[str, object]:
    kind = health.kind
    return {
        "provider": health.provider,
        "state": health.state.value,
        "kind": f"{kind.signal} {kind.factors} {kind.basis}" if kind else None,
        "replay": kind.replay if kind else None,
        "zones": health.zones,
        "zone": health.zone,
        "issued": iso(health.issued_at) if health.issued_at else None,
        "age_h": None if health.age is None else round(health.age.total_seconds() / 3600, 1),
        "note": health.note,
    }
