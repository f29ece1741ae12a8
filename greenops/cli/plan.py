"""`greenops plan WORKLOAD`, `--all`, `--jobs`, `--routes` and `--replay`: what would be decided, or would have been, sending nothing."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from greenops.cli import plan_jobs, plan_replay, plan_routes

if TYPE_CHECKING:
    from datetime import datetime

    from greenops.pipeline.decide import Decider


def add_parser(subparsers: Any) -> None:
    """Add `plan`."""
    parser = subparsers.add_parser(
        "plan",
        help="decide runs, jobs or routes, send nothing",
        epilog="a plan of all takes one forecast of each zone, and does for every batch workload"
        " what a plan of that one does",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("workload", nargs="?", help="name of a declared workload")
    what.add_argument("--all", action="store_true", help="every declared batch workload at once")
    what.add_argument(
        "--replay",
        action="store_true",
        help="every run of a period, as it was known and as it came",
    )
    parser.add_argument(
        "--at",
        help="submission, RFC 3339; its next scheduled time, or now, where not given; of jobs of a file: plan from then",
    )
    parser.add_argument("--policies", help="folder or bundle of policy and workload files")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    plan_replay.offer(parser)
    plan_jobs.offer(parser)
    plan_routes.offer(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decide and print."""
    if args.routes is not None:
        return plan_routes.run(args, _decider)
    plan_routes.refuse(args)
    jobs = args.jobs is not None and not (args.workload or args.all or args.replay)
    if not jobs:
        plan_jobs.refuse(args)
    if args.replay:
        _tell_prices(args, "are not replayed")
        return plan_replay.run(args)
    plan_replay.refuse(args, jobs=jobs)
    if jobs:
        _tell_prices(args, "do not count in a plan of jobs")
        return plan_jobs.run(args, _at(args))
    if not (args.workload or args.all):
        raise _nothing_named()
    decider, at = _decider(args), _at(args)
    return _all(decider, at, args.output) if args.all else _one(decider, args, at)


def _tell_prices(args: argparse.Namespace, what: str) -> None:
    """Say what a plan leaves out, where the settings ask for it."""
    from greenops.config import load_settings

    if load_settings(flags={"policies": args.policies}).price_provider.strip():
        print(
            f"prices of electricity (`price_provider`) {what}: costs are rents alone",
            file=sys.stderr,
        )


def _nothing_named() -> Exception:
    from greenops.errors import UsageError

    fix = "name a workload, or say `--all`, `--jobs FILE`, `--routes FILE` or `--replay`"
    return UsageError("GO0805", "nothing to plan", fix=fix)


def _at(args: argparse.Namespace) -> datetime | None:
    from greenops.cli.instants import instant

    return instant("--at", args.at) if args.at else None


def _decider(args: argparse.Namespace) -> Decider:
    from greenops.adapters.clock import SystemClock
    from greenops.config import load_settings
    from greenops.pipeline.budgets import InForce, sums_of
    from greenops.pipeline.decide import Decider
    from greenops.pipeline.grid import load_grid
    from greenops.pipeline.learning import Learning
    from greenops.pipeline.policies import read_policies
    from greenops.pipeline.site_prices import load_site_prices

    settings, clock = (
        load_settings(flags={"policies": args.policies}),
        SystemClock.from_environment(),
    )
    policies = read_policies(settings.policies, settings)
    in_force = InForce(policies, sums_of(settings.state)).at
    grid, learned = load_grid(settings, clock), Learning(settings.state, clock)
    priced = load_site_prices(settings, grid.regions, clock)
    return Decider(
        settings, clock, policies, grid, in_force=in_force, learned=learned, priced=priced
    )


def _request(decider: Decider, name: str, at: datetime | None) -> Any:
    from greenops.domain.console import JobRequest
    from greenops.plan.guard import scheduled_start

    then = at or scheduled_start(decider.workload(name), decider.clock.now())
    return JobRequest(name, f"{name}/{then:%Y-%m-%d}", then)


def _one(decider: Decider, args: argparse.Namespace, at: datetime | None) -> int:
    import json

    from greenops.cli.decisions import explain
    from greenops.domain.record import plain

    record = decider.decide(_request(decider, args.workload, at))
    print(json.dumps(plain(record), indent=2) if args.output == "json" else explain(record))
    return 0


def _all(decider: Decider, at: datetime | None, output: str) -> int:
    import json

    from greenops.cli.plan_table import as_plain, table
    from greenops.domain.workload import WorkloadKind
    from greenops.errors import UsageError
    from greenops.pipeline.fleet_workloads import plan_requests

    known = decider.policies.workloads
    names = sorted(n for n, each in known.items() if each.kind is WorkloadKind.BATCH)
    if not names:
        raise UsageError(
            "GO0643",
            f"no batch workload is declared in `{decider.settings.policies}`",
            fix="declare one with `kind: Workload`, or name another folder with `--policies`",
        )
    rows = plan_requests(decider, [_request(decider, name, at) for name in names]).to_pylist()
    told = [{"workload": name, **row} for name, row in zip(names, rows, strict=True)]
    print(
        json.dumps([as_plain(each) for each in told], indent=2) if output == "json" else table(told)
    )
    if len(names) < len(known):
        services = len(known) - len(names)
        print(f"{services} more that serve are routed, not planned", file=sys.stderr)
    return 0
