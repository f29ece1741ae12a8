"""`greenops decisions list|show`: what `greenops serve` decided, and why."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from greenops.errors import one_line

if TYPE_CHECKING:
    from greenops.domain.console import DecisionRecord
    from greenops.domain.decision import Verdict
    from greenops.domain.override import Override

SHOWN = 20
"""Rejected candidates that a table shows; the JSON has all."""


def add_parser(subparsers: Any) -> None:
    """Add `decisions`."""
    parser = subparsers.add_parser("decisions", help="what was decided, and why")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="every decision, newest first")
    listing.set_defaults(run=run_list)
    show = commands.add_parser("show", help="one decision with all it rested on")
    show.add_argument("id")
    show.set_defaults(run=run_show)
    for each in (listing, show):
        each.add_argument("--server", help="URL of `greenops serve`")
        each.add_argument("-o", "--output", choices=("table", "json"), default="table")


def _client(args: argparse.Namespace) -> Any:
    from greenops.adapters.control_client import ControlClient
    from greenops.config import load_settings

    settings = load_settings()
    own = f"http://{settings.host}:{settings.api_port}"
    return ControlClient(args.server or os.environ.get("GREENOPS_SERVER") or own)


def run_list(args: argparse.Namespace) -> int:
    """Print the decisions."""
    import json

    from greenops.domain.record import plain

    decisions = _client(args).decisions()
    if args.output == "json":
        print(json.dumps([plain(each) for each in decisions], indent=2))
        return 0
    for each in decisions:
        print(f"{each.decided_at:%Y-%m-%d %H:%M}  {each.id}  {each.workload}: {each.reason}")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print one decision, constraint by constraint."""
    import json

    from greenops.domain.record import plain

    client = _client(args)
    record = client.decision(args.id)
    overrides = [o for o in client.overrides() if o.overrode and o.overrode.decision_id == args.id]
    if args.output == "json":
        print(json.dumps({**plain(record), "overrides": plain(overrides)}, indent=2))
    else:
        print("\n".join([explain(record), *map(overridden, overrides)]))
    return 0


def overridden(override: Override) -> str:
    """Who put a decision aside, why, until when, and what became of it."""
    planned = _time(override.overrode.start_at) if override.overrode else "none"
    by = f" by {override.ended_by}" if override.ended_by else ""
    return one_line(
        f"  override       {override.id} {override.who}: {override.why} (run now instead of {planned}, "
        f"at {_time(override.at)}, until {_time(override.until)}; {override.state}{by})"
    )


def explain(record: DecisionRecord) -> str:
    """A decision for a person: the sentence, the two ways, the numbers, who was refused by what."""
    made = record.decision
    lines = [
        f"{made.workload}: {made.reason}",
        f"  policies       {', '.join(made.policies) or 'none matched'} ({made.mode})",
        f"  objective      {made.objective or 'none'}",
        f"  deadline       {_time(made.deadline)}, latest safe start {_time(made.latest_safe_start)}",
        f"  forecasts      {', '.join(made.forecast_ids.values()) or 'none'}",
        *(f"  degraded       {zone}: {why}" for zone, why in (made.degraded or {}).items()),
    ]
    learned = record.job.learned if record.job else None
    lines += [f"  learned        {each}" for each in learned or ()]
    if made.by_upper_bound is not None:
        lines.append(f"  weighed by     the upper bound of carbon, since {made.by_upper_bound}")
    if made.supersedes is not None:
        lines.append(f"  replaces       {made.supersedes}, which knew other forecasts")
    for name, place in (("baseline", made.baseline), ("chosen", made.chosen)):
        grams = "not known" if place.carbon_g is None else f"{place.carbon_g:.4g} gCO2e"
        cost = "not known" if place.cost_usd is None else f"{place.cost_usd:.4g} USD"
        lines.append(
            f"  {name:<14} {place.region} {place.pool or ''} {_time(place.start)}  {grams}  {cost}"
        )
    verdicts = {each.candidate: each for each in record.verdicts}
    for candidate, rules in list(made.rejected.items())[:SHOWN]:
        whys = "; ".join(_why(rule, verdicts.get(candidate)) for rule in rules)
        lines.append(f"  rejected       {candidate}  {whys}")
    if len(made.rejected) > SHOWN:
        lines.append(f"  … and {len(made.rejected) - SHOWN} more; `-o json` has all")
    lines += [
        f"  receipt        {r.target} {r.kind} {r.outcome}: {r.detail}" for r in record.receipts
    ]
    return "\n".join(lines)


def _why(rule: str, verdict: Verdict | None) -> str:
    """A rule that refused, and its author's sentence, or the figure that it lacked."""
    from greenops.plan.wording import not_known

    if verdict is None:
        return rule
    said = not_known(verdict.errors.get(rule, "")) or verdict.messages.get(rule)
    return f"{rule}: {said}" if said else rule


def _time(instant: Any) -> str:
    return "none" if instant is None else f"{instant:%Y-%m-%d %H:%M} UTC"
