"""`greenops plan WORKLOAD`: what would be decided now, without sending anything."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `plan`."""
    parser = subparsers.add_parser("plan", help="decide a workload's next run, send nothing")
    parser.add_argument("workload", help="name of a declared workload")
    parser.add_argument(
        "--at", help="submission, RFC 3339; its next scheduled time, or now, where not given"
    )
    parser.add_argument("--policies", help="folder of policy and workload files")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decide and print."""
    import json

    from greenops.adapters.clock import SystemClock
    from greenops.cli.decisions import explain
    from greenops.config import load_settings
    from greenops.domain.console import JobRequest
    from greenops.domain.record import plain
    from greenops.pipeline.budgets import InForce, sums_of
    from greenops.pipeline.decide import Decider
    from greenops.pipeline.grid import load_grid
    from greenops.pipeline.policies import read_policies
    from greenops.plan.guard import scheduled_start

    settings, clock = (
        load_settings(flags={"policies": args.policies}),
        SystemClock.from_environment(),
    )
    policies = read_policies(settings.policies)
    in_force = InForce(policies, sums_of(settings.state)).at
    grid = load_grid(settings, clock)
    decider = Decider(settings, clock, policies, grid, in_force=in_force)
    workload = decider.workload(args.workload)
    at = _instant(args.at) if args.at else scheduled_start(workload, clock.now())
    record = decider.decide(JobRequest(args.workload, f"{args.workload}/{at:%Y-%m-%d}", at))
    print(json.dumps(plain(record), indent=2) if args.output == "json" else explain(record))
    return 0


def _instant(text: str) -> Any:
    from datetime import datetime

    from greenops.errors import UsageError

    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "GO0805", f"`--at {text}` is no time", fix="2021-10-08T08:00:00Z"
        ) from error
    if found.tzinfo is None:
        raise UsageError("GO0805", f"`--at {text}` has no offset", fix="2021-10-08T08:00:00Z")
    return found
